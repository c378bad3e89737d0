#!/usr/bin/env bash
# untimed
# trace.sh: the timeline that `sweep --trace` leaves of a GPU holds each stage of each layer, in the
# order in which they can only have happened, and states how well device times are known
# (trace.py). Copies and kernels are slow here, so that a wrong order shows.
#
# Needs `make vgpu-build`; BUILD names the folder of the build (default: build).
set -u
. "$(dirname "$0")/lib.sh.inc"

trace() { # what layers environment... -- arguments...
  local what=$1 layers=$2 environment=()
  shift 2
  while [ "$1" != -- ]; do environment+=("$1") && shift; done
  shift
  run "${environment[@]}" -- sweep --page-tokens 16 --alpha 0.5 --repeat 1 --break-even off \
    --window 1 --write-window 1 --trace "$work/trace.json" "$@"
  if [ "$code" -eq 0 ]; then
    python3 tests/vgpu/trace.py "$work/trace.json" "$work/result.json" "$layers" \
      >"$work/out" 2>&1 || code=1
  fi
  expects 0 "$what" True
}

trace "two layers, graphs" 2 VGPU_SLOW_COPIES_US=2000 VGPU_SLOW_KERNELS_US=200 -- \
  --model tests/shapes/tiny.json --tokens 96
trace "five layers, launched one kernel after another" 5 VGPU_SLOW_COPIES_US=1000 -- \
  --model tests/shapes/tiny-deep.json --tokens 64 --cuda-graphs off

# What the judge is worth: a timeline with one thing wrong is refused.
spoil() { # what python-statement over the spans `s` and the trace `t`
  n=$((n + 1))
  python3 - "$work/trace.json" "$work/spoilt.json" "$2" <<'PY'
import json, sys
t = json.load(open(sys.argv[1]))
s = {(e["cat"], int(e["name"].split()[1])): e for e in t["traceEvents"] if e["ph"] == "X"}
exec(sys.argv[3])
json.dump(t, open(sys.argv[2], "w"))
PY
  if python3 tests/vgpu/trace.py "$work/spoilt.json" "$work/result.json" 5 2>"$work/why"; then
    failed=$((failed + 1))
    echo "FAILED  $1: not noticed"
  else
    echo "ok      $1: $(tail -n 1 "$work/why" | cut -c1-90)"
  fi
}
spoil "a copy is missing" 't["traceEvents"].remove(s["H2D", 3])'
spoil "a layer starts before its KV is there" \
  's["H2D", 4]["dur"] = s["compute", 4]["ts"] + 5 - s["H2D", 4]["ts"]'
spoil "KV leaves before it is computed" 's["D2H", 1]["ts"] = s["compute", 1]["ts"]'
spoil "two writes at once" \
  's["write", 3]["dur"] = s["write", 4]["ts"] + 5 - s["write", 3]["ts"]'
spoil "a write after the run" 's["write", 4]["dur"] += 3e6 * t["otherData"]["durable_s"]'
spoil "no error of the clocks" 't["otherData"]["clock_error_s"] = 0'

echo "$n checks of timelines on the virtual GPU, $failed failed"
[ $failed -eq 0 ]
