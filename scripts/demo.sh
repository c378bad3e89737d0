#!/usr/bin/env bash
# The main job on this box, unattended: is it fit, then two sweeps of observed TTFT beside the
# models. Called by `make demo`, which has installed and built what it needs.
#
#   [REFILL=build/refill] [TARGET=build/demo-data] [OUTPUT=build/demo] scripts/demo.sh
#
# With a GPU that this build can drive, Llama-3-70B runs on it. Without one, a small model
# (mha-125m) is computed by the processor, and Llama-3-70B is played back at a published H100's
# pace, its KV really written to and read from this disk. Prompts get shorter where the disk is
# small or the processor slow.
set -euo pipefail

cd "$(dirname "$0")/.."
refill=${REFILL:-build/refill}
target=${TARGET:-build/demo-data}
output=${OUTPUT:-build/demo}
mkdir -p "$target" "$output"
rm -f "$output"/{cuda,cpu,h100}{,-trace}.json # an earlier demonstration's
told=$output/.told # what has been told of this box is not told again after each run
: >"$told"

# KV files that were there before are somebody's: only those that this run makes are removed.
shopt -s nullglob
declare -A before=()
for file in "$target"/refill-*.kv; do before[$file]=1; done
clean_up() {
  local file
  rm -f "$told"
  for file in "$target"/refill-*.kv; do
    [ -n "${before[$file]:-}" ] || rm -f "$file"
  done
  rmdir "$target" 2>/dev/null || true
}
trap clean_up EXIT

say() { printf '\n=== %s\n' "$*"; }

# Free space in MiB: stored KV, new KV and as much again to spare.
free_mib=$(df -Pm "$target" | awk 'NR == 2 { print $4 }')
tokens_that_fit() { # bytes of KV per token, wanted tokens
  local wanted=$2
  while [ "$wanted" -gt 512 ] && [ $((3 * wanted * $1 / 1048576)) -gt "$free_mib" ]; do
    wanted=$((wanted / 2))
  done
  if [ $((3 * wanted * $1 / 1048576)) -gt "$free_mib" ]; then
    echo "demo: $target has $free_mib MiB free, $((3 * wanted * $1 / 1048576)) are needed" >&2
    exit 1
  fi
  echo "$wanted"
}

# Fewer tokens where this processor, as busy as it is now, takes too long over a prompt.
RECOMPUTE_S=6
tokens_in_time() { # wanted tokens
  local wanted=$1 pace
  "$refill" sweep --device cpu --model mha-125m --tokens 529 --policy recompute --repeat 2 \
    --engine null --csv "$output/pace.csv" >/dev/null 2>&1 || { echo "$wanted"; return; }
  pace=$(tr -d '\r' <"$output/pace.csv" | awk -F, '
    NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i }
    NR == 2 { printf "%d", 1e9 * $at["first_token_s"] / $at["n_tokens"] }')
  rm -f "$output/pace.csv"
  while [ "$wanted" -gt 512 ] && [ $((wanted * pace / 1000000000)) -ge $RECOMPUTE_S ]; do
    wanted=$((wanted / 2))
  done
  echo "$wanted"
}

sweep() { # name, title, options of sweep...
  local name=$1 title=$2
  shift 2
  say "$title"
  REFILL_TOLD=$told "$refill" sweep "$@" --target "$target" -o "$output/$name.json" \
    --csv "$output/$name.csv" --trace "$output/$name-trace.json" | tee "$output/$name.txt"
  scripts/plot-sweep.sh "$output/$name.csv" "$output/$name.svg" "$title" || true
}

say "Is this box fit to measure?"
REFILL_TOLD=$told "$refill" doctor --target "$target" -o "$output/doctor.json" ||
  say "It is not: see BAD. Measuring anyway."

# 17 new tokens after whole pages: the far end of alpha, where a chat turn begins.
fitting_tokens=$(tokens_that_fit 36864 4096)
played_tokens=$(tokens_that_fit 327680 4096)

# A working GPU computes Llama-3-70B itself; `--device auto` says whether there is one.
if [ -e /dev/nvidia0 ] && "$refill" verify --device cuda --model llama-3-8b --layers 2 \
  --tokens 512 --target "$target" >/dev/null 2>"$output/cuda.txt"; then
  sweep cuda "Llama-3-70B on this GPU, $played_tokens tokens" \
    --device cuda --model llama-3-70b --tokens "$played_tokens" --repeat 5 --budget 120s
else
  cpu_tokens=$(($(tokens_in_time "$fitting_tokens") + 17))
  sweep cpu "mha-125m on this processor, $cpu_tokens tokens" \
    --device cpu --model mha-125m --tokens "$cpu_tokens" --repeat 5 --budget 80s
fi
sweep h100 "Llama-3-70B played back at a published H100's pace, $played_tokens tokens" \
  --device playback:h100-sxm-llama-3-70b --tokens "$played_tokens" --repeat 5 --budget 140s

say "One page of both"
pages=()
for name in cuda cpu h100; do
  [ ! -f "$output/$name.json" ] || pages+=("$output/$name.json")
  [ ! -f "$output/$name-trace.json" ] || pages+=("$output/$name-trace.json")
done
"$refill" report "${pages[@]}" -o "$output/report.html"

say "Left in $output: report.html, results (.json, .csv), pictures (.svg), timelines (-trace.json)"
say "The KV stored in $target on the way is removed; what was there before stays"
