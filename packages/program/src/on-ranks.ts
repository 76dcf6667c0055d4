// Commands of several ranks that do not train: all compute, the first speaks. And what a command that is not for ranks says where a launcher started
// several of it. What ranks do with each other is @xmoe/distributed; those of a training are ranks.ts.
import { XMoEError } from '@xmoe/core';
import type { Comm } from '@xmoe/distributed';
import type { Command } from 'commander';
import { countRanks, openRanks, requireSameRanks, SILENT } from './ranks.js';
import type { Terminal } from './terminal.js';

const forSeveral = new WeakSet<Command>();

/** Says of a command that its ranks share out its work. */
export function forRanks(command: Command): Command {
  forSeveral.add(command);
  return command;
}

/** @throws XMoEError `config` where a launcher started several of a command that each would do by itself */
export function requireForRanks(command: Command): void {
  const count = countRanks();
  if (count === 1 || forSeveral.has(command)) return;
  const program = command.parent!;
  const others = program.createHelp().visibleCommands(program).flatMap((other) => (forSeveral.has(other) ? other.name() : []));
  throw new XMoEError('config', `${command.name()} is not for several ranks: each of ${count} would do the same`, { hint: `start it by itself; ranks share out ${others.join(', ')}` });
}

/**
 * Does `work` on every rank of the launcher that started this command, or in this process alone. It gets the terminal, which is mute on all ranks but
 * the first.
 */
export async function onRanks(terminal: Terminal, work: (terminal: Terminal, comm: Comm) => Promise<void>): Promise<void> {
  const { comm } = openRanks();
  await work(comm.rank === 0 ? terminal : mute(terminal), comm);
  await comm.close(terminal.exitCode);
}

function mute(terminal: Terminal): Terminal {
  return { output: SILENT, messages: SILENT, exitCode: 0, json: terminal.json, result: () => terminal.resultElsewhere(), resultElsewhere: () => terminal.resultElsewhere(), outliveReaders: () => terminal.outliveReaders() };
}

/** Refuses ranks that would use other weights or another backend than the first. */
export function requireSameRun(comm: Comm, { checkpoint, device }: { readonly checkpoint: { readonly path: string }; readonly device: { readonly engine: { readonly backend: { readonly name: string; readonly library?: string } } } }): Promise<void> {
  const { name, library } = device.engine.backend;
  return requireSameRanks(comm, { 'the checkpoint': checkpoint.path, 'the backend': [name, ...(library === undefined ? [] : [library])].join(' with ') });
}
