#!/usr/bin/env bash
# untimed
# scripts/setup.sh against stand-ins for apt-get, sudo and id: what it asks for, when it refuses.
# shellcheck disable=SC2046 # lists of words
set -u
. "$(dirname "$0")/lib/tree.sh"
bash=$(command -v bash)
log=$tree/log

# A machine with these commands and headers only. The stand-in for apt-get logs how it was called
# and, for "install", brings the command or header that APT_BRINGS names.
machine() { # uid, commands and headers...
  fresh
  mkdir -p "$tree/bin" "$tree/include"
  echo "echo $1" | command_of id
  command_of env <<<'while case $1 in *=*) true ;; *) false ;; esac; do shift; done; "$@"'
  shift
  local thing
  for thing in "$@"; do
    case $thing in
      */* | *.h) put "include/$thing" </dev/null ;;
      *) command_of "$thing" </dev/null ;;
    esac
  done
  : >"$log"
}

command_of() { # name; the body is on standard input
  { echo "#!$bash"; cat; } | put "bin/$1"
  chmod +x "$tree/bin/$1"
}

with_apt() {
  command_of apt-get <<EOT
echo "apt-get \$*" >>"$log"
case "\$*" in
  update*) : >"$tree/updated" ;;
  *install*)
    [ -n "\${APT_NEEDS_UPDATE:-}" ] && [ ! -e "$tree/updated" ] && exit 100
    case \${APT_BRINGS:-} in
      '') ;;
      *.h) : >"$tree/include/\$APT_BRINGS" ;;
      *) $(command -v cp) "\$0" "$tree/bin/\$APT_BRINGS" ;;
    esac
    ;;
esac
EOT
}

setup() {
  PATH=$tree/bin SETUP_INCLUDE_DIRS=$tree/include "$bash" "$here/scripts/setup.sh" "$@" \
    </dev/null >"$tree/out" 2>&1
}

said() { grep -qF -- "$1" "$tree/out" || fail "expected '$1', got: $(cat "$tree/out")"; }
logged() { [ "$(cat "$log")" = "$1" ] || fail "expected call '$1', got: $(cat "$log")"; }

# What the demonstration needs, from the script's own table, less what is named.
needs_without() {
  local thing
  while read -r _ thing; do
    case " $* " in
      *" ${thing#[ch]:} "*) ;;
      *) echo "${thing#[ch]:}" ;;
    esac
  done < <(sed -n '/^DEMO="/,/"$/{s/^DEMO=//;s/"//g;p}' "$here/scripts/setup.sh")
}

INSTALL='install -y -q --no-install-recommends'

# Everything is there: silent, and apt is not called.
mapfile -t all < <(needs_without)
[ "${#all[@]}" -ge 7 ] || fail "the table was not read: ${all[*]}"
machine 1000 "${all[@]}"
with_apt
setup demo || fail 'complete, yet it failed'
logged ''
[ ! -s "$tree/out" ] || fail "complete, yet it said $(cat "$tree/out")"

# The lists differ: the same machine lacks what tests need.
command_of sudo <<<'exit 1'
setup test && fail 'tests need more than the demonstration'
said 'sudo apt-get install -y --no-install-recommends libcriterion-dev fio '
logged ''

# Root installs, with one call that names only what is missing.
machine 0 $(needs_without hwloc.h)
with_apt
APT_BRINGS=hwloc.h setup demo || fail "root could not install: $(cat "$tree/out")"
logged "apt-get $INSTALL libhwloc-dev"

# Package lists that are out of date are refreshed, once, only after a failure.
machine 0 $(needs_without pkg-config)
with_apt
APT_NEEDS_UPDATE=1 APT_BRINGS=pkg-config setup demo || fail 'no second try after the refresh'
logged "apt-get $INSTALL pkg-config
apt-get update -q
apt-get $INSTALL pkg-config"

# An installation that brings nothing is a failure, whatever apt said.
machine 0 $(needs_without pkg-config)
with_apt
setup demo && fail 'still missing, yet it succeeded'
said 'missing here: pkg-config'

# Someone else: through sudo where that works without a password ...
machine 1000 $(needs_without pkg-config)
with_apt
command_of sudo <<<'[ "$1" = -n ] && shift
[ "$1" = true ] || echo "by sudo" >>"'"$log"'"
"$@"'
APT_BRINGS=pkg-config setup demo || fail "it failed: $(cat "$tree/out")"
logged "by sudo
apt-get $INSTALL pkg-config"

# ... and where it does not, the exact command.
machine 1000 $(needs_without pkg-config oneapi/dnnl/dnnl.h jansson.h)
with_apt
command_of sudo <<<'exit 1'
setup demo && fail 'may not install, yet it succeeded'
said 'sudo apt-get install -y --no-install-recommends pkg-config libdnnl-dev libjansson-dev'
logged ''

# No apt-get: says what is missing.
machine 0 gcc make
setup demo && fail 'no apt-get, yet it succeeded'
said 'liburing-dev'
said 'no apt-get here'

setup nonsense
[ $? = 2 ] || fail 'an unknown list is a usage error'
finish
