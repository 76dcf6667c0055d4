// The script that fish reads, from a table: a line for each command and each option.
import type { CompletedCommand, CompletedOption, CompletionTable, Values } from './completion-table.js';
import { functionOf, quoted } from './sh-scripts.js';

export function fishScript({ program, commands }: CompletionTable): string {
  const runs = functionOf(program, '_runs');
  const all = commands.map(({ name }) => name).join(' ');
  const before = `-n ${quoted(`not __fish_seen_subcommand_from ${all}`)}`;
  return `# Completion of ${program} for fish: ${program} completion fish | source
function ${runs}
    for path in (__fish_complete_directories (commandline -ct) '' | string replace -r '\t.*' '')
        set -l below $path*/checkpoints $path*/*/checkpoints
        if test -d $path/checkpoints; or set -q below[1]
            echo $path
        end
    end
end
complete -c ${program} -f
complete -c ${program} ${before} -l version -d 'the version'
complete -c ${program} ${before} -l help -d 'the commands'
${commands.map(({ name, description }) => `complete -c ${program} ${before} -a ${name} -d ${quoted(description)}`).join('\n')}
${commands.flatMap((command) => commandLines(program, command, runs)).join('\n')}
`;
}

function commandLines(program: string, { name, options, places, keys }: CompletedCommand, runs: string): string[] {
  const start = `complete -c ${program} -n ${quoted(`__fish_seen_subcommand_from ${name}`)}`;
  const option = ({ flag, description, values }: CompletedOption): string => `${start} -l ${flag.slice(2)} -d ${quoted(description)}${values ? ` ${taking(values, runs)}` : ''}`;
  return [
    ...options.map(option),
    ...(places && places.kind !== 'unknown' ? [`${start} ${places.kind === 'names' || places.kind === 'runs' ? taking(places, runs).replace('-x ', '') : '-F'}`] : []),
    ...keys.map((flag) => `${start} -l ${flag.slice(2)} -x -d 'a key of the configuration'`),
  ];
}

/** How an option says what its value may be. */
function taking({ kind, names }: Values, runs: string): string {
  if (kind === 'names') return `-x -a ${quoted(names.join(' '))}`;
  if (kind === 'runs') return `-x -a ${quoted(`(${runs})`)}`;
  if (kind === 'folders') return `-x -a ${quoted('(__fish_complete_directories)')}`;
  return kind === 'files' ? '-r -F' : '-x';
}
