#!/usr/bin/env bash
# Installs what a command of the Makefile needs and this machine lacks.
#
#   scripts/setup.sh demo      what building and the demonstration need
#   scripts/setup.sh test      that, and what the tests need
#   scripts/setup.sh develop   that, and what `make fuzz`, `make lint` and the sanitizers use
#
# It looks for the commands and headers themselves rather than for packages: that takes two
# milliseconds, starts no process, and is right for what was built by hand too. Only where
# something is missing is apt called (package names of Debian 12, Ubuntu 22.04 and 24.04).
# Where it may not install, it prints the exact command and fails.
set -u

# package  a command (c:) or header (h:, or another file found like one) that it brings
DEMO="gcc c:gcc
make c:make
pkg-config c:pkg-config
liburing-dev h:liburing.h
libhwloc-dev h:hwloc.h
libdnnl-dev h:oneapi/dnnl/dnnl.h
libjansson-dev h:jansson.h
gnuplot-nox c:gnuplot
libjs-chart.js h:chart.js/chart.min.js
clang c:clang
lld c:wasm-ld
wasi-libc h:wasm32-wasi/math.h"

TEST="$DEMO
libcriterion-dev h:criterion/criterion.h
fio c:fio
clang-format c:clang-format
python3 c:python3
python3-jsonschema c:jsonschema
libfuse3-dev h:fuse3/fuse.h
fuse3 c:fusermount3
chromium c:chromium
chromium-driver c:chromedriver
python3-selenium h:selenium/__init__.py"

DEVELOP="$TEST
clang-tidy c:clang-tidy
cppcheck c:cppcheck"

# Where compilers look, and scripts of the page and Python's packages lie; the pattern covers
# Debian's
# multiarch folders. Overridden in tests.
INCLUDE_DIRS=${SETUP_INCLUDE_DIRS:-/usr/include /usr/local/include /usr/include/*-linux-gnu \
  /usr/share/javascript /usr/lib/python3/dist-packages}

has_header() {
  local dir
  for dir in $INCLUDE_DIRS; do
    [ -e "$dir/$1" ] && return 0
  done
  return 1
}

is_there() {
  case $1 in
    c:*) command -v "${1#c:}" >/dev/null ;;
    h:*) has_header "${1#h:}" ;;
  esac
}

# One space-separated line of the packages that are missing.
missing_of() {
  local package probe missing=
  while read -r package probe; do
    is_there "$probe" || missing="$missing $package"
  done <<<"$1"
  printf '%s' "${missing# }"
}

# Runs a command as root: directly, or by sudo where it asks for no password or can ask a person.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif [ -t 0 ]; then
    sudo "$@"
  else
    sudo -n "$@"
  fi
}

may_install() {
  command -v apt-get >/dev/null || return 1
  [ "$(id -u)" = 0 ] && return 0
  command -v sudo >/dev/null || return 1
  [ -t 0 ] || sudo -n true 2>/dev/null
}

refuse() {
  echo "setup: missing here: $1" >&2
  if command -v apt-get >/dev/null; then
    echo "setup: may not install them; ask someone who may to run" >&2
    echo "  sudo apt-get install -y --no-install-recommends $1" >&2
  else
    echo "setup: no apt-get here; install what your system calls these Debian packages" >&2
  fi
  exit 1
}

install_packages() {
  # shellcheck disable=SC2086 # a list of words
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $1
}

case ${1:-} in
  demo) list=$DEMO ;;
  test) list=$TEST ;;
  develop) list=$DEVELOP ;;
  *)
    echo "usage: scripts/setup.sh demo|test|develop" >&2
    exit 2
    ;;
esac

missing=$(missing_of "$list")
[ -n "$missing" ] || exit 0
may_install || refuse "$missing"

echo "setup: installing $missing" >&2
# Package lists that are absent or old are the usual reason for a failure: refresh and try again.
if ! install_packages "$missing" >&2; then
  echo "setup: refreshing the package lists" >&2
  as_root apt-get update -q >&2 && install_packages "$missing" >&2 || refuse "$missing"
fi
missing=$(missing_of "$list")
[ -z "$missing" ] || refuse "$missing"
