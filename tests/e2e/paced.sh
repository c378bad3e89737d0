#!/usr/bin/env bash
# timeout: 600
# Pipeline and models apart from a drive's moods: a paced drive and a played-back device, where
# read, compute and write bind in turn. The observed first token must lie at the largest stage
# total, and the pipelined model must say so. Such runs mostly wait: two go beside each other. A
# busy box can spoil a run: what failed is tried again, up to six times, alone.
set -u
. "$(dirname "$0")/lib.sh.inc"

# once NAME READ WRITE ALPHA REGIME: one try, in a directory and a shell of its own; what it told is
# in $work/NAME/told.
once() (
  name=$1 read=$2 write=$3 alpha=$4 regime=$5
  work=$work/$name failures=0
  mkdir -p "$work"
  {
    expect 0 "$refill" sweep --device playback:h100-sxm-llama-3-70b --tokens 2048 \
      --engine "null:read=$read,write=$write" --alpha "$alpha" --repeat 7 --break-even off \
      -o "$work/$name.json" && {
      judge "$work/$name.json" "$regime"
      figures "$work/$name.json"
    }
  } >"$work/told"
  [ "$failures" = 0 ]
)

# judge FILE REGIME: the first token came within 4% of the largest total where that exceeds the
# others 1.5-fold, 8% at balance, and within 3% of the pipelined model. What others take from a busy
# box only adds: of the groups the least disturbed is judged.
judge() {
  python3 - "$1" "$2" 2>&1 <<'PY' || fail "$(basename "$1"): first token, or model, too far off"
import json, sys
point = next(p for p in json.load(open(sys.argv[1]))["points"] if p["policy"] == "overlap")
totals = sorted(point[stage + "_alone_s"]["median"] for stage in ("read", "compute", "write"))
off = min(point["first_token_s"]["samples"]) / totals[2] - 1
error = min(map(abs, point["error_pipelined"]["samples"]))
print("  of all groups: first token off by %.4f, pipelined model by %.4f" % (off, error))
assert point["regime"] == sys.argv[2], point["regime"]
assert abs(off) < (0.04 if totals[2] > 1.5 * totals[1] else 0.08)
assert error < 0.03
PY
}

# What was judged, for whoever reads of a failure.
figures() { # FILE
  python3 - "$1" <<'PY'
import json, sys
for p in json.load(open(sys.argv[1]))["points"]:
    if p["policy"] == "overlap":
        names = ("first_token_s", "read_alone_s", "compute_alone_s", "write_alone_s",
                 "error_pipelined", "error_contended", "error_own_intervals", "durable_s")
        print("  alpha %.4f:" % p["alpha"], p["regime"],
              *("%s %.4f" % (n, p[n]["median"]) for n in names))
PY
}

# again NAME READ WRITE ALPHA REGIME: after a first try that failed.
again() {
  local try
  for try in 2 3 4 5 6 7; do
    cat "$work/$1/told"
    echo "$1: once more, alone"
    once "$@" && return
  done
  cat "$work/$1/told"
  fail "$1, $try times"
}

# both CASE CASE: as words of once().
both() {
  local one two one_failed=
  read -ra one <<<"$1"
  read -ra two <<<"$2"
  once "${one[@]}" &
  once "${two[@]}"
  local two_failed=$?
  wait $! || one_failed=1
  [ -z "$one_failed" ] || again "${one[@]}"
  [ "$two_failed" = 0 ] || again "${two[@]}"
  cat "$work/${one[0]}/told" "$work/${two[0]}/told"
}

both "compute 20GB/s 20GB/s 0.4 compute" "read 2GB/s 20GB/s 0.9 read"
both "write 20GB/s 1GB/s 0.4 write" "balance 3GB/s 20GB/s 0.66 read"

# The CPU device, really computing: the recurrence fed with the run's own intervals leaves only the
# harness (5%), and the contended model is within 8%, medians over groups and points.
for try in 1 2 3 4 5 6; do
  before=$failures
  expect 0 "$refill" sweep --device cpu --model mha-125m --tokens 1041 --repeat 3 \
    --engine null:read=150MB/s,write=150MB/s --alpha 0.3,0.86,0.9837 --break-even off \
    -o "$work/cpu.json"
  {
    json "$work/cpu.json" 'all(abs(m(p, "error_own_intervals")) < 0.05 for p in points)'
    json "$work/cpu.json" 'sorted(abs(m(p, "error_contended")) for p in points)[1] < 0.08'
    figures "$work/cpu.json"
  } >"$work/told"
  cat "$work/told"
  [ "$failures" = "$before" ] && break
  [ "$try" = 6 ] || failures=$before
done

# The harness itself: 80 layers, 8,192 tokens, nothing to wait for: under 5 ms in all.
for try in 1 2 3 4 5 6 7 8 9 10; do
  before=$failures
  expect 0 "$refill" sweep --device playback:zero --model llama-3-70b --engine null --tokens 8192 \
    --alpha 0.5 --repeat 9 --break-even off -o "$work/harness.json"
  {
    json "$work/harness.json" 'm(points[0], "durable_s") < 0.005'
    figures "$work/harness.json"
  } >"$work/told"
  cat "$work/told"
  [ "$failures" = "$before" ] && break
  [ "$try" = 10 ] || failures=$before
done
finish
