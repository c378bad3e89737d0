#!/usr/bin/env bash
# untimed
# timeout: 600
# check-gpu-vgpu.sh: the GPU's whole check, and doctor, on the virtual GPU: all steps pass on a
# sound one; on a broken one the right step fails, what depends on it is skipped with the reason,
# what has a fallback goes on with it, and no step takes the program down. Nothing of it is a
# proof about hardware.
#
# Needs `make vgpu-build`; BUILD names the folder of the build (default: build).
set -u
. "$(dirname "$0")/../vgpu/lib.sh.inc"

A=(verify --all --model tests/shapes/tiny.json --tokens 33 --page-tokens 16)

run VGPU_LEAKS=1 -- "${A[@]}"
expects 0 "a sound GPU" \
  'r["pass"] and not r["degraded"] and set(v.values()) == {"pass"} and len(v) == 18'

run VGPU_CUDNN_REFUSES=9 -- "${A[@]}"
expects 0 "cuDNN compiles nothing: the rest goes on with builtin" \
  'v["cudnn"] == "skipped" and v["reload"] == "pass" and "builtin" in r["degraded"][0]
    and "builtin" in found["layer"]'

run VGPU_FAIL=cuStreamBeginCapture:1 -- "${A[@]}"
expects 1 "layers cannot be captured: the rest goes on without graphs" \
  'v["graphs"] == "FAIL" and v["reload"] == v["pipeline"] == "pass"
    and any("cuda-graphs off" in d for d in r["degraded"])'

run VGPU_CAPABILITY=80 -- "${A[@]}"
expects 0 "an A100 has no FP8" \
  'v["gemm-fp8"] == "skipped" and v["layer-fp8"] == "skipped"
    and "gemm-fp8" in found["layer-fp8"] and any("bf16" in d for d in r["degraded"])'

run VGPU_FAIL=cuMemHostRegister:1 -- "${A[@]}"
expects 0 "memory cannot be pinned" \
  'v["copies"] == "pass" and any("plain memory" in d for d in r["degraded"])'

run VGPU_REFUSE_CUBINS=1 -- "${A[@]}"
expects 0 "cubins refused" 'r["pass"] and any("lesser image" in d for d in r["degraded"])'

run VGPU_FAIL=cublasLtMatmul:1+:13 -- "${A[@]}"
expects 1 "cuBLASLt fails: layers are skipped, kernels are not" \
  'v["gemm"] == "FAIL" and v["layer"] == v["pipeline"] == v["reload"] == "skipped"
    and v["attention"] == "pass" and "gemm" in found["layer"]'

# The second launch of each process: a sticky error ends that step, and the next starts anew.
run VGPU_FAIL=cuLaunchKernel:2:719 -- "${A[@]}"
expects 1 "a sticky error ends one step only" \
  'v["copies"] == v["pages"] == "FAIL" or (v["norm"] == "FAIL" and v["copies"] == "pass"
    and "719" in found["norm"])'

run VGPU_FAIL=cuMemcpy2DAsync:1:crash -- "${A[@]}"
expects 1 "a crash ends one step only" \
  'v["gemm"] == v["cudnn"] == "pass" and v["layer"] == "FAIL" and v["reload"] == "skipped"
    and "Segmentation fault" in found["layer"]
    and [s["signal"] for s in r["steps"] if s["step"] == "layer"] == [11]'

run VGPU_FAIL=cuMemsetD8Async:1:hang -- "${A[@]}" --budget 6s
expects 1 "a step that hangs is ended, and what needs it is skipped" \
  'v["driver"] == "pass" and v["copies"] == "FAIL" and "hung" in found["copies"]
    and set(list(v.values())[2:]) == {"skipped"} and "copies, which failed" in found["norm"]'

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

# Rates on a virtual GPU mean nothing: what counts is that each part is timed, and held against the
# right thing.
C=(calibrate --model tests/shapes/tiny.json --tokens 33 --page-tokens 16 --queue-depth 4 --repeat 1)
run VGPU_NAME="NVIDIA H100 80GB HBM3" -- "${C[@]}" --profile "$work/profile.json"
expects 0 "calibrate: parts, layers, copies, a datasheet" '
  {p["part"] for p in r["parts"]} >= {"whole layer", "QKV GEMM", "output GEMM", "gate/up GEMM",
    "down GEMM", "attention", "RMSNorm", "RoPE, KV scatter", "SwiGLU", "head", "memory copy", "H2D",
    "D2H", "H2D and D2H at once", "H2D, storage read beside"}
  and all(p["cold_s"] > 0 for p in r["parts"] if p["part"].endswith(" GEMM"))
  and all(p["of_copy"] > 0 for p in r["parts"] if p["part"] in ("RMSNorm", "SwiGLU"))
  and all(l["over_sum"] > -1 and l["back_to_back_s"] > 0 for l in r["layers"])
  and len(r["layers"]) == len(r["compute"]) and r["copies_read_bytes_per_s"] > 0
  and r["datasheet"]["flops_per_s"] == 989e12 and r["compute"][0]["mfu"] > 0
  and r["summary"]["read_s_per_token"] >= r["summary"]["h2d_s_per_token"] > 0'
"$build/refill" sweep --device "playback:$work/profile.json" --engine null --tokens 33 \
  --page-tokens 16 --alpha 0 --repeat 1 -o "$work/result.json" >"$work/out" 2>&1
code=$?
expects 0 "its profile can be played back" 'r["rig"]["device"]["played_back"]'
run -- "${C[@]}" --dtype fp8 --kv-dtype fp8
expects 0 "calibrate in FP8, a GPU without a datasheet" '
  {p["part"] for p in r["parts"]} >= {"quantise", "dequantise past"} and r["datasheet"] is None
  and r["compute"][0]["mfu"] is None and any(w["name"] == "no-datasheet" for w in r["warnings"])'

echo "$n checks of the GPU's check on the virtual GPU, $failed failed"
[ $failed -eq 0 ]
