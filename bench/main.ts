// The entry of `pnpm bench`: flags, sections in order, tables out. What is measured is in the file of each section.
import { mkdir, open, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { runTool } from '@xmoe/testing/programs';
import { benchBalance, benchTargets } from './balance.js';
import { openDevices, openPeerDevices, type Devices } from './devices.js';
import { describeEnvironment, environmentMarkdown } from './environment.js';
import { benchDistributed } from './distributed/section.js';
import { benchFineExperts } from './fine.js';
import type { Device } from './forward-backward.js';
import { benchGemm } from './gemm.js';
import { benchGeneration } from './generation.js';
import type { MeasureOptions } from './measure.js';
import { benchMoeLayer } from './moe-layer.js';
import { HELP, parseOptions, type BenchOptions, type PeerSection, type Section, type WebGpuPeerSection } from './options.js';
import { openPeers } from './peers/open.js';
import { benchPeers } from './peers/sections.js';
import { benchRouterExtra } from './router-extra.js';
import { benchRouters } from './router.js';
import { scaleOf } from './scale.js';
import { toMarkdown, type Table } from './table.js';
import { benchTrainStep } from './train-step.js';
import { openWebGpuPeers } from './webgpu-peers/open.js';
import { benchWebGpuPeers } from './webgpu-peers/sections.js';

type Bench = (devices: readonly Device[], quick: boolean, measure: MeasureOptions) => Promise<Table[]>;

const BENCHES: Readonly<Record<Section, Bench>> = {
  gemm: benchGemm,
  router: benchRouters,
  moe: byDevice(async (device, quick, measure) => benchMoeLayer(device, await scaleOf(device.engine, quick), measure)),
  step: benchTrainStep,
  generation: benchGeneration,
  balance: benchBalance,
  targets: benchTargets,
  'router-extra': byDevice(async (device, quick, measure) => benchRouterExtra(device, await scaleOf(device.engine, quick), measure)),
  fine: byDevice(benchFineExperts),
  distributed: ([device], quick, measure) => benchDistributed(device!.name, quick, measure),
};

/** One backend after the other. */
function byDevice(bench: (device: Device, quick: boolean, measure: MeasureOptions) => Promise<Table[]>): Bench {
  return async (devices, quick, measure) => {
    const tables: Table[] = [];
    for (const device of devices) tables.push(...(await bench(device, quick, measure)));
    return tables;
  };
}

interface Measured extends Devices {
  readonly peers: readonly string[];
  measure(section: Section, options: MeasureOptions): Promise<Table[]>;
  close(): Promise<void>;
}

async function openBackends({ backends, quick }: BenchOptions): Promise<Measured> {
  const opened = await openDevices(backends);
  return { ...opened, peers: [], measure: (section, options) => BENCHES[section](opened.devices, quick, options), close: async () => undefined };
}

async function openCpuAndPeers({ quick }: BenchOptions): Promise<Measured> {
  const { devices } = await openPeerDevices();
  const peers = await openPeers();
  return {
    devices,
    peers: [peers.tfjs, peers.jax, peers.numpy, peers.torch, peers.onnx].flatMap((peer) => (peer ? [peer.description] : [])),
    absent: peers.absent,
    measure: (section, options) => benchPeers(section as PeerSection, devices, peers, quick, options),
    async close() {
      await peers.torch?.close();
      await peers.numpy?.close();
    },
  };
}

async function openWebGpuAndPeers({ quick }: BenchOptions): Promise<Measured> {
  const peers = await openWebGpuPeers(quick);
  return {
    devices: [peers.ours],
    peers: peers.described,
    absent: peers.absent,
    measure: (section, options) => benchWebGpuPeers(section as WebGpuPeerSection, peers, quick, options),
    close: peers.close,
  };
}

/** Known before anything is measured: whether its file can be written. What is in it stays until there is something new. */
async function prepareFile(flag: string, path: string | null): Promise<void> {
  if (path === null) return;
  try {
    await mkdir(dirname(path), { recursive: true });
    await (await open(path, 'a')).close();
  } catch (cause) {
    throw new XMoEError('config', `${flag} ${path} cannot be written: ${(cause as Error).message}`, { op: 'bench', hint: 'name a file', cause });
  }
}

async function main(options: BenchOptions): Promise<void> {
  await prepareFile('--json', options.json);
  await prepareFile('--markdown', options.markdown);
  const openAll = options.peers === 'webgpu' ? openWebGpuAndPeers : options.peers === 'cpu' ? openCpuAndPeers : openBackends;
  const measured = await openAll(options);
  try {
    await report(measured, options);
  } finally {
    await measured.close();
    for (const { engine } of measured.devices) engine.dispose();
  }
}

async function report({ devices, peers, absent, measure }: Measured, options: BenchOptions): Promise<void> {
  const environment = describeEnvironment({ backends: devices.map(({ name, engine }) => `${name}: ${engine.backend.description}`), peers, absent }, options);
  const rounds: MeasureOptions = { repeat: options.repeat, sampleMs: options.quick ? 0 : 20 };
  const texts: string[] = [];
  const print = (text: string): void => {
    texts.push(text);
    process.stdout.write(`${text}\n`);
  };
  print(environmentMarkdown(environment));
  const tables: Table[] = [];
  for (const section of options.sections) {
    process.stderr.write(`measuring ${section} …\n`);
    const found = await measure(section, rounds);
    tables.push(...found);
    found.forEach((table) => print(toMarkdown(table)));
    // After each section, so that what is measured is kept whatever becomes of the next.
    if (options.json) await writeFile(options.json, `${JSON.stringify({ environment, repeat: options.repeat, tables }, null, 2)}\n`);
    if (options.markdown) await writeFile(options.markdown, texts.join('\n'));
  }
}

await runTool(async () => {
  const options = parseOptions(process.argv.slice(2));
  if (options.help) process.stdout.write(HELP);
  else await main(options);
});
