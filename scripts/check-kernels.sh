#!/usr/bin/env bash
# Registers, spills, shared memory and occupancy of each kernel, as ptxas reports them, against
# kernels/cuda/kernels.table. `check-kernels.sh DIR` reads DIR/*.cubin.log (make cuda-plugin leaves
# them in BUILD/cuda); `check-kernels.sh --update DIR` rewrites the table.
#
# Why: ptxas accepts 80 KB of static shared memory for sm_90a and any number of registers; the
# launch on the GPU then fails. And a change that costs a kernel its occupancy should be seen in
# review.
# Rules beside equality with the table: no spills, no stack, at most 48 KiB of static shared memory,
# at most 227 KiB in all, at least one block an SM; every module's image for every target is there,
# and PTX is labelled with an ISA version that drivers of CUDA 12.0 take (8.0).
set -u
update=
[ "${1:-}" = --update ] && { update=1; shift; }
logs=${1:?check-kernels: name the folder of the .cubin.log files}
here=$(cd "$(dirname "$0")/.." && pwd)
header=$here/kernels/cuda/kernels.h
table=$here/kernels/cuda/kernels.table

if ! ls "$logs"/*.cubin.log >/dev/null 2>&1; then
  echo "check-kernels: SKIPPED: no ptxas logs in $logs (no nvcc here?)" >&2
  exit 77
fi

# "kernel threads dynamic-bytes" of every kernel in KERNEL_TABLE, by the preprocessor.
launches() {
  printf '#include "%s"\n#define LINE(n, m, a, t, s) n t (s)\n%s\n' "$header" \
    'KERNEL_TABLE(LINE)' | "${CC:-cc}" -E -P -xc - | grep -oE 'refill_[a-z0-9_]+ [^r]+' |
    while read -r name threads expression; do
      echo "$name $threads $((expression))"
    done
}

# "target kernel registers static-bytes stack spills" of every log.
measured() {
  local log target
  for log in "$logs"/*.cubin.log; do
    target=$(sed -E 's/.*\.(sm_[0-9a-z]+)\.cubin\.log/\1/' <<<"$log")
    awk -v TARGET="$target" '
      /Function properties for/ { name = $NF }
      /bytes stack frame/ { stack = $1; spills = $5 + $9 }
      /Used [0-9]+ registers/ {
        match($0, /Used [0-9]+/); registers = substr($0, RSTART + 5, RLENGTH - 5)
        shared = 0
        if (match($0, /[0-9]+ bytes smem/)) shared = substr($0, RSTART, RLENGTH) + 0
        print TARGET, name, registers, shared, stack, spills
      }' "$log"
  done
}

# What is wrong with the images of each module of MODULE_TABLE.
images() {
  local module form file version target
  for module in $(printf '#include "%s"\n#define LINE(m) m\nMODULE_TABLE(LINE)\n' "$header" |
      "${CC:-cc}" -E -P -xc - | tail -n 1); do
    for form in sm_90a.cubin sm_80.cubin compute_90a.ptx compute_80.ptx; do
      file=$logs/$module.$form
      [ -s "$file" ] || { echo "error $module: no image $form" && continue; }
      [ "${form##*.}" = ptx ] || continue
      target=${form#compute_}
      grep -q "^\.target sm_${target%.ptx}\b" "$file" ||
        echo "error $module: $form is of another target"
      version=$(sed -n 's/^\.version //p' "$file" | head -n 1)
      [ "${version/./}" -le 80 ] ||
        echo "error $module: $form is of ISA $version, which drivers of CUDA 12.0 refuse"
    done
  done
}

# Joins both and adds blocks an SM: registers come in units of 256 a warp from 65536; shared memory
# is 233472 bytes an SM on 9.0 and 167936 on 8.0, 1024 of them taken a block; 2048 threads, 32
# blocks.
report() {
  awk 'NR == FNR { threads[$1] = $2; dynamic[$1] = $3; next }
    {
      target = $1; name = $2
      if (!(name in threads)) { print "error", name, "is not in KERNEL_TABLE"; next }
      seen[target, name] = 1
      if (!(target in targets)) targets[target] = 1
      warps = threads[name] / 32
      per_warp = int(($3 * 32 + 255) / 256) * 256
      blocks = int(int(65536 / per_warp / 4) * 4 / warps)
      all = $4 + dynamic[name]
      sm = target ~ /^sm_9/ ? 233472 : 167936
      if (int(sm / (all + 1024)) < blocks) blocks = int(sm / (all + 1024))
      if (int(2048 / threads[name]) < blocks) blocks = int(2048 / threads[name])
      if (blocks > 32) blocks = 32
      if ($5 > 0 || $6 > 0) print "error", name, target ": stack", $5, "spills", $6
      if ($4 > 49152) print "error", name, target ": static shared memory of", $4
      if (all > sm - 1024) print "error", name, target ": shared memory of", all
      if (blocks < 1) print "error", name, target ": not one block fits an SM"
      print "row", target, name, threads[name], $3, $4, dynamic[name], blocks
    }
    END {
      for (target in targets) for (name in threads) if (!((target, name) in seen))
        print "error", name, target ": no image has it"
    }' <(launches) <(measured)
}

status=0
result=$(report; images)
if grep '^error' <<<"$result"; then status=1; fi
rows=$(
  echo "# target kernel threads registers static_bytes dynamic_bytes blocks_per_sm"
  grep '^row' <<<"$result" | cut -d' ' -f2- | LC_ALL=C sort
)
if [ -n "$update" ]; then
  echo "$rows" >"$table"
elif ! diff -u "$table" - <<<"$rows"; then
  echo "check-kernels: kernels changed; if that is meant: scripts/check-kernels.sh --update $logs"
  status=1
fi
exit $status
