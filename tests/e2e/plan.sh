#!/usr/bin/env bash
# `refill plan`: the published numbers, measured ones, ranges, files, and how long it takes.
set -u
. "$(dirname "$0")/lib.sh.inc"
near() { json "$1" "abs($2 / ($3) - 1) < ${4:-1e-9}"; }

# The cost model's defaults, as published.
expect 0 "$refill" plan -o "$work/plan.json" --csv "$work/plan.csv" --jsonl "$work/plan.jsonl"
grep -q 'KV offload answers in 749 ms' "$work/out" || fail "no answer: $(tail -1 "$work/out")"
near "$work/plan.json" 'r["ttft_offload_s"]' 41943040000/56e9
json "$work/plan.json" '[r["gpus_offload"], r["gpus_cp"]] == [8, 32]'
json "$work/plan.json" '[r["servers_offload"], r["servers_cp"]] == [1, 4]'
json "$work/plan.json" 'r["cost_offload_usd_per_hour"] == 28 and r["cost_cp_usd_per_hour"] == 112'
json "$work/plan.json" 'r["overflow_requests"] == 381 and r["kv_bytes_per_token"] == 327680'
json "$work/plan.json" 'r["sensitivity"]["ttft_offload_s"][0]["elasticity"] != 0'
json "$work/plan.json" 'r["intervals"] is None and r["source"] is None'
[ "$(head -c 20 "$work/plan.csv")" = section,output_name, ] ||
  fail "CSV: $(head -1 "$work/plan.csv")"
python3 -c 'import json, sys; print(json.loads(open(sys.argv[1]).readline())["gpus_cp"])' \
  "$work/plan.jsonl" | grep -q '^32' || fail "JSON lines: $(head -c 300 "$work/plan.jsonl")"

# Options reach the models.
expect 0 "$refill" plan --concurrency 400 --nvme-bw 14GB/s --ext-bw 20GB/s --ext-cost 0.5 --json
cp "$work/out" "$work/typed.json"
json "$work/typed.json" 'r["external"] and abs(r["ttft_offload_s"] - 41943040000/20e9) < 1e-9'
expect 0 "$refill" plan --model llama-3-70b --kv-dtype fp8 --dtype fp8 --json
cp "$work/out" "$work/typed.json"
json "$work/typed.json" 'r["kv_bytes_per_token"] == 163840'
json "$work/typed.json" 'r["inputs"]["weights"] == 70553706496'
expect 0 "$refill" plan --turns 15 --prompt 2200 --output 170 --json
cp "$work/out" "$work/typed.json"
json "$work/typed.json" 'r["turns_recompute_tokens"] == sum(2370 * k - 170 for k in range(1, 16))'
json "$work/typed.json" 'len(r["turn_points"]) == 15 and r["turn_points"][0]["alpha"] == 0'
expect 0 "$refill" plan --show all --json
cp "$work/out" "$work/all.json"
json "$work/all.json" 'all(k in r for k in ("expected_tpot_s", "step_s", "max_sequences",
  "wear_years", "gates"))'
expect 0 "$refill" plan --show inputs
grep -q '^hbm-bw' "$work/out" || fail "--show inputs lists no hbm-bw"

# Ranges: as many values as asked for, the formula at each.
expect 0 "$refill" plan --vary nvme-bw=1..56GB/s:12 --vary concurrency=1..400 --json
cp "$work/out" "$work/vary.json"
json "$work/vary.json" 'len([v for v in r["vary"] if v["input"] == "nvme-bw"]) == 12'
json "$work/vary.json" 'all(abs(v["ttft_offload_s"] * v["input_value"] / 41943040000 - 1) < 1e-9
  for v in r["vary"] if v["input"] == "nvme-bw")'

# Measured numbers: a played-back sweep of some layers, extrapolated to all of them.
expect 0 "$refill" sweep --device playback:h100-sxm-llama-3-70b \
  --engine null:read=14GB/s,write=6GB/s --tokens 2048 --layers 8 --alpha 0.3,0.6,0.9 --repeat 5 \
  -o "$work/sweep.json"
expect 0 "$refill" plan --from "$work/sweep.json" --show cost,ttft -o "$work/from.json"
says 'played back'
near "$work/from.json" 'r["compute_s_per_token"]' \
  '10 * json.load(open("'"$work"'/sweep.json"))["summary"][0]["compute_s_per_token"]'
near "$work/from.json" 'r["read_s_per_token"]' \
  '10 * json.load(open("'"$work"'/sweep.json"))["summary"][0]["read_s_per_token"]'
json "$work/from.json" 'all(v["ci_low"] <= v["median"] <= v["ci_high"]
  for v in r["intervals"].values() if None not in v.values())'
json "$work/from.json" 'r["source"]["layers_run"] == 8 and r["source"]["layers_model"] == 80'
expect 0 "$refill" plan --from "$work/sweep.json" --nvme-bw 7GB/s --json
cp "$work/out" "$work/typed.json"
near "$work/typed.json" 'r["read_s_per_token"]' 327680/7e9

# Refused: a plan holds no T and R, nor does a file of something else.
expect 2 "$refill" plan --from "$work/plan.json"
says 'a result of plan'
expect 2 "$refill" plan --from "$work/plan.csv"
says 'not JSON'
expect 2 "$refill" plan --from "$work/missing.json"
says 'No such file'
sed 's|refill/1|refill/9|' "$work/sweep.json" >"$work/later.json"
expect 2 "$refill" plan --from "$work/later.json"
says 'refill/9'
expect 2 "$refill" plan --from "$work/sweep.json" --model llama-3-8b
says '--model llama-3-8b'

# Under 10 ms of processor time, or on a slow box thrice what the program takes to start: the least
# of 20, since the box is shared. A sanitizer's build is slower.
"$refill" --version | grep -qi sanitizer || python3 - "$refill" <<'PY' || fail "refill plan is slow"
import os, subprocess, sys, time
def run(what):
    started = time.monotonic()
    process = subprocess.Popen([sys.argv[1], what], stdout=subprocess.DEVNULL)
    usage = os.wait4(process.pid, 0)[2]
    process.returncode = 0
    return usage.ru_utime + usage.ru_stime, time.monotonic() - started
def least(what):
    return [1e3 * min(column) for column in zip(*(run(what) for _ in range(20)))]
start, plan = least("--version"), least("plan")
print("plan: %.1f ms of processor time, %.1f to start, %.1f in all" % (plan[0], start[0], plan[1]))
sys.exit(plan[0] >= max(10, 3 * start[0]))
PY
finish
