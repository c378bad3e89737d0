#!/usr/bin/env bash
# untimed
# nvml.sh: what holds a GPU's clocks down is told with every sample, whether it began before the
# run or came during it, in sweep and in calibrate; and a library that is missing, of another
# version, or refuses, costs nothing but that knowledge.
#
# Needs `make vgpu-build`; BUILD names the folder of the build (default: build).
set -u
. "$(dirname "$0")/lib.sh.inc"
shape=(--model tests/shapes/tiny.json --page-tokens 16)
S=(sweep "${shape[@]}" --tokens 33 --alpha 0 --repeat 1 --break-even off)
C=(calibrate "${shape[@]}" --tokens 32 --queue-depth 1 --repeat 1)
N=LD_LIBRARY_PATH=$build/vgpu/lib:$build/vgpu/nvml
OLD=LD_LIBRARY_PATH=$build/vgpu/lib:$build/vgpu/nvml-old

run "$N" -- "${S[@]}"
expects 0 "nothing holds the clocks down" 'condition["held_down_runs"] == 0
  and condition["sm_hz"] == 1980e6 and condition["power_w"] == 300
  and condition["temperature_c"] == 45 and "held-down" not in warned'
run "$N" VGPU_NVML_REASONS=0x4 VGPU_NVML_SM_MHZ=1410 VGPU_NVML_POWER_W=690 -- "${S[@]}"
expects 0 "a power cap throughout" 'condition["held_down"] == "power cap"
  and condition["runs"] == condition["held_down_runs"] > 0 and condition["sm_hz"] == 1410e6
  and r["points"][0]["held_down_runs"] > 0 and "held-down" in warned'
# The first reading is of the box; then come two a run, before and after it.
during() { # first-reading last-reading runs-held-down what
  run "$N" VGPU_NVML_REASONS=0x40 VGPU_NVML_REASONS_FROM="$1" VGPU_NVML_REASONS_TO="$2" -- "${S[@]}"
  expects 0 "$4" 'condition["held_down"] == "heat" and condition["runs"] > 3
    and condition["held_down_runs"] == '"$3"' and "held-down" in warned'
}
during 2 3 1 "heat before and after a run"
during 3 4 2 "heat after a run and before the next"
run "$N" VGPU_NVML_REASONS=0x3 -- "${S[@]}"
expects 0 "idle and an application's limit hold nothing down" '
  condition["held_down_runs"] == 0 and "held-down" not in warned'

run "$N" VGPU_NVML_REASONS=0x8 -- "${C[@]}"
expects 0 "calibrate: a hardware slowdown with every sample" '
  condition["held_down"] == "hardware slowdown" and "held-down" in warned
  and all(p["held_down_samples"] > 0 for p in r["compute"])
  and all(p["held_down"] for p in r["parts"])'
run "$N" -- "${C[@]}"
expects 0 "calibrate: none" '"held-down" not in warned
  and all(p["held_down_samples"] == 0 for p in r["compute"])
  and not any(p["held_down"] for p in r["parts"])'
expects 0 "calibrate: the memory copy is of more than the L2 cache holds" '
  [p["bytes"] for p in r["parts"] if p["part"] == "memory copy"] == [2 * 4 * 4 * 2 ** 20]
  and all(p["cold_s"] > 0 for p in r["parts"] if p["part"].endswith(" GEMM"))'
# Two readings a part follow those of the runs, before it and after it. Heat that comes with the end
# of the fourth part and goes with the beginning of the fifth is told of these two alone.
reading=$(python3 -c 'import json, sys
print(1 + 2 * json.load(open(sys.argv[1]))["rig"]["condition"]["runs"] + 2 * 3 + 2)' \
  "$work/result.json")
run "$N" VGPU_NVML_REASONS=0x40 VGPU_NVML_REASONS_FROM="$reading" \
  VGPU_NVML_REASONS_TO=$((reading + 1)) -- "${C[@]}"
expects 0 "calibrate: a moment of heat, after one part and before the next" '
  [i for i, p in enumerate(r["parts"]) if p["held_down"]] == [3, 4] and "held-down" in warned
  and condition["held_down_runs"] == 0'
run VGPU_MEMORY=640M VGPU_L2=400M -- "${C[@]}"
expects 0 "calibrate: no memory beyond the L2 cache, so neither its rate nor cold GEMMs" '
  not any(p["part"] == "memory copy" or p["cold_s"] or p["of_copy"] for p in r["parts"])
  and any("beyond the L2" in d for d in r["rig"]["device"]["degraded"])'

# What one call does not tell is null, and nothing else is: as on a MIG slice, a vGPU, in a
# locked-down container.
readings='{"sm_hz", "sm_hz_low", "memory_hz", "power_w", "temperature_c", "held_down",
  "link_gt_per_s", "link_max_gt_per_s", "link_width", "link_max_width"}'
untold() { # fields what
  expects 0 "$2" '{k for k in '"$readings"' if condition[k] is None} == set("'"$1"'".split())
    and condition["runs"] > 0'
}
refused() { # functions fields-that-are-null
  run "$N" VGPU_NVML_REFUSES="$1" -- "${S[@]}"
  untold "$2" "refused: $1"
}
all="sm_hz sm_hz_low memory_hz power_w temperature_c held_down"
link="link_gt_per_s link_max_gt_per_s link_width link_max_width"
refused nvmlDeviceGetClockInfo "sm_hz sm_hz_low memory_hz"
refused nvmlDeviceGetPowerUsage power_w
refused nvmlDeviceGetTemperature temperature_c
refused nvmlDeviceGetCurrentClocksThrottleReasons held_down
refused nvmlDeviceGetCurrPcieLinkGeneration,nvmlDeviceGetMaxPcieLinkWidth \
  "link_gt_per_s link_max_width"
refused nvmlDeviceGetHandleByPciBusId_v2 "$all $link"
run "$OLD" -- "${S[@]}"
untold held_down "a library without a function"
run -- "${S[@]}"
untold "$all $link" "no library"
run "$N" VGPU_NVML_REFUSES=nvmlDeviceGetPowerUsage VGPU_NVML_REASONS=0x4 -- "${S[@]}"
expects 0 "held down all the same" 'condition["held_down"] == "power cap" and "held-down" in warned'

run "$N" VGPU_NVML_REASONS=0x40 -- doctor
expects "$code" "doctor: a hot GPU" 'checks["NVML"]["verdict"] == "warn"
  and "heat" in checks["NVML"]["found"]'
run "$N" -- doctor
expects "$code" "doctor: a cool one" 'checks["NVML"]["verdict"] == "ok"'
run "$OLD" -- doctor
expects "$code" "doctor: a library without a function" 'checks["NVML"]["verdict"] == "warn"
  and checks["NVML"]["advice"] and "SM 1980 MHz" in checks["NVML"]["found"]
  and checks["GPU link"]["verdict"] == "ok"'
run "$N" VGPU_NVML_REFUSES=nvmlDeviceGetClockInfo -- doctor
expects "$code" "doctor: clocks that are not told" 'checks["NVML"]["verdict"] == "ok"
  and "SM ?, memory ?, power 300 W, heat 45 C" in checks["NVML"]["found"]'

echo "$n checks of the GPU's condition on the virtual GPU, $failed failed"
[ $failed -eq 0 ]
