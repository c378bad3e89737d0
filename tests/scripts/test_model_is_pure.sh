#!/bin/sh
# untimed
# model/ is arithmetic alone: it must compile for WebAssembly as it is, and need
# nothing from outside but libm and string.h. What it calls is read from the
# objects' undefined symbols, which no include or comment can hide.
#
# Exit 0 pass, 1 fail, 77 no WebAssembly toolchain here (clang and wasi-libc).
set -eu
cd "$(dirname "$0")/../.."

clang=${WASM_CC:-clang}
nm=
for candidate in llvm-nm llvm-nm-19 llvm-nm-18 llvm-nm-17 llvm-nm-16 llvm-nm-15 llvm-nm-14; do
  if command -v "$candidate" >/dev/null 2>&1; then
    nm=$candidate
    break
  fi
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM

compile() { # SOURCE OBJECT
  "$clang" --target=wasm32-wasi -std=c11 -O2 -Wall -Wextra -Wshadow -Wconversion \
    -Wstrict-prototypes -Wmissing-prototypes -Werror -I. -c -o "$2" "$1"
}

printf '#include <math.h>\n#include <string.h>\n' >"$work/probe.c"
if [ -z "$nm" ] || ! "$clang" --target=wasm32-wasi -c -o "$work/probe.o" "$work/probe.c" \
  2>"$work/probe.log"; then
  echo "SKIP: needs clang with --target=wasm32-wasi, wasi-libc and llvm-nm"
  cat "$work/probe.log" 2>/dev/null || true
  exit 77
fi

# libm, string.h, and what the linker itself provides.
libm='acos|asin|atan|atan2|cbrt|ceil|copysign|cos|cosh|erf|erfc|exp|exp2|expm1|fabs|fdim|floor'
libm="$libm|fma|fmax|fmin|fmod|frexp|hypot|ldexp|lgamma|log|log10|log1p|log2|logb|modf|nearbyint"
libm="$libm|pow|remainder|rint|round|scalbn|sin|sinh|sqrt|tan|tanh|tgamma|trunc"
strings='memchr|memcmp|memcpy|memmove|memset|strchr|strcmp|strlen|strncmp|strnlen|strstr'
linker='__stack_pointer|__linear_memory|__indirect_function_table'
allowed="^($linker|($libm)f?|$strings)\$"

# Symbols that OBJECTS need and neither they nor the allowed libraries have.
impure() { # OBJECT...
  "$nm" --undefined-only --no-sort "$@" | awk '$1 == "U" {print $2}' | sort -u >"$work/needed"
  "$nm" --defined-only --no-sort "$@" | awk 'NF == 3 {print $3}' | sort -u >"$work/defined"
  comm -23 "$work/needed" "$work/defined" | grep -Ev "$allowed" || true
}

# A check that cannot fail checks nothing: it must catch a file that is not pure.
cat >"$work/impure.c" <<'C'
#include <stdlib.h>
#include <time.h>
double impure(void);
double impure(void) { return (double)time(NULL) + (double)(size_t)malloc(8); }
C
compile "$work/impure.c" "$work/impure.wasm.o"
caught=$(impure "$work/impure.wasm.o" | tr '\n' ' ')
if [ "$caught" != "malloc time " ]; then
  echo "FAIL: the check itself: malloc and time should be caught, got: $caught"
  exit 1
fi

checked=0
for source in model/*.c; do
  checked=$((checked + 1))
  if ! compile "$source" "$work/$(basename "$source" .c).o"; then
    echo "FAIL: $source does not compile for wasm32-wasi"
    exit 1
  fi
done
rm -f "$work/probe.o" "$work/impure.wasm.o"
found=$(impure "$work"/*.o)
if [ -n "$found" ]; then
  echo "FAIL: model/ calls what is neither libm nor string.h:"
  "$nm" --undefined-only -A "$work"/*.o | grep -wF "$found" | sed "s|$work/||"
  exit 1
fi
echo "PASS: $checked files of model/ are pure arithmetic"
