// The command line of xmoe-tfjs-native: its help, and arguments to options. Builds nothing.
import { resolve } from 'node:path';
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { nearestName, XMoEError } from '@xmoe/core';
import { nativeFolder } from './layout.js';
import { DEFAULT_TENSORFLOW, NEWEST_TRIED, OLDEST } from './tensorflow.js';

export interface NativeOptions {
  readonly gpu: boolean;
  /** Folder of the C library as the user named it, or the version to get; undefined: the default version. */
  readonly tensorflow: { readonly directory: string } | { readonly version: string };
  /** Where everything goes. */
  readonly folder: string;
  readonly include: string | undefined;
  readonly nodeHeaders: string | undefined;
  readonly remove: boolean;
  readonly help: boolean;
}

export const HELP = `Usage: xmoe-tfjs-native [options]

Makes TensorFlow.js native (tfjs:node) on a current TensorFlow: gets TensorFlow's C library, compiles the addon that
@tensorflow/tfjs-node ships as source against it, and checks it. Everything goes into one folder, which the programs
find from the current directory upwards. Run again, it builds only what has changed.

Options:
  --tensorflow WHAT    a version to get with pip (default: ${DEFAULT_TENSORFLOW.cpu}; with --gpu ${DEFAULT_TENSORFLOW.gpu}), or a folder with the C library
                       of TensorFlow ${OLDEST} to ${NEWEST_TRIED}: a site-packages, its tensorflow folder, or an unpacked libtensorflow
  --gpu                tfjs:cuda instead: the same code as @tensorflow/tfjs-node-gpu, with the CUDA libraries (several GB)
  --folder DIR         default: .native here, or what XMOE_TFJS_NATIVE names
  --include DIR        headers of TensorFlow, where the folder of the library has none
  --node-headers DIR   the folder with node_api.h
  --remove             removes what this command made (with --gpu, of tfjs:cuda)
  -h, --help           this text

The compiler is that of CXX, or g++, c++ or clang++. About 1.4 GB on disk, 5 with --gpu.
`;

const OPTIONS = {
  tensorflow: { type: 'string' },
  gpu: { type: 'boolean' },
  folder: { type: 'string' },
  include: { type: 'string' },
  'node-headers': { type: 'string' },
  remove: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const satisfies ParseArgsConfig['options'];

/** @throws XMoEError `config` naming what is unknown or has no value, with the nearest name */
export function readOptions(args: readonly string[], directory: string): NativeOptions {
  const { values } = parse(args);
  const gpu = values.gpu ?? false;
  const inHere = (path: string): string => resolve(directory, path);
  for (const name of ['tensorflow', 'folder', 'include', 'node-headers'] as const) {
    if (values[name] === '') throw new XMoEError('config', `--${name} is empty`, { hint: `leave it out, or see --help` });
  }
  const given = values.tensorflow ?? DEFAULT_TENSORFLOW[gpu ? 'gpu' : 'cpu'];
  return {
    gpu,
    tensorflow: /^\d+\.\d+(\.\d+)?$/.test(given) ? { version: given } : { directory: inHere(given) },
    folder: values.folder === undefined ? nativeFolder(directory) : inHere(values.folder),
    include: values.include && inHere(values.include),
    nodeHeaders: values['node-headers'] && inHere(values['node-headers']),
    remove: values.remove ?? false,
    help: values.help ?? false,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, strict: true, allowPositionals: false });
  } catch (cause) {
    const [message] = (cause as Error).message.split(/\. |\n/);
    const unknown = /'--?([^'=]+)'/.exec(message!)?.[1];
    const near = unknown && !(unknown in OPTIONS) ? nearestName(unknown, Object.keys(OPTIONS)) : undefined;
    throw new XMoEError('config', message!, { hint: near ? `did you mean --${near}?` : 'see --help', cause });
  }
}
