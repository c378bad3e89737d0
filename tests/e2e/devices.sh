#!/usr/bin/env bash
# untimed
# timeout: 240
# Raw block devices: only read unless named for destruction; then only that one, and never one that
# is mounted or of which a partition is. What must not change is compared bit by bit.
set -u
. "$(dirname "$0")/lib.sh.inc"
skip() { echo "SKIPPED: $*"; exit 77; }
[ "$(id -u)" = 0 ] || skip "needs root for loop devices"
lab=(--working-set 16MiB --page-size 64Ki --queue-depth 4 --time 50ms --repeat 1)

# device NAME: a loop device over a file of 48 MiB of noise; $loop.
device() {
  head -c 48M /dev/urandom >"$work/$1"
  loop=$(losetup --find --show --partscan "$work/$1" 2>/dev/null) || skip "no loop device here"
  cleanups+=("losetup -d '$loop'")
}
sums() { blockdev --flushbufs "$1"; sha256sum <"$work/$2"; }
# Whole at once, not by a thread of the kernel once it is mounted.
make_ext4() { mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 "$1" 2>/dev/null; }

device plain
a=$loop
device other
b=$loop
before_a=$(sums "$a" plain)
before_b=$(sums "$b" other)

# Read only.
expect 0 "$refill" storage --target "$a" --target "$a,$b" "${lab[@]}" --rw read,write \
  --layout layer-major,file-per-page -o "$work/r.json"
json "$work/r.json" \
  'all(bool(x["refused"]) == (x["rw"] == "write" or x["layout"] == "file-per-page")
    for x in r["rows"])'
json "$work/r.json" 'r["rows"][0]["read_bytes_per_s"]["median"] > 0'
json "$work/r.json" 'r["rows"][0]["wrong_bytes"] is None and r["rows"][0]["checked_bytes"] == 0'
json "$work/r.json" 'any("destroy-data-on" in (x["refused"] or "") for x in r["rows"])'
json "$work/r.json" 'r["targets"][0]["members"][0]["kind"] == "device"'
expect 2 "$refill" storage --target "$a" "${lab[@]}" --destroy-data-on "$b"
says 'no such --target'
[ "$(sums "$a" plain)" = "$before_a" ] || fail "$a was written to"
[ "$(sums "$b" other)" = "$before_b" ] || fail "$b was written to"

# One is named, as a member of a stripe too; the other stays as it is.
expect 0 "$refill" storage --target "$a" --target "$b" "${lab[@]}" --rw read,write \
  --destroy-data-on "$a" -o "$work/r.json"
says "writing .* to $a"
json "$work/r.json" '[bool(x["refused"]) for x in r["rows"]] == [False, False, False, True]'
json "$work/r.json" 'all(x["wrong_bytes"] == 0 and x["checked_bytes"] > 0 for x in r["rows"][:2])'
expect 0 "$refill" storage --target "$b,$a" "${lab[@]}" --rw read,write --destroy-data-on "$a" \
  -o "$work/r.json"
json "$work/r.json" '"only read" in r["rows"][1]["refused"]'
[ "$(sums "$a" plain)" != "$before_a" ] || fail "$a was not written to"
[ "$(sums "$b" other)" = "$before_b" ] || fail "$b was written to"

# Mounted, or a partition of it mounted.
refused() { # DEVICE FILE
  local before
  sync
  before=$(sha256sum <"$work/$2")
  expect 1 "$refill" storage --target "$1" "${lab[@]}" --destroy-data-on "$1"
  says 'mounted or in use: nothing was written'
  sync
  [ "$(sha256sum <"$work/$2")" = "$before" ] || fail "$1 was written to"
}
mkdir "$work/mounted"
# Claimed by somebody else, as swap, device-mapper and md do.
device claimed
python3 - "$loop" >"$work/held" <<'PY' &
import os, sys, time
os.open(sys.argv[1], os.O_RDONLY | os.O_EXCL)
print("held", flush=True)
time.sleep(60)
PY
holder=$!
cleanups+=("kill '$holder' 2>/dev/null")
for try in $(seq 100); do [ -s "$work/held" ] || sleep 0.1; done
refused "$loop" claimed
kill "$holder"
wait "$holder" 2>/dev/null
expect 0 "$refill" storage --target "$loop" "${lab[@]}" --destroy-data-on "$loop"
device whole
if make_ext4 "$loop" && mount "$loop" "$work/mounted"; then
  refused "$loop" whole
  umount "$work/mounted"
else
  echo "not tested: a mounted device (no mkfs.ext4, or nothing can be mounted here)"
fi
device parted
addpart "$loop" 1 2048 81920 2>/dev/null && cleanups+=("delpart '$loop' 1")
for try in 1 2 3 4 5; do [ -b "${loop}p1" ] || sleep 0.2; done
if [ -b "${loop}p1" ] && make_ext4 "${loop}p1" &&
  mount "${loop}p1" "$work/mounted"; then
  refused "$loop" parted
  refused "${loop}p1" parted
  umount "$work/mounted"
else
  echo "not tested: a partition (none appeared at $loop)"
fi
finish
