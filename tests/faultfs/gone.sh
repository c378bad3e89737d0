#!/usr/bin/env bash
# A block device that stops answering, below a real filesystem: ext4 on a loop device whose file is
# on a faultfs. The run ends by --io-timeout with file, byte and layer, or by the drive's error.
#
# What stops is the nth read or write of the image, which may be of pages, and then io_uring's
# process is gone within seconds; or it may be of ext4's journal or metadata, and then a thread
# that opens, allocates or names a file waits inside the kernel, as those of `pread` always do.
# Nothing ends such a thread but the drive's answer (NVMe's driver gives up after 30 s by itself),
# and it keeps its process: then the sentence must come in time, with a word on those threads, and
# the exit as soon as the drive answers. So here too nothing is waited for without a limit, and
# what the kernel keeps is told.
#
# DIRECT_IO=on: the loop device opens its file for direct I/O. Its requests then go side by side,
# so that the nth is more often one of the journal's than by the page cache, where each waits for
# the one before.
#
# `make gone-test`, not `make test`: a loop device over FUSE can stall the kernel itself on a busy
# box, in mount or umount, and what waits there cannot be ended.
set -u
. "$(dirname "$0")/../e2e/lib.sh.inc"
. "$root/tests/faultfs/mount.sh.inc"
need_faultfs
[ "$(id -u)" = 0 ] || skip "needs root for a loop device and a mount"
command -v mkfs.ext4 >/dev/null || skip "no mkfs.ext4 (package e2fsprogs)"
answer_s=1 # --io-timeout

# until_true SECONDS CONDITION...: it does, in time.
until_true() {
  local i tries=$(($1 * 10))
  shift
  for ((i = 0; i < tries; i++)); do
    "$@" && return
    sleep 0.1
  done
  return 1
}
is_gone() { ! kill -0 "$1" 2>/dev/null; }

# threads_of PID: those that wait in the kernel, and where.
threads_of() {
  local task state
  for task in /proc/"$1"/task/*; do
    state=$(sed 's/.*) \(.\).*/\1/' "$task/stat" 2>/dev/null)
    [ "$state" != D ] || echo "    the kernel keeps ${task##*/} ($(cat "$task/comm")) in" \
      "$(cat "$task/wchan" 2>/dev/null): $(head -n 6 "$task/stack" 2>/dev/null | tr '\n' ' ')"
  done
}

# bounded SECONDS COMMAND...: its status, or 124 with what the kernel keeps of it.
bounded() {
  local limit=$1 pid
  shift
  "$@" &
  pid=$!
  until_true "$limit" is_gone "$pid" || {
    echo "    still waiting after $limit s: $*"
    threads_of "$pid"
    return 124
  }
  wait "$pid"
}
# The kernel may hold files of the dead for a moment.
unmount_fs() { until_true 20 umount "$work/fs" 2>/dev/null; }
answers() { rules '# it answers again'; }

truncate -s 64M "$backing/drive"
mkfs.ext4 -q -F "$backing/drive"
loop=$(losetup --find --show --direct-io="${DIRECT_IO:-off}" "$mount/drive" 2>/dev/null) ||
  skip "no such loop device here"
cleanups+=("bounded 20 losetup -d '$loop'")
mkdir "$work/fs"
bounded 30 mount "$loop" "$work/fs" || skip "ext4 cannot be mounted here, or not in 30 s"
# The last resort: without its daemon the kernel ends all that waits for a FUSE with an error.
cleanups+=("bounded 30 unmount_fs || { kill -9 $faultfs_pid; bounded 30 unmount_fs; }" answers)

run=(--device playback:zero --model mha-125m --layers 4 --tokens 136 --page-tokens 16
  --target "$work/fs" --io-timeout "${answer_s}s")
sweep=("$refill" sweep "${run[@]}" --alpha 0.9 --policy overlap --repeat 1)

# stops RULE WORDS COMMAND...: the rule holds while it runs. It says the words, or what did not
# answer, and ends with 1: in time where no thread of it waits inside the kernel, else as soon as
# the drive answers.
told() { grep -q 'no completion for\|no answer for\|error' "$work/err" || is_gone "$child"; }
stops() {
  local words=$2 code
  step=$1
  rules "$1"
  shift 2
  "$@" </dev/null >"$work/out" 2>"$work/err" &
  child=$!
  until_true $((answer_s + 9)) told || fail "$step: nothing was said in time"
  if ! until_true 5 is_gone "$child"; then
    threads=$(threads_of "$child")
    echo "$step: the process is still there"
    echo "${threads:-    and none of its threads waits in the kernel}"
    [ -n "$threads" ] || fail "$step: it did not end"
    says 'inside the kernel for the drive'
  fi
  answers
  until_true 10 is_gone "$child" || { fail "$step: the drive answers, and yet"; kill -9 "$child"; }
  wait "$child"
  code=$?
  [ "$code" = 1 ] || fail "$step: exit $code: $(cat "$work/err")"
  grep -q "$words\|no answer for $answer_s s" "$work/err" || fail "$step: $(cat "$work/err")"
  echo "$step: $(grep -m 1 'no completion\|no answer\|error' "$work/err")"
}

expect 0 "$refill" verify "${run[@]}" || finish
reading='reading .*\.kv at byte [0-9]*'
stops 'read eio path=drive nth=6' "$reading (layer [0-9]): Input/output error" \
  "${sweep[@]}" --engine uring
for what in read write; do
  stops "$what wedge path=drive nth=6" \
    "${what%e}ing .* at byte [0-9]* or after it (layer [0-9]): no completion for $answer_s s" \
    "${sweep[@]}" --engine uring
  sleep 0.3
done
stops 'read wedge path=drive nth=6' \
  "$reading or after it (layer [0-9]): no completion for $answer_s s" "${sweep[@]}" --engine pread
# ext4's journal waits, and with it whoever syncs.
rm "$work"/fs/refill-*.kv
stops 'sync wedge path=drive nth=1' 'syncing and naming a KV file: no answer' \
  "$refill" verify "${run[@]}"

step="after all that"
expect 0 "$refill" verify "${run[@]}"
finish
