#!/usr/bin/env bash
# untimed
# host.sh [PART OF A NAME]: each mistake of host.txt, linked to a plugin, must be caught by `refill
# verify` or test_devices on the virtual GPU.
# timeout: 600
set -u
. "$(dirname "$0")/lib.sh.inc"
. "$build/vgpu/linked"
export LD_LIBRARY_PATH=$build/vgpu/lib VGPU_MANIFEST=$build/vgpu/manifest VGPU_MEMORY=2G

# A plugin with one file of the copied sources, and the rest as it was built.
link_plugin() { # directory file
  mkdir -p "$1/plugin"
  # shellcheck disable=SC2086
  gcc -std=c11 -D_GNU_SOURCE -I"$1" -I. -I"$build" -O2 -pthread -fPIC -fvisibility=hidden -shared \
    -o "$1/plugin/refill_cuda.so" "$1/$2" ${plugin/" $at/cuda/objects/${2%.c}.o"/} -ldl -lm
}

# Where TESTS names one, test_devices alone judges.
verify() { # directory [environment...]
  local dir=$1 shape=tiny attention=auto tune=on kv_dtype=bf16 tests='devices/*' one
  shift
  for one; do
    case $one in
      ATTENTION=*) attention=${one#*=} ;;
      SHAPE=*) shape=${one#*=} ;;
      GEMM_TUNE=*) tune=${one#*=} ;;
      KV_DTYPE=*) kv_dtype=${one#*=} ;;
      TESTS=*) tests=${one#*=} ;;
    esac
  done
  mkdir -p "$dir/target"
  if [ "$tests" = 'devices/*' ]; then
    REFILL_PLUGIN_DIR=$dir/plugin env "$@" timeout 120 "$build/refill" verify --device cuda \
      --model "tests/shapes/$shape.json" --tokens 65 --page-tokens 16 --target "$dir/target" \
      --window 1 --write-window 1 --attention "$attention" --gemm-tune "$tune" \
      --kv-dtype "$kv_dtype" >"$dir/log" 2>&1 || return
  fi
  REFILL_PLUGIN_DIR=$dir/plugin env "$@" timeout 120 "$build/vgpu/test_devices" -j1 \
    --filter "$tests" >>"$dir/log" 2>&1
}

control() {
  mkdir -p "$1/kernels"
  cp -r kernels/cuda "$1/kernels/"
  link_plugin "$1" kernels/cuda/forward.c >"$1/log" 2>&1 && verify "$1"
}

one() { # directory what file script environment
  local dir=$1 environment code
  read -ra environment <<<"${5:-}"
  if ! link_plugin "$dir" "$3" >"$dir/log" 2>&1; then
    echo "STALE    $2: does not compile: $(grep -m1 error "$dir/log")"
    return 1
  fi
  verify "$dir" "${environment[@]}"
  code=$?
  judge "$2" $code "$(grep -v 'warning\|^refill: [a-z]*,\|^refill: writing' "$dir/log" |
    grep -m1 '^vgpu:\|^refill: \|FAIL\|^\[----\]   [^ ]' | cut -c1-110)"
}

run_list tests/vgpu/mutants/host.txt "${1:-}"
