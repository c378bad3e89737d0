#!/usr/bin/env bash
# Who may include whom:
#
#   base <- model <- {io, kernels} <- bench <- tests     io and kernels never each other
#   bench/commands -> bench/{measure, plan, present, box}    never the other way
#   liburing.h only in io/, oneDNN and CUDA only in kernels/, hwloc only in bench/box/
#   (the tests of a part may use its libraries)
#
# The rule is what keeps each folder readable alone: io/ can be understood, tested and replaced
# by someone who knows nothing of GPUs. Prints `file:line: the rule broken` for each breach and
# fails if there is one. `check-includes.sh [ROOT]` checks another tree (its own test does).
set -u
cd "${1:-"$(dirname "$0")/.."}" || exit 2

# What each part may include of the project: itself and the parts named here.
read -r -d '' RULES <<'TABLE'
base     base
model    base model
io       base model io
kernels  base model kernels
bench    base model io kernels bench
tests    base model io kernels bench tests
TABLE

# header pattern (an awk regular expression), the folder it belongs to, what it is
read -r -d '' LIBRARIES <<'TABLE'
^liburing io liburing
^oneapi/|^dnnl kernels oneDNN
^cu(da|blas|dnn|file|rand)|^nccl|^nv(ml|tx|rtc) kernels CUDA
^hwloc bench/box hwloc
^criterion tests Criterion
^omp[.]h kernels OpenMP
TABLE

read -r -d '' CHECK <<'AWK'
function breach(rule) {
  printf "%s:%d: %s\n", FILENAME, FNR, rule
  broken = 1
}
BEGIN {
  n = split(RULES, lines, "\n")
  for (i = 1; i <= n; i++) {
    k = split(lines[i], words, " ")
    for (j = 2; j <= k; j++) allowed[words[1], words[j]] = 1
    names[words[1]] = lines[i]
    sub(/^[^ ]+ +/, "", names[words[1]])
  }
  n_libraries = split(LIBRARIES, lines, "\n")
  for (i = 1; i <= n_libraries; i++) {
    split(lines[i], words, " ")
    pattern[i] = words[1]; home[i] = words[2]; library[i] = words[3]
  }
}
FNR == 1 {
  split(FILENAME, folders, "/")
  part = folders[1]
  folder = FILENAME
  sub(/\/[^\/]*$/, "", folder)
  # The tests of a part may use its libraries.
  tested = folder
  sub(/^tests\//, "", tested)
}
/^[ ]*#[ ]*include[ ]*"/ {
  split($0, quoted, "\"")
  header = quoted[2]
  split(header, target, "/")
  if (header == "version.h") {
    if (part != "bench") breach("version.h only in bench/")
    next
  }
  if (header ~ /^[.]/) { breach("\"" header "\": write the path from the repository root"); next }
  if (header !~ /\// && part == "tests") next
  if (!(target[1] in names)) {
    breach("\"" header "\": write the path from the repository root")
    next
  }
  if (!((part, target[1]) in allowed)) {
    breach(part "/ may include " names[part] ", not " target[1] "/ (\"" header "\")")
  }
  if (folder ~ /^bench\/(measure|plan|present|box)/ && header ~ /^bench\/commands\//) {
    breach(folder "/ may not include bench/commands/ (\"" header "\")")
  }
}
/^[ ]*#[ ]*include[ ]*</ {
  header = $0
  sub(/^[^<]*</, "", header)
  sub(/>.*/, "", header)
  for (i = 1; i <= n_libraries; i++) {
    if (header !~ pattern[i]) continue
    if (index(folder "/", home[i] "/") != 1 && index(tested "/", home[i] "/") != 1) {
      breach(library[i] " (<" header ">) only in " home[i] "/")
    }
  }
  if ((part == "base" || part == "model") && header ~ /^(jansson|zlib|numa|openssl)/) {
    breach(part "/ is libc only (<" header ">)")
  }
  if (part == "model" && header ~ /^(stdio|stdlib|time|unistd|fcntl|p?threads?|sys\/.*)[.]h$/) {
    breach("model/ is arithmetic: no I/O, clock or allocation (<" header ">)")
  }
}
END { exit broken }
AWK

mapfile -t files < <(find base model io kernels bench tests -type f \
  \( -name '*.c' -o -name '*.h' -o -name '*.cu' -o -name '*.cuh' \) 2>/dev/null | sort)
if [ ${#files[@]} -eq 0 ]; then
  echo "check-includes: no sources under $PWD" >&2
  exit 2
fi
awk -v RULES="$RULES" -v LIBRARIES="$LIBRARIES" "$CHECK" "${files[@]}"
