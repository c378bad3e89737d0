#!/usr/bin/env bash
# untimed
# link.sh: the GPU's PCIe link. Copies are held against what it carries, a lesser one warns; NVML
# tells it, else sysfs, and one that neither tells costs nothing but that knowledge.
#
# Needs `make vgpu-build`; BUILD names the folder of the build (default: build).
set -u
. "$(dirname "$0")/lib.sh.inc"
shape=(--model tests/shapes/tiny.json --page-tokens 16)
S=(sweep "${shape[@]}" --tokens 33 --alpha 0 --repeat 1 --break-even off)
N=LD_LIBRARY_PATH=$build/vgpu/lib:$build/vgpu/nvml

run "$N" -- calibrate "${shape[@]}" --tokens 16 --queue-depth 1 --repeat 1
expects 0 "calibrate: shares of the link, of copies alone" '"gpu-link" not in warned
  and {p["part"] for p in r["parts"] if p["of_link"]} == {"H2D", "D2H", "H2D and D2H at once",
    "H2D, storage read beside", "D2H, storage read beside", "both ways, storage read beside"}
  and all(abs(p["of_link"] * 63.015e9 * p["seconds"] / p["bytes"] - 1) < 1e-3
    for p in r["parts"] if p["part"] == "H2D")
  and condition["link_gt_per_s"] == 32 and condition["link_width"] == 16'
n=$((n + 1))
if ! grep -q "of link" "$work/out" || ! grep -q "^refill: .* pinned for copies" "$work/out"; then
  failed=$((failed + 1))
  echo "FAILED  the table has the share, and what was pinned is said"
fi
run "$N" VGPU_NVML_LINK_WIDTH=8 -- "${S[@]}"
expects 0 "a narrow link" '"gpu-link" in warned and condition["link_width"] == 8
  and any("32.0 GT/s x8 of 32.0 GT/s x16" in w["text"] for w in r["warnings"])'
run "$N" VGPU_NVML_LINK_GENERATION=3 -- "${S[@]}"
expects 0 "a slow link" '"gpu-link" in warned and condition["link_gt_per_s"] == 8
  and condition["link_max_gt_per_s"] == 32'
run "$N" VGPU_NVML_REFUSES=nvmlDeviceGetCurrPcieLinkWidth -- "${S[@]}"
expects 0 "a link that is not told" '"gpu-link" not in warned and condition["link_width"] is None
  and condition["sm_hz"] > 0'

# Without NVML, over a /sys/bus/pci/devices of our own, which only this program sees.
pci=$work/pci/0000:1b:00.0
mkdir -p "$pci"
echo 0x10de >"$pci/vendor"
echo 0x030200 >"$pci/class"
echo "16.0 GT/s PCIe" >"$pci/current_link_speed"
echo "32.0 GT/s PCIe" >"$pci/max_link_speed"
echo 8 >"$pci/current_link_width"
echo 16 >"$pci/max_link_width"
with_pci() { # environment... -- arguments...
  run PCI="$work/pci" "$@"
}
refill=$build/refill
if unshare -rm mount --bind "$work/pci" /sys/bus/pci/devices 2>/dev/null; then
  program=(unshare -rm sh -c 'mount --bind "$PCI" /sys/bus/pci/devices && exec "$@"' sh "$refill")
  with_pci -- calibrate "${shape[@]}" --tokens 16 --queue-depth 1 --repeat 1
  expects 0 "without NVML: shares of the link that sysfs tells" 'condition["link_gt_per_s"] == 16
    and condition["link_max_gt_per_s"] == 32 and condition["link_width"] == 8
    and condition["sm_hz"] is None and "gpu-link" in warned
    and all(abs(p["of_link"] * 15.754e9 * p["seconds"] / p["bytes"] - 1) < 1e-3
      for p in r["parts"] if p["part"] == "H2D")
    and sum(p["of_link"] is not None for p in r["parts"]) == 6'
  with_pci "$N" VGPU_NVML_REFUSES=nvmlDeviceGetCurrPcieLinkWidth -- "${S[@]}"
  expects 0 "what NVML refuses of it, and only that" 'condition["link_gt_per_s"] == 32
    and condition["link_width"] == 8 and condition["link_max_width"] == 16'
  with_pci -- doctor
  expects "$code" "doctor: a link without NVML" 'checks["GPU link"]["verdict"] == "warn"
    and "16.0 GT/s x8 of 32.0 GT/s x16" in checks["GPU link"]["found"]'
  program=()
else
  echo "SKIPPED a link by sysfs: no mount of our own here"
fi
run -- doctor
expects "$code" "doctor: a link that nobody tells" 'checks["GPU link"]["verdict"] == "ok"
  and "neither" in checks["GPU link"]["found"]'

run "$N" -- doctor
expects "$code" "doctor: link and pinning" 'checks["GPU link"]["verdict"] == "ok"
  and "32.0 GT/s x16" in checks["GPU link"]["found"] and checks["pinned memory"]["verdict"] == "ok"
  and "s a GiB" in checks["pinned memory"]["found"]'
run "$N" VGPU_NVML_LINK_GENERATION=4 VGPU_FAIL=cuMemHostRegister:1:2 -- doctor
expects "$code" "doctor: a slow link, and memory that cannot be pinned" '
  checks["GPU link"]["verdict"] == "warn" and checks["GPU link"]["advice"]
  and checks["pinned memory"]["verdict"] == "warn"
  and "ulimit" in checks["pinned memory"]["advice"]'

echo "$n checks of the GPU's link on the virtual GPU, $failed failed"
[ $failed -eq 0 ]
