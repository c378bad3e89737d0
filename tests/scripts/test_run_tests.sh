#!/usr/bin/env bash
# untimed
# scripts/run-tests.sh over scripts and stand-ins for Criterion programs of each kind of end.
set -u
. "$(dirname "$0")/lib/tree.sh"

script() { put "$1"; }

# A program that reports what is on standard input, and ends with a status.
program() { # name, status
  {
    printf '#!/usr/bin/env bash\ncat >"${1#--tap=}" <<"EOT"\n'
    cat
    printf 'EOT\nexit %s\n' "$2"
  } | put "$1"
  chmod +x "$tree/$1"
}

# expect STATUS "LAST LINE" TEST...
expect() {
  local status=$1 last=$2 got
  shift 2
  output=$("$here/scripts/run-tests.sh" "${@/#/$tree/}" 2>&1)
  got=$?
  [ $got = "$status" ] || fail "$*: status $got, expected $status"
  [ "$(tail -n 1 <<<"$output")" = "$last" ] || fail "$*: expected '$last', got: $output"
}

said() { grep -qE -- "$1" <<<"$output" || fail "expected '$1', got: $output"; }

script good.sh <<<'echo all is well'
script bad.sh <<<'echo the reason; exit 3'
script skip.sh <<<'echo first; echo "no GPU here"; exit 77'
script slow.sh <<<'# timeout: 1
sleep 30'
script reads.sh <<<'read -r line && exit 1; exit 0'
script killed.sh <<<'kill -SEGV $$'
program three 0 <<<'TAP version 13
1..3
ok - a::one  (0.00s)
ok - a::two  # SKIP no drive here
ok - a::three  (0.10s)'
program mixed 1 <<<'1..2
ok - a::one  (0.00s)
not ok - a::two  (0.00s)'
program crashed 134 <<<'1..1
ok - a::one  (0.00s)'
program empty 0 <<<'1..0'
program skips 0 <<<'ok - a::two  # SKIP no drive here'

expect 0 '1 passed, 0 failed, 0 skipped' good.sh
expect 1 '0 passed, 1 failed, 0 skipped' bad.sh
said '^      the reason$'
expect 0 '1 passed, 0 failed, 1 skipped' good.sh skip.sh
said 'skip .*skip.sh .*: no GPU here$'
expect 1 '0 passed, 1 failed, 0 skipped' slow.sh
said 'stopped after its limit of 1 s'
expect 0 '1 passed, 0 failed, 0 skipped' reads.sh
expect 1 '0 passed, 1 failed, 0 skipped' killed.sh
expect 0 '2 passed, 0 failed, 1 skipped' three
said 'skipped a::two: no drive here$'
expect 1 '1 passed, 1 failed, 0 skipped' mixed
expect 1 '1 passed, 1 failed, 0 skipped' crashed
said 'ended with status 134'
expect 1 '0 passed, 1 failed, 0 skipped' empty
said 'held no test'
expect 1 '0 passed, 1 failed, 0 skipped' absent
expect 1 '0 passed, 0 failed, 1 skipped' skips
expect 1 '4 passed, 2 failed, 2 skipped' good.sh bad.sh skip.sh three mixed
expect 1 '0 passed, 0 failed, 0 skipped'

# Untimed scripts meet where there are two cores; their ends count like any other's.
meets='# untimed
touch "$(dirname "$0")/$(basename "$0").here"
for _ in $(seq 600); do
  [ "$(find "$(dirname "$0")" -name "*.here" | wc -l)" = 2 ] && exit 0
  sleep 0.1
done
exit 1'
script meets_a.sh <<<"$meets"
script meets_b.sh <<<"$meets"
script untimed_bad.sh <<<'# untimed
echo the reason; exit 3'
script untimed_skip.sh <<<'# untimed
echo no GPU here; exit 77'
if [ "$(nproc)" -ge 2 ]; then expect 0 '2 passed, 0 failed, 0 skipped' meets_a.sh meets_b.sh; fi
expect 1 '1 passed, 1 failed, 1 skipped' untimed_bad.sh untimed_skip.sh good.sh
said '^      the reason$'
said 'skip .*untimed_skip.sh .*: no GPU here$'
finish
