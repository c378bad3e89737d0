#!/usr/bin/env bash
# timeout: 120
# `refill compare`: two emulated drives, one half as fast; the same drive twice; and refusals.
set -u
. "$(dirname "$0")/lib.sh.inc"

# run NAME READ [MORE...]: a sweep on an emulated drive, bound by reading.
run() {
  local name=$1 read=$2
  shift 2
  expect 0 "$refill" sweep --device playback:h100-sxm-llama-3-70b --layers 8 --tokens 2048 \
    --alpha 0.9 --engine "null:read=$read,write=20GB/s" --repeat 7 -o "$work/$name.json" "$@"
}
run fast 4GB/s
run again 4GB/s
run slow 2GB/s

expect 0 "$refill" compare "$work/fast.json" "$work/slow.json" -o "$work/compare.json" \
  --csv "$work/compare.csv" --jsonl "$work/compare.jsonl"
grep -q 'slower' "$work/out" || fail "half the bandwidth is not called slower"
json "$work/compare.json" 'any(x["field"] == "first_token_s" and x["verdict"] == "slower"
  and 0.7 < x["change"] < 1.3 for x in r["rows"])'
json "$work/compare.json" 'any(d["field"] == "config.engine" for d in r["differences"])'
json "$work/compare.json" 'not any(x["verdict"] == "slower" and "recompute" in x["key"]
  and abs(x["change"]) > 0.2 for x in r["rows"])'
[ "$(head -c 11 "$work/compare.csv")" = array_name, ] || fail "CSV: $(head -1 "$work/compare.csv")"

expect 1 "$refill" compare "$work/fast.json" "$work/slow.json" --fail-if slower:5%
says '--fail-if slower:5%: first_token_s is slower'
expect 0 "$refill" compare "$work/slow.json" "$work/fast.json" --fail-if slower:5%
expect 1 "$refill" compare "$work/slow.json" "$work/fast.json" --fail-if faster:5%
expect 0 "$refill" compare "$work/fast.json" "$work/again.json" --fail-if slower:25%
expect 0 "$refill" compare "$work/fast.json" "$work/fast.json" --fail-if slower:0%,faster:0%
expect 1 "$refill" compare "$work/fast.json" "$work/slow.json" --fail-if read_alone_s:20%
expect 2 "$refill" compare "$work/fast.json" "$work/slow.json" --fail-if nonsense:20%
says nonsense

# What cannot be compared, by name.
expect 0 "$refill" sweep --device playback:h100-sxm-llama-3-70b --layers 4 --tokens 2048 \
  --alpha 0.9 --engine null:read=4GB/s,write=20GB/s --repeat 5 -o "$work/layers.json"
expect 2 "$refill" compare "$work/fast.json" "$work/layers.json"
says 'rig.layers_run'
expect 0 "$refill" sweep --device playback:h100-sxm-llama-3-70b --layers 8 --tokens 1024 \
  --alpha 0.9 --engine null:read=4GB/s,write=20GB/s --repeat 5 -o "$work/tokens.json"
expect 2 "$refill" compare "$work/fast.json" "$work/tokens.json"
says n_tokens
expect 0 "$refill" plan -o "$work/plan.json"
expect 2 "$refill" compare "$work/fast.json" "$work/plan.json"
says command
expect 2 "$refill" compare "$work/plan.json" "$work/plan.json"
says 'without rows of samples'
sed 's|refill/1|refill/2|' "$work/fast.json" >"$work/later.json"
expect 2 "$refill" compare "$work/fast.json" "$work/later.json"
says 'schema refill/2'
sed 's|"median": [0-9.e-]*|"median": NaN|' "$work/fast.json" >"$work/nan.json"
expect 2 "$refill" compare "$work/nan.json" "$work/fast.json"
says 'not JSON'
expect 2 "$refill" compare "$work/fast.json" "$work/missing.json"
says missing.json
finish
