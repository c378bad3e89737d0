#!/usr/bin/env bash
# untimed
# tests/plain, the stand-in for Criterion: each kind of end is reported as what it is.
set -u
. "$(dirname "$0")/lib/tree.sh"

put cases.c <<'EOT'
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <criterion/redirect.h>
#include <signal.h>
static int ready;
static void set_up(void) { ready = 1; }
TestSuite(suite, .init = set_up);
Test(a, good) { cr_assert_eq(1, 1, "%d", 3); cr_expect(2 > 1); cr_assert_str_eq("a", "a"); }
Test(a, asserts) { cr_assert_lt(2, 1, "because %d", 7); puts("NOT REACHED"); }
Test(a, expects) { cr_expect_str_eq("a", "b"); puts("reached"); }
Test(a, not_near) { cr_assert_float_eq(1.0, 1.2, 0.1); }
Test(a, skips) { cr_skip_test("no %s here", "GPU"); }
Test(a, fails_then_skips) { cr_expect(0); cr_skip_test("too late"); }
Test(a, crashes) { raise(SIGSEGV); }
Test(a, hangs, .timeout = 1) { for (;;) continue; }
Test(a, disabled, .disabled = true) { cr_assert(0); }
Test(a, exits, .exit_code = 3) { exit(3); }
Test(a, exits_otherwise, .exit_code = 3) { exit(4); }
Test(a, aborts, .signal = SIGABRT) { abort(); }
Test(suite, is_set_up) { cr_assert_eq(ready, 1); ready = 2; }
Test(suite, is_set_up_afresh) { cr_assert_eq(ready, 1); ready = 2; }
Test(a, is_not_set_up) { cr_assert_eq(ready, 0); }
static void expect_output(FILE *stream, const char *expected) {
  char text[64] = "";
  cr_assert_not_null(stream);
  text[fread(text, 1, sizeof(text) - 1, stream)] = '\0';
  cr_assert_str_eq(text, expected, "it was '%s'", text);
}
Test(a, redirects) {
  cr_redirect_stdout();
  cr_redirect_stderr();
  puts("out");
  fflush(stdout);
  fputs("err", stderr);
  expect_output(cr_get_redirected_stdout(), "out\n");
  expect_output(cr_get_redirected_stderr(), "err");
  puts("more");
  fflush(stdout);
  expect_output(cr_get_redirected_stdout(), "more\n");
  cr_redirect_stdout();
  expect_output(cr_get_redirected_stdout(), "");
}
Test(a, redirects_and_fails) {
  cr_redirect_stdout();
  cr_assert(0, "told all the same");
}
ParameterizedTestParameters(a, numbers) {
  static int numbers[] = {1, 2, 3};
  return cr_make_param_array(int, numbers, 3);
}
ParameterizedTest(int *number, a, numbers) { cr_assert_neq(*number, 2); }
EOT
cc=${CC:-gcc}
"$cc" -D_GNU_SOURCE -I"$here" -I"$here/tests/plain" -o "$tree/cases" "$tree/cases.c" \
  "$here"/tests/plain/*.c || fail 'it does not compile'
"$tree/cases" --tap="$tree/tap" >"$tree/output" && fail 'it succeeded'

expected='not ok - a::asserts
not ok - a::crashes
not ok - a::exits_otherwise
not ok - a::expects
not ok - a::fails_then_skips
not ok - a::hangs
not ok - a::not_near
not ok - a::numbers[1]
not ok - a::redirects_and_fails
ok - a::aborts
ok - a::disabled # SKIP disabled
ok - a::exits
ok - a::good
ok - a::is_not_set_up
ok - a::numbers[0]
ok - a::numbers[2]
ok - a::redirects
ok - a::skips # SKIP no GPU here
ok - suite::is_set_up
ok - suite::is_set_up_afresh'
got=$(sed 's/ *$//' "$tree/tap" | LC_ALL=C sort)
[ "$got" = "$expected" ] || fail "$(diff <(echo "$expected") <(echo "$got"))"
grep -q 'failed: 2 < 1: because 7' "$tree/output" || fail 'no word of the failed check'
grep -q 'told all the same' "$tree/output" || fail 'a redirected test failed in silence'
grep -q 'NOT REACHED' "$tree/output" && fail 'an assertion did not end its test'
grep -q '^reached' "$tree/output" || fail 'an expectation ended its test'
finish
