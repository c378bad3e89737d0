#!/usr/bin/env bash
# The house rules that a machine can check. Prints `file:line: what, and what to do` for each
# breach and fails if there is one. `check-style.sh [ROOT]` checks another tree (its own test
# does). The C rules are heuristics over clang-formatted code, not a parser: they see what starts
# in column one and what ends with a brace there.
set -u
here=$(cd "$(dirname "$0")" && pwd)
cd "${1:-"$here/.."}" || exit 2

FILE_LINES=400
FUNCTION_LINES=70
COLUMNS_MAX=100
CLANG_FORMAT_REFERENCE=14 # the version whose verdict counts: Debian 12's

# call -> what to use. A call is a word followed by "(", outside comments and strings.
read -r -d '' BANNED <<'TABLE'
atoi units_scan_count(), or strtol() with its end checked
atol units_scan_count(), or strtol() with its end checked
atoll units_scan_count(), or strtoll() with its end checked
atof units_scan_real()
sprintf snprintf()
vsprintf vsnprintf()
strcpy snprintf() or memcpy()
stpcpy snprintf() or memcpy()
strcat snprintf()
strncpy snprintf() or memcpy()
strncat snprintf()
gets fgets()
rand prng_bits()
srand prng_bits()
random prng_bits()
drand48 prng_unit()
gettimeofday clock_now_s()
clock clock_now_s() or clock_process_cpu_s()
usleep clock_sleep_until_s()
alloca a bounded array
tmpnam mkstemp()
mktemp mkstemp()
signal sigaction()
cudaMallocManaged device memory and an explicit copy
cudaDeviceReset closing what was opened
TABLE

# Library parts return errors: what prints or ends the program stays out of them.
read -r -d '' BANNED_IN_LIBRARY <<'TABLE'
printf error_set()
vprintf error_set()
puts error_set()
putchar error_set()
perror error_set()
exit a negative errno
_exit a negative errno
abort assert(), or a negative errno
TABLE

# path pattern | word | why it may stand (a word of * exempts the file from the state rule)
read -r -d '' EXCEPTIONS <<'TABLE'
^bench/main[.]c$ | * | a signal handler can reach nothing but file scope
^tests/ | * | Criterion runs each test in its own process; fixtures have nowhere else to keep state
TABLE

status=0

say() {
  echo "$1"
  status=1
}

list_files() { # patterns of names
  local -a names=()
  local name
  for name in "$@"; do names+=(-o -name "$name"); done
  find . -path ./.git -prune -o -path ./build -prune -o -type f \( "${names[@]:1}" \) -print |
    sed 's|^\./||' | sort
}

mapfile -t c_files < <(list_files '*.c' '*.h' '*.cu' '*.cuh')
mapfile -t text_files < <(list_files '*.c' '*.h' '*.cu' '*.cuh' '*.sh' '*.py' '*.js')
if [ ${#c_files[@]} -eq 0 ]; then
  echo "check-style: no sources under $PWD" >&2
  exit 2
fi

# ---- every text file ---------------------------------------------------------------------

check_lengths() {
  awk -v MAX=$FILE_LINES 'FNR == 1 { if (NR > 1) end() ; name = FILENAME }
    { lines = FNR }
    function end() {
      if (lines > MAX) {
        printf "%s:%d: %d lines, at most %d: give one of its jobs a file\n", name, MAX, lines, MAX
        broken = 1
      }
    }
    END { end(); exit broken }' "${text_files[@]}" || status=1
}

# grep counts characters in a UTF-8 locale, awk may count bytes.
check_pattern() { # what, pattern
  local found
  found=$(LC_ALL=C.UTF-8 grep -nHP "$2" "${text_files[@]}" | cut -d: -f1,2)
  [ -z "$found" ] || say "$(sed "s|\$|: $1|" <<<"$found")"
}

check_lengths
check_pattern "over $COLUMNS_MAX columns" "^.{$((COLUMNS_MAX + 1)),}"
check_pattern "a tab: indent with spaces" '\t'
check_pattern "blanks at the end of the line" '[ ]+$'
check_pattern "left for later: do it or describe the limit" '\b(TO[D]O|FIX[M]E|XX[X])\b'

# ---- C and CUDA --------------------------------------------------------------------------

# shellcheck disable=SC2016 # awk's dollars
mapfile -t breaches < <(awk -v BANNED="$BANNED" -v LIBRARY="$BANNED_IN_LIBRARY" \
  -v EXCEPTIONS="$EXCEPTIONS" -v MAX=$FUNCTION_LINES -f "$here/check-style.awk" "${c_files[@]}")
[ ${#breaches[@]} -eq 0 ] || say "$(printf '%s\n' "${breaches[@]}")"

mapfile -t scripts < <(list_files '*.sh')
[ ${#scripts[@]} -eq 0 ] || awk -v MAX=$FUNCTION_LINES '
  /^[a-z_]+\(\) \{/ { start = FNR }
  /^\}/ && start {
    if (FNR - start + 1 > MAX) {
      printf "%s:%d: a function of %d lines, at most %d\n", FILENAME, start, FNR - start + 1, MAX
      broken = 1
    }
    start = 0
  }
  END { exit broken }' "${scripts[@]}" || status=1

# ---- clang-format ------------------------------------------------------------------------

check_format() {
  local version found
  if ! command -v clang-format >/dev/null; then
    echo "check-style: SKIPPED formatting: no clang-format here" >&2
    return
  fi
  version=$(clang-format --version | sed -E 's/.*version ([0-9]+).*/\1/')
  found=$(clang-format --dry-run -Werror "${c_files[@]}" 2>&1 |
    sed -nE 's/^([^ :]+:[0-9]+):[0-9]+: error.*/\1/p' | sort -t: -k1,1 -k2,2n |
    awk -F: '$1 != last { print $0 ": laid out otherwise: run make format" } { last = $1 }')
  [ -n "$found" ] || return
  if [ "$version" = $CLANG_FORMAT_REFERENCE ]; then
    say "$found"
  else
    echo "check-style: SKIPPED formatting: clang-format $version would change" \
      "$(wc -l <<<"$found") files, but version" \
      "$CLANG_FORMAT_REFERENCE decides" >&2
  fi
}

check_format
exit $status
