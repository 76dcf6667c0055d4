// presets: the names and descriptions of what --preset takes.
import { configs } from '../config.js';
import { facts, type Terminal } from '@xmoe/program';

export async function presetsCommand(terminal: Terminal): Promise<void> {
  terminal.output.write(`${facts(await configs.presets())}\n`);
}
