#!/usr/bin/env bash
# untimed
# scripts/version.sh: a header that compiles, whatever the flags hold, and that is left alone
# while nothing changes.
set -u
. "$(dirname "$0")/lib/tree.sh"
file=$tree/version.h

"$here/scripts/version.sh" "$file" gcc '-O2 -DNAME="a\b"' || fail 'it failed'
put main.c <<<'#include <stdio.h>
#include "version.h"
int main(void) { puts(REFILL_VERSION "\n" REFILL_COMPILER "\n" REFILL_CFLAGS); }'
gcc -I"$tree" -o "$tree/main" "$tree/main.c" || fail 'the header does not compile'
mapfile -t lines < <("$tree/main")
[[ ${lines[0]} =~ ^[0-9]+\.[0-9]+\.[0-9]+(\+g[0-9a-f]+(-dirty)?)?$ ]] || fail "version ${lines[0]}"
[ "${lines[1]}" = "$(gcc --version | head -n 1)" ] || fail "compiler ${lines[1]}"
[ "${lines[2]}" = '-O2 -DNAME="a\b"' ] || fail "flags ${lines[2]}"

touch -d '2001-01-01' "$file"
"$here/scripts/version.sh" "$file" gcc '-O2 -DNAME="a\b"'
[ "$(date -r "$file" +%Y)" = 2001 ] || fail 'rewritten without news'
"$here/scripts/version.sh" "$file" gcc -O3
[ "$(date -r "$file" +%Y)" != 2001 ] || fail 'not rewritten for new flags'
finish
