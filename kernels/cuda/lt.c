/*
 * Loading cuBLASLt.
 */
#include "kernels/cuda/lt.h"

#include <errno.h>
#include <stdio.h>

static int load(struct lt *lt, int major, const char *directory, struct error *error) {
  char file[32];
  snprintf(file, sizeof file, "libcublasLt.so.%d", major);
  *lt = (struct lt){0};
  int failed = library_open(&lt->library, file, directory, error);
  if (failed) return failed;
  const struct library_symbol symbols[] = {
#define LT_SYMBOL(member, symbol, result, parameters) {#symbol, &lt->member},
      LT_TABLE(LT_SYMBOL)
#undef LT_SYMBOL
  };
  failed = library_resolve(&lt->library, symbols, sizeof symbols / sizeof symbols[0], error);
  if (failed) return failed;
  const size_t version = lt->get_version(); /* 130100 for 13.1.0; 120304 for 12.3.4 */
  lt->major = (int)(version / 10000);
  lt->minor = (int)(version / 100 % 100);
  lt->patch = (int)(version % 100);
  if (lt->major != major)
    return error_set(error, -ENOTSUP,
                     "%s says that it is version %d.%d.%d: it does not match its name",
                     lt->library.path, lt->major, lt->minor, lt->patch);
  lt_status status = lt->create(&lt->handle);
  if (status == LT_SUCCESS) return 0;
  lt->handle = NULL;
  return error_set(error, -ENOTSUP, "%s does not start: cublasLtCreate returned %d (%s)",
                   lt->library.path, status, lt->status_name(status));
}

int lt_open(struct lt *lt, int driver_version, const char *directory, struct error *error) {
  const int first = driver_version >= 13000 ? 13 : 12;
  struct error why = {0}, why_other = {0};
  if (load(lt, first, directory, &why) == 0) return 0;
  if (load(lt, first == 13 ? 12 : 13, directory, &why_other) == 0) return 0;
  return error_set(error, -ENOTSUP,
                   "cuBLASLt, which computes the GEMMs, cannot be used: %.200s; %.200s",
                   why.message, why_other.message);
}

void lt_close(struct lt *lt) {
  if (lt->handle) (void)lt->destroy(lt->handle);
  lt->handle = NULL;
}

int lt_check(const struct lt *lt, lt_status status, const char *what, struct error *error) {
  if (status == LT_SUCCESS) return 0;
  const char *name = lt->status_name(status);
  return error_set(error, status == LT_NOT_SUPPORTED ? -ENOTSUP : -EIO, "%s: %s (%d)", what,
                   name ? name : "unknown status", status);
}
