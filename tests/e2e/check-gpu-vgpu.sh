#!/usr/bin/env bash
# check-gpu-vgpu.sh: the GPU's whole check, and doctor, on the virtual GPU: all steps pass on a
# sound one; on a broken one the right step fails, what depends on it is skipped with the reason,
# what has a fallback goes on with it, and no step takes the program down. Nothing of it is a
# proof about
# hardware.
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
n=0 failed=0

run() { # environment... -- arguments...
  local environment=()
  while [ "$1" != -- ]; do environment+=("$1") && shift; done
  shift
  rm -f "$work/result.json"
  env LD_LIBRARY_PATH="$build/vgpu/lib" "${environment[@]}" timeout 200 "$build/refill" "$@" \
    --device cuda --target "$work" -o "$work/result.json" >"$work/out" 2>&1
  code=$?
}

A=(verify --all --model tests/shapes/tiny.json --tokens 33 --page-tokens 16)

# Whether the result is as the expression over `r` and the steps' verdicts `v` says.
expects() { # exit-code what python-expression
  n=$((n + 1))
  if [ "$code" -eq "$1" ] && python3 - "$work/result.json" "$3" 2>"$work/why" <<'PY'; then
import json, sys
r = json.load(open(sys.argv[1]))
v = {s["step"]: s["verdict"] for s in r.get("steps", [])}
found = {s["step"]: s["found"] for s in r.get("steps", [])}
checks = {c["check"]: c for c in r.get("checks", []) if isinstance(c, dict)}
sys.exit(0 if eval("(" + sys.argv[2] + ")") else 1)
PY
    echo "ok      $2"
  else
    failed=$((failed + 1))
    echo "FAILED  $2 (exit $code)"
    { cat "$work/why"; grep -v warning "$work/out"; } | tail -25 | sed 's/^/        /'
  fi
}

run VGPU_LEAKS=1 -- "${A[@]}"
expects 0 "a sound GPU" \
  'r["pass"] and not r["degraded"] and set(v.values()) == {"pass"} and len(v) == 17'

run VGPU_CUDNN_REFUSES=9 -- "${A[@]}"
expects 0 "cuDNN compiles nothing: the rest goes on with builtin" \
  'v["cudnn"] == "skipped" and v["reload"] == "pass" and "builtin" in r["degraded"][0]
    and "builtin" in found["layer"]'

run VGPU_CAPABILITY=80 -- "${A[@]}"
expects 0 "an A100 has no FP8" \
  'v["gemm-fp8"] == "skipped" and v["layer-fp8"] == "skipped"
    and "gemm-fp8" in found["layer-fp8"] and any("bf16" in d for d in r["degraded"])'

run VGPU_FAIL=cuMemHostRegister:1 -- "${A[@]}"
expects 0 "memory cannot be pinned" \
  'v["copies"] == "pass" and any("plain memory" in d for d in r["degraded"])'

run VGPU_REFUSE_CUBINS=1 -- "${A[@]}"
expects 0 "cubins refused" 'r["pass"] and any("lesser image" in d for d in r["degraded"])'

run VGPU_FAIL=cublasLtMatmul:1:13 -- "${A[@]}"
expects 1 "cuBLASLt fails: layers are skipped, kernels are not" \
  'v["gemm"] == "FAIL" and v["layer"] == v["pipeline"] == v["reload"] == "skipped"
    and v["attention"] == "pass" and "gemm" in found["layer"]'

# The second launch of each process: a sticky error ends that step, and the next starts anew.
run VGPU_FAIL=cuLaunchKernel:2:719 -- "${A[@]}"
expects 1 "a sticky error ends one step only" \
  'v["copies"] == v["pages"] == "FAIL" or (v["norm"] == "FAIL" and v["copies"] == "pass"
    and "719" in found["norm"])'

run VGPU_DEVICES=0 -- "${A[@]}"
expects 77 "no GPU: 77, and all is skipped" \
  'set(v.values()) == {"skipped"} and "sees no GPU" in found["driver"]'

run LD_LIBRARY_PATH= -- "${A[@]}"
expects 77 "no driver" '"no NVIDIA driver" in found["driver"]'

run -- verify --step layer
n=$((n + 1))
if [ "$code" -ne 0 ] || ! grep -q "is allowed" "$work/out"; then
  failed=$((failed + 1))
  echo "FAILED  one step alone"
fi

run -- doctor
expects "$code" "doctor: all there" \
  'all(checks[c]["verdict"] != "BAD"
    for c in ("NVIDIA driver", "GPU", "GPU memory", "kernels", "cuBLASLt", "cuDNN"))
    and "PCIe" in checks["GPU"]["found"] and ".so" in checks["cuDNN"]["found"]'
run VGPU_DEVICES=0 -- doctor
expects 1 "doctor: no GPU" \
  'checks["GPU"]["verdict"] == "BAD" and "sees no GPU" in checks["GPU"]["found"]'
run VGPU_STUB=1 -- doctor
expects 1 "doctor: a stub" '"stub" in checks["GPU"]["found"]'
run VGPU_CAPABILITY=75 -- doctor
expects 1 "doctor: too old a GPU" '"8.0" in checks["GPU"]["found"]'
mkdir "$work/empty"
run -- doctor --cuda-libdir "$work/empty"
expects 1 "doctor: libraries missing" \
  'checks["cuBLASLt"]["verdict"] == "BAD" and checks["cuDNN"]["verdict"] == "warn"
    and checks["cuBLASLt"]["advice"]'
run REFILL_PLUGIN_DIR="$work/empty" -- doctor
expects 1 "doctor: no plugin" 'checks["cuda plugin"]["verdict"] == "BAD"'

# A stand-in for NVML: what holds the clocks down is the value of REASONS.
mkdir "$work/nvml"
cat >"$work/nvml.c" <<'C'
#include <stdint.h>
#include <stdlib.h>
int nvmlInit_v2(void) { return 0; }
int nvmlShutdown(void) { return 0; }
int nvmlDeviceGetHandleByPciBusId_v2(const char *id, void **device) {
  *device = (void *)(uintptr_t)id;
  return 0;
}
int nvmlDeviceGetClockInfo(void *d, unsigned type, unsigned *mhz) {
  *mhz = d && type ? 1410 : 2619;
  return 0;
}
int nvmlDeviceGetPowerUsage(void *d, unsigned *milliwatts) {
  *milliwatts = d ? 690000 : 0;
  return 0;
}
int nvmlDeviceGetTemperature(void *d, unsigned sensor, unsigned *c) {
  *c = d ? 61 + sensor : 0;
  return 0;
}
int nvmlDeviceGetCurrentClocksThrottleReasons(void *d, uint64_t *reasons) {
  *reasons = d ? strtoull(getenv("REASONS"), 0, 0) : 0;
  return 0;
}
C
if "${CC:-gcc}" -shared -fPIC -o "$work/nvml/libnvidia-ml.so.1" "$work/nvml.c"; then
  S=(sweep --model tests/shapes/tiny.json --tokens 33 --page-tokens 16 --alpha 0 --repeat 1)
  path=$build/vgpu/lib:$work/nvml
  run LD_LIBRARY_PATH="$path" REASONS=0x4 -- "${S[@]}"
  expects 0 "a power cap is told with every sample" '
    r["rig"]["condition"]["held_down"] == "power cap"
    and r["rig"]["condition"]["runs"] == r["rig"]["condition"]["held_down_runs"]
    and r["points"][0]["held_down_runs"] > 0 and r["rig"]["condition"]["clock_error_s"] > 0
    and any(w["name"] == "held-down" for w in r["warnings"])'
  run LD_LIBRARY_PATH="$path" REASONS=0 -- "${S[@]}"
  expects 0 "nothing holds the clocks down" 'r["rig"]["condition"]["held_down_runs"] == 0
    and r["rig"]["condition"]["sm_hz"] == 1410e6
    and not any(w["name"] == "held-down" for w in r["warnings"])'
  run LD_LIBRARY_PATH="$path" REASONS=0x40 -- doctor
  expects "$code" "doctor: a hot GPU" 'checks["NVML"]["verdict"] == "warn"
    and "heat" in checks["NVML"]["found"]'
fi

echo "$n checks of the GPU's check on the virtual GPU, $failed failed"
[ $failed -eq 0 ]
