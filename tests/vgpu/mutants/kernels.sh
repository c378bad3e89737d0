#!/usr/bin/env bash
# untimed
# kernels.sh [PART OF A NAME]: each mistake of kernels.txt, compiled to PTX, must be caught by the
# test of test_vgpu that the list names.
# timeout: 600
set -u
. "$(dirname "$0")/lib.sh.inc"
nvcc=${NVCC:-$(command -v /usr/local/cuda/bin/nvcc || command -v nvcc)}
if [ -z "$nvcc" ]; then
  echo "SKIPPED: no nvcc here: mutants cannot be made"
  exit 77
fi

control() {
  mkdir -p "$1"
  VGPU_IMAGES=$build/cuda "$build/vgpu/test_vgpu" -j2 >"$1/log" 2>&1
}

# The .cu file that a changed file is part of.
module_of() { # file tests
  case $1 in
    *.cu) basename "$1" .cu ;;
    *) case $2 in
         attention) echo attention ;;
         kernels/convert) echo fp8 ;;
         kernels/*) echo "${2#kernels/}" ;;
       esac ;;
  esac
}

one() { # directory what file script tests
  local dir=$1 module cases=$5
  module=$(module_of "$3" "$5")
  [ "${cases#*/}" = "$cases" ] && cases+='/*'
  if ! "$nvcc" -I"$dir" -I. -std=c++17 -O3 -arch=compute_90a -ptx -o "$dir/90a" \
      "$dir/kernels/cuda/$module.cu" >"$dir/log" 2>&1; then
    echo "STALE    $2: does not compile: $(grep -m1 error "$dir/log")"
    return 1
  fi
  mkdir -p "$dir/images"
  cp "$dir/90a" "$dir/images/$module.compute_90a.ptx"
  # The other target's form stays as it is: it must not be what fails.
  cp "$build/cuda/$module.compute_80.ptx" "$dir/images/"
  VGPU_IMAGES=$dir/images timeout 120 "$build/vgpu/test_vgpu" --filter "$cases" -j1 \
    >"$dir/log" 2>&1
  judge "$2" $? "$(grep -m1 '^\[----\]   [^ ]' "$dir/log" | cut -c10-120)"
}

run_list tests/vgpu/mutants/kernels.txt "${1:-}"
