#!/usr/bin/env bash
# timeout: 400
# One thread over eight files on eight drives (ext4 on loop devices in memory), against fio with
# eight jobs, one a file, each as deep as our ring for it: nothing is wrong, each drive has its
# share, fio was told the same, and the median of the paired ratios reaches 0.95. A busy box gets
# three tries, and three more after which all pairs together are judged.
set -u
. "$(dirname "$0")/lib.sh.inc"
skip() { echo "SKIPPED: $*"; exit 77; }
[ "$(id -u)" = 0 ] || skip "needs root for loop devices"
command -v fio >/dev/null || skip "fio is missing: scripts/setup.sh test"
[ "$(awk '/MemAvailable/ { print int($2 / 1048576) }' /proc/meminfo)" -ge 4 ] ||
  skip "needs 4 GiB of memory"

mkdir "$work/ram"
mount -t tmpfs -o size=1200m tmpfs "$work/ram" 2>/dev/null || skip "tmpfs cannot be mounted here"
cleanups+=("umount '$work/ram'")
targets=
for i in 1 2 3 4 5 6 7 8; do
  truncate -s 128M "$work/ram/image$i"
  loop=$(losetup --find --show --direct-io=on "$work/ram/image$i" 2>/dev/null) ||
    loop=$(losetup --find --show "$work/ram/image$i" 2>/dev/null) ||
    skip "fewer than 8 loop devices"
  cleanups+=("losetup -d '$loop'")
  mkfs.ext4 -q -F "$loop" 2>/dev/null || skip "no mkfs.ext4"
  mkdir "$work/drive$i"
  mount "$loop" "$work/drive$i" || skip "a loop device cannot be mounted"
  cleanups+=("umount '$work/drive$i'")
  targets+=,$work/drive$i
done

for try in 1 2 3 4 5 6; do
  expect 0 "$refill" storage --target "${targets#,}" --working-set 512MiB --page-size 1Mi \
    --queue-depth 4 --rw read --engine uring --check-with-fio --time 0.5s --repeat 8 \
    -o "$work/r.json" || finish
  json "$work/r.json" 'r["rows"][0]["wrong_bytes"] == 0 and r["rows"][0]["checked_bytes"] > 0'
  json "$work/r.json" 'len(r["targets"][0]["members"]) == 8'
  json "$work/r.json" 'r["rows"][0]["fio_command"].count("--filename=") == 8'
  json "$work/r.json" 'r["rows"][0]["fio_command"].count(" --size=67108864") == 8'
  json "$work/r.json" 'r["rows"][0]["fio_command"].count("--iodepth=4") == 1'
  mv "$work/r.json" "$work/try-$try.json"
  ratio=$(python3 - "$work"/try-*.json <<'PY'
import json, statistics, sys
rows = [json.load(open(path))["rows"][0] for path in sys.argv[1:]]
judged = rows if len(rows) > 3 else rows[-1:]
print(statistics.median(s for row in judged for s in row["fio_ratio"]["samples"]),
      rows[-1]["fio_cpu_ratio"]["median"])
PY
  )
  echo "try $try: median ratio of rate and of CPU per GB to fio: $ratio"
  [ "$failures" = 0 ] || finish
  awk -v r="${ratio% *}" 'BEGIN { exit !(r >= 0.95) }' && finish
done
fail "the median ratio to fio is ${ratio% *}, under 0.95"
finish
