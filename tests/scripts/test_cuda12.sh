#!/usr/bin/env bash
# untimed
# The CUDA path needs nothing newer than CUDA 12.0: cuGetProcAddress, asked for 12000, gives the
# newest form of each function that 12.0 had, which must be the one that kernels/cuda/driver.h
# declares; and the plugin links nothing of CUDA.
set -u
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build}
typedefs=$(ls /usr/local/cuda/include/cudaTypedefs.h /usr/include/cudaTypedefs.h 2>/dev/null |
  head -n 1)
failures=0 n=0

if [ -z "$typedefs" ]; then
  echo "SKIPPED: no cudaTypedefs.h here: forms of the driver's functions cannot be compared"
  exit 77
fi

# "symbol version" of each entry of the table.
entries() {
  printf '%s\n' '#include "kernels/cuda/driver.h"' '#define LINE(m, s, v, p) @ s v @' \
    'DRIVER_TABLE(LINE)' |
    "${CC:-cc}" -E -P -I. -xc - | grep -oE '@ cu[A-Za-z0-9]+ [0-9]+ @' | cut -d' ' -f2,3
}

while read -r symbol version; do
  n=$((n + 1))
  newest=$(grep -oE "\(CUDAAPI \*PFN_${symbol}_v[0-9]+\)" "$typedefs" | grep -oE '[0-9]+\)$' |
    tr -d ')' | awk '$1 <= 12000' | sort -n | tail -n 1)
  if [ "$newest" != "$version" ]; then
    echo "FAILED: $symbol is declared as of $version; a driver gives that of ${newest:-none}"
    failures=$((failures + 1))
  fi
done < <(entries)
[ $n -ge 30 ] || { echo "FAILED: only $n entries were read" && failures=$((failures + 1)); }

if [ -f "$build/refill_cuda.so" ]; then
  linked=$(nm -D --undefined-only "$build/refill_cuda.so" | grep -E ' (cu[A-Z]|cu(da|blas|dnn)|nv)')
  [ -z "$linked" ] || { echo "FAILED: linked: $linked" && failures=$((failures + 1)); }
fi
echo "$n entries of the driver's table as CUDA 12.0 has them, $failures failures"
[ $failures = 0 ]
