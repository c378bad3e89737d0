#!/usr/bin/env bash
# untimed
# Bad input on every option of the real program: exit 2, exactly one line that names the option and
# what is accepted, and nothing created. The options and their kinds are read from the help, so
# that a new option is tried at once.
#
# Usage: bad-options.sh [REFILL]   (default: build/refill)
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
refill=$(realpath "${1:-${REFILL:-$root/build/refill}}") || exit 1
[ -x "$refill" ] || { echo "bad-options: $refill is not built; run make" >&2; exit 1; }

shopt -s nullglob
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/empty"
cd "$work/empty" || exit 1
tried=0 failures=0

fail() {
  echo "FAILED: $*"
  failures=$((failures + 1))
}

# refused WORD ARGUMENT...: the program refuses the arguments in one line that holds the word.
refused() {
  local word=$1 code told left
  shift
  tried=$((tried + 1))
  timeout 20 "$refill" "$@" </dev/null >"$work/out" 2>"$work/err"
  code=$?
  mapfile -t told <"$work/err"
  [ "$code" = 2 ] || fail "refill $*: exit $code, not 2"
  [ -s "$work/out" ] && fail "refill $*: printed to standard output"
  [ "${#told[@]}" = 1 ] || fail "refill $*: not one line: ${told[*]}"
  [[ ${told[0]} == "refill: "*"$word"* ]] || fail "refill $*: '$word' is not in: ${told[0]}"
  [[ ${told[0]} == *accepted* || ${told[0]} == *--help* ]] || fail "refill $*: only: ${told[0]}"
  left=(./* ./.[!.]*)
  [ "${#left[@]}" = 0 ] || { fail "refill $*: created ${left[*]}"; rm -rf -- "${left[@]}"; }
}

# Values that no option of this kind of argument takes.
bad_values() {
  case $1 in
  COUNT) printf '%s\n' -1 x 1.5 99999999999999999999 3MB 0x10 ' ' ;;
  LIST) printf '%s\n' -1 x , 1,,2 99999999999999999999 ;;
  SIZE) printf '%s\n' 0 -1 x 4097 1MB/s 99999TiB ;;
  TIME) printf '%s\n' -1s x 30 2MiB 99999999h ;;
  KERNEL) printf '%s\n' x CUDNN flash ;;
  STEP) printf '%s\n' x LAYER layer, ;;
  TYPE) printf '%s\n' x BF16 float ;;
  'on|off') printf '%s\n' x ON 1 ;;
  'NAME[:ARG]') printf '%s\n' x playback playback: auto:1 cpu: ;;
  'NAME[:OPT]') printf '%s\n' x null: null:read=1 null:speed=1GB/s pread:x ;;
  'NAME|FILE') printf '%s\n' x llama .json ;;
  'DIR[,DIR...]') printf '%s\n' , /a, /a,,/b ;;
  WHERE) printf '%s\n' x -1 99999 node0 ;;
  BYTES) printf '%s\n' -1 x 1MB/s 1.0001 99999999999TB ;;
  RATE) printf '%s\n' -1GB/s x 56 56GB 0GB/s ;;
  NUMBER) printf '%s\n' -1 x 3MB 1e99 0x10 ;;
  NAME=VALUE) printf '%s\n' x x=1 batch= batch=x batch=0 hbm-bw=56 ;;
  NAME=RANGE) printf '%s\n' x x=1..2 batch=1 batch=8..1 batch=1..8:1 batch=1..8: nvme-bw=1..56 ;;
  SECTIONS) printf '%s\n' x cost, ,cost ;;
  DEVICE) printf '%s\n' /dev/none x ;; # not a --target
  'FILE|playback:PROFILE') ;;
  RULE) printf '%s\n' x slower slower: slower:x :5 slower:5, ;;
  FILE | DIR) ;; # any text is a path: only a missing one is refused here
  *) fail "bad-options.sh knows no bad value for the argument $1" ;;
  esac
}

# try_option COMMAND --NAME ARGUMENT
try_option() {
  local command=$1 option=$2 argument=$3 value
  if [ -z "$argument" ]; then
    [ "$option" = --help ] && return
    refused "$option" "$command" "$option=1"
    refused "$option" "$command" "$option" "$option"
    return
  fi
  refused "$option" "$command" "$option"
  refused "$option" "$command" "$option="
  refused "$option" "$command" "$option" ""
  refused "$option" "$command" "$option" --json
  while IFS= read -r value; do
    refused "$option" "$command" "$option" "$value"
  done < <(bad_values "$argument")
}

commands=$("$refill" --help | sed -n 's/^  \([a-z][a-z-]*\)  .*/\1/p')
[ -n "$commands" ] || fail "no commands in: refill --help"
for command in $commands; do
  help=$("$refill" "$command" --help)
  options=$(sed -n 's/^  \(-[a-z],\|   \) \(--[a-z-]*\)/\2/p' <<<"$help")
  [ -n "$options" ] || fail "no options in: refill $command --help"
  while read -r option argument _; do
    # An option without an argument is followed by its help, two blanks or more away.
    grep -q "^ .*$option  " <<<"$help" && argument=
    try_option "$command" "$option" "$argument"
  done <<<"$options"
  refused --nonsense "$command" --nonsense 1
  refused stray "$command" stray
  refused -x "$command" -x
  refused "''" "$command" ""
done

# Good apart, senseless together; and what only the place of a file can tell.
refused --weight-sets sweep --layers 2 --weight-sets 3
refused --page-tokens sweep --tokens 64 --page-tokens 64
refused --trace sweep --trace t --tokens 1k,2k
refused --alpha sweep --alpha 0.5 --policy recompute
refused --sync sweep --store off --sync on
refused --csv sweep -o same --csv same
refused --window sweep --windwo 3
refused sweep swep
refused nonsense nonsense
refused --jsonl plan --jsonl same --csv same
refused 'too few' compare
refused one.json compare one.json
refused three.json compare one.json two.json three.json
refused missing.json compare missing.json missing.json
refused --from plan --from missing.json
refused --version --verson

echo "bad-options: $tried command lines refused, $failures failures"
[ "$failures" = 0 ]
