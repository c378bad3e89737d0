#!/usr/bin/env bash
# The storage lab against fio, as often as it takes to say something: the same file, request size,
# depth and flags in turn (A B B A). On a drive in memory, where the program is what limits; on
# eight of them, by one thread against eight jobs; and on a real disk. Prints a table, leaves the
# results, and fails where a target is missed: a rate of 0.98 of fio's, 1.1 times its CPU per GB,
# 0.95 of the rate without checks. Takes 12 minutes of a box with nothing else to do.
#
#   tests/perf/fio-targets.sh [-d DIR-ON-A-DISK] [-o DIR-FOR-RESULTS] [-r ROUNDS] [-t PASS]
set -u
disk=/var/tmp
rounds=16
pass=1s
disk_pass=3s
. "$(dirname "$0")/../e2e/lib.sh.inc"
out=$root/results/storage
while getopts d:o:r:t: option; do
  case $option in
    d) disk=$OPTARG ;;
    o) out=$OPTARG ;;
    r) rounds=$OPTARG ;;
    t) pass=$OPTARG disk_pass=$OPTARG ;;
    *) exit 2 ;;
  esac
done
skip() { echo "SKIPPED: $*"; exit 77; }
[ "$(id -u)" = 0 ] || skip "needs root for loop devices"
command -v fio >/dev/null || skip "fio is missing: scripts/setup.sh test"
mkdir -p "$out" || exit 2

# fio's buffers lie on huge pages only where some are reserved; ours do anyway.
huge=/proc/sys/vm/nr_hugepages
before=$(cat $huge)
echo $((before + 192)) >$huge && cleanups+=("echo $before >$huge")

# drive NAME SIZE: ext4 on a loop device in memory, mounted at $work/NAME.
drive() {
  local loop
  truncate -s "$2" "$work/ram/$1"
  loop=$(losetup --find --show --direct-io=on "$work/ram/$1" 2>/dev/null) ||
    loop=$(losetup --find --show "$work/ram/$1") || skip "no loop device here"
  cleanups+=("losetup -d '$loop'")
  mkfs.ext4 -q -F "$loop" || skip "no mkfs.ext4"
  mkdir "$work/$1"
  mount "$loop" "$work/$1" || skip "a loop device cannot be mounted"
  cleanups+=("umount '$work/$1'")
}
mkdir "$work/ram"
mount -t tmpfs -o size=7g tmpfs "$work/ram" || skip "tmpfs cannot be mounted here"
cleanups+=("umount '$work/ram'")

# lab NAME TARGET OPTIONS...: leaves $out/fio-NAME.json.
lab() {
  local name=$1
  shift
  "$refill" storage --target "$@" --engine uring --check-with-fio --repeat "$rounds" \
    -o "$out/fio-$name.json" >/dev/null || { fail "$name"; finish; }
}
drive one 4g
lab memory "$work/one" --working-set 1GiB --page-size 128Ki,1Mi,4Mi --queue-depth 32 \
  --rw read,write --time "$pass"
rm "$work"/one/refill-*
lanes=
for i in 1 2 3 4 5 6 7 8; do
  drive "lane$i" 300m
  lanes+=,$work/lane$i
done
lab lanes "${lanes#,}" --working-set 1GiB --page-size 1Mi --queue-depth 4 --rw read,write \
  --time "$pass"
mkdir "$disk/refill-fio-targets"
cleanups+=("rm -r '$disk/refill-fio-targets'")
lab disk "$disk/refill-fio-targets" --page-size 1Mi --queue-depth 32 --rw read,write \
  --time "$disk_pass"

python3 "$root/tests/perf/fio-targets.py" "$out" | tee "$out/fio-targets.md"
[ "${PIPESTATUS[0]}" = 0 ] || fail "a target was missed"
finish
