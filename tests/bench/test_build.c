/*
 * What the program says of its own build.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "bench/present/build.h"

Test(build, the_makefile_gives_a_version) {
  cr_assert_str_neq(build_version(), "unknown");
  cr_assert(build_version()[0] >= '0' && build_version()[0] <= '9', "%s", build_version());
}

Test(build, a_sanitizer_is_told) {
#ifdef __SANITIZE_ADDRESS__
  cr_assert(strstr(build_problem(), "AddressSanitizer"));
#elif defined __SANITIZE_THREAD__
  cr_assert(strstr(build_problem(), "ThreadSanitizer"));
#elif !defined __OPTIMIZE__
  cr_assert(strstr(build_problem(), "without optimisation"));
#else
  const char *problem = build_problem(); /* of a sanitizer without a macro, or none */
  cr_assert(!problem || strstr(problem, "a sanitizer"), "%s", problem);
#endif
}

Test(build, json_holds_all_of_it) {
  json_t *json = build_to_json();
  static const char *const keys[] = {"version", "compiler", "flags"};
  for (int i = 0; i < 3; i++)
    cr_assert(json_is_string(json_object_get(json, keys[i])), "%s", keys[i]);
  cr_assert_str_eq(json_string_value(json_object_get(json, "version")), build_version());
  json_decref(json);
}
