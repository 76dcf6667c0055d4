// Two "hosts" on one machine, for what ranks do over a network: two network namespaces with a pair of interfaces between them, shaped to a rate,
// each with a host name and a /dev/shm of its own. Linux, with the rights of root. Starts no ranks.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

/** A network of its own in each pair of namespaces: several pairs may be there at once. */
const NETWORK = '10.77.0';
const INTERFACE = 'link0';

/** Where ip and tc are, for users whose PATH has them not. */
const searchPath = () => `${process.env.PATH ?? ''}${delimiter}/usr/sbin${delimiter}/sbin`;

function run(command, args) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', env: { ...process.env, PATH: searchPath() } });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error ? error.message : stderr.trim() || `ended with ${status}`}`);
  return stdout.trim();
}

/** Until the interface says of itself that it is up, which is a moment after it was set up: UCX does not use it before. */
function waitUntilUp(inside) {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (let tries = 0; inside('cat', `/sys/class/net/${INTERFACE}/operstate`) !== 'up'; tries++) {
    if (tries === 100) throw new Error(`${INTERFACE} does not come up`);
    Atomics.wait(pause, 0, 0, 50);
  }
}

/** What a launcher calls in place of ssh: `agent [options] HOST COMMAND…` runs the command on the second host, whatever the host is called. */
const agentOf = (namespace) => `#!/bin/sh
while [ "\${1#-}" != "$1" ]; do shift; done
shift
exec ip netns exec ${namespace} unshare --uts --mount sh -c 'hostname ${namespace}; mount -t tmpfs tmpfs /dev/shm; eval "$1"' sh "$*"
`;

const NAMESPACES = '/run/netns';

/** Namespaces of processes that were killed before they could close theirs. */
function removeStale() {
  if (!existsSync(NAMESPACES)) return;
  for (const name of readdirSync(NAMESPACES)) {
    const owner = /^xmoe-[ab]-(\d+)$/.exec(name)?.[1];
    if (owner === undefined || existsSync(`/proc/${owner}`)) continue;
    try {
      run('ip', ['netns', 'del', name]);
    } catch {
      // another process was quicker, or may and this one may not
    }
  }
}

/**
 * @param rate of the link as tc writes it, e.g. 1gbit; null: as fast as the machine copies
 * @returns {{ hosts: string[], command(line: string[]): string[], env: Record<string, string>, setCable(isIn: boolean): void, close(): void } | { absent: string }} the addresses of both
 * hosts; the line that runs another one on the first; what launchers must know, beside the environment; the cable of the second, which is in; or the reason why there are none here
 */
export function openTwoHosts(rate = '1gbit') {
  if (process.platform !== 'linux') return { absent: 'two hosts on one machine are network namespaces, which only Linux has' };
  removeStale();
  const folder = mkdtempSync(join(tmpdir(), 'xmoe-hosts-'));
  const [first, second] = ['a', 'b'].map((name) => `xmoe-${name}-${process.pid}`);
  const close = () => {
    for (const namespace of [first, second]) if (existsSync(`${NAMESPACES}/${namespace}`)) run('ip', ['netns', 'del', namespace]);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    for (const namespace of [first, second]) run('ip', ['netns', 'add', namespace]);
    run('ip', ['link', 'add', INTERFACE, 'netns', first, 'type', 'veth', 'peer', 'name', INTERFACE, 'netns', second]);
    const insideOf = (namespace) => (...args) => run('ip', ['netns', 'exec', namespace, ...args]);
    for (const [index, namespace] of [first, second].entries()) {
      const inside = insideOf(namespace);
      inside('ip', 'addr', 'add', `${NETWORK}.${index + 1}/24`, 'dev', INTERFACE);
      for (const device of ['lo', INTERFACE]) inside('ip', 'link', 'set', device, 'up');
      if (rate !== null) inside('tc', 'qdisc', 'add', 'dev', INTERFACE, 'root', 'tbf', 'rate', rate, 'burst', '256kb', 'latency', '50ms');
    }
    for (const namespace of [first, second]) waitUntilUp(insideOf(namespace));
  } catch (error) {
    close();
    return { absent: `network namespaces with a shaped link are not permitted here (${error.message})` };
  }
  const agent = join(folder, 'agent.sh');
  writeFileSync(agent, agentOf(second), { mode: 0o755 });
  return {
    hosts: [`${NETWORK}.1`, `${NETWORK}.2`],
    command: (line) => ['ip', 'netns', 'exec', first, 'unshare', '--uts', 'sh', '-c', `hostname ${first}; exec "$@"`, 'sh', ...line],
    env: {
      PATH: searchPath(),
      OMPI_MCA_plm_rsh_agent: agent, OMPI_MCA_oob_tcp_if_include: `${NETWORK}.0/24`, OMPI_MCA_btl_tcp_if_include: `${NETWORK}.0/24`, OMPI_MCA_btl: 'tcp,self,vader',
      HYDRA_LAUNCHER: 'ssh', HYDRA_LAUNCHER_EXEC: agent, HYDRA_IFACE: INTERFACE, UCX_NET_DEVICES: INTERFACE, UCX_TLS: 'tcp,self',
    },
    setCable: (isIn) => run('ip', ['netns', 'exec', second, 'ip', 'link', 'set', INTERFACE, isIn ? 'up' : 'down']),
    close,
  };
}
