# For the tests of scripts: a small tree of sources, a script run over it, what it must say.
# Source it; then `put PATH` writes a file from standard input, and the expectations below count
# failures, which `finish` turns into the exit status.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failures=0

put() {
  mkdir -p "$tree/$(dirname "$1")"
  cat >"$tree/$1"
}

fresh() {
  rm -rf "${tree:?}"/*
}

fail() {
  echo "FAILED: $1"
  failures=$((failures + 1))
}

# expect_good SCRIPT DESCRIPTION: says nothing on standard output and succeeds.
expect_good() {
  local output
  if ! output=$("$here/scripts/$1" "$tree" 2>/dev/null) || [ -n "$output" ]; then
    fail "$2: expected silence, got: $output"
  fi
}

# expect_bad SCRIPT DESCRIPTION PATTERN: fails, and this is the one line it prints.
expect_bad() {
  local output
  output=$("$here/scripts/$1" "$tree" 2>/dev/null) && fail "$2: succeeded"
  [ "$(wc -l <<<"$output")" = 1 ] || fail "$2: not one line: $output"
  grep -qE -- "$3" <<<"$output" || fail "$2: expected '$3', got: $output"
}

finish() {
  [ "$failures" = 0 ] || exit 1
}
