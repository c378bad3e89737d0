#!/usr/bin/env bash
# untimed
# pinned.sh [PART OF A NAME]: each mistake of pinned.txt, linked to program or plugin, must be
# noticed by the virtual driver, which asks the kernel what each io_uring has registered; or, of a
# ring that could be pinned in part only, by its own verification.
# timeout: 300
set -u
. "$(dirname "$0")/lib.sh.inc"
. "$build/vgpu/linked"
compile=$(sed 's/-MMD -MP//' "$build/flags")
export LD_LIBRARY_PATH=$build/vgpu/lib VGPU_MANIFEST=$build/vgpu/manifest VGPU_MEMORY=2G

# 0: right, and nothing was noticed.
watch() { # directory program plugin-folder
  mkdir -p "$1/target"
  VGPU_PAGEABLE=0 REFILL_PLUGIN_DIR=$3 timeout 120 "$2" sweep --device cuda --tokens 33 \
    --alpha 0.5 --model tests/shapes/tiny.json --page-tokens 16 --repeat 1 --break-even off \
    --window 1 --write-window 1 --target "$1/target" -o "$1/result.json" >"$1/log" 2>&1 &&
    ! grep -q '^vgpu:' "$1/log"
}

# The same where half of the landing buffers are refused, and copies from the others are slow.
watch_short() { # directory program plugin-folder
  mkdir -p "$1/target"
  VGPU_FAIL=cuMemHostRegister:3:2 VGPU_SLOW_COPIES_US=3000 VGPU_PAGEABLE=0 REFILL_PLUGIN_DIR=$3 \
    timeout 120 "$2" verify --device cuda --model tests/shapes/tiny-deep.json --page-tokens 16 \
    --tokens 65 --window 4 --write-window 3 --target "$1/target" >>"$1/log" 2>&1
}

control() {
  mkdir -p "$1"
  watch "$1" "$build/refill" "$build" && watch_short "$1" "$build/refill" "$build"
}

one() { # directory what file script [short]
  local dir=$1 program=$build/refill plugin_folder=$build code
  link_mutant "$dir" "$2" "$3" || return 1
  "watch${5:+_short}" "$dir" "$program" "$plugin_folder"
  code=$?
  judge "$2" $code "$(grep '^vgpu:\|checks failed' "$dir/log" | tail -n 1 | cut -c1-110)"
}

control "$work/first"
result=$work/first/result.json
if [ -f "$result" ] && ! grep -q 'buffers registered' "$result"; then
  echo "SKIPPED: io_uring registers no buffers here, so their order cannot be wrong"
  exit 77
fi
run_list tests/vgpu/mutants/pinned.txt "${1:-}"
