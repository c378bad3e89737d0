#!/usr/bin/env bash
# timeout: 400
# Reading through the pipeline against fio: the same file, request size, depth and flags, runs in
# turn, on a RAM-backed drive (ext4 on a loop device over tmpfs), where the harness limits and not
# a disk. The median of the paired ratios must reach 0.97. A busy box gets three tries, and three
# more after which all pairs together are judged.
set -u
. "$(dirname "$0")/lib.sh.inc"
skip() { echo "SKIPPED: $*"; exit 77; }
[ "$(id -u)" = 0 ] || skip "needs root for a loop device"
command -v fio >/dev/null || skip "fio is missing: scripts/setup.sh test"
[ "$(awk '/MemAvailable/ { print int($2 / 1048576) }' /proc/meminfo)" -ge 6 ] ||
  skip "needs 6 GiB of memory"

mkdir "$work/ram" "$work/drive"
mount -t tmpfs -o size=2g tmpfs "$work/ram" 2>/dev/null || skip "tmpfs cannot be mounted here"
cleanups+=("umount '$work/ram'")
truncate -s 1500M "$work/ram/image"
loop=$(losetup --find --show --direct-io=on "$work/ram/image" 2>/dev/null) ||
  loop=$(losetup --find --show "$work/ram/image" 2>/dev/null) || skip "no loop device here"
cleanups+=("losetup -d '$loop'")
mkfs.ext4 -q -F "$loop" 2>/dev/null || skip "no mkfs.ext4"
mount "$loop" "$work/drive" || skip "the loop device cannot be mounted"
cleanups+=("umount '$work/drive'")

# 256 tokens of Llama-3-70B are pages of 1 MiB a layer; 8 pages, 80 layers: 640 MiB.
ours() {
  "$refill" sweep --device playback:zero --model llama-3-70b --tokens 2049 --page-tokens 256 \
    --io-size 1MiB --queue-depth 32 --alpha 0.9999 --repeat 1 --store off --break-even off \
    --window 8 --target "$work/drive" -o "$work/ours.json" >/dev/null 2>"$work/err" ||
    { cat "$work/err"; return 1; }
  python3 - "$work/ours.json" <<'PY'
import json, sys
p = [p for p in json.load(open(sys.argv[1]))["points"] if p["policy"] == "overlap"][0]
print(p["n_past"] * 327680 / p["read_alone_s"]["median"] / 1e9)
PY
}
theirs() {
  fio --name=read --filename="$(ls "$work"/drive/refill-*.kv)" --rw=read --bs=1M --iodepth=32 \
    --ioengine=io_uring --registerfiles=1 --fixedbufs=1 --direct=1 --readonly --offset=1M \
    --size=625M --output-format=json 2>/dev/null | python3 -c '
import json, sys
print(json.load(sys.stdin)["jobs"][0]["read"]["bw_bytes"] / 1e9)'
}

median() { # of the paired ratios of a file
  awk '{ print $1 / $2 }' "$1" | sort -g |
    awk '{ r[NR] = $1 } END { print (r[int((NR + 1) / 2)] + r[int(NR / 2) + 1]) / 2 }'
}

for try in 1 2 3 4 5 6; do
  ours >/dev/null || { fail "the sweep"; finish; } # makes the file
  : >"$work/pairs"
  for pair in 1 2 3 4 5 6; do
    if [ $((pair % 2)) = 1 ]; then a=$(ours) b=$(theirs); else b=$(theirs) a=$(ours); fi
    echo "$a $b" >>"$work/pairs"
  done
  cat "$work/pairs" >>"$work/all"
  median=$(median "$work/pairs")
  echo "try $try: median ratio to fio $median; GB/s ours, fio: $(tr '\n' ';' <"$work/pairs")"
  [ $try -le 3 ] || median=$(median "$work/all")
  awk -v r="$median" 'BEGIN { exit !(r >= 0.97) }' && finish
done
fail "the median ratio to fio is $median, under 0.97"
finish
