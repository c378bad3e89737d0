#!/usr/bin/env bash
# untimed
# slots.sh: a KV cache that holds fewer layers than the model has: layers share slots, KV is checked
# as it lands, and reload equals recompute all the same. The memory is just what the fewest slots
# need; where that is no longer so (all layers fit, or nothing does), the check fails.
#
# Needs `make vgpu-build`; BUILD names the folder of the build (default: build).
set -u
. "$(dirname "$0")/lib.sh.inc"
few_slots=583786824 # bytes: 500 MiB for the context, 8/7 of 49.65 MiB
A=(--model tests/shapes/tiny-deep.json --page-tokens 16 --window 1 --write-window 1)
few() { # environment... -- arguments...
  run VGPU_MEMORY=$few_slots "$@" "${A[@]}"
}
shared='r["rig"]["device"]["kv_resident"] is False and r["rig"]["device"]["kv_slots"] == 2'

for slow in VGPU_SLOW_COPIES_US=3000 VGPU_SLOW_KERNELS_US=500; do
  few $slow -- verify --tokens 65
  expects 0 "verify, ${slow%=*}" "$shared"
done
few -- sweep --tokens 65 --alpha 0.5 --repeat 1 --break-even off
expects 0 "sweep: no page is wrong, and the result says that KV is not resident" \
  "$shared"' and "kv-not-resident" in warned
    and [p["wrong_bytes"] for p in r["points"] if p["policy"] == "overlap"] == [0]'
few -- sweep --tokens 65 --alpha 0.5 --repeat 1 --policy serial --break-even off
says 77 "serial runs need all layers" "needs a KV cache that holds all 5 layers"

echo "$n checks of shared slots on the virtual GPU, $failed failed"
[ $failed -eq 0 ]
