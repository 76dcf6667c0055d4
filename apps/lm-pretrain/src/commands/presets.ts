// presets: the names and descriptions of what --preset takes.
import { presetDescriptions } from '../resolve-config.js';
import { facts, type Terminal } from '../terminal.js';

export async function presetsCommand(terminal: Terminal): Promise<void> {
  terminal.output.write(`${facts(await presetDescriptions())}\n`);
}
