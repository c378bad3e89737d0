#!/usr/bin/env bash
# timeout: 300
# The storage lab on a filesystem that fails on command (tests/faultfs): each fault is survived and
# counted in its row, or ends the run with file, byte, page and errno named; a bit that is wrong
# once, in whichever pass, is found; a drive that hangs is named with its oldest request.
set -u
. "$(dirname "$0")/lib.sh.inc"
. "$root/tests/faultfs/mount.sh.inc"
need_faultfs
lab=("$refill" storage --target "$mount" --model mha-125m --page-tokens 32 --queue-depth 4
  --working-set 64MiB --time 100ms -o "$work/r.json")

files=("$refill" storage --target "$mount" --model mha-125m --page-tokens 32 --queue-depth 4
  --time 100ms)

# fault RULE: these happen from now on, in this step.
fault() {
  step="$1, ${with[*]}"
  rules "$1"
}

# named ERRNO: the last command told errno, page, and a byte of the request that failed.
named() {
  local byte
  says "$1"
  says '(page [0-9]*'
  byte=$(sed -n 's/.* at byte \([0-9]*\).*/\1/p' "$work/err" | tail -n 1)
  awk -v byte="${byte:--1}" '
    { split($4, at, "+"); if (byte >= at[1] && byte - at[1] < at[2]) ok = 1 }
    END { exit !ok }' "$control/log" || fail "$step: byte $byte is not in $(cat "$control/log")"
}

for engine in uring pread; do
  with=(--engine $engine --rw read --repeat 1)
  rules '# none'
  expect 0 "${lab[@]}" "${with[@]}"
  for layout in layer-major token-major; do
    with=(--engine $engine --rw read --repeat 1 --layout $layout)
    fault 'read eio path=refill-*.kv from=1000000 nth=9 times=1'
    expect 1 "${lab[@]}" "${with[@]}"
    named Input/output
    says 'refill-.*\.kv'
    [ $layout = layer-major ] || says 'layer [0-9]'
  done
  with=(--engine $engine --rw read --repeat 2)
  fault 'read short path=*.kv from=140000 every=3'
  expect 0 "${lab[@]}" "${with[@]}"
  json "$work/r.json" 'r["rows"][0]["short_count"] > 0 and r["rows"][0]["wrong_bytes"] == 0'
  # Wrong once, anywhere in a timed pass: 2 requests of 4 pages in 12 layers are 96 reads.
  with=(--engine $engine --rw read --repeat 1 --streams 2 --alpha 0.03125)
  for nth in 2 48 96; do
    fault "read flip path=*.kv from=140000 nth=$nth times=1"
    expect 1 "${lab[@]}" "${with[@]}" --check-bytes all
    says 'came back wrong, the first at byte'
    named wrong
    json "$work/r.json" 'r["rows"][0]["wrong_bytes"] == 4096'
    json "$work/r.json" 'r["rows"][0]["checked_share"] == 1'
  done
  # By itself all of so small a run is checked, too.
  fault 'read flip path=*.kv from=140000 nth=40 times=1'
  expect 1 "${lab[@]}" "${with[@]}"
  named wrong
  json "$work/r.json" 'r["rows"][0]["wrong_bytes"] == 4096'
  for fault in 'eio|Input/output' 'enospc|No space'; do
    with=(--engine $engine --rw write --write-to fresh --repeat 1)
    fault "write ${fault%|*} from=1000000 nth=20 times=1"
    expect 1 "${lab[@]}" "${with[@]}"
    named "${fault#*|}"
    says 'new pages in'
  done
  for fault in flip torn; do
    fault "write $fault from=1000000 nth=20 times=1"
    expect 1 "${lab[@]}" "${with[@]}"
    named wrong
  done
  # Reads and writes of mixed rows, too.
  mixed=("$refill" storage --target "$mount" --page-size 64Ki --queue-depth 4 --working-set 64MiB
    --write-to fresh --repeat 1 --time 40ms --compute playback:h100-sxm-llama-3-70b
    --engine $engine --rw mixed)
  with=()
  fault 'write flip path=refill-lab-* from=65536 nth=2 times=1'
  expect 1 "${mixed[@]}"
  named wrong
  fault 'read flip path=*.kv from=140000 nth=30 times=1'
  expect 1 "${mixed[@]}" --check-bytes all
  named wrong
done

# Pages that are files of their own.
for engine in uring pread; do
  with=(--engine $engine --layout file-per-page --repeat 1 --working-set 8MiB --write-to fresh)
  rules '# none'
  expect 0 "${files[@]}" "${with[@]}" --rw read,write
  for fault in 'read eio|Input/output|read' 'open eio|Input/output|read' \
    'write enospc|No space|write' 'create edquot|quota|write'; do
    IFS='|' read -r rule words rw <<<"$fault"
    fault "$rule path=0000* nth=5 times=1"
    expect 1 "${files[@]}" "${with[@]}" --rw $rw
    says "$words"
    says "at byte 0 of $mount/refill-pages-.*/000000.* (page [0-9]*)"
    injected ${rule% *} ${rule#* }
  done
  fault 'write flip path=0000* nth=5 times=1'
  expect 1 "${files[@]}" "${with[@]}" --rw write
  says "came back wrong, the first at byte [0-9]* of $mount/refill-pages-new-"
  fault 'write torn path=0000* nth=5 times=1' # a new file that ends too early
  expect 1 "${files[@]}" "${with[@]}" --rw write
  says "reading back 98304 bytes at byte 0 of $mount/refill-pages-new-.* (page [0-9]*): No data"
done
rm -r "$backing"/refill-pages-*

# What hangs ends by --io-timeout, and is named.
for engine in uring pread; do
  with=(--engine $engine --rw read --repeat 1 --io-timeout 0.5s)
  # (A thread in the kernel cannot end before its call does, whatever we do.)
  kind=wedge; [ $engine = uring ] || kind=hang
  fault "read $kind path=*.kv from=140000 nth=30 times=1"
  since=$SECONDS
  expect 1 "${lab[@]}" "${with[@]}"
  named 'no completion for 0.5 s'
  [ $((SECONDS - since)) -le 12 ] || fail "$step: ended only after $((SECONDS - since)) s"
done
fault 'write hang path=refill-probe*' # before anything is measured
expect 1 "${lab[@]}" --io-timeout 0.5s
says 'looking at .*: no answer for 0.5 s'
rules '# none'
with=(--rw read,write --repeat 1)
expect 0 "${lab[@]}" "${with[@]}"
nothing_else
finish
