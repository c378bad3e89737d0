/*
 * Parameterized tests of tests/plain/criterion/criterion.h.
 */
#ifndef REFILL_TESTS_PLAIN_PARAMETERIZED_H
#define REFILL_TESTS_PLAIN_PARAMETERIZED_H

#include "tests/plain/criterion/criterion.h"

#define ParameterizedTestParameters(Suite, Name)                                                   \
  static struct criterion_test_params Suite##_##Name##_parameters(void)

#define cr_make_param_array(Type, Array, Length, ...)                                              \
  (struct criterion_test_params) {                                                                 \
    .params = (Array), .element_bytes = sizeof(Type), .length = (Length)                           \
  }

#define ParameterizedTest(Parameter, Suite, Name, ...)                                             \
  static void Suite##_##Name##_impl(Parameter);                                                    \
  static void Suite##_##Name##_run(void *parameter) {                                              \
    Suite##_##Name##_impl(parameter);                                                              \
  }                                                                                                \
  PLAIN_REGISTER(Suite, Name, #Name, Suite##_##Name##_run, Suite##_##Name##_parameters,            \
                 __VA_ARGS__)                                                                      \
  static void Suite##_##Name##_impl(Parameter)

#define cr_malloc malloc
#define cr_calloc calloc
#define cr_realloc realloc
#define cr_free free

#endif
