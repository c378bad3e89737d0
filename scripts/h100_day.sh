#!/usr/bin/env bash
# h100_day.sh [TARGET...]: everything worth running on a box with an H100, in about ten minutes,
# unattended. A failing part does not stop the others. Leaves results/<date>-<host>/ with one JSON a
# part, all that was printed, a trace, a playback profile, and a report; and one archive to send.
#
#   TARGET   directory on the NVMe drive (default: .)
#   DEVICE   cuda:N (default: cuda)      MODELS   presets (default: llama-3-8b llama-3-70b)
#   BUILD    folder of the build         BUDGET_S seconds for all of it (default: 600)
#   SMALL_MODEL  of the comparison with and without CUDA graphs (default: llama-3.2-1b)
#   PART_BUDGET  --budget of calibrate and of each sweep (default: 60s, FP8 40s)
#   CUDA_LIBDIR  directory of cuBLASLt and cuDNN, as --cuda-libdir
set -u
cd "$(dirname "$0")/.." || exit 1
refill=${REFILL:-${BUILD:-build}/refill}
target=${1:-.} device=${DEVICE:-cuda} budget=${BUDGET_S:-600}
read -ra models <<<"${MODELS:-llama-3-8b llama-3-70b}"
tokens=${TOKENS:-8192} page=${PAGE_TOKENS:-64}
[ -x "$refill" ] || { echo "h100_day: $refill is not built: run make" >&2; exit 1; }
libraries=()
[ -n "${CUDA_LIBDIR:-}" ] && libraries=(--cuda-libdir "$CUDA_LIBDIR")
out=${RESULTS:-results}/$(date +%Y%m%d-%H%M%S)-$(hostname -s 2>/dev/null || echo box)
mkdir -p "$out" || exit 1
begun=$SECONDS failed=()

left() { echo $((budget - (SECONDS - begun))); }

# part NAME SECONDS COMMAND...: runs it for at most so long, and keeps what it says.
part() {
  local name=$1 limit=$2 code started=$SECONDS
  shift 2
  [ "$limit" -gt "$(left)" ] && limit=$(left)
  if [ "$limit" -lt 5 ]; then
    echo "skipped  $name: the time is over" | tee -a "$out/summary.txt"
    return
  fi
  timeout -k 10 -s INT "$limit" "$@" >"$out/$name.txt" 2>&1
  code=$?
  case $code in
  0) echo "pass     $name, $((SECONDS - started)) s" ;;
  77) echo "skipped  $name: $(grep '^refill: ' "$out/$name.txt" | grep -v warning | tail -1)" ;;
  *) echo "FAILED   $name, exit $code: $(grep '^refill: ' "$out/$name.txt" |
    grep -v warning | tail -1)" ;;
  esac | tee -a "$out/summary.txt"
  [ $code -eq 0 ] || [ $code -eq 77 ] || failed+=("$name")
}

refill() { # name seconds command options...
  local name=$1 limit=$2 command=$3
  shift 3
  part "$name" "$limit" "$refill" "$command" --device "$device" "${libraries[@]}" \
    --target "$target" "$@" -o "$out/$name.json"
}

{
  "$refill" --version
  nvidia-smi -q 2>/dev/null || echo "no nvidia-smi"
  nvidia-smi topo -m 2>/dev/null
  lscpu 2>/dev/null
} >"$out/box.txt" 2>&1

refill doctor 30 doctor
refill check 180 verify --all ${CHECK_MODEL:+--model "$CHECK_MODEL"} \
  --tokens "${CHECK_TOKENS:-4096}" --page-tokens "$page"
for model in "${models[@]}"; do
  name=$(basename "$model" .json)
  run=(--model "$model" --page-tokens "$page")
  refill "calibrate-$name" 90 calibrate "${run[@]}" --tokens "$tokens" \
    --budget "${PART_BUDGET:-60s}" --profile "$out/profile-$name.json"
  refill "sweep-$name" 90 sweep "${run[@]}" --tokens "$tokens" --budget "${PART_BUDGET:-60s}" \
    --trace "$out/trace-$name.json"
  refill "sweep-$name-fp8" 60 sweep "${run[@]}" --tokens "$tokens" \
    --budget "${PART_BUDGET:-40s}" --dtype fp8 --kv-dtype fp8
  refill "sweep-$name-builtin" 45 sweep "${run[@]}" --tokens "$tokens" --alpha 0,0.5 --repeat 3 \
    --attention builtin
done
# Graphs should show at few tokens of a small model, and nowhere else (kernels/cuda/graphs.h).
small=${SMALL_MODEL:-llama-3.2-1b}
for when in on off; do
  refill "graphs-$when" 30 sweep --model "$small" --page-tokens "$page" \
    --tokens "${SMALL_TOKENS:-256}" --alpha 0.5,0.75 --repeat 5 --store off --cuda-graphs "$when"
done
if "$refill" report --help >/dev/null 2>&1; then
  shopt -s nullglob
  part report 60 "$refill" report "$out"/sweep-*.json "$out"/calibrate-*.json -o "$out/report.html"
fi
tar -C "$(dirname "$out")" -czf "$out.tar.gz" "$(basename "$out")"
echo "$((SECONDS - begun)) s; send back $out.tar.gz"
[ ${#failed[@]} -eq 0 ] || { echo "failed: ${failed[*]}" >&2; exit 1; }
