// Whether a file is a shared library that this process could load: its first bytes say the format and the processor. Loading anything else is
// refused by the system at best. Not whether it multiplies matrices.
import { closeSync, openSync, readSync, statSync } from 'node:fs';

/** Machine numbers of the formats by Node's name of the processor. */
const ELF_MACHINES: Record<string, number> = { x64: 62, arm64: 183, riscv64: 243, loong64: 258, ppc64: 21 };
const MACH_CPUS: Record<string, number> = { x64: 0x01000007, arm64: 0x0100000c };
const PE_MACHINES: Record<string, number> = { x64: 0x8664, arm64: 0xaa64 };

const MOST_HEADER_BYTES = 4096;

/** Undefined where `path` is a shared library for this system and `arch`; else why it is not. */
export function whyNotLoadable(path: string, platform: string, arch: string): string | undefined {
  const header = readHeader(path);
  if (typeof header === 'string') return header;
  if (header.length < 64) return 'it is too short for a library';
  if (platform === 'darwin') return whyNotMach(header, arch);
  return platform === 'win32' ? whyNotPe(header, arch) : whyNotElf(header, arch);
}

/** The first bytes, or why there are none. */
function readHeader(path: string): Buffer | string {
  try {
    if (!statSync(path).isFile()) return 'it is not a file';
    const file = openSync(path, 'r');
    try {
      const header = Buffer.alloc(MOST_HEADER_BYTES);
      return header.subarray(0, readSync(file, header, 0, header.length, 0));
    } finally {
      closeSync(file);
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' || code === 'ENOTDIR' ? 'there is no such file' : `it cannot be read (${code ?? String(error)})`;
  }
}

const NO_LIBRARY = 'it is not a shared library';
const otherProcessor = (arch: string): string => `it is for another processor than ${arch}`;

function whyNotElf(header: Buffer, arch: string): string | undefined {
  if (header.readUInt32BE(0) !== 0x7f454c46) return NO_LIBRARY;
  const [is64, isLittle] = [header[4] === 2, header[5] === 1];
  if (!is64 || !isLittle || header.readUInt16LE(18) !== ELF_MACHINES[arch]) return otherProcessor(arch);
  return header.readUInt16LE(16) === 3 ? undefined : NO_LIBRARY;
}

function whyNotMach(header: Buffer, arch: string): string | undefined {
  if (header.readUInt32BE(0) === 0xcafebabe) {
    // A list of libraries for several processors.
    const count = Math.min(header.readUInt32BE(4), Math.floor((header.length - 8) / 20));
    const found = Array.from({ length: count }, (_, index) => header.readUInt32BE(8 + 20 * index));
    return found.includes(MACH_CPUS[arch]) ? undefined : otherProcessor(arch);
  }
  if (header.readUInt32LE(0) !== 0xfeedfacf) return NO_LIBRARY;
  if (header.readUInt32LE(4) !== MACH_CPUS[arch]) return otherProcessor(arch);
  return [6, 8].includes(header.readUInt32LE(12)) ? undefined : NO_LIBRARY;
}

function whyNotPe(header: Buffer, arch: string): string | undefined {
  const at = header.readUInt32LE(0x3c);
  if (header.readUInt16LE(0) !== 0x5a4d || at + 6 > header.length || header.readUInt32LE(at) !== 0x00004550) return NO_LIBRARY;
  return header.readUInt16LE(at + 4) === PE_MACHINES[arch] ? undefined : otherProcessor(arch);
}
