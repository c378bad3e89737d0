#!/usr/bin/env bash
# Makes the report's page: template, style, scripts, Chart.js and model/ as WebAssembly in one file.
#
#   scripts/report/build.sh DIRECTORY      leaves DIRECTORY/page.html (and model.wasm)
#
# Called by make; the program embeds the page and fills in results. What this machine lacks (clang
# with wasi-libc and lld; Debian's libjs-chart.js) is left out and told by the page itself, so that
# a box without them still builds Refill. CHARTJS and WASM_CC say where to look instead.
set -euo pipefail
out=$1
here=scripts/report
chart=${CHARTJS-/usr/share/javascript/chart.js/chart.min.js}
clang=${WASM_CC-clang}
libraries=/usr/lib/wasm32-wasi
mkdir -p "$out"

# Functions of model/ that take and return doubles only, called from the page as they are.
exports="ttft_token_acceleration ttft_alpha_star ttft_ideal_s ttft_serial_s ttft_ideal_speedup
  ttft_error planner_input_name planner_input_offset planner_output_name planner_output_offset
  planner_defaults planner_model_name planner_set_model planner_set_measured planner_evaluate
  planner_ttft_drives_s planner_speedup planner_tpot_s planner_usd_per_mtok planner_usd_per_hour
  planner_users_per_gpu planner_turn planner_roof_flops_per_s __heap_base"

make_wasm() {
  local name flags=
  for name in $exports; do flags="$flags -Wl,--export=$name"; done
  # -nostdlib: Debian's clang has no compiler-rt for wasm, and nothing here needs it.
  # shellcheck disable=SC2086 # flags are words
  "$clang" --target=wasm32-wasi -std=c11 -Oz -ffunction-sections -I. -nostdlib -Wl,--no-entry \
    -Wl,--gc-sections -Wl,--strip-all -Wl,-z,stack-size=65536 $flags -o "$out/model.wasm" \
    $here/planner_*.c model/*.c -L"$libraries" -lc -lm
}

if ! make_wasm 2>"$out/wasm.log"; then
  : >"$out/model.wasm"
  echo "  note: no WebAssembly toolchain (clang, lld, wasi-libc): reports lack the planner" >&2
fi
if [ ! -r "$chart" ]; then
  chart=/dev/null
  echo "  note: no Chart.js (libjs-chart.js): reports come with tables in place of charts" >&2
fi

# A line <!--include NAME--> is replaced by the file.
while IFS= read -r line; do
  case $line in
    '<!--include chart.js-->') cat "$chart" ;;
    '<!--include model.wasm-->') base64 "$out/model.wasm" ;;
    '<!--include '*'-->')
      name=${line#'<!--include '}
      cat "$here/${name%-->}"
      ;;
    *) printf '%s\n' "$line" ;;
  esac
done <"$here/report.html" >"$out/page.html.new"
mv "$out/page.html.new" "$out/page.html"
