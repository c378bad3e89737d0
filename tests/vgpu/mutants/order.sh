#!/usr/bin/env bash
# untimed
# order.sh [PART OF A NAME]: the order of streams and buffers. Program and plugin, built with
# ThreadSanitizer, run on the virtual GPU, where streams are threads that only events and calls
# order (memory/order.h): without a mistake no race is found, and the mistakes of order.txt are.
#
# Storage is the pool of threads: what io_uring moves, ThreadSanitizer cannot see.
# timeout: 600
set -u
. "$(dirname "$0")/lib.sh.inc"
built=$build/vgpu/thread
if [ ! -x "$built/refill" ] || [ ! -f "$built/refill_cuda.so" ]; then
  echo "SKIPPED: no program with ThreadSanitizer in $built: make vgpu-build"
  exit 77
fi
. "$built/vgpu/linked"
compile=$(sed 's/-MMD -MP//' "$built/flags")
# Its memory map does not bear the widest randomisation of addresses; some containers forbid this.
plain=$(setarch -R true 2>/dev/null && echo setarch -R)
export LD_LIBRARY_PATH=$build/vgpu/lib VGPU_MANIFEST=$build/vgpu/manifest VGPU_MEMORY=2G
export HWLOC_PLUGINS_PATH=/nonexistent OMP_NUM_THREADS=1
export TSAN_OPTIONS="halt_on_error=1 exitcode=66"

# 0: no race, and right; anything else: what the log says.
watch() { # directory program plugin-folder command...
  local dir=$1 program=$2 plugin=$3
  shift 3
  mkdir -p "$dir/target"
  # shellcheck disable=SC2086
  LD_PRELOAD=$built/clocked.so REFILL_PLUGIN_DIR=$plugin timeout 200 $plain "$program" "$@" \
    --device cuda --model tests/shapes/tiny.json --page-tokens 16 --engine pread \
    --window 1 --write-window 1 --target "$dir/target" >>"$dir/log" 2>&1
}

V=(verify --tokens 65)

control() {
  mkdir -p "$1"
  watch "$1" "$built/refill" "$built" "${V[@]}" &&
    VGPU_SEED=$RANDOM watch "$1" "$built/refill" "$built" "${V[@]}" --attention builtin \
      --kv-dtype fp8 &&
    VGPU_SEED=$RANDOM VGPU_JITTER_US=2000 watch "$1" "$built/refill" "$built" sweep --tokens 96 \
      --alpha 0,0.5 --repeat 1 --trace "$1/trace.json"
}

one() { # directory what file script [finding]
  local dir=$1 program=$built/refill plugin_folder=$built code finding
  link_mutant "$dir" "$2" "$3" || return 1
  watch "$dir" "$program" "$plugin_folder" "${V[@]}" --gemm-tune off
  code=$?
  finding=${5:-data race}
  if [ $code -ne 0 ] && ! grep -q "$finding" "$dir/log"; then
    echo "OTHERWISE $2: no $finding, but: $(tail -n 1 "$dir/log")"
    return 1
  fi
  judge "$2" $code "$(grep -o "data race [a-z].*\|checks failed.*" "$dir/log" | head -n 1)"
}

run_list tests/vgpu/mutants/order.txt "${1:-}"
