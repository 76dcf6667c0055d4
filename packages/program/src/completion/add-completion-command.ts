// completion: prints the script by which a shell completes the program, made of the commands that there are.
import { Argument, type Command } from 'commander';
import { nameAmong } from '../named-option.js';
import type { Terminal } from '../terminal.js';
import { completionTable, type CompletionTable, type KnownNames } from './completion-table.js';
import { fishScript } from './fish-script.js';
import { bashScript, zshScript } from './sh-scripts.js';

const SCRIPTS: Readonly<Record<string, (table: CompletionTable) => string>> = { bash: bashScript, zsh: zshScript, fish: fishScript };
const SHELLS = Object.keys(SCRIPTS);

/** Adds `completion`. @param known read when a script is asked for */
export function addCompletionCommand(program: Command, terminal: Terminal, known: () => Promise<KnownNames>): void {
  const shells = new Argument('<shell>', SHELLS.join(', ')).choices(SHELLS).argParser((given: string) => nameAmong(given, SHELLS));
  program.command('completion').addArgument(shells)
    .description('a script by which a shell completes commands, presets, runs and more')
    .addHelpText('after', `
Once for all shells to come:
  bash  echo 'eval "$(${program.name()} completion bash)"' >> ~/.bashrc
  zsh   echo 'eval "$(${program.name()} completion zsh)"' >> ~/.zshrc
  fish  ${program.name()} completion fish > ~/.config/fish/completions/${program.name()}.fish`)
    .action(async (name: string) => {
      const script = SCRIPTS[name]!(completionTable(program, await known()));
      terminal.result({ completes: name, script }, script);
    });
}
