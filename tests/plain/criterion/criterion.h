/*
 * The part of Criterion's interface that our tests use, in plain C.
 *
 * For the sanitizers. Criterion places a shared arena at an address that
 * ThreadSanitizer keeps for itself, so that no Criterion program starts under
 * it; and a test that leaks passes there, since its child's exit status is not
 * what Criterion judges. With this folder ahead of the system's, the same test
 * sources build into a program that forks one child a test, one after another,
 * and reports in TAP (`--tap=FILE`) as Criterion does. It also serves where
 * Criterion is not installed (HARNESS=plain).
 */
#ifndef REFILL_TESTS_PLAIN_CRITERION_H
#define REFILL_TESTS_PLAIN_CRITERION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What may follow the names in Test(suite, name, .init = f, ...). */
struct plain_options {
  void (*init)(void);
  void (*fini)(void);
  double timeout; /* seconds; 0: the suite's, or the runner's */
  bool disabled;
  int signal; /* the signal the test must end by */
  int exit_code;
  const char *description;
};

struct criterion_test_params {
  void *params;
  size_t element_bytes;
  size_t length;
};

struct plain_test {
  const char *suite;
  const char *name; /* NULL: options of the whole suite */
  void (*run)(void *parameter);
  struct criterion_test_params (*parameters)(void); /* NULL: one run */
  struct plain_options options;
  struct plain_test *next;
};

/* Called before main() for each test. */
void plain_register(struct plain_test *test);

/* A check that failed: prints where, what and the message; ends the test where `fatal`. */
void plain_failed(bool fatal, const char *file, int line, const char *what, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* Ends the test as skipped. */
void plain_skip(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#define PLAIN_REGISTER(Suite, Name, Text, Run, Parameters, ...)                                    \
  __attribute__((constructor)) static void Suite##_##Name##_register(void) {                       \
    static struct plain_test test = {.suite = #Suite,                                              \
                                     .name = Text,                                                 \
                                     .run = Run,                                                   \
                                     .parameters = Parameters,                                     \
                                     .options = {__VA_ARGS__}};                                    \
    plain_register(&test);                                                                         \
  }

#define Test(Suite, Name, ...)                                                                     \
  static void Suite##_##Name##_impl(void);                                                         \
  static void Suite##_##Name##_run(void *parameter) {                                              \
    (void)parameter;                                                                               \
    Suite##_##Name##_impl();                                                                       \
  }                                                                                                \
  PLAIN_REGISTER(Suite, Name, #Name, Suite##_##Name##_run, NULL, __VA_ARGS__)                      \
  static void Suite##_##Name##_impl(void)

#define TestSuite(Suite, ...) PLAIN_REGISTER(Suite, suite_options, NULL, NULL, NULL, __VA_ARGS__)

/* ---- checks ------------------------------------------------------------------- */

/* " " makes an absent message a format too. */
#define PLAIN_CHECK(Fatal, Condition, What, ...)                                                   \
  do {                                                                                             \
    if (!(Condition)) plain_failed(Fatal, __FILE__, __LINE__, What, " " __VA_ARGS__);              \
  } while (0)

#define cr_assert(Condition, ...) PLAIN_CHECK(true, Condition, #Condition, __VA_ARGS__)
#define cr_expect(Condition, ...) PLAIN_CHECK(false, Condition, #Condition, __VA_ARGS__)
#define cr_assert_not(Condition, ...) PLAIN_CHECK(true, !(Condition), "!" #Condition, __VA_ARGS__)
#define cr_expect_not(Condition, ...) PLAIN_CHECK(false, !(Condition), "!" #Condition, __VA_ARGS__)

#define PLAIN_COMPARE(Fatal, A, Sign, B, ...)                                                      \
  PLAIN_CHECK(Fatal, (A)Sign(B), #A " " #Sign " " #B, __VA_ARGS__)
#define cr_assert_eq(A, B, ...) PLAIN_COMPARE(true, A, ==, B, __VA_ARGS__)
#define cr_expect_eq(A, B, ...) PLAIN_COMPARE(false, A, ==, B, __VA_ARGS__)
#define cr_assert_neq(A, B, ...) PLAIN_COMPARE(true, A, !=, B, __VA_ARGS__)
#define cr_expect_neq(A, B, ...) PLAIN_COMPARE(false, A, !=, B, __VA_ARGS__)
#define cr_assert_lt(A, B, ...) PLAIN_COMPARE(true, A, <, B, __VA_ARGS__)
#define cr_expect_lt(A, B, ...) PLAIN_COMPARE(false, A, <, B, __VA_ARGS__)
#define cr_assert_leq(A, B, ...) PLAIN_COMPARE(true, A, <=, B, __VA_ARGS__)
#define cr_expect_leq(A, B, ...) PLAIN_COMPARE(false, A, <=, B, __VA_ARGS__)
#define cr_assert_gt(A, B, ...) PLAIN_COMPARE(true, A, >, B, __VA_ARGS__)
#define cr_expect_gt(A, B, ...) PLAIN_COMPARE(false, A, >, B, __VA_ARGS__)
#define cr_assert_geq(A, B, ...) PLAIN_COMPARE(true, A, >=, B, __VA_ARGS__)
#define cr_expect_geq(A, B, ...) PLAIN_COMPARE(false, A, >=, B, __VA_ARGS__)
#define cr_assert_null(A, ...) PLAIN_COMPARE(true, A, ==, NULL, __VA_ARGS__)
#define cr_expect_null(A, ...) PLAIN_COMPARE(false, A, ==, NULL, __VA_ARGS__)
#define cr_assert_not_null(A, ...) PLAIN_COMPARE(true, A, !=, NULL, __VA_ARGS__)
#define cr_expect_not_null(A, ...) PLAIN_COMPARE(false, A, !=, NULL, __VA_ARGS__)

#define PLAIN_TEXT(Fatal, A, Sign, B, ...)                                                         \
  PLAIN_CHECK(Fatal, strcmp(A, B) Sign 0, #A " " #Sign " " #B, __VA_ARGS__)
#define cr_assert_str_eq(A, B, ...) PLAIN_TEXT(true, A, ==, B, __VA_ARGS__)
#define cr_expect_str_eq(A, B, ...) PLAIN_TEXT(false, A, ==, B, __VA_ARGS__)
#define cr_assert_str_neq(A, B, ...) PLAIN_TEXT(true, A, !=, B, __VA_ARGS__)
#define cr_expect_str_neq(A, B, ...) PLAIN_TEXT(false, A, !=, B, __VA_ARGS__)
#define cr_assert_str_empty(A, ...) PLAIN_TEXT(true, A, ==, "", __VA_ARGS__)
#define cr_expect_str_empty(A, ...) PLAIN_TEXT(false, A, ==, "", __VA_ARGS__)
#define cr_assert_str_not_empty(A, ...) PLAIN_TEXT(true, A, !=, "", __VA_ARGS__)
#define cr_expect_str_not_empty(A, ...) PLAIN_TEXT(false, A, !=, "", __VA_ARGS__)

#define PLAIN_ARRAY(Fatal, A, Sign, B, Bytes, ...)                                                 \
  PLAIN_CHECK(Fatal, memcmp(A, B, Bytes) Sign 0, #A " " #Sign " " #B, __VA_ARGS__)
#define cr_assert_arr_eq(A, B, Bytes, ...) PLAIN_ARRAY(true, A, ==, B, Bytes, __VA_ARGS__)
#define cr_expect_arr_eq(A, B, Bytes, ...) PLAIN_ARRAY(false, A, ==, B, Bytes, __VA_ARGS__)
#define cr_assert_arr_neq(A, B, Bytes, ...) PLAIN_ARRAY(true, A, !=, B, Bytes, __VA_ARGS__)
#define cr_expect_arr_neq(A, B, Bytes, ...) PLAIN_ARRAY(false, A, !=, B, Bytes, __VA_ARGS__)

#define PLAIN_NEAR(Fatal, A, B, Epsilon, ...)                                                      \
  PLAIN_CHECK(Fatal, (A) - (B) <= (Epsilon) && (B) - (A) <= (Epsilon), #A " is near " #B,          \
              __VA_ARGS__)
#define cr_assert_float_eq(A, B, Epsilon, ...) PLAIN_NEAR(true, A, B, Epsilon, __VA_ARGS__)
#define cr_expect_float_eq(A, B, Epsilon, ...) PLAIN_NEAR(false, A, B, Epsilon, __VA_ARGS__)

#define cr_fail(...) PLAIN_CHECK(false, false, "reached", __VA_ARGS__)
#define cr_fatal(...) PLAIN_CHECK(true, false, "reached", __VA_ARGS__)
#define cr_assert_fail(...) PLAIN_CHECK(true, false, "reached", __VA_ARGS__)
#define cr_expect_fail(...) PLAIN_CHECK(false, false, "reached", __VA_ARGS__)
#define cr_skip(...) plain_skip(" " __VA_ARGS__)
#define cr_skip_test(...) plain_skip(" " __VA_ARGS__)
#define cr_log_info(...) (printf(__VA_ARGS__), puts(""))
#define cr_log_warn(...) (printf(__VA_ARGS__), puts(""))
#define cr_log_error(...) (printf(__VA_ARGS__), puts(""))

#endif
