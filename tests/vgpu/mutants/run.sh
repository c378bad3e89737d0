#!/usr/bin/env bash
# run.sh kernels|host [NAME]: applies each mistake of the list to a copy of the sources and requires
# that a test catches it. A mistake that survives is a hole in the tests, and fails this one.
#
# Kernels are compiled to PTX again and run by test_vgpu; host code is linked to a plugin again, and
# `refill verify` runs on it. BUILD names the folder of the build (default: build).
set -u
cd "$(dirname "$0")/../../.." || exit 1
list=$1 only=${2:-}
build=${BUILD:-build}
nvcc=${NVCC:-$(command -v /usr/local/cuda/bin/nvcc || command -v nvcc)}
if [ -z "$nvcc" ]; then
  echo "SKIPPED: no nvcc here: mutants cannot be made"
  exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Changes a file by a script in a copy of the folder; 1 where the script changes nothing.
mutate() { # directory file script
  mkdir -p "$1/kernels"
  cp -r kernels/cuda "$1/kernels/"
  sed -i "$3" "$1/kernels/cuda/$2"
  ! cmp -s "kernels/cuda/$2" "$1/kernels/cuda/$2"
}

# Which .cu files a changed file is part of.
modules_of() { # file tests
  case $1 in
    *.cu) echo "${1%.cu}" ;;
    *) case $2 in
         attention) echo attention ;;
         kernels/convert) echo fp8 ;;
         kernels/*) echo "${2#kernels/}" ;;
       esac ;;
  esac
}

kernel_mutant() { # directory what file script tests
  local dir=$1 module
  mutate "$dir" "$3" "$4" || { echo "STALE    $2: the recipe changes nothing"; return 1; }
  module=$(modules_of "$3" "$5")
  if ! "$nvcc" -I"$dir" -I. -std=c++17 -O3 -arch=compute_90a -ptx -o "$dir/90a" \
      "$dir/kernels/cuda/$module.cu" >"$dir/log" 2>&1; then
    echo "STALE    $2: does not compile: $(grep -m1 error "$dir/log")"
    return 1
  fi
  mkdir -p "$dir/images"
  cp "$dir/90a" "$dir/images/$module.compute_90a.ptx"
  # The other target's form stays as it is: it must not be what fails.
  cp "$build/cuda/$module.compute_80.ptx" "$dir/images/"
  if VGPU_IMAGES=$dir/images timeout 120 "$build/vgpu/test_vgpu" --filter "${5%/*}/$(
      [ "$5" = "${5#*/}" ] && echo '*' || echo "${5#*/}")" -j1 >"$dir/log" 2>&1; then
    echo "SURVIVED $2"
    return 1
  fi
  echo "caught   $2: $(grep -m1 '^\[----\]   [^ ]' "$dir/log" | cut -c10-120)"
}

# A plugin with one file of the copied sources, and the rest as it was built.
link_plugin() { # directory file
  local objects
  objects=$(find "$build/cuda/objects" -name '*.o' ! -path "*/kernels/cuda/${2%.c}.o")
  # shellcheck disable=SC2086
  gcc -std=c11 -D_GNU_SOURCE -I"$1" -I. -I"$build" -O2 -pthread -fPIC -fvisibility=hidden -shared \
    -o "$1/plugin/refill_cuda.so" "$1/kernels/cuda/$2" $objects -ldl -lm
}

host_mutant() { # directory what file script environment
  local dir=$1 shape=tiny environment
  mutate "$dir" "$3" "$4" || { echo "STALE    $2: the recipe changes nothing"; return 1; }
  read -ra environment <<<"$5"
  case $5 in *SHAPE=*) shape=${5##*SHAPE=} ;; esac
  mkdir -p "$dir/plugin" "$dir/target"
  if ! link_plugin "$dir" "$3" >"$dir/log" 2>&1; then
    echo "STALE    $2: does not compile: $(grep -m1 error "$dir/log")"
    return 1
  fi
  verify_on "$dir" "$shape" "$dir/log" "${environment[@]}"
  case $? in
    0) echo "SURVIVED $2" && return 1 ;;
    134 | 139) echo "CRASHED  $2: that is no check" && return 1 ;;
  esac
  echo "caught   $2: $(grep -v 'warning\|^refill: [a-z]*,\|^refill: writing' "$dir/log" |
    grep -m1 '^vgpu:\|^refill: \|FAIL\|^\[----\]   [^ ]' | cut -c1-110)"
}

# Without a mistake all must pass: else "caught" would mean nothing.
control() {
  mkdir -p "$work/control/target" "$work/control/plugin"
  if [ "$list" = kernels ]; then
    VGPU_IMAGES=$build/cuda "$build/vgpu/test_vgpu" -j2 >"$work/control/log" 2>&1
  else
    mkdir -p "$work/control/kernels"
    cp -r kernels/cuda "$work/control/kernels/"
    link_plugin "$work/control" forward.c >"$work/control/log" 2>&1 &&
      verify_on "$work/control" tiny "$work/control/log"
  fi
}

verify_on() { # directory shape log [environment...]
  local dir=$1 shape=$2 log=$3 attention=auto one
  shift 3
  for one; do
    case $one in ATTENTION=*) attention=${one#*=} ;; esac
  done
  export LD_LIBRARY_PATH=$build/vgpu/lib VGPU_MANIFEST=$build/vgpu/manifest VGPU_MEMORY=2G
  [ -f "$dir/plugin/refill_cuda.so" ] || cp "$build/refill_cuda.so" "$dir/plugin/"
  REFILL_PLUGIN_DIR=$dir/plugin env "$@" timeout 120 "$build/refill" verify --device cuda \
    --model "tests/shapes/$shape.json" --tokens 65 --page-tokens 16 --target "$dir/target" \
    --window 1 --write-window 1 --attention "$attention" >"$log" 2>&1 &&
    REFILL_PLUGIN_DIR=$dir/plugin env "$@" timeout 120 "$build/vgpu/test_devices" -j1 \
      >>"$log" 2>&1
}

n=0 bad=0
one() { # number line
  IFS='|' read -r what file script last <<<"$2"
  if [ "$list" = kernels ]; then
    kernel_mutant "$work/$1" "$what" "$file" "$script" "$last"
  else
    host_mutant "$work/$1" "$what" "$file" "$script" "$last"
  fi
  local code=$?
  rm -rf "${work:?}/$1"
  return $code
}

if ! control; then
  echo "without a mistake the tests fail: mutants say nothing until they pass" >&2
  tail -20 "$work/control/log" >&2
  exit 1
fi

while IFS= read -r line; do
  case $line in '' | '#'*) continue ;; esac
  case $line in *"$only"*) ;; *) continue ;; esac
  n=$((n + 1))
  { one "$n" "$line" || echo x >>"$work/bad"; } &
  while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do wait -n; done
done <"tests/vgpu/mutants/$list.txt"
wait
[ -f "$work/bad" ] && bad=$(wc -l <"$work/bad")
echo "$n mutants of $list, $((n - bad)) caught"
[ "$bad" -eq 0 ]
