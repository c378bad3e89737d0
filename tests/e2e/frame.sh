#!/usr/bin/env bash
# The program around its commands: help, version, exit codes, a standard output that fails, and
# Ctrl-C. No device, drive or network is needed: compute is played back and the drive emulated.
#
# Usage: frame.sh [REFILL]   (default: build/refill)
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
refill=$(realpath "${1:-${REFILL:-$root/build/refill}}") || exit 1
[ -x "$refill" ] || { echo "frame: $refill is not built; run make" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failures=0
# A sweep that needs nothing of the box and takes a second.
quick=(--device playback:zero --engine null --tokens 256 --alpha 0.5 --repeat 2 --budget 2s)

fail() {
  echo "FAILED: $*"
  failures=$((failures + 1))
}

# expect CODE DESCRIPTION COMMAND...
expect() {
  local code=$1 what=$2
  shift 2
  timeout 60 "$@" >out 2>err </dev/null
  local got=$?
  [ "$got" = "$code" ] || fail "$what: exit $got, not $code: $(cat err)"
}

# ---- what it says of itself
expect 0 "--version" "$refill" --version
grep -q '^refill [0-9]' out || fail "--version: $(cat out)"
expect 0 "--help" "$refill" --help
grep -q '^  sweep ' out || fail "--help names no sweep"
[ -s err ] && fail "--help prints to stderr"
expect 0 "sweep --help" "$refill" sweep --help
cp out by_option
expect 0 "help sweep" "$refill" help sweep
cmp -s out by_option || fail "help sweep is not sweep --help"
expect 2 "no command" "$refill"
[ "$(wc -l <err)" = 1 ] || fail "no command: $(cat err)"

# ---- a result, and how compute threads wait
expect 0 "a sweep" "$refill" sweep "${quick[@]}" -o result.json
grep -q '"OMP_WAIT_POLICY": "passive"' result.json || fail "libgomp's threads spin"
[ -s out ] || fail "a sweep prints no table"
expect 0 "a sweep that keeps the user's policy" env OMP_WAIT_POLICY=active \
  "$refill" sweep "${quick[@]}" -o result.json
grep -q '"OMP_WAIT_POLICY": "active"' result.json || fail "the user's OMP_WAIT_POLICY is lost"
expect 0 "--json" "$refill" sweep "${quick[@]}" --json
grep -q '"schema": "refill/1"' out || fail "--json prints no result"

# ---- the time that it announces is not beyond --budget, and one sample has no interval
expect 0 "--budget" "$refill" sweep --device playback:h100-sxm-llama-3-70b --layers 8 \
  --tokens 1024 --engine null:read=2GB/s,write=2GB/s --alpha 0.5 --repeat 500 --budget 3s \
  --break-even off
grep -q 'refill: sweep, about [123]s' err || fail "--budget 3s: $(cat err)"
expect 0 "--repeat 1" "$refill" sweep --device playback:zero --engine null --tokens 256 \
  --alpha 0.5 --repeat 1 --csv one.csv
awk -F, 'NR == 3 && $6 != "" { exit 1 }' one.csv || fail "one sample, an interval: $(cat one.csv)"
grep -q "still wide .*(1 group)" err || fail "one sample is not called wide: $(cat err)"

# ---- calibrate leaves out the rounds that --budget has no time for, and says so
for budget in 100ms 60s; do
  expect 0 "calibrate --budget $budget" "$refill" calibrate --target . --tokens 1024 \
    --budget $budget --device playback:h100-sxm-llama-3-70b --layers 8 --page-tokens 64,256 \
    --queue-depth 4 -o calibrated.json
  python3 - $budget <<'PY' || fail "--budget $budget: $(cat err)"
import json, sys
result = json.load(open("calibrated.json"))
short = sys.argv[1] == "100ms"
rounds = {len(row["compute_s"]["samples"]) for row in result["compute"]}
rounds |= {len(row["read_bytes_per_s"]["samples"]) for row in result["storage"]}
assert rounds == {1 if short else 5}, rounds
assert short == any(w["name"] == "not-warm" for w in result["warnings"]), result["warnings"]
PY
done

# ---- a timeline of nothing is told, and not left
expect 0 "--trace without an overlapped point" \
  "$refill" sweep --device playback:zero --engine null \
  --tokens 256 --policy recompute --repeat 2 --trace trace.json
grep -q 'trace.json was not written' err || fail "--trace of nothing: $(cat err)"
[ ! -e trace.json ] || fail "--trace of nothing leaves a file"

# ---- files that cannot be
echo "my thesis" >thesis
expect 2 "-o over a file that is not ours" "$refill" sweep "${quick[@]}" -o thesis
[ "$(cat thesis)" = "my thesis" ] || fail "-o replaced a file that is not ours"
expect 2 "-o in a missing directory" "$refill" sweep "${quick[@]}" -o missing/result.json
[ -s out ] && fail "-o in a missing directory was found after measuring"

# ---- standard output that fails
timeout 60 "$refill" sweep "${quick[@]}" >/dev/full 2>err
[ $? = 1 ] || fail "a full disk under standard output is not an error"
grep -q 'standard output cannot be written' err || fail "a full disk: $(cat err)"
timeout 60 "$refill" sweep --help >/dev/full 2>err
[ $? = 1 ] || fail "a full disk under --help is not an error"
{
  until [ -e closed ]; do sleep 0.05; done
  timeout 60 "$refill" sweep "${quick[@]}" 2>err
  echo $? >code
} | {
  exec <&-
  : >closed
}
[ "$(cat code)" = 1 ] || fail "a closed pipe: exit $(cat code), not 1: $(cat err)"

# ---- standard streams that the caller closed: no file gets their numbers and what is printed
kept=$(mktemp -d /dev/shm/refill-frame-XXXXXX) # in memory, where writes of any size arrive
trap 'rm -rf "$work" "$kept"' EXIT
stored=(sweep --device playback:zero --tokens 256 --alpha 0.5 --repeat 2 --target "$kept")
timeout 60 "$refill" "${stored[@]}" <&- 2>&- >out || fail "closed streams: exit $?"
expect 0 "KV that was stored with closed streams" "$refill" "${stored[@]}"
timeout 60 "$refill" "${stored[@]}" -o closed.json <&- 2>err >&-
[ $? = 1 ] || fail "a closed standard output is not an error"
grep -q 'standard output cannot be written' err || fail "a closed standard output: $(cat err)"
expect 0 "KV that was read with closed streams" "$refill" "${stored[@]}"

# ---- Ctrl-C
# wait_for PATTERN: until the run in the background has told so, at most 40 s.
wait_for() {
  for _ in $(seq 400); do
    grep -q "$1" err && return
    sleep 0.1
  done
  fail "the run in the background never told '$1': $(cat err)"
}

# wait_asleep PID: until none of its threads has anything to do, in ten looks in a row.
wait_asleep() {
  local asleep=0
  for _ in $(seq 800); do
    if cat "/proc/$1/task"/*/stat 2>/dev/null | grep -q '^[0-9]* (.*) [RD]'; then
      asleep=0
    else
      asleep=$((asleep + 1))
    fi
    [ $asleep -lt 10 ] || return 0
    sleep 0.05
  done
  fail "the run in the background never waits"
}

# Of what is complete. A busy box may need longer for the first point: then once more, and later.
for after in 0.1 1 4; do
  : >err
  "$refill" sweep --device playback:zero --engine null --tokens 256 --repeat 1024 \
    -o partial.json >out 2>err &
  running=$!
  wait_for '^refill: sweep'
  sleep "$after"
  kill -INT "$running"
  wait "$running"
  code=$?
  grep -q 'before anything was complete' err || break
done
[ "$code" = 1 ] || fail "one Ctrl-C: exit $code, not 1"
grep -q '"interrupted": true' partial.json || fail "one Ctrl-C leaves no partial result"
grep -q 'warning: interrupted' err || fail "one Ctrl-C: $(cat err)"
grep -q 'once more ends it' err || fail "one Ctrl-C is not answered: $(cat err)"

# Reads that would take hours: the first Ctrl-C asks, the second ends.
: >err
"$refill" sweep --device playback:zero --engine null:read=1k/s --io-timeout 1h --tokens 1024 \
  --alpha 0.9 --repeat 2 >out 2>err &
running=$!
wait_for '^refill: '
wait_asleep "$running" # it reads
# Two that come before the program sees the first are one to it: the second is sent until it ends.
for sent in $(seq 41); do
  kill -INT "$running" 2>/dev/null || break
  sleep 0.5
done
[ "$sent" -lt 41 ] || kill -KILL "$running"
wait "$running"
code=$?
[ "$code" = 130 ] || fail "two Ctrl-C: exit $code, not 130"

shopt -s nullglob
left=(.refill*)
[ "${#left[@]}" = 0 ] || fail "temporary files are left: ${left[*]}"
echo "frame: $failures failures"
[ "$failures" = 0 ]
