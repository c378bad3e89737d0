#!/usr/bin/env bash
# untimed
# timeout: 240
# SIGKILL at random moments of writing, KILLS times (10; `make kill-test` says 200): afterwards a
# file is there whole and verified, or it is refused, or it is not there; nothing else stays.
#
# Where unnamed files exist a killed run leaves nothing at all. Every other kill is on a faultfs,
# where files in the making have names: what is left there must go with the next run. Moments are
# drawn over the time that an undisturbed run takes, from SEED (told, so that a failure can be
# repeated).
set -u
. "$(dirname "$0")/lib.sh.inc"
kills=${KILLS:-10}
RANDOM=${SEED:=$$}
echo "SEED=$SEED"
plain=$work/plain
mkdir "$plain"
. "$root/tests/faultfs/mount.sh.inc" # without FUSE all kills are on the plain directory
[ -z "$mount" ] || rules 'write delay every=3 seconds=0.01' # so that writing takes a while

run=("$refill" verify --device playback:zero --model mha-125m --tokens 1040 --page-tokens 16)
whole=0 absent=0 refused=0 partial=0

# Milliseconds from the start until an undisturbed run has stored its KV, and half as much again:
# most kills shall hit the writing, some what follows.
measure_ms() { # directory
  local since child
  rm -f "$1"/*
  since=$(date +%s%N)
  "${run[@]}" --target "$1" >/dev/null 2>"$work/err" &
  child=$!
  while kill -0 $child 2>/dev/null && ! compgen -G "$1/refill-*.kv" >/dev/null; do :; done
  took_ms=$((($(date +%s%N) - since) * 3 / 2000000))
  wait $child || fail "undisturbed: $(cat "$work/err")"
}

# What is in a directory after a kill, with what else is not ours to leave.
look() { # directory
  local name
  for name in $(ls -A "$1"); do
    case $name in
      refill-*.partial | refill-probe-*)
        [ "$1" != "$plain" ] || fail "SIGKILL left $name"
        partial=$((partial + 1))
        ;;
      refill-*.kv) ;;
      *) fail "SIGKILL left $name" ;;
    esac
  done
}

kill_once() { # directory
  local victim file wait_ms=$((RANDOM * took_ms / 32768))
  rm -f "$1"/*
  "${run[@]}" --target "$1" >/dev/null 2>&1 &
  victim=$!
  sleep "$((wait_ms / 1000)).$(printf %03d $((wait_ms % 1000)))"
  kill -9 $victim 2>/dev/null
  wait $victim 2>/dev/null
  look "$1"
  file=$(ls "$1"/refill-*.kv 2>/dev/null)
  if [ -z "$file" ]; then
    absent=$((absent + 1))
    expect 0 "${run[@]}" --target "$1"
  elif timeout 60 "${run[@]}" --target "$1" >"$work/out" 2>"$work/err"; then
    whole=$((whole + 1))
  elif grep -q 'KV file' "$work/err"; then
    refused=$((refused + 1))
  else
    fail "after kill at $wait_ms ms: neither whole nor refused: $(cat "$work/err")"
  fi
  [ -z "$(find "$1" -type f ! -name 'refill-*.kv')" ] || until_swept "$1" "${run[@]}" --target "$1"
}

directories=("$plain" ${mount:+"$mount"})
declare -A lasts_ms
for directory in "${directories[@]}"; do
  measure_ms "$directory"
  lasts_ms[$directory]=$took_ms
done
for ((i = 0; i < kills; i++)); do
  directory=${directories[i % ${#directories[@]}]}
  took_ms=${lasts_ms[$directory]}
  kill_once "$directory"
done
# A kill right after the probe of direct I/O was made leaves its name: a moment seldom hit.
if [ -n "$mount" ]; then
  : >"$mount/refill-probe-a1B2c3"
  : >"$mount/refill-probe-somebody-else's"
  expect 0 "${run[@]}" --target "$mount"
  [ ! -e "$mount/refill-probe-a1B2c3" ] || fail "the probe of a killed run stays"
  [ -e "$mount/refill-probe-somebody-else's" ] || fail "a file that is not ours is gone"
fi
echo "$kills kills: $whole whole and verified, $refused refused, $absent absent;" \
  "$partial partial names, all removed by later runs"
[ $((whole + refused + absent)) -ge $kills ] || fail "not every kill was judged"
finish
