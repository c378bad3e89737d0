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
  and "landing buffers pinned" in r["rig"]["device"]["description"]
  and r["rig"]["reader"]["unregistered_count"] == r["rig"]["writer"]["unregistered_count"] == 0
  and r["rig"]["window"] == r["rig"]["write_window"] == 1'
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

# A ring that cannot be pinned as a whole is halved until it can be: calls of cuMemHostRegister are
# of the small memory, of 4 landing buffers, of 3 leaving ones. Copies that are slow would be
# overtaken by storage that keeps to the longer ring.
D=(sweep --model tests/shapes/tiny-deep.json --page-tokens 16 --tokens 64 --alpha 0.5 --repeat 1
  --break-even off --window 4 --write-window 3)
ring() { # fail window write-window sentence what
  run VGPU_FAIL=cuMemHostRegister:"$1" VGPU_SLOW_COPIES_US=2000 VGPU_PAGEABLE=0 VGPU_LEAKS=1 \
    -- "${D[@]}"
  expects 0 "$5" 'r["rig"]["window"] == '"$2"' and r["rig"]["write_window"] == '"$3"'
    and "degraded" in warned and any("'"$4"'" in d for d in r["rig"]["device"]["degraded"])
    and "landing buffers pinned" in r["rig"]["device"]["description"]
    and all(p["wrong_bytes"] in (0, None) for p in r["points"])'
}
ring 5:2 2 3 "landing buffers for 2 of 4 layers, more cannot be pinned" "half the ring"
ring 4:2 2 3 "landing buffers for 2 of 4 layers" "half the ring, of which two were registered"
ring 3:2 2 3 "landing buffers for 2 of 4 layers" "half the ring, one of which is tried again"
ring 8:2 4 1 "leaving buffers for 1 of 3 layers" "the least of the other side"
run VGPU_FAIL=cuMemHostRegister:3+:2 -- "${D[@]}"
expects 0 "one landing buffer, and no leaving one" 'r["rig"]["window"] == 1
  and r["rig"]["write_window"] == 3 and r["rig"]["device"]["pinned_bytes"] > 0
  and any("leaving buffers not pinned" in d for d in r["rig"]["device"]["degraded"])
  and any("landing buffers for 1 of 4 layers" in d for d in r["rig"]["device"]["degraded"])'

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
