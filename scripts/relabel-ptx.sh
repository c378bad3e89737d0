#!/usr/bin/env bash
# relabel-ptx.sh PTXAS IN OUT: writes IN with the lowest PTX ISA version that ptxas accepts for it.
#
# nvcc labels its PTX with the version of its own release (9.0 for CUDA 13), and a driver refuses
# versions newer than itself, even where no instruction needs them. The fallback image must load on
# every driver from 12.0 on, so it says what it needs, not what made it.
set -u
ptxas=$1 in=$2 out=$3
target=$(sed -n 's/^\.target \(sm_[0-9a-z]*\).*/\1/p' "$in")
for version in 7.0 7.1 7.2 7.3 7.4 7.5 7.6 7.7 7.8 8.0 8.1 8.2 8.3 8.4 8.5 8.6 8.7 8.8 9.0; do
  sed "s/^\.version .*/.version $version/" "$in" >"$out.tmp" || exit 1
  if "$ptxas" -arch="$target" -o /dev/null "$out.tmp" >"$out.log" 2>&1; then
    mv "$out.tmp" "$out" && rm -f "$out.log"
    exit 0
  fi
done
echo "relabel-ptx: ptxas accepts $in under no version; the last refusal:" >&2
cat "$out.log" >&2
exit 1
