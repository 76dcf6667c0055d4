// The flags of the benchmark. Unknown ones are refused with the nearest name; nothing runs here.
import { requireName, XMoEError } from '@xmoe/core';
import { fromOne, namesOf, numberOf, readToolFlags } from '@xmoe/testing/programs';

const SECTIONS = ['gemm', 'router', 'moe', 'step', 'generation'] as const;
/** Only where they are named: what docs/routers.md says, and ranks under a launcher. */
const NAMED_SECTIONS = ['balance', 'targets', 'router-extra', 'fine', 'distributed'] as const;
const ALL_SECTIONS = [...SECTIONS, ...NAMED_SECTIONS] as const;
export type Section = (typeof ALL_SECTIONS)[number];

/** Our backends that --peers sets beside other libraries. */
const PEER_BACKENDS = ['cpu', 'webgpu'] as const;
export type PeerBackend = (typeof PEER_BACKENDS)[number];

const WEBGPU_PEER_SECTIONS = ['gemm', 'step', 'moe'] as const satisfies readonly Section[];
export type WebGpuPeerSection = (typeof WEBGPU_PEER_SECTIONS)[number];
const CPU_PEER_SECTIONS = [...WEBGPU_PEER_SECTIONS, 'generation'] as const satisfies readonly Section[];
export type PeerSection = (typeof CPU_PEER_SECTIONS)[number];

/** Those that --peers has; it takes turns within each. */
const PEER_SECTIONS: Readonly<Record<PeerBackend, readonly Section[]>> = { cpu: CPU_PEER_SECTIONS, webgpu: WEBGPU_PEER_SECTIONS };

export interface BenchOptions {
  readonly sections: readonly Section[];
  /** This backend of ours beside other libraries, instead of our backends beside each other. */
  readonly peers: PeerBackend | null;
  /** null: every one that works here. */
  readonly backends: readonly string[] | null;
  readonly quick: boolean;
  /** Rounds after the warm-up. */
  readonly repeat: number;
  readonly json: string | null;
  readonly markdown: string | null;
  readonly help: boolean;
}

const FLAGS = {
  only: { type: 'string' },
  backend: { type: 'string' },
  peers: { type: 'boolean' },
  quick: { type: 'boolean' },
  repeat: { type: 'string' },
  json: { type: 'string' },
  markdown: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

export const HELP = `pnpm bench [options]
  --only LIST      sections, separated by commas: ${SECTIONS.join(', ')} (default: all), and by name alone ${NAMED_SECTIONS.join(', ')}:
                   how evenly routers load experts and hold a cost, what those with a state do for it, thousands of tiny experts;
                   two ranks under MPI, in shared memory and over a link
  --backend LIST   backends, separated by commas: cpu, cpu:native, cpu:wasm, cpu:revectorized, cpu:relaxed, cpu:plain, tfjs:wasm, tfjs:node, tfjs:cuda, tfjs:cpu
                   (default: all that work here, but cpu:plain and tfjs:cpu)
  --peers          the CPU engine beside TensorFlow.js wasm, jax-js, PyTorch and ONNX Runtime (${PEER_SECTIONS.cpu.join(', ')});
                   those that are not installed are left out: node bench/install-peers.mjs. With --backend webgpu: WebGPU beside
                   TensorFlow.js webgpu and PyTorch on the same GPU, at the sizes of the paper's models
  --repeat N       rounds after the warm-up (default: 5)
  --quick          tiny shapes and two rounds: shows that it runs, measures nothing
  --json FILE      also write the results as JSON
  --markdown FILE  also write the tables as markdown
  --help           this text
`;

/** @throws XMoEError `config` for an unknown flag, section or a value that does not fit */
export function parseOptions(args: readonly string[]): BenchOptions {
  const values = readToolFlags('bench', args, FLAGS);
  const quick = values.quick ?? false;
  const peers = values.peers ? requirePeerBackend(values.backend ?? 'cpu') : null;
  const known: readonly Section[] = peers ? PEER_SECTIONS[peers] : ALL_SECTIONS;
  return {
    sections: values.only === undefined ? known.filter((name) => !NAMED_SECTIONS.some((other) => other === name)) : namesOf('bench', '--only', values.only).map((name) => requireName('bench', 'section', name, known)),
    peers,
    backends: values.backend === undefined || peers ? null : namesOf('bench', '--backend', values.backend),
    quick,
    repeat: values.repeat === undefined ? (quick ? 2 : 5) : numberOf('bench', '--repeat', values.repeat, 'a whole number from 1; 5 or more for figures that are reported', fromOne),
    json: values.json ?? null,
    markdown: values.markdown ?? null,
    help: values.help ?? false,
  };
}

function requirePeerBackend(name: string): PeerBackend {
  const found = PEER_BACKENDS.find((backend) => backend === name);
  if (found) return found;
  throw new XMoEError('config', `--peers measures one of ${PEER_BACKENDS.join(', ')}, not ${name}`, {
    op: 'bench', hint: 'leave out --backend for the CPU engine; XMOE_THREADS sets its threads',
  });
}
