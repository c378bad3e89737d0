#!/usr/bin/env bash
# Draws a sweep: observed TTFT beside the models over alpha, and the speedup over recompute.
#
#   scripts/plot-sweep.sh SWEEP.csv PICTURE.svg [TITLE]
#
# SWEEP.csv is what `refill sweep --csv` wrote. Needs gnuplot.
set -euo pipefail

[ $# -ge 2 ] || { sed -n '2,6p' "$0" >&2; exit 2; }
csv=$1 picture=$2 title=${3:-"TTFT, observed and modelled"}
command -v gnuplot >/dev/null ||
  { echo "plot-sweep: gnuplot is missing: scripts/setup.sh demo" >&2; exit 77; }

data=$(mktemp) && trap 'rm -f "$data"' EXIT

# The first table's overlapped points, by field name: alpha, TTFT, half width, the models, speedup.
tr -d '\r' <"$csv" | awk -F, '
  NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
  /^$/ { exit }
  $at["policy"] == "recompute" { print 0, $at["first_token_s"], 0, "nan", "nan", "nan", 1 }
  $at["policy"] == "overlap" {
    half_width = $at["first_token_half_width"] + 0 # unknown of a single sample
    print $at["alpha"], $at["first_token_s"], half_width, $at["model_ideal_s"],
          $at["model_pipelined_s"], $at["model_contended_s"], $at["speedup"]
  }' | sort -g >"$data"
[ -s "$data" ] || { echo "plot-sweep: $csv holds no sweep points" >&2; exit 1; }

gnuplot <<GNUPLOT
set terminal svg size 960,420 font "sans-serif,13" background "white"
set output "$picture.part"
set multiplot layout 1,2 title "$title" noenhanced
set grid lc rgb "#dddddd"
set xlabel "alpha: share of the prompt whose KV is stored"
set xrange [0:1]
set yrange [0:*]
set key top right
set ylabel "first token, s"
plot "$data" using 1:2:(\$2*\$3) with yerrorbars pt 7 ps 0.7 lc rgb "#1f4e9c" title "observed", \\
     "$data" using 1:4 with lines dt 2 lw 2 lc rgb "#999999" title "ideal", \\
     "$data" using 1:5 with lines lw 2 lc rgb "#d9822b" title "pipelined", \\
     "$data" using 1:6 with lines dt 3 lw 2 lc rgb "#2e8b57" title "contended"
set key top left
set ylabel "speedup over recompute"
plot "$data" using 1:7 with linespoints pt 7 ps 0.7 lw 2 lc rgb "#1f4e9c" title "observed", \\
     1 with lines lc rgb "#999999" notitle
unset multiplot
GNUPLOT
mv "$picture.part" "$picture"
