/*
 * Provenance. version.h is made by the Makefile; a build without it says "unknown" rather than
 * something wrong.
 */
#include "bench/present/build.h"

#include <stddef.h>
#include <string.h>

#if __has_include("version.h")
#include "version.h"
#endif
#ifndef REFILL_VERSION
#define REFILL_VERSION "unknown"
#endif
#ifndef REFILL_COMPILER
#define REFILL_COMPILER "unknown"
#endif
#ifndef REFILL_CFLAGS
#define REFILL_CFLAGS "unknown"
#endif

const char *build_version(void) {
  return REFILL_VERSION;
}

const char *build_compiler(void) {
  return REFILL_COMPILER;
}

const char *build_problem(void) {
#if defined __SANITIZE_ADDRESS__
  return "built with AddressSanitizer";
#elif defined __SANITIZE_THREAD__
  return "built with ThreadSanitizer";
#elif !defined __OPTIMIZE__
  return "built without optimisation";
#else
  /* The others define no macro. */
  return strstr(REFILL_CFLAGS, "-fsanitize") ? "built with a sanitizer" : NULL;
#endif
}

json_t *build_to_json(void) {
  json_t *problem = build_problem() ? json_string(build_problem()) : json_null();
  return json_pack("{s:s, s:s, s:s, s:o}", "version", REFILL_VERSION, "compiler", REFILL_COMPILER,
                   "flags", REFILL_CFLAGS, "problem", problem);
}
