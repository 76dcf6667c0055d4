// Reads the text of a configuration file, with a limit: no configuration is large, and what is (a corpus, a device) would
// otherwise be taken into memory whole before anything is said. Not a parser (see strict-json.ts).
import { open } from 'node:fs/promises';
import { XMoEError } from '@xmoe/core';

/** Bytes that a configuration file may have. Those that come with the programs have some thousands. */
export const MAXIMUM_CONFIG_BYTES = 1 << 20;

/** The text of the file at `path`. @throws XMoEError `config` when it is larger than {@link MAXIMUM_CONFIG_BYTES}; system errors as they are */
export async function readConfigText(path: string): Promise<string> {
  const file = await open(path);
  try {
    const bytes = Buffer.alloc(MAXIMUM_CONFIG_BYTES + 1);
    let filled = 0;
    while (filled < bytes.length) {
      const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, null);
      if (bytesRead === 0) return bytes.toString('utf8', 0, filled);
      filled += bytesRead;
    }
  } finally {
    await file.close();
  }
  throw new XMoEError('config', `${path} has more than ${MAXIMUM_CONFIG_BYTES} bytes, which no configuration has`, {
    hint: 'name a file of settings, such as config.json of a run',
  });
}
