#!/usr/bin/env bash
# timeout: 900
# Reads and writes under faults and signals for SOAK_S seconds (30; `make soak` says 600), on a
# faultfs and on a plain directory in turn: sweeps, verifications and the storage lab's reads,
# writes and both mixed; both engines, a few depths and page sizes, drawn from SEED. Asked of every
# run:
#   - it ends, by itself or by the signal, within its limit
#   - a fault that damages data never passes: exit 1; one that does not damage never makes a page
#     wrong
#   - its descriptors are as many at the end of a long run as they were at its beginning
#   - no report of a sanitizer. `make soak` runs a program with AddressSanitizer and LeakSanitizer
#
# Of a run that fails its command, output, result and faults stay in $BUILD/soak-failed-SEED/RUN,
# with the list of all runs beside them, and the ends are printed.
set -u
. "$(dirname "$0")/lib.sh.inc"
. "$root/tests/faultfs/mount.sh.inc"
soak_s=${SOAK_S:-30}
RANDOM=${SEED:=$$}
echo "SEED=$SEED${no_faultfs:+, $no_faultfs}"
plain=$work/plain
mkdir "$plain"
# Plugins of hwloc leak in libraries that are gone when the leak is told.
export HWLOC_PLUGINS_PATH=/nonexistent ASAN_OPTIONS=exitcode=99
runs=0 good=0 failed_runs=0 damaged=0 interrupted=0
kept=$(realpath -m "${BUILD:-$root/build}/soak-failed-$SEED")
line=() rule=- by=- timeout=

# bad WORDS...: a failure, told with the command, and kept.
bad() {
  local to=$kept/$runs file
  fail "run $runs: $*"
  mkdir -p "$to"
  printf '%q ' "${line[@]}" >"$to/command"
  printf "\n# rule '%s', signal %s\n" "$rule" "$by" >>"$to/command"
  for file in "$work"/out "$work"/err "$work"/result.json "$control"/log "$work"/runs; do
    [ ! -e "$file" ] || cp "$file" "$to/"
  done
  for file in command err out; do
    sed "s/^/    $file: /" "$to/$file" 2>/dev/null | tail -n 20
  done
  echo "    kept: $to"
}
model=(--device playback:zero --model mha-125m --layers 6 --tokens 264)

pick() { # one of the words
  local words=("$@")
  picked=${words[RANDOM % $#]}
}

# Faults that a run survives, that end it, and that damage data. `-` is none.
benign=('-' 'read short path=*.kv every=3' 'read delay every=20 seconds=0.02'
  'write delay every=20 seconds=0.02')
ending=('read eio path=*.kv every=50' 'write eio path=*.partial every=40'
  'write enospc path=*.partial nth=9' 'allocate enospc' 'sync eio' 'link eio' 'open eio path=*.kv'
  'read hang path=*.kv from=65536 nth=20' 'write hang path=*.partial from=65536 nth=20')
damaging=('read flip path=*.kv from=65536 every=5' 'write flip path=*.partial from=65536 every=4'
  'write torn path=*.partial from=65536 every=4')
# The lab writes its new pages to files of other names, again and again: of what is damaged there
# only the last is looked at. And what its passes without checks read passes: every read is damaged,
# however few a busy box has time for.
lab_ending=('read eio path=*.kv from=65536 every=50' 'write eio path=refill-lab* every=40'
  'write enospc path=refill-lab* nth=9' 'allocate enospc' 'sync eio' 'open eio path=*.kv'
  'read hang path=*.kv from=65536 nth=20' 'write hang path=refill-lab* nth=80')
lab_damaging=('read flip path=*.kv from=65536 every=1')
lab=(--working-set 4MiB --time 30ms --rw read,write,mixed --sync-at end
  --compute playback:h100-sxm-llama-3-70b)

draw() { # chooses where, what and which fault
  pick 1 4 32; depth=$picked
  pick uring pread; engine=$picked
  pick sweep sweep verify verify storage; command=$picked
  directory=$plain rule=- kind=benign
  if [ -n "$mount" ] && [ $((RANDOM % 3)) != 0 ]; then
    directory=$mount
    pick benign benign ending damaging; kind=$picked
    case $kind-$command in
      benign-*) pick "${benign[@]}" ;;
      ending-storage) pick "${lab_ending[@]}" ;;
      damaging-storage) pick "${lab_damaging[@]}" ;;
      ending-*) pick "${ending[@]}" ;;
      damaging-*) pick "${damaging[@]}" ;;
    esac
    rule=$picked
  fi
  # Without a fault that hangs nothing may end for want of time, however slow a shared drive is.
  case $rule in *hang*) timeout=1s ;; *) timeout=30s ;; esac
  line=("$refill" "$command" --queue-depth "$depth" --engine "$engine" --io-timeout "$timeout"
    --target "$directory" -o "$work/result.json")
  pick 16 32; page=$picked
  case $command in
    storage) line+=("${lab[@]}" --page-size "$((page * 4))Ki" --repeat 1) ;;
    *) line+=("${model[@]}" --page-tokens "$page") ;;
  esac
  [ "$command" != sweep ] || line+=(--alpha 0.3,0.9 --policy overlap,serial --repeat 1)
}

# Makes sure of a stored file for what only reads, and of none for what damages it in the making.
prepare() {
  [ -z "$mount" ] || rules '# none'
  case $rule in
    'write'* | allocate* | sync* | link*) rm -f "$directory"/* ;;
    'read'* | open*) "${line[@]}" >/dev/null 2>&1 ;;
  esac
  [ "$rule" = - ] || rules "$rule"
}

judge() { # exit status
  local status=$1
  ! grep -q 'ERROR: \|LeakSanitizer\|runtime error' "$work/err" || bad "a sanitizer reported"
  [ "$status" -lt 124 ] || [ "$by" != - ] || bad "ended with status $status"
  [ "$by" = - ] || { interrupted=$((interrupted + 1)); return; }
  case $status in
    0)
      good=$((good + 1))
      # What was damaged may not have been read; then nothing was injected.
      [ $kind != damaging ] || ! grep -q "flip\|torn" "$control/log" 2>/dev/null ||
        bad "damaged, and yet exit 0: $(head -n 3 "$control/log")"
      ;;
    1)
      failed_runs=$((failed_runs + 1))
      [ $kind = damaging ] && damaged=$((damaged + 1))
      [ $kind != benign ] || bad "exit 1 without a fault that ends it"
      [ $kind != ending ] || ! grep -qi wrong "$work/err" || bad "wrong bytes without damage"
      ;;
    *) [ "$status" -ge 124 ] || bad "exit $status" ;;
  esac
}

# One run; every fourth gets a signal at a random moment.
one() {
  local victim status leaks
  by=-
  draw
  prepare
  rm -f "$work/result.json"
  # What a hanging drive may still write to is left mapped on purpose: no leak.
  case $rule in *hang*) leaks=0 ;; *) leaks=1 ;; esac
  ASAN_OPTIONS=exitcode=99:detect_leaks=$leaks timeout -k 5 60 "${line[@]}" </dev/null \
    >"$work/out" 2>"$work/err" &
  victim=$!
  if [ $((RANDOM % 4)) = 0 ]; then
    pick INT TERM KILL; by=$picked
    sleep "0.$(printf %03d $((RANDOM % 700)))"
    # To the program, which timeout(1) has started.
    kill -"$by" $(cat "/proc/$victim/task/$victim/children" 2>/dev/null) 2>/dev/null || by=-
  fi
  wait $victim 2>/dev/null
  status=$?
  echo "$runs: exit $status, signal $by, rule '$rule': ${line[*]:1}" >>"$work/runs"
  judge "$status"
  # What it damaged in the making is there under its name, to be found wrong by every reader.
  [ $kind != damaging ] || { rules '# none'; rm -f "$directory"/*; }
  runs=$((runs + 1))
}

# Descriptors of a run of many rounds, looked at from the first round on, as often on a slow box as
# on a fast one; then the run is interrupted. What is open for a moment makes them swing; what leaks
# in every round stays: the fewest of the last quarter are more than the most of the first half.
count_descriptors() { # COMMAND...
  local victim count samples=() i most=0 fewest= code
  line=("$refill" "$@" --repeat 1024 --target "$plain")
  : >"$work/err"
  "${line[@]}" >"$work/out" 2>"$work/err" &
  victim=$!
  while kill -0 $victim 2>/dev/null && [ ${#samples[@]} -lt 60 ]; do
    sleep 0.03
    grep -q "^refill: $1, about" "$work/err" || continue
    count=$(ls "/proc/$victim/fd" 2>/dev/null | wc -l)
    [ "$count" -lt 3 ] || samples+=("$count") # fewer: it is over
  done
  kill -INT $victim 2>/dev/null
  wait $victim
  code=$?
  [ $code = 0 ] || { [ $code = 1 ] && grep -q 'warning: interrupted' "$work/err"; } ||
    bad "the long $1: exit $code"
  for ((i = 0; i < ${#samples[@]}; i++)); do
    count=${samples[i]}
    if [ $((i * 2)) -lt ${#samples[@]} ]; then
      [ "$count" -le $most ] || most=$count
    elif [ $((i * 4)) -ge $((${#samples[@]} * 3)) ]; then
      [ "${fewest:-$count}" -lt "$count" ] || fewest=$count
    fi
  done
  [ ${#samples[@]} -ge 20 ] || bad "$1 was over before its descriptors were counted"
  [ "${fewest:-0}" -le $most ] || bad "descriptors grew from $most to $fewest in one $1"
  echo "descriptors of $1: at most $most early, at least ${fewest:-0} late"
}

count_descriptors sweep "${model[@]}" --page-tokens 16 --alpha 0.3,0.9
count_descriptors storage "${lab[@]/30ms/10ms}" --page-size 64Ki
while [ $SECONDS -lt "$soak_s" ] || [ $runs -lt 5 ]; do
  [ $failures -lt 5 ] || break
  one
done
[ -z "$mount" ] || rules '# none'
# The last word: what is left reads back right, after all of that.
for directory in "$plain" ${mount:+"$mount"}; do
  rm -f "$directory"/refill-*.kv
  line=("$refill" verify "${model[@]}" --target "$directory" -o "$work/result.json")
  before=$failures
  until_swept "$directory" "${line[@]}"
  expect 0 "${line[@]}"
  [ "$failures" = "$before" ] || bad "nothing is wrong any more, and yet"
done
[ ! -d "$kept" ] || echo "what failed is kept in $kept"
echo "$runs runs in $SECONDS s: $good good, $failed_runs ended by their fault" \
  "($damaged of them by damage), $interrupted by a signal"
finish
