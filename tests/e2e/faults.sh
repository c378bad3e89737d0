#!/usr/bin/env bash
# untimed
# timeout: 300
# What goes wrong with files and signals: each ends with its own sentence, leaves no junk, and never
# lets a wrong byte pass.
set -u
. "$(dirname "$0")/lib.sh.inc"
data=$work/data
mkdir "$data"
run=(--device playback:zero --model mha-125m --tokens 520 --page-tokens 16)
sweep=("$refill" sweep "${run[@]}" --alpha 0.95 --repeat 1)
verify=("$refill" verify "${run[@]}")
kv() { ls "$data"/refill-*.kv; }
fresh() { rm -f "$data"/refill-*.kv; expect 0 "${verify[@]}" --target "$data"; }

# Places that cannot be used.
expect 1 "${sweep[@]}" --target "$work/missing"; says 'missing: No such .*mkdir -p'
touch "$work/file"; expect 1 "${sweep[@]}" --target "$work/file"; says directory
expect 2 "${sweep[@]}" --target "$data" --target "$work"; says "$work: sweep takes one directory"
# calibrate stores last, and says so before it computes.
for place in "$work/missing" "$data,$work"; do
  "$refill" calibrate --model mha-125m --layers 1 --tokens 64 --target "$place" 2>"$work/err" &&
    fail "calibrate on $place"
  [ "$(grep -c . "$work/err")" = 1 ] || fail "calibrate on $place: $(cat "$work/err")"
done
expect 1 "$refill" doctor --target "$data,$work/missing"
grep -q "^target  *ok  *$data: " "$work/out" || fail "doctor of two: $(cat "$work/out")"
grep -q "^target  *BAD  *$work/missing: No such .*mkdir -p" "$work/out" || fail "$(cat "$work/out")"
if [ "$(id -u)" != 0 ]; then
  mkdir "$work/locked"; chmod 555 "$work/locked"
  expect 1 "${sweep[@]}" --target "$work/locked"; says locked
fi
expect 2 "${sweep[@]}" --target "$data" -o "$work/nowhere/r.json"
[ -z "$(ls -A "$data")" ] || fail "refused, and yet it left: $(ls -A "$data")"

# A limit on locked memory that binds, as it does whoever is not root.
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
  chmod 755 "$work"
  cp "$refill" "$work/refill"
  mkdir "$work/theirs"; chown 65534:65534 "$work/theirs"
  nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all)
  nobody=(prlimit --memlock=65536:65536 "${nobody[@]}" "$work/refill")
  expect 0 "${nobody[@]}" sweep "${run[@]}" --alpha 0.5 --repeat 1 --target "$work/theirs"
  says 'not registered (memlock 64.0 KiB; raise ulimit -l)'
  expect 0 "${nobody[@]}" storage --target "$work/theirs" --working-set 16MiB --page-size 64Ki \
    --queue-depth 4 --time 30ms --repeat 1
  says 'warning: buffers are not registered .* raise .ulimit -l.'
  expect 0 "${nobody[@]}" doctor --target "$work/theirs"
  grep -q 'locked memory *warn' "$work/out" || fail "doctor: $(grep locked "$work/out")"
fi

# A small filesystem: told before anything is written, with the bytes.
mkdir "$work/small"
if [ "$(id -u)" = 0 ] && mount -t tmpfs -o size=8m tmpfs "$work/small" 2>/dev/null; then
  cleanups+=("umount '$work/small'")
  expect 1 "${sweep[@]}" --target "$work/small"; says "needed"
  [ -z "$(ls -A "$work/small")" ] || fail "no room, and yet: $(ls -A "$work/small")"
  # The demonstration shortens its prompts, and refuses where even that is too much.
  expect 1 env REFILL="$refill" TARGET="$work/small/data" OUTPUT="$work/demo" \
    "$root/scripts/demo.sh"
  says 'MiB free, .* are needed'
  [ -z "$(ls -A "$work/small")" ] || fail "the demonstration left: $(ls -A "$work/small")"
fi

# Damage: one bit in the header, the table, a page; truncated; swapped pages; another model's file.
flip() { # file, offset
  python3 - "$1" "$2" <<'PY'
import sys
f = open(sys.argv[1], "r+b"); f.seek(int(sys.argv[2])); b = f.read(1)
f.seek(int(sys.argv[2])); f.write(bytes([b[0] ^ 4])); f.close()
PY
}
fresh; flip "$(kv)" 40; expect 1 "${verify[@]}" --target "$data"
fresh; flip "$(kv)" 4200; expect 1 "${verify[@]}" --target "$data"
fresh; size=$(stat -c %s "$(kv)")
flip "$(kv)" $((size - 300000)); expect 1 "${verify[@]}" --target "$data"; says wrong\\\|failed
expect 1 "${sweep[@]}" --target "$data"; says wrong
fresh; truncate -s -4096 "$(kv)"; expect 1 "${verify[@]}" --target "$data"
fresh; python3 - "$(kv)" <<'PY'
import os, sys
page = 16 * 2 * 12 * 64 * 2
f = open(sys.argv[1], "r+b"); end = os.path.getsize(sys.argv[1])
a, b = end - 2 * page, end - page
f.seek(a); x = f.read(page); y = f.read(page)
f.seek(a); f.write(y); f.write(x); f.close()
PY
expect 1 "${verify[@]}" --target "$data"; says failed

# Two runs on one target at once: both right.
fresh; rm -f "$data"/*
"${verify[@]}" --target "$data" >"$work/a" 2>&1 & one=$!
"${verify[@]}" --target "$data" >"$work/b" 2>&1 & two=$!
wait $one || fail "the first of two: $(cat "$work/a")"
wait $two || fail "the second of two: $(cat "$work/b")"
[ "$(ls "$data" | wc -l)" = 1 ] || fail "two runs left: $(ls "$data")"

# SIGKILL at any moment: whole or nothing. SIGINT: what is complete is printed.
for i in 1 2 3 4 5 6 7 8 9 10; do
  rm -f "$data"/*
  "${verify[@]}" --target "$data" >/dev/null 2>&1 & victim=$!
  sleep "0.0$((i * 7 % 10))$i"
  kill -9 $victim 2>/dev/null
  wait $victim 2>/dev/null
  left=$(ls -A "$data")
  case "$left" in ''|refill-*.kv) ;; *) fail "SIGKILL left: $left" ;; esac
  [ -z "$left" ] || expect 0 "${verify[@]}" --target "$data"
done
rm -f "$data"/*
# A round of its three points takes a quarter of a second; where a busy box has not completed one,
# it is asked once more, and later.
for after in 1 4 16; do
  : >"$work/err"
  "$refill" sweep --device playback:h100-sxm-llama-3-70b --engine null:read=2GB/s,write=2GB/s \
    --tokens 2048 --layers 8 --alpha 0.5,0.9 --repeat 1024 -o "$work/cut.json" >"$work/out" \
    2>"$work/err" &
  victim=$!
  for try in $(seq 400); do
    grep -q '^refill: sweep' "$work/err" && break
    sleep 0.1
  done
  sleep $after
  kill -INT $victim; wait $victim; code=$?
  grep -q 'before anything was complete' "$work/err" || break
done
[ "$code" = 1 ] || fail "after SIGINT: exit $code, not 1"
json "$work/cut.json" 'r["interrupted"] and len(points) >= 1'
grep -q alpha "$work/out" || fail "SIGINT printed no table"

# A drive that is too slow for its time limit.
expect 1 "$refill" sweep "${run[@]}" --alpha 0.5 --engine null:read=100kB/s --io-timeout 1s
says timeout
finish
