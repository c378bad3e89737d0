#!/usr/bin/env bash
# untimed
# scripts/check-includes.sh: a good tree, and for each rule a tree that breaks only it.
set -u
. "$(dirname "$0")/lib/tree.sh"

good() {
  fresh
  put base/a.c <<<'#include <stdio.h>
#include "base/a.h"'
  put model/a.c <<<'#include <math.h>
#include "base/a.h"
#include "model/a.h"'
  put io/a.c <<<'#include <liburing.h>
#include <liburing/io_uring.h>
#include "base/a.h"
#include "model/a.h"
#include "io/a.h"'
  put kernels/cpu/a.c <<<'#include <oneapi/dnnl/dnnl.h>
#include <omp.h>
#include "model/a.h"
#include "kernels/a.h"'
  put kernels/cuda/a.cu <<<'#include <cuda.h>
#include <cublasLt.h>
#include <nvml.h>'
  put bench/box/a.c <<<'#include <hwloc.h>
#include <hwloc/linux.h>'
  put bench/commands/a.c <<<'#include <jansson.h>
#include "version.h"
#include "io/a.h"
#include "kernels/a.h"
#include "bench/measure/a.h"'
  put bench/measure/a.c <<<'#include "bench/options.h"'
  put tests/io/test_a.c <<<'#include <criterion/criterion.h>
#include <liburing.h>
#include "near.h"
#include "bench/measure/a.h"
/* prose that says #include "kernels/a.h" */'
}

# bad PATH LINE PATTERN: the good tree with one line more.
bad() {
  good
  echo "$2" >>"$tree/$1"
  expect_bad check-includes.sh "$1 with $2" "^$1:[0-9]+: .*$3"
}

good
expect_good check-includes.sh 'the good tree'

bad base/a.c '#include "model/a.h"' 'base/ may include base, not model/'
bad base/a.c '  #  include "io/a.h"' 'not io/'
bad model/a.c '#include "io/a.h"' 'model/ may include base model, not io/'
bad io/a.c '#include "kernels/a.h"' 'io/ may include base model io, not kernels/'
bad io/a.c '#include "bench/a.h"' 'not bench/'
bad kernels/cpu/a.c '#include "io/a.h"' 'not io/'
bad kernels/cuda/a.cu '#include "io/a.h"' 'not io/'
bad bench/measure/a.c '#include "tests/a.h"' 'not tests/'
bad bench/measure/a.c '#include "bench/commands/a.h"' 'may not include bench/commands/'
bad bench/box/a.c '#include "bench/commands/a.h"' 'may not include bench/commands/'
bad base/a.c '#include <liburing.h>' 'liburing .* only in io/'
bad bench/measure/a.c '#include <liburing.h>' 'liburing .* only in io/'
bad io/a.c '#include <oneapi/dnnl/dnnl.h>' 'oneDNN .* only in kernels/'
bad io/a.c '#include <cuda_runtime.h>' 'CUDA .* only in kernels/'
bad io/a.c '#include <cufile.h>' 'CUDA .* only in kernels/'
bad bench/measure/a.c '#include <nvml.h>' 'CUDA .* only in kernels/'
bad bench/measure/a.c '#include <hwloc.h>' 'hwloc .* only in bench/box/'
bad kernels/cpu/a.c '#include <hwloc.h>' 'hwloc .* only in bench/box/'
bad bench/measure/a.c '#include <omp.h>' 'OpenMP .* only in kernels/'
bad bench/measure/a.c '#include <criterion/criterion.h>' 'Criterion .* only in tests/'
bad tests/io/test_a.c '#include <oneapi/dnnl/dnnl.h>' 'oneDNN .* only in kernels/'
bad base/a.c '#include <jansson.h>' 'base/ is libc only'
bad model/a.c '#include <stdlib.h>' 'model/ is arithmetic'
bad model/a.c '#include <sys/mman.h>' 'model/ is arithmetic'
bad io/a.c '#include "engine.h"' 'path from the repository root'
bad io/a.c '#include "../base/a.h"' 'path from the repository root'
bad io/a.c '#include "version.h"' 'version.h only in bench/'

fresh
"$here/scripts/check-includes.sh" "$tree" >/dev/null 2>&1
[ $? = 2 ] || fail 'an empty tree is not a good tree'
finish
