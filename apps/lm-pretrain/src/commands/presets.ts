// presets: the names and descriptions of what --preset takes.
import { presetDescriptions } from '../config.js';
import { facts } from '../terminal.js';

export async function presetsCommand(): Promise<void> {
  process.stdout.write(`${facts(await presetDescriptions())}\n`);
}
