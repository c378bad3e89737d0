#!/usr/bin/env bash
# timeout: 300
# The program on a filesystem that fails on command (tests/faultfs): each fault is survived and
# counted, or it ends the run and is named; no wrong byte passes; what hangs ends by --io-timeout;
# nothing is left behind.
set -u
. "$(dirname "$0")/lib.sh.inc"
. "$root/tests/faultfs/mount.sh.inc"
need_faultfs
run=(--device playback:zero --model mha-125m --layers 4 --tokens 136 --page-tokens 16)
run+=(--target "$mount" -o "$work/r.json")
verify=("$refill" verify "${run[@]}")
sweep=("$refill" sweep "${run[@]}" --alpha 0.9 --policy overlap --repeat 1)

# engine NAME [TIME]: how the next runs do their I/O, and when a drive counts as hanging.
engine() { with=(--engine "$1" --io-timeout "${2:-20s}"); }
none() { rules '# none'; rm -f "$backing"/*; }
# With all the time that storing takes on a busy box.
stored() { step="storing"; none; expect 0 "${verify[@]}" --engine "${with[1]}" --io-timeout 60s; }

# survives COUNT RULE: exit 0, and the result's `short_count` or `retry_count` tells of it.
survives() {
  step="$2, $3, ${with[1]}"
  rules "$2"
  expect 0 "${sweep[@]}" "${with[@]}"
  injected $(echo "$2" | cut -d' ' -f1,2)
  [ "$1" = - ] || json "$work/r.json" "r['rig']['$3']['$1'] > 0"
  nothing_else
}

# ends RULE WORDS COMMAND...: exit 1 and these words.
ends() {
  local rule=$1 words=$2
  shift 2
  step="$rule, ${with[1]}"
  rules "$rule"
  expect 1 "$@" "${with[@]}"
  says "$words"
  injected $(echo "$rule" | cut -d' ' -f1,2)
  nothing_else
}

# names RULE ERRNO COMMAND...: exit 1; the sentence holds file, layer, errno and a byte that lies in
# the request that faultfs failed.
names() {
  local rule=$1 words=$2 byte
  shift 2
  ends "$rule" "$words" "$@"
  says '(layer [0-9]*)'
  byte=$(sed -n 's/.* at byte \([0-9]*\).*/\1/p' "$work/err" | tail -n 1)
  awk -v byte="${byte:--1}" '
    { split($4, at, "+"); if (byte >= at[1] && byte - at[1] < at[2]) ok = 1 }
    END { exit !ok }' "$control/log" || fail "$step: byte $byte is not in $(cat "$control/log")"
}

for name in uring pread; do
  engine $name
  # Survived and counted. (The kernel itself makes EIO of a short asynchronous write on FUSE.)
  stored; survives short_count 'read short path=*.kv every=3' reader
  stored; survives - 'read delay path=*.kv nth=4 times=1 seconds=0.3' reader
  # Errors of reads and writes.
  for errno in 'eio Input/output' 'estale Stale' 'enodev No.such.device'; do
    names "read ${errno% *} path=*.kv from=70000 nth=2 times=1" "${errno#* }" "${verify[@]}"
  done
  none; names 'write eio path=*.partial from=65536 nth=3 times=1' 'Input/output' "${verify[@]}"
  none; names 'write enospc path=*.partial from=65536 nth=2' 'No space' "${sweep[@]}"
  none; names 'write edquot path=*.partial from=65536' 'quota' "${verify[@]}"
  # Bits that are wrong, on the way in and out, in pages.
  stored; ends 'read flip path=*.kv from=65536 nth=3 times=1' failed "${verify[@]}"
  # In the first look, too.
  ends 'read flip path=*.kv from=65536 nth=3 times=1' wrong "${sweep[@]}"
  ends 'read flip path=*.kv from=65536 every=7' wrong "${sweep[@]}"
  json "$work/r.json" 'any(p["wrong_bytes"] for p in points)'
  ends 'read flip path=*.partial from=65536' failed "${verify[@]}"
  for fault in flip torn; do
    none; ends "write $fault path=*.partial from=65536 nth=2 times=1" failed "${verify[@]}"
    none; ends "write $fault path=*.partial from=65536 nth=2 times=1" wrong "${sweep[@]}"
    json "$work/r.json" 'any(p["wrong_bytes"] for p in points)'
  done
done
for kind in short eagain eintr; do
  none; engine pread
  count=retry_count; [ $kind = short ] && count=short_count
  survives $count "write $kind path=*.partial from=65536 every=3" writer
done
survives retry_count 'read eagain path=*.kv from=65536 every=5' reader

# The other command that moves pages: calibrate, over the files that it makes for itself.
engine uring 2s
calibrate=("$refill" calibrate "${run[@]}" --repeat 1 --budget 2s)
none; names 'read eio path=*.partial from=70000 nth=2 times=1' 'Input/output' "${calibrate[@]}"
none; names 'write enospc path=*.partial from=70000 nth=20 times=1' 'No space' "${calibrate[@]}"
none; ends 'read flip path=*.partial from=70000 every=3' 'came back wrong' "${calibrate[@]}"
none; ends 'write hang path=*.partial from=70000 nth=20' 'layer [0-9]*): no completion for 2 s' \
  "${calibrate[@]}"
none; rules 'read delay path=*.partial nth=4 times=1 seconds=0.3'; step="a slow read"
expect 0 "${calibrate[@]}" "${with[@]}"; injected read delay

# Header and table: refused, whether the bit is wrong in the file or on the way.
engine uring
stored; ends 'read flip path=*.kv from=40 to=41 times=1' 'KV file\|header' "${verify[@]}"
stored; ends 'read flip path=*.kv from=4100 to=4101 nth=2 times=1' 'table' "${verify[@]}"
# (The first write of a header is the magic of a file in the making.)
for fault in 'flip from=40 to=41 nth=2' 'flip from=4100 to=4101' 'torn from=512 to=4096 nth=2' \
  'torn from=4096 to=4097'; do
  none; step="write $fault"
  rules "write $fault path=*.partial times=1"
  expect 0 "${verify[@]}" "${with[@]}"; injected write "${fault%% *}"
  rules '# none'
  expect 1 "${verify[@]}" "${with[@]}"; says 'refill-.*\.kv'; nothing_else
done

# What surrounds the pages.
for fault in 'open eio path=*.kv' 'read eio path=*.kv to=4096'; do
  stored; ends "$fault" 'Input/output' "${verify[@]}"
done
for fault in 'allocate enospc|No space' 'create erofs path=*.partial|Read-only' 'link eio|Input' \
  'sync eio path=*.partial|Input' 'write eio path=*.partial to=4096 nth=2|Input'; do
  none; ends "${fault%|*}" "${fault#*|}" "${verify[@]}"
  [ -z "$(ls -A "$backing")" ] || fail "$step left $(ls -A "$backing")"
done
# What cannot be removed now is removed by a later run.
none; rules 'unlink eio path=*.partial'; step=unlink
expect 0 "${verify[@]}"; injected unlink eio; rules '# none'
until_swept "$mount" "${verify[@]}"

# A drive that answers no more. `hang` ends with its caller; `wedge` does not even then.
hangs() { # RULE COMMAND...
  local since=$SECONDS rule=$1
  shift
  step="$rule, ${with[1]}"
  rules "$rule"
  expect 1 "$@" "${with[@]}"
  says 'io-timeout'
  injected $(echo "$rule" | cut -d' ' -f1,2)
  [ $((SECONDS - since)) -le 10 ] || fail "$step: ended only after $((SECONDS - since)) s"
}
engine uring 1s
stored; hangs 'read wedge path=*.kv from=65536 nth=2 times=1' "${verify[@]}"; says 'layer'
none; hangs 'write wedge path=*.partial from=65536 nth=2 times=1' "${verify[@]}"; says 'layer'
none; hangs 'sync hang path=*.partial' "${verify[@]}"
none; hangs 'write hang path=refill-probe*' "${verify[@]}"
stored; hangs 'open hang path=*.kv' "${verify[@]}"
hangs 'read hang path=*.partial' "${verify[@]}"; says 'layer'
engine pread 1s
none; hangs 'write hang path=*.partial from=65536 nth=2' "${verify[@]}"; says 'layer'
stored; hangs 'read hang path=*.kv from=65536 nth=3' "${sweep[@]}"; says 'layer'
rules '# none'
until_swept "$mount" "${verify[@]}"
finish
