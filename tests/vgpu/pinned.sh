#!/usr/bin/env bash
# untimed
# pinned.sh: the memory that pages travel through is registered with io_uring, then with CUDA, and
# given back in reverse (the virtual driver looks); what of it was obtained is told, and so is what
# was not. And a fault while the device opens: its own words and exit code, and nothing hides it.
#
# Needs `make vgpu-build`; BUILD names the folder of the build (default: build).
set -u
. "$(dirname "$0")/lib.sh.inc"
shape=(--model tests/shapes/tiny.json --page-tokens 16)
S=(sweep "${shape[@]}" --tokens 64 --alpha 0.5 --repeat 1 --break-even off --window 1
  --write-window 1)

run VGPU_PAGEABLE=0 VGPU_LEAKS=1 -- "${S[@]}"
expects 0 "pinned, and told" 'r["rig"]["device"]["pinned_s"] > 0
  and r["rig"]["device"]["pinned_bytes"] > 2 * 32768 and not r["rig"]["device"]["degraded"]
  and "landing buffers pinned" in r["rig"]["device"]["description"]'
n=$((n + 1))
if grep '^vgpu:' "$work/out"; then
  failed=$((failed + 1))
  echo "FAILED  registered by io_uring first, given back by CUDA first"
fi
if ! grep -q '"description": "io_uring.*buffers registered' "$work/result.json"; then
  echo "SKIPPED the order of registering: io_uring registers no buffers here"
fi

not_pinned() { # sentence what
  expects 0 "$2" 'r["rig"]["device"]["pinned_bytes"] '"${3:-== 0}"'
    and "degraded" in warned and any("'"$1"'" in d for d in r["rig"]["device"]["degraded"])'
}
run VGPU_FAIL=cuPointerGetAttribute:1+:1 -- "${S[@]}"
not_pinned "not pinned, copies at about half the rate: cuPointerGetAttribute" \
  "memory that CUDA does not take for pinned"
# The small memory's two ends come first, then the landing buffer's.
run VGPU_FAIL=cuPointerGetAttribute:4:1 -- "${S[@]}"
not_pinned "landing buffers not pinned" "one end of one piece" "> 0"
run VGPU_FAIL=cuMemHostRegister:3:2 -- "${S[@]}"
not_pinned "leaving buffers not pinned" "the leaving buffers alone" "> 0"
if (ulimit -l 16) 2>/dev/null; then
  before=$failed n=$((n + 1))
  (
    ulimit -l 16
    run VGPU_FAIL=cuMemHostRegister:1+:2 -- "${S[@]}"
    not_pinned "ulimit -l is 16, this takes" "a small limit on locked memory"
    [ "$failed" -eq "$before" ]
  ) || failed=$((failed + 1))
fi

# The first copy to the host is the trial's of what may be given up; after a fault nothing may.
fault=VGPU_FAIL=cuMemcpyDtoHAsync:1:700
run $fault -- "${S[@]}" --dtype fp8
says 1 "a fault in the trial of FP8" "trying FP8 GEMMs .--dtype bf16 does without.*ILLEGAL_ADDRESS"
run $fault -- "${S[@]}"
says 1 "a fault in the trial of cuDNN" "trying cuDNN's.*builtin does without.*ILLEGAL_ADDRESS"
run VGPU_FAIL=cuMemcpyDtoHAsync:1:1 -- "${S[@]}"
expects 0 "an error that is none: builtin goes on" \
  'any("not cuDNN" in d for d in r["rig"]["device"]["degraded"])'
run VGPU_FAIL=cuModuleLoadDataEx:1:700 -- "${S[@]}"
says 1 "a fault at the first module" "ILLEGAL_ADDRESS .700."
run VGPU_FAIL=cuMemHostRegister:2:719 -- "${S[@]}"
says 1 "a fault while memory is registered" "LAUNCH_FAILED .719.; .*cuMemHostRegister.[0-9]* byt"
for step in layer layer-fp8; do
  run $fault -- verify --step $step
  says 1 "a fault in the step $step" "ILLEGAL_ADDRESS"
done

echo "$n checks of pinned memory and of faults on the virtual GPU, $failed failed"
[ $failed -eq 0 ]
