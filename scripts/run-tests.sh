#!/usr/bin/env bash
# Runs tests one after another and counts them: run-tests.sh TEST...
#
# A TEST is a Criterion program (any name), each of whose cases counts, or a script (*.sh), which
# counts as one: exit 0 passed, 77 skipped with the last line it printed as the reason, anything
# else failed. Each has a time limit, 300 s; a line "# timeout: 900" in a script sets its own.
# One after another, since some of them measure time; scripts with a line "# untimed" do not, and
# run last, as many at once as there are cores. What failed is shown whole, what was skipped with
# its reason. The last line is exactly "N passed, N failed, N skipped".
set -u

DEFAULT_TIMEOUT_S=300
# Criterion would run as many cases at once as there are cores: they would time each other.
export CRITERION_JOBS=1
passed=0
failed=0
skipped=0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# run NAME TIMEOUT_S COMMAND...: leaves its output in $scratch/output and returns its status.
run() {
  local limit_s=$2 status
  shift 2
  # Braces, so that the shell's own word on a killed test goes to the output too.
  { timeout -k 10 "$limit_s" "$@"; } </dev/null >"$scratch/output" 2>&1
  status=$?
  [ $status = 124 ] && echo "stopped after its limit of $limit_s s" >>"$scratch/output"
  return $status
}

show_output() { sed 's/^/      /' "$scratch/output"; }

line() { # verdict, name, seconds since, what else
  printf '  %-6s %s (%d s)%s\n' "$1" "$2" $((SECONDS - $3)) "${4:+: $4}"
}

run_program() {
  local program=$1 since=$SECONDS status n_ok n_bad n_skip verdict=ok
  : >"$scratch/tap"
  run "$program" "$DEFAULT_TIMEOUT_S" "$program" --tap="$scratch/tap"
  status=$?
  n_skip=$(grep -cE '^ok .*# SKIP' "$scratch/tap")
  n_ok=$(($(grep -cE '^ok ' "$scratch/tap") - n_skip))
  n_bad=$(grep -cE '^not ok ' "$scratch/tap")
  if [ "$n_bad" = 0 ] && [ $status != 0 ]; then
    n_bad=1
    echo "ended with status $status" >>"$scratch/output"
  elif [ $((n_ok + n_bad + n_skip)) = 0 ]; then
    n_bad=1
    echo "held no test" >>"$scratch/output"
  fi
  [ "$n_bad" = 0 ] || verdict=FAILED
  line $verdict "$program" "$since" "$n_ok passed, $n_bad failed, $n_skip skipped"
  [ "$n_bad" = 0 ] || show_output
  sed -nE 's/^ok - (.*[^ ]) +# SKIP (.*)/      skipped \1: \2/p' "$scratch/tap"
  passed=$((passed + n_ok))
  failed=$((failed + n_bad))
  skipped=$((skipped + n_skip))
}

is_untimed() { [[ $1 = *.sh ]] && grep -qs '^# untimed$' <(head -n 30 "$1"); }

run_script() {
  local script=$1 since=$SECONDS limit_s
  limit_s=$(sed -nE '1,30s/^# timeout: ([0-9]+)$/\1/p' "$script" | head -n 1)
  run "$script" "${limit_s:-$DEFAULT_TIMEOUT_S}" bash "$script"
  case $? in
    0)
      passed=$((passed + 1))
      line ok "$script" "$since"
      ;;
    77)
      skipped=$((skipped + 1))
      line skip "$script" "$since" "$(tail -n 1 "$scratch/output")"
      ;;
    *)
      failed=$((failed + 1))
      line FAILED "$script" "$since"
      show_output
      ;;
  esac
}

# One untimed script in a subshell, which leaves what it has to say, and last its counts.
run_apart() { # number script
  scratch=$scratch/$1
  mkdir "$scratch"
  trap - EXIT
  passed=0 failed=0 skipped=0
  run_script "$2" >"$scratch/said"
  echo "$passed $failed $skipped" >"$scratch/counts"
}

# Of the untimed scripts so far started, those that have ended and were not told yet.
tell_ended() {
  local i p f s
  for i in "${!untimed[@]}"; do
    read -r p f s 2>/dev/null <"$scratch/$i/counts" || continue
    cat "$scratch/$i/said"
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    unset "untimed[$i]"
  done
}

run_untimed() {
  local i
  for i in "${!untimed[@]}"; do
    while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do wait -n; done
    tell_ended
    (run_apart "$i" "${untimed[$i]}") &
  done
  while [ "$(jobs -rp | wc -l)" -gt 0 ]; do
    wait -n
    tell_ended
  done
  tell_ended
  for i in "${!untimed[@]}"; do
    echo "  FAILED ${untimed[$i]}: its shell was killed"
    failed=$((failed + 1))
  done
}

untimed=()
for test in "$@"; do
  if is_untimed "$test"; then
    untimed+=("$test")
  elif [[ $test = *.sh ]]; then
    run_script "$test"
  else
    run_program "$test"
  fi
done
run_untimed
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
