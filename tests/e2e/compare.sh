#!/usr/bin/env bash
# timeout: 240
# `refill compare`: two emulated drives, one half as fast; the same drive twice; and refusals.
set -u
. "$(dirname "$0")/lib.sh.inc"

# run NAME READ [MORE...]: a sweep on an emulated drive, bound by reading.
run() {
  local name=$1 read=$2
  shift 2
  expect 0 "$refill" sweep --device playback:h100-sxm-llama-3-70b --layers 8 --tokens 2048 \
    --engine "null:read=$read,write=20GB/s" --repeat 7 --break-even off -o "$work/$name.json" \
    "${@:---alpha=0.9}"
}
run fast 4GB/s
run slow 2GB/s
# How long either took depends on what else runs here, so that the times of others are made from
# the fast one's: twice as long where it reads, the same where it only computes; and again the same,
# each within a percent.
python3 - "$work" <<'PY'
import json, sys
fast, slow, again = (json.load(open(f"{sys.argv[1]}/{name}.json"))
                     for name in ("fast", "slow", "fast"))
slow["points"] = json.loads(json.dumps(fast["points"]))

def stretch(point, factor):
    for value in point.values():
        if isinstance(value, dict) and "samples" in value:
            value["samples"] = [s * factor(i) for i, s in enumerate(value["samples"])]

for point in slow["points"]:
    stretch(point, lambda i: 1 if point["policy"] == "recompute" else 2)
for point in again["points"]:
    stretch(point, lambda i: 1 + (i % 3 - 1) / 100)
for name, result in ("slow", slow), ("again", again):
    json.dump(result, open(f"{sys.argv[1]}/{name}.json", "w"))
PY

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

# Two results of storage: rows by target, page and depth; what is slower; what has no match.
storage() {
  local name=$1
  shift
  expect 0 "$refill" storage --target "$work" --working-set 4MiB --time 5ms --repeat 5 \
    --queue-depth 4 -o "$work/$name.json" "$@"
}
storage drive --page-size 64Ki,128Ki
storage other --page-size 128Ki,256Ki
# What this drive reads in a pass depends on who else uses it: its rates are made even, and those of
# a slower one from them.
python3 - "$work" <<'PY'
import json, sys
drive = json.load(open(sys.argv[1] + "/drive.json"))
for name, slower in ("drive", 1), ("slower", 20):
    for row in drive["rows"]:
        if row["rw"] == "read":
            rate = row["read_bytes_per_s"]
            rate["samples"] = [(1e9 + 1e7 * i) / slower for i in range(len(rate["samples"]))]
    json.dump(drive, open(f"{sys.argv[1]}/{name}.json", "w"))
PY
expect 1 "$refill" compare "$work/drive.json" "$work/slower.json" --fail-if slower:100%
says 'read_bytes_per_s is slower at rw read, page_bytes'
expect 0 "$refill" compare "$work/drive.json" "$work/slower.json" -o "$work/compare.json"
json "$work/compare.json" 'any(x["array"] == "summary" and x["field"] == "read_s_per_token"
  and x["key"] == "target 0" and x["verdict"] == "slower" for x in r["rows"])'
json "$work/compare.json" 'any(x["field"] == "page_latency_p99_s" and x["verdict"] == "not tested"
  for x in r["rows"])'
expect 0 "$refill" compare "$work/drive.json" "$work/other.json" -o "$work/compare.json"
json "$work/compare.json" 'r["matched"] == 2 and r["only_a"] == 2 and r["only_b"] == 2'
json "$work/compare.json" 'any("page_bytes 262144" in x["key"] and x["of"] == "b"
  for x in r["left_out"])'
grep -q 'without a match: 2 rows of A, 2 of B' "$work/out" || fail "left out, and not told"
storage apart --page-size 256Ki
expect 2 "$refill" compare "$work/drive.json" "$work/apart.json"
says 'no row in common'

# Points whose alpha is a page apart are the same point; others are named.
run near 4GB/s --alpha 0.87,0.5
expect 0 "$refill" compare "$work/fast.json" "$work/near.json" -o "$work/compare.json"
json "$work/compare.json" 'any("(B: 0.8" in x["key"] for x in r["rows"])'
json "$work/compare.json" 'any(x["of"] == "b" and "alpha 0.5" in x["key"] for x in r["left_out"])'

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
