// The scripts that bash and zsh read, from a table: what they complete is in cases that both understand. No node is started for a completion.
import type { CompletedCommand, CompletionTable, Values } from './completion-table.js';

/** `text` as one word of a shell. */
export const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** The name of a function of the program. */
export const functionOf = (program: string, what = ''): string => `_${program.replaceAll('-', '_')}${what}`;

/** Those with the same right side in one line of a case. */
function cases(entries: readonly (readonly [pattern: string, action: string])[]): string {
  const byAction = new Map<string, string[]>();
  for (const [pattern, action] of entries) byAction.set(action, [...(byAction.get(action) ?? []), quoted(pattern)]);
  return [...byAction].map(([action, patterns]) => `    ${patterns.join('|')}) ${action} ;;`).join('\n');
}

const setting = ({ kind, names }: Values, many = ''): string => `kind=${kind}${names.length > 0 ? ` names=${quoted(names.join(' '))}` : ''}${many}`;

const withValues = (command: CompletedCommand): [string, string][] => command.options.flatMap(({ flag, values, variadic }): [string, string][] =>
  (values ? [[`${command.name} ${flag}`, setting(values, variadic ? ' many=1' : '')]] : []));

/**
 * Finds out what the word at the cursor may be: `kind`, `names` and `flags`, from the words before it. `$1` is the command, `$2` the last option before the
 * word, `$3` how many words lie between.
 */
function tableFunction({ program, commands }: CompletionTable): string {
  return `${functionOf(program, '_table')}() {
  kind= names= flags= keys= many=
  case "$1 $2" in
${cases(commands.flatMap(withValues))}
  esac
  if [ -n "$kind" ] && { [ "$3" = 0 ] || [ -n "$many" ]; }; then return; fi
  kind= names=
  case "$1" in
${cases(commands.map(({ name, places, options }) => [name, `${places ? `${setting(places)} ` : ''}flags=${quoted(options.map(({ flag }) => flag).join(' '))}`]))}
  esac
  case "$1" in
${cases(commands.filter(({ keys }) => keys.length > 0).map(({ name, keys }) => [name, `keys=${quoted(keys.join(' '))}`]))}
  esac
}`;
}

/** Whether a directory is a run, or runs lie below. */
const runTest = (program: string): string => `${functionOf(program, '_has_run')}() {
  local path
  for path in "$1"/checkpoints "$1"/*/checkpoints "$1"/*/*/checkpoints; do [ -d "$path" ] && return 0; done
  return 1
}`;

/** For bash from 3.2 on, which is what macOS has. */
export function bashScript(table: CompletionTable): string {
  const { program, commands } = table;
  const own = functionOf(program);
  return `# Completion of ${program} for bash: eval "$(${program} completion bash)"
${tableFunction(table)}
${runTest(program)}
${own}() {
  local line="\${COMP_LINE:0:COMP_POINT}" word command= option= between=0 kind names flags keys many i path found
  local -a words
  COMPREPLY=()
  read -r -a words <<< "$line"
  case "$line" in *[[:space:]]) words[\${#words[@]}]= ;; esac
  local last=$((\${#words[@]} - 1))
  word="\${words[$last]}"
  for ((i = 1; i < last; i++)); do
    case "\${words[$i]}" in
      --) option= ;;
      -*) option="\${words[$i]}" between=0 ;;
      *) if [ -z "$command" ]; then command="\${words[$i]}" option=; else between=$((between + 1)); fi ;;
    esac
  done
  case "$word" in --*=*) option="\${word%%=*}" between=0 word="\${word#*=}" ;; esac
  if [ -z "$command" ]; then
    COMPREPLY=($(compgen -W ${quoted([...commands.map(({ name }) => name), '--help', '--version'].join(' '))} -- "$word"))
    return
  fi
  ${own}_table "$command" "$option" "$between"
  case "$word" in
    -) kind=names names="$flags" ;;
    -*) kind=names names="$flags"; [ "$word" = -- ] || names="$names $keys" ;;
  esac
  local IFS=$'\\n'
  case "$kind" in
    names)
      COMPREPLY=($(IFS=' '; compgen -W "$names" -- "$word"))
      # Bash takes a colon for the end of a word.
      case "$word$COMP_WORDBREAKS" in *:*:*) path="\${word%"\${word##*:}"}"; COMPREPLY=("\${COMPREPLY[@]#"$path"}") ;; esac
      ;;
    files) COMPREPLY=($(compgen -f -- "$word")) ;;
    folders) COMPREPLY=($(compgen -d -- "$word")) ;;
    runs)
      for path in $(compgen -d -- "$word"); do ${own}_has_run "$path" && COMPREPLY[\${#COMPREPLY[@]}]="$path"; done
      [ \${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -d -- "$word"))
      ;;
  esac
  case "$kind" in files|folders|runs) compopt -o filenames 2>/dev/null ;; esac
  return 0
}
complete -F ${own} ${program}
`;
}

/** For zsh; as a file of the name _PROGRAM in a folder of fpath, or by eval. */
export function zshScript(table: CompletionTable): string {
  const { program, commands } = table;
  const own = functionOf(program);
  return `#compdef ${program}
# Completion of ${program} for zsh: eval "$(${program} completion zsh)"
${tableFunction(table)}
${runTest(program)}
${own}() {
  emulate -L zsh
  setopt null_glob
  local word="\${words[CURRENT]}" command= option= between=0 kind names flags keys many i
  for ((i = 2; i < CURRENT; i++)); do
    case "\${words[i]}" in
      --) option= ;;
      -*) option="\${words[i]}" between=0 ;;
      *) if [ -z "$command" ]; then command="\${words[i]}" option=; else between=$((between + 1)); fi ;;
    esac
  done
  if [ -z "$command" ]; then
    local -a commands
    commands=(
${commands.map(({ name, description }) => `      ${quoted(`${name}:${description}`)}`).join('\n')}
    )
    case "$word" in -*) compadd -- --help --version ;; *) _describe command commands ;; esac
    return
  fi
  if [[ "$word" == --*=* ]]; then option="\${word%%=*}" between=0; compset -P '*='; word="\${word#*=}"; fi
  ${own}_table "$command" "$option" "$between"
  if [[ "$word" == -* ]]; then kind=names names="$flags"; [[ "$word" == -(-|) ]] || names="$names $keys"; fi
  case "$kind" in
    names) compadd -- \${=names} ;;
    files) _files ;;
    folders) _files -/ ;;
    runs)
      local -a found
      local path
      for path in \${~word}*(-/); do ${own}_has_run "$path" && found+=("$path"); done
      if ((\${#found})); then compadd -U -q -S / -f -- $found; else _files -/; fi
      ;;
  esac
}
if (( ! $+functions[compdef] )); then autoload -Uz compinit && compinit; fi
if [ "$funcstack[1]" = ${quoted(`_${program}`)} ]; then ${own} "$@"; else compdef ${own} ${program}; fi
`;
}
