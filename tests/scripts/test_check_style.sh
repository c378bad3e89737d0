#!/usr/bin/env bash
# untimed
# scripts/check-style.sh: a good tree, and for each rule a tree that breaks only it.
set -u
. "$(dirname "$0")/lib/tree.sh"

repeat() { # count, line
  local i
  for ((i = 0; i < $1; i++)); do printf '%s\n' "$2"; done
}

GOOD='/* sprintf( and atoi( in a comment; a "string" in it. */
#include "io/a.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

struct thing;

struct thing {
  int count;
  char *name;
};

enum { LIMIT = 8 };

typedef int (*compare)(const void *a, const void *b);

extern const char *const NAMES[2];
const char *const NAMES[2] = {"a", "b"};
static const struct thing TABLE[] = {
    {1, "rand(3)"},
};
static const double SPIN_S = 60e-6;
_Static_assert(LIMIT > 1, "room");

int prototype(int a, const char *text);

static int with_static(int a) {
  static const int START = 3;
  struct thing thing = {a, 0};
  return thing.count + START;
}

int long_signature(int first_argument, int second_argument, int third_argument,
                   int fourth_argument) {
  ops->signal(1);
  my_rand(2);
  return snprintf(0, 0, "atoi(%d)", with_static(1));
}'

good() {
  fresh
  # The shape of the rest is not clang-format's concern here.
  printf 'DisableFormat: true\nSortIncludes: Never\n' >"$tree/.clang-format"
  put io/a.c <<<"$GOOD"
  put bench/main.c <<<'static volatile int stop;'
  put tests/io/test_a.c <<<'static int fixture;'
  put scripts/a.sh <<<'echo "fine"'
}

# bad PATH TEXT PATTERN: the good tree with TEXT at the end of PATH.
bad() {
  good
  printf '%s\n' "$2" >>"$tree/$1"
  expect_bad check-style.sh "$1 with ${2:0:60}" "^$1:[0-9]+: .*$3"
}

good
expect_good check-style.sh 'the good tree'

# Sizes, at the limit and one over it.
columns=$(printf '%092d' 0)
good
echo "int a${columns}b(void);" | cut -c1-100 >"$tree/io/wide.c"
printf '/* %s */\n' "$(repeat 90 'é' | tr -d '\n')" >>"$tree/io/wide.c"
repeat 400 '' >"$tree/io/tall.c"
{ echo 'void f(void) {'; repeat 68 '  g();'; echo '}'; } >"$tree/io/long.c"
expect_good check-style.sh 'a tree at its limits'

bad io/a.c "/* 45678901$columns */" 'over 100 columns'
bad scripts/a.sh "# 4567890$columns" 'over 100 columns'
bad io/b.c "$(repeat 400 '/* a line */'; echo 'int f(void);')" '401 lines, at most 400'
bad io/b.c "void f(void) {
$(repeat 69 '  g();')
}" 'a function of 71 lines, at most 70'
bad io/b.c "void f(int a,
       int b) {
$(repeat 68 '  g();')
}" 'a function of 71 lines, at most 70'
bad tests/io/test_a.c "Test(a, b) {
$(repeat 69 '  g();')
}" 'a function of 71 lines, at most 70'
bad scripts/a.sh "f() {
$(repeat 69 '  g')
}" 'a function of 71 lines, at most 70'

# Text.
bad io/a.c "$(printf '\tint a;')" 'a tab'
bad io/a.c 'int f(void); ' 'blanks at the end'
bad io/a.c '/* TO''DO: later */' 'left for later'
bad scripts/a.sh '# FIX''ME' 'left for later'

# bad_lines PATH PATTERN LINE...: each line, in one tree, is a breach of its own.
bad_lines() {
  local path=$1 pattern=$2 output
  shift 2
  good
  printf '%s\n' "$@" | put "$path"
  output=$("$here/scripts/check-style.sh" "$tree" 2>/dev/null) && fail "$path: succeeded"
  for ((i = 1; i <= $#; i++)); do
    [ "$(grep -cE "^$path:$i: .*$pattern" <<<"$output")" = 1 ] || fail "$path, line $i: ${!i}"
  done
  [ "$(wc -l <<<"$output")" = $# ] || fail "$path: more than $# lines: $output"
}

# Calls.
bad_lines bench/a.c 'is banned: use [a-z]' '  atoi(a);' '  atol(a);' '  atoll(a);' '  atof(a);' \
  '  sprintf(a);' '  vsprintf(a);' '  strcpy(a);' '  stpcpy(a);' '  strcat(a);' '  strncpy(a);' \
  '  strncat(a);' '  gets(a);' '  rand(a);' '  srand(a);' '  random(a);' '  drand48(a);' \
  '  gettimeofday(a);' '  clock(a);' '  usleep(a);' '  alloca(a);' '  tmpnam(a);' '  mktemp(a);' \
  '  signal(a);' '  a = b + strlen(rand ());' '  /* fine */ atoi("/*");' '  a = atoi("\""); /*' \
  ' rand() */ rand();'
bad_lines kernels/cuda/a.cu 'is banned: use [a-z]' '  cudaMallocManaged(a);' '  cudaDeviceReset();'
for part in base model io kernels; do
  bad_lines $part/a.c 'in a part that never prints or exits' '  printf("a");' '  vprintf(a);' \
    '  puts(a);' '  putchar(a);' '  perror(a);' '  exit(1);' '  _exit(1);' '  abort();' \
    '  fprintf(stderr, "a");' '  fprintf (stdout, "a");'
done
good
put bench/print.c <<<'void f(void) { printf("allowed in bench"); }'
expect_good check-style.sh 'printing in bench/'

# State.
bad_lines io/a.c 'mutable state at file scope' 'static int count;' 'int count = 3;' \
  'static const char *name;' 'struct thing it;' 'static struct thing *them[4];' \
  '_Thread_local int mine;' 'static double a = 1.0, b;' 'static int a = f(); /* said */' \
  'static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;' 'static int map[2] = {1, 2};'
bad io/a.c 'static int map[2] = {
    1,
};' 'mutable state at file scope'
bad io/a.c 'static struct {
  int a;
} map;' 'mutable state at file scope'
bad io/a.c 'void f(void) {
  static int calls;
}' 'mutable static variable'

# Layout, where the tool exists and is the version whose verdict counts.
if clang-format --version 2>/dev/null | grep -q 'version 14'; then
  bad_layout() {
    good
    printf 'BasedOnStyle: LLVM\n' >"$tree/.clang-format"
    rm "$tree/io/a.c"
    put io/b.c <<<'int  a( void ) ;

  int  b(void) ;'
    expect_bad check-style.sh 'bad layout' '^io/b.c:1: laid out otherwise: run make format'
  }
  bad_layout
fi

fresh
"$here/scripts/check-style.sh" "$tree" >/dev/null 2>&1
[ $? = 2 ] || fail 'an empty tree is not a good tree'
finish
