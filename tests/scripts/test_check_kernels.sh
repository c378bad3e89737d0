#!/usr/bin/env bash
# untimed
# scripts/check-kernels.sh: the kernels of this build against the checked-in table, where nvcc made
# them; and, on altered logs, that each rule can fail.
set -u
here=$(cd "$(dirname "$0")/../.." && pwd)
check=$here/scripts/check-kernels.sh
logs=${BUILD:-$here/build}/cuda
failures=0

if ! ls "$logs"/*.cubin.log >/dev/null 2>&1; then
  echo "SKIPPED: no kernel images in $logs: nvcc was not found, or make cuda-plugin not run"
  exit 77
fi

fail() {
  echo "FAILED: $1"
  failures=$((failures + 1))
}

output=$("$check" "$logs") || fail "the kernels of this build: $output"

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT

# breaks WHAT PATTERN SED-SCRIPT: with attention's sm_90a log edited, the check fails and says so.
breaks() {
  local said
  rm -f "$copy"/*
  cp "$logs"/*.cubin.log "$logs"/*.cubin "$logs"/*.ptx "$copy"
  sed -i -E "$3" "$copy/attention.sm_90a.cubin.log"
  said=$("$check" "$copy" 2>&1) && fail "$1: not noticed"
  grep -qE -- "$2" <<<"$said" || fail "$1: expected '$2', got: $said"
}

breaks "one register more" '^\+sm_90a refill_attention_128 128 99 ' \
  's/Used 2[0-9]+ reg/Used 99 reg/'
breaks "a spill" 'error refill_attention_128 sm_90a: stack 0 spills 8' \
  's/ 0 bytes spill stores/ 8 bytes spill stores/'
breaks "static shared memory" 'static shared memory of 80000' \
  's/used 1 barriers/used 1 barriers, 80000 bytes smem/'
breaks "too many registers" 'not one block fits' 's/Used [0-9]+ reg/Used 2000 reg/'
breaks "a kernel that no image has" 'refill_attention_64 sm_90a: no image' \
  's/refill_attention_64/refill_other/'

# breaks_image WHAT PATTERN COMMAND: the same with the images.
breaks_image() {
  local said
  rm -f "$copy"/*
  cp "$logs"/*.cubin.log "$logs"/*.cubin "$logs"/*.ptx "$copy"
  (cd "$copy" && eval "$3")
  said=$("$check" "$copy" 2>&1) && fail "$1: not noticed"
  grep -qE -- "$2" <<<"$said" || fail "$1: expected '$2', got: $said"
}

breaks_image "an image is missing" 'error norm: no image sm_80.cubin' 'rm norm.sm_80.cubin'
breaks_image "an empty image" 'error rope: no image compute_80.ptx' ': >rope.compute_80.ptx'
breaks_image "PTX for drivers of CUDA 13" 'error pages: compute_80.ptx is of ISA 9.0' \
  "sed -i 's/^\.version .*/.version 9.0/' pages.compute_80.ptx"
breaks_image "PTX of another target" 'error fp8: compute_80.ptx is of another target' \
  "sed -i 's/^\.target .*/.target sm_90/' fp8.compute_80.ptx"

mkdir "$copy/empty"
"$check" "$copy/empty" 2>/dev/null
[ $? = 77 ] || fail "no logs: not skipped"

[ $failures = 0 ]
