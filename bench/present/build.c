/*
 * Provenance. version.h is made by the Makefile; a build without it says "unknown" rather than
 * something wrong.
 */
#include "bench/present/build.h"

#include <stddef.h>

#if __has_include("version.h")
#include "version.h"
#endif
#ifndef REFILL_VERSION
#define REFILL_VERSION "unknown"
#endif
#ifndef REFILL_COMMIT
#define REFILL_COMMIT NULL
#endif
#ifndef REFILL_CFLAGS
#define REFILL_CFLAGS NULL
#endif

#ifdef __clang__
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

const char *build_version(void) {
  return REFILL_VERSION;
}

const char *build_commit(void) {
  return REFILL_COMMIT;
}

const char *build_compiler(void) {
  return COMPILER;
}

const char *build_problem(void) {
#if defined __SANITIZE_ADDRESS__
  return "built with AddressSanitizer";
#elif defined __SANITIZE_THREAD__
  return "built with ThreadSanitizer";
#elif defined REFILL_SANITIZE
  return "built with a sanitizer";
#elif !defined __OPTIMIZE__
  return "built without optimisation";
#else
  return NULL;
#endif
}

static json_t *text_or_null(const char *text) {
  return text ? json_string(text) : json_null();
}

json_t *build_to_json(void) {
  return json_pack("{s:o, s:o, s:o, s:o, s:o}", "version", text_or_null(build_version()), "commit",
                   text_or_null(build_commit()), "compiler", text_or_null(build_compiler()),
                   "flags", text_or_null(REFILL_CFLAGS), "problem", text_or_null(build_problem()));
}
