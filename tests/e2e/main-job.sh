#!/usr/bin/env bash
# untimed
# timeout: 240
# The main job on the CPU device and a real file: sweep, verify, calibrate, and what they leave.
set -u
. "$(dirname "$0")/lib.sh.inc"
data=$work/data
mkdir "$data"
small=(--model mha-125m --layers 2 --tokens 273 --target "$data")
pages=(--page-tokens 16)

# sweep: every point computed, read, written and verified; all files left.
expect 0 "$refill" sweep --device cpu "${small[@]}" "${pages[@]}" --repeat 2 --alpha 0.3,0.9 \
  -o "$work/sweep.json" --csv "$work/sweep.csv" --trace "$work/trace.json"
json "$work/sweep.json" 'r["schema"] == "refill/1" and len(points) == 2'
json "$work/sweep.json" 'all(p["wrong_bytes"] == 0 and p["checked_pages"] > 0 for p in points)'
json "$work/sweep.json" 'all(len(p["first_token_s"]["samples"]) == 2 for p in points)'
json "$work/sweep.json" \
  'all(p["n_past"] % 16 == 0 and p["n_past"] + p["n_new"] == 273 for p in points)'
json "$work/sweep.json" 'r["rig"]["layers_run"] == 2 and r["rig"]["layers_model"] == 12'
json "$work/sweep.json" \
  'all(p["durable_s"]["median"] >= p["first_token_s"]["median"] for p in points)'
json "$work/sweep.json" \
  'all(math.isclose(p["compute_s_per_token"] * p["n_new"], m(p, "compute_alone_s"), rel_tol=1e-9)
    for p in points)'
json "$work/sweep.json" 'any(w["name"] == "layers-fewer" for w in r["warnings"])'
json "$work/sweep.json" \
  'r["break_even"]["points"][0]["n_past"] == 16 and len(r["break_even"]["points"]) > 3'
json "$work/sweep.json" 'r["summary"][0]["e"] > 0 and 0 <= r["summary"][0]["alpha_star"] <= 1'
json "$work/trace.json" \
  '{e["cat"] for e in r["traceEvents"] if e["ph"] == "X"} == {"read", "compute", "write"}'
[ "$(head -c 8 "$work/sweep.csv")" = n_tokens ] || fail "the CSV has no header"
[ "$(ls "$data" | wc -l)" = 1 ] || fail "left in the target: $(ls "$data")"

# verify: found again, not written again; equal bit for bit or within tolerance.
expect 0 "$refill" verify --device cpu "${small[@]}" "${pages[@]}" --chunk-tokens 64 --all \
  -o "$work/verify.json"
json "$work/verify.json" 'r["pass"] and len(r["checks"]) >= 4'
json "$work/verify.json" \
  'all(c["wrong_pages"] == 0 and c["checked_pages"] > 0 for c in r["checks"])'
json "$work/verify.json" \
  'any(c["demanded"] == "bit for bit" and c["difference"] == 0 for c in r["checks"])'

# calibrate: both grids, a profile that plays back at the measured pace.
expect 0 "$refill" calibrate --device cpu "${small[@]}" --page-tokens 16,32 --queue-depth 4 \
  --repeat 2 --profile "$work/box.json" -o "$work/calibrate.json"
json "$work/calibrate.json" \
  'len(r["storage"]) >= 2 and all(s["wrong_bytes"] == 0 for s in r["storage"])'
json "$work/calibrate.json" \
  'r["summary"]["compute_s_per_token"] > 0 and r["summary"]["read_s_per_token"] > 0'
json "$work/calibrate.json" 'any(p["part"] == "layer GEMMs" for p in r["parts"])'
expect 0 "$refill" sweep --device "playback:$work/box.json" --tokens 273 --page-tokens 16 \
  --layers 2 \
  --engine null --alpha 0.5 --repeat 1 --model mha-125m --break-even off -o "$work/played.json"
json "$work/played.json" 'r["break_even"]["points"] == [] and "Break-even was not" in r["answer"]'
json "$work/played.json" 'any(w["name"] == "played-back" for w in r["warnings"])'
json "$work/played.json" 'points[0]["wrong_bytes"] is None'

# doctor: the box, and a target that is none.
expect 0 "$refill" doctor --target "$data" -o "$work/doctor.json"
json "$work/doctor.json" '{"engine", "O_DIRECT", "drive"} <= {c["check"] for c in r["checks"]}'
expect 1 "$refill" doctor --target "$work/missing"
says BAD
finish
