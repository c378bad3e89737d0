#!/usr/bin/env bash
# untimed
# timeout: 600
# h100-day.sh: the script for a day with an H100, on the virtual GPU and a tiny model: every part
# runs, and the archive to send back holds what each left.
#
# Needs `make vgpu-build`; BUILD names the folder of the build (default: build).
set -u
cd "$(dirname "$0")/../.." || exit 1
build=$(realpath "${BUILD:-build}")
if [ ! -f "$build/refill_cuda.so" ] || [ ! -f "$build/vgpu/lib/libcudnn.so.9" ] ||
  [ ! -f "$build/vgpu/manifest" ]; then
  echo "SKIPPED: no plugin or no virtual GPU in $build: make vgpu-build" >&2
  exit 77
fi
export VGPU_MANIFEST=$build/vgpu/manifest VGPU_MEMORY=2G REFILL_PLUGIN_DIR=$build
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tiny=tests/shapes/tiny.json
# Seconds do for each part; where a busy box has not measured anything in them, it gets more.
for part_s in 2 30; do
  rm -rf "$work/results"
  LD_LIBRARY_PATH=$build/vgpu/lib REFILL=$build/refill MODELS=$tiny SMALL_MODEL=$tiny \
    CHECK_MODEL=$tiny TOKENS=32 SMALL_TOKENS=32 CHECK_TOKENS=33 PAGE_TOKENS=16 \
    PART_BUDGET=${part_s}s RESULTS=$work/results scripts/h100_day.sh "$work" >"$work/out" 2>&1
  code=$?
  cat "$work/out"
  grep -q 'ended before one group' "$work/out" || break
done
n=0 failed=0
good() { # what command...
  local what=$1
  shift
  n=$((n + 1))
  "$@" >/dev/null 2>&1 || { failed=$((failed + 1)); echo "FAILED  $what (exit $code)"; }
}
archive=$(ls "$work"/results/*.tar.gz)
names=$(tar -tzf "$archive")
good "exit code" [ $code -eq 0 ]
good "nothing failed, nothing was skipped" bash -c "! grep -E '^(FAILED|skipped)' '$work/out'"
for file in doctor.json check.json calibrate-tiny.json profile-tiny.json sweep-tiny.json \
  sweep-tiny-fp8.json sweep-tiny-builtin.json graphs-on.json graphs-off.json trace-tiny.json \
  report.html summary.txt box.txt; do
  good "$file is in the archive" grep -q "/$file$" <<<"$names"
done
good "graphs were on" grep -q '"graph_runs": [1-9]' "$work"/results/*/graphs-on.json
good "graphs were off" grep -q '"graph_runs": 0' "$work"/results/*/graphs-off.json
echo "$n checks of h100_day.sh, $failed failed"
[ $failed -eq 0 ]
