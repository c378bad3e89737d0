#!/usr/bin/env bash
# untimed
# timeout: 240
# scripts/compare-filesystems.sh: leaves its files, one of them for `refill report`; skips with the
# reason; removes all that it made, after Ctrl-C too.
set -u
. "$(dirname "$0")/lib.sh.inc"
skip() { echo "SKIPPED: $*"; exit 77; }
[ "$(id -u)" = 0 ] || skip "needs root for loop devices and mounts"
[ "$(df -Pm "$work" | awk 'NR == 2 { print $4 }')" -ge 2500 ] ||
  skip "needs 2.5 GB free in /var/tmp"
truncate -s 1M "$work/try"
loop=$(losetup --find --show "$work/try" 2>/dev/null) || skip "no loop device here"
losetup -d "$loop"
export REFILL=$refill
mkdir "$work/images" "$work/left"
compare=("$root/scripts/compare-filesystems.sh" -d "$work/images" -s 400M -o "$work/left")
options=(-- --model mha-125m --page-size 1Mi --queue-depth 8 --working-set 16MiB --time 0.05s)

gone() {
  [ -z "$(ls -A "$work/images")" ] || fail "$1 left $(ls -A "$work/images")"
  ! grep -q "$work/images" /proc/mounts || fail "$1 left mounts"
  ! losetup -a | grep -q "$work/images" || fail "$1 left loop devices"
}

expect 0 "${compare[@]}" -r 2 "${options[@]}"
gone "a whole run"
rows=$(tail -n +2 "$work/left/filesystems.csv" | cut -d, -f1 | sort -u | tr '\n' ' ')
for name in directory ext4 xfs btrfs btrfs-nodatasum; do
  case " $rows" in
    *" $name "*) ;;
    *) grep -q "skipped $name: ." "$work/err" || fail "neither $name nor a reason: $rows" ;;
  esac
done
python3 - "$work/left/filesystems.json" <<'PY' || fail "filesystems.json"
import json, sys
rows = json.load(open(sys.argv[1]))["rows"]
assert rows and all(row["wrong_bytes"] == 0 and row["rounds"] == 2 for row in rows)
assert all(row["cpu_s_per_gb"] > 0 for row in rows), "CPU of checks taken off more than once"
PY
# The measurement as it came is of the same rows, and a report can be made of it.
raw=$work/left/filesystems-storage.json
json "$raw" 'r["command"] == "storage" and len(r["rows"]) >= 4'
expect 0 "$refill" report "$raw" -o "$work/report.html"
grep -q 'filesystems-storage.json' "$work/report.html" || fail "the report is not of that result"

! command -v gnuplot >/dev/null || [ -s "$work/left/filesystems.png" ] || fail "no picture"

# Without a mkfs: the reason, and the others.
mkdir "$work/bin"
for tool in $(compgen -c | sort -u | grep -v '^mkfs\.\|^\[\|/'); do
  path=$(type -P "$tool") && ln -sf "$path" "$work/bin/$tool" 2>/dev/null
done
expect 0 env PATH="$work/bin" "${compare[@]}" -r 1 "${options[@]}"
says 'skipped ext4: no mkfs.ext4'
gone "a run without mkfs"

# Ctrl-C at several moments.
for after in 0.1 0.4 0.9 1.6; do
  timeout -s INT "$after" "${compare[@]}" -r 50 "${options[@]}" >/dev/null 2>&1
  gone "Ctrl-C after $after s"
done
# And while losetup(8) or mount(8) is about to tell that it is done.
mkdir "$work/late"
for tool in losetup mount; do
  printf '#!/bin/sh\n%s "$@" || exit\nkill -INT 0\nsleep 1\n' "$(command -v $tool)" \
    >"$work/late/$tool"
  chmod +x "$work/late/$tool"
  setsid --wait env PATH="$work/late:$PATH" "${compare[@]}" -r 1 "${options[@]}" >/dev/null 2>&1
  gone "Ctrl-C in $tool"
  rm "$work/late/$tool"
done
expect 2 "${compare[@]}" -r none
finish
