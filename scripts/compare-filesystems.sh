#!/usr/bin/env bash
# ext4, XFS and btrfs (with and without checksums) under the same reads and writes of KV, on loop
# devices with direct I/O over image files of one directory, and that directory itself beside them.
#
#   scripts/compare-filesystems.sh [-d DIR] [-s SIZE] [-r ROUNDS] [-o OUT] [-- REFILL OPTION...]
#
#   -d DIR     where the images lie (/var/tmp); their drive is what is measured
#   -s SIZE    of each image (3G)
#   -r ROUNDS  each measures every filesystem once, in another order (5): a drive that is slow for
#              a while is slow for all
#   -o OUT     directory that receives filesystems.json, .csv, .md and .png, and the measurement as
#              it came, filesystems-storage.json, for `refill report` (.)
#
# All are measured by one `refill storage`; options after -- are its own (default: KV of llama-3-8b,
# 1 GiB of it, pages of 128 KiB and 1 MiB, 8 and 32 requests under way). Needs root. What cannot be
# made or mounted is skipped with the reason. Images, mounts and loop devices are removed at the
# end, however it comes.
set -u
refill=${REFILL:-$(dirname "$0")/../build/refill}
place=/var/tmp size=3G rounds=5 out=.

usage() {
  sed -n '5,17s/^# \{0,1\}//p' "$0" >&2
  exit 2
}

while getopts d:s:r:o: option; do
  case $option in
    d) place=$OPTARG ;;
    s) size=$OPTARG ;;
    r) rounds=$OPTARG ;;
    o) out=$OPTARG ;;
    *) usage ;;
  esac
done
shift $((OPTIND - 1))
case $rounds in '' | *[!0-9]* | 0) usage ;; esac
measure=("$@")
[ ${#measure[@]} -gt 0 ] || measure=(--model llama-3-8b --working-set 1GiB
  --page-size 128Ki,1Mi --queue-depth 8,32)

stop() {
  echo "compare-filesystems: $*" >&2
  exit 77
}
[ "$(id -u)" = 0 ] || stop "only root makes loop devices and mounts"
[ -x "$refill" ] || stop "$refill is not built: make"
command -v losetup >/dev/null || stop "losetup is missing (Debian: mount)"
mkdir -p "$out" && work=$(mktemp -d "$place/refill-filesystems-XXXXXX") || exit 1

# ---- what is made, and its end -------------------------------------------------------------

# What is mounted and which loop devices there are is asked of the kernel: a command that Ctrl-C
# ends may have made its mount or its device all the same.
clean_up() {
  local i loop
  trap '' INT TERM HUP # the end is not cut short
  for i in "$work"/*/; do
    mountpoint -q "$i" || continue
    umount "$i" 2>/dev/null || { sleep 1; umount "$i" 2>/dev/null || umount -l "$i"; }
  done
  for i in "$work"/*.image; do
    for loop in $(losetup -n -O NAME -j "$i" 2>/dev/null); do losetup -d "$loop"; done
  done
  rm -rf --one-file-system "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

# kind | packages of Debian | mkfs | mount options
table() {
  cat <<'TABLE'
ext4 e2fsprogs mkfs.ext4 -q -F | noatime
xfs xfsprogs mkfs.xfs -q -f | noatime
btrfs btrfs-progs mkfs.btrfs -q -f | noatime
btrfs-nodatasum btrfs-progs mkfs.btrfs -q -f | noatime,nodatasum
TABLE
}

names=()
skipped() {
  echo "skipped $1: $2" >&2
  echo "$1: $2" >>"$work/skipped"
}

# Makes and mounts one, or says why not.
set_up() { # name, package, mount options, mkfs...
  local name=$1 package=$2 options=$3 loop image=$work/$1.image
  shift 3
  command -v "$1" >/dev/null || { skipped "$name" "no $1 here (package $package)"; return; }
  fallocate -l "$size" "$image" 2>"$work/why" || truncate -s "$size" "$image" 2>"$work/why" ||
    { skipped "$name" "$(cat "$work/why")"; return; }
  if loop=$(losetup --find --show --direct-io=on "$image" 2>"$work/why"); then
    echo yes >"$work/$name.direct"
  elif loop=$(losetup --find --show "$image" 2>"$work/why"); then
    echo "no: its data goes through the page cache" >"$work/$name.direct"
  else
    skipped "$name" "no loop device: $(tail -n 1 "$work/why")"
    return
  fi
  "$@" "$loop" >/dev/null 2>"$work/why" ||
    { skipped "$name" "$1: $(tail -n 1 "$work/why")"; return; }
  mkdir "$work/$name"
  mount -t "${name%%-*}" -o "$options" "$loop" "$work/$name" 2>"$work/why" ||
    { skipped "$name" "mount: $(tail -n 1 "$work/why")"; return; }
  names+=("$name")
}

: >"$work/skipped"
while read -r name package command; do
  # shellcheck disable=SC2086 # a list of words
  set_up "$name" "$package" "${command##*| }" ${command%% |*}
done < <(table)
mkdir "$work/directory" && names=(directory "${names[@]}") # what the images lie on

# ---- measuring ---------------------------------------------------------------------------

targets=()
for name in "${names[@]}"; do targets+=(--target "$work/$name"); done
"$refill" storage "${targets[@]}" --repeat "$rounds" "${measure[@]}" -o "$work/storage.json" \
  >/dev/null
failed=$?
if [ -s "$work/storage.json" ]; then # of a run that failed, too: it says what was wrong
  cp "$work/storage.json" "$out/filesystems-storage.json" || exit 1
fi
[ "$failed" = 0 ] || exit 1

# ---- what it says ------------------------------------------------------------------------

python3 "$(dirname "$0")/compare-filesystems.py" "$work" "$out" || exit 1
if command -v gnuplot >/dev/null; then
  gnuplot -c "$(dirname "$0")/compare-filesystems.gp" "$out/filesystems.dat" \
    "$out/filesystems.png" && rm "$out/filesystems.dat"
else
  echo "no gnuplot here, so no picture (package gnuplot-nox)" >&2
fi
