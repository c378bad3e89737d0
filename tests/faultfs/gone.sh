#!/usr/bin/env bash
# A block device that stops answering, below a real filesystem: ext4 on a loop device whose file is
# on a faultfs. The run ends by --io-timeout with file, byte and layer, or by the drive's error.
#
# By io_uring the process is gone within seconds. A thread that waits inside the kernel keeps its
# process until the kernel answers (NVMe's driver gives up after 30 s by itself): then the sentence
# must come in time, and the exit as soon as the drive answers.
#
# `make gone-test`, not `make test`: a loop device over FUSE can stall the kernel itself on a busy
# box, in mount or umount, and what waits there cannot be ended.
set -u
. "$(dirname "$0")/../e2e/lib.sh.inc"
. "$root/tests/faultfs/mount.sh.inc"
need_faultfs
[ "$(id -u)" = 0 ] || skip "needs root for a loop device and a mount"
command -v mkfs.ext4 >/dev/null || skip "no mkfs.ext4 (package e2fsprogs)"
truncate -s 64M "$backing/drive"
mkfs.ext4 -q -F "$backing/drive"
loop=$(losetup --find --show "$mount/drive" 2>/dev/null) || skip "no loop device here"
cleanups+=("losetup -d '$loop'")
mkdir "$work/fs"
mount "$loop" "$work/fs" 2>/dev/null || skip "ext4 cannot be mounted here"
cleanups+=("umount '$work/fs'" "rules '# what hangs may end'")

run=(--device playback:zero --model mha-125m --layers 4 --tokens 136 --page-tokens 16
  --target "$work/fs" --io-timeout 1s)
sweep=("$refill" sweep "${run[@]}" --alpha 0.9 --policy overlap --repeat 1)

# starts RULE COMMAND...: runs in the background; the rule holds.
starts() {
  step=$1
  rules "$1"
  shift
  timeout 60 "$@" </dev/null >"$work/out" 2>"$work/err" &
  child=$!
}

# within SECONDS CONDITION...: it becomes true.
within() {
  local i tries=$(($1 * 10))
  shift
  for ((i = 0; i < tries; i++)); do
    "$@" && return
    sleep 0.1
  done
  fail "$step: not within $((tries / 10)) s: $*"
}
ended() { ! kill -0 "$child" 2>/dev/null; }
told() { grep -q "$1" "$work/err"; }
exits() { # CODE
  wait "$child"
  local code=$?
  [ "$code" = "$1" ] || fail "$step: exit $code: $(cat "$work/err")"
}

expect 0 "$refill" verify "${run[@]}"
starts 'read eio path=drive nth=6' "${sweep[@]}" --engine uring
within 10 ended
exits 1
says 'reading .*\.kv at byte [0-9]* (layer [0-9]): Input/output error'

for what in read write; do
  starts "$what wedge path=drive nth=6" "${sweep[@]}" --engine uring
  within 10 ended
  exits 1
  says "${what%e}ing .* at byte [0-9]* or after it (layer [0-9]): no completion for 1 s"
  rules '# none'
  sleep 0.3
done

starts 'read wedge path=drive nth=6' "${sweep[@]}" --engine pread
within 10 told 'reading .*\.kv at byte [0-9]* or after it (layer [0-9]): no completion for 1 s'
rules '# none'
within 10 ended
exits 1

step="after all that"
expect 0 "$refill" verify "${run[@]}"
finish
