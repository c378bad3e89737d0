#!/usr/bin/env bash
# Writes a header of what was built, by what and how: version.sh FILE COMPILER FLAGS
#
# Results carry these, since a number without its build is hard to judge. The file is only
# touched when its content changes, so that a build without news compiles nothing. The version is
# the VERSION file's, with the commit (and whether the tree differs from it) where git knows one.
set -eu
file=$1 compiler=$2 flags=$3
cd "$(dirname "$0")/.."

version=$(cat VERSION)
if commit=$(GIT_OPTIONAL_LOCKS=0 git describe --always --dirty --exclude '*' 2>/dev/null); then
  version=$version+g$commit
fi
quoted() { sed 's/[\\"]/\\&/g' <<<"$1"; }

new=$(
  cat <<EOT
/* Made by scripts/version.sh. */
#ifndef REFILL_VERSION_H
#define REFILL_VERSION_H

#define REFILL_VERSION "$(quoted "$version")"
#define REFILL_COMPILER "$(quoted "$("$compiler" --version | head -n 1)")"
#define REFILL_CFLAGS "$(quoted "$flags")"

#endif
EOT
)
[ "$(cat "$file" 2>/dev/null)" = "$new" ] || printf '%s\n' "$new" >"$file"
