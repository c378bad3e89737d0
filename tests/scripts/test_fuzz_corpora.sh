#!/usr/bin/env bash
# untimed
# Each fuzz target over its checked-in corpus, whole, cut and changed. BUILD names the build folder.
set -u
cd "$(dirname "$0")/../.." || exit 2
build=${BUILD:-build}
status=0
for source in tests/fuzz/fuzz_*.c; do
  name=$(basename "$source" .c)
  name=${name#fuzz_}
  echo "$name:"
  "$build/tests/replay_$name" tests/fuzz/corpus/"$name"/* || status=1
done
exit $status
