/*
 * Loading cuDNN.
 */
#include "kernels/cuda/cudnn.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

int cudnn_load(struct cudnn *cudnn, const char *directory, struct error *error) {
  *cudnn = (struct cudnn){0};
  int failed = library_open(&cudnn->library, "libcudnn.so.9", directory, error);
  if (failed) return failed;
  const struct library_symbol symbols[] = {
#define CUDNN_SYMBOL(member, symbol, result, parameters) {#symbol, &cudnn->member},
      CUDNN_TABLE(CUDNN_SYMBOL)
#undef CUDNN_SYMBOL
  };
  failed = library_resolve(&cudnn->library, symbols, sizeof symbols / sizeof symbols[0], error);
  if (failed) return failed;
  const size_t version = cudnn->get_version(); /* 91900 for 9.19.0 */
  cudnn->major = (int)(version / 10000);
  cudnn->minor = (int)(version / 100 % 100);
  cudnn->patch = (int)(version % 100);
  if (cudnn->major == CUDNN_MAJOR_WANTED) return 0;
  return error_set(error, -ENOTSUP, "%s is version %d.%d.%d, %d is needed", cudnn->library.path,
                   cudnn->major, cudnn->minor, cudnn->patch, CUDNN_MAJOR_WANTED);
}

/* "DIR" of "DIR/FILE" and what follows, as a pattern; false for a file without a directory. */
static bool beside(const struct library *library, const char *below, char *pattern, size_t bytes) {
  const char *slash = strrchr(library->path, '/');
  if (!slash) return false;
  snprintf(pattern, bytes, "%.*s%s", (int)(slash - library->path), library->path, below);
  return true;
}

/* One major; the named directory first, as cuDNN's own, but NVRTC comes in a package apart: pip has
 * nvidia/cudnn/lib beside nvidia/cuda_nvrtc/lib or nvidia/cu13/lib. */
static int load_one(const struct cudnn *cudnn, int major, const char *directory,
                    struct library *nvrtc, struct error *error) {
  char file[40], builtins[40], pattern[PATH_MAX];
  struct library unused;
  snprintf(file, sizeof file, "libnvrtc.so.%d", major);
  snprintf(builtins, sizeof builtins, "libnvrtc-builtins.so.%d.*", major);
  int failed = library_open(nvrtc, file, directory, NULL);
  if (failed && beside(&cudnn->library, "/../../*/lib", pattern, sizeof pattern))
    failed = library_open(nvrtc, file, pattern, NULL);
  if (failed) failed = library_open(nvrtc, file, NULL, error);
  if (!failed && beside(nvrtc, "", pattern, sizeof pattern))
    (void)library_open(&unused, builtins, pattern, NULL);
  return failed;
}

int cudnn_load_nvrtc(const struct cudnn *cudnn, int driver_version, const char *directory,
                     struct library *nvrtc, struct error *error) {
  const int first = driver_version >= 13000 ? 13 : 12;
  struct library other;
  struct error why = {0};
  const bool has_other = load_one(cudnn, first == 13 ? 12 : 13, directory, &other, NULL) == 0;
  if (load_one(cudnn, first, directory, nvrtc, &why) == 0) return 0;
  if (!has_other) return error_set(error, -ENOTSUP, "%s", why.message);
  *nvrtc = other;
  return 0;
}

int cudnn_start(struct cudnn *cudnn, struct error *error) {
  cudnn_status status = cudnn->create(&cudnn->handle);
  if (status == DNN_SUCCESS) return 0;
  cudnn->handle = NULL;
  return error_set(error, -ENOTSUP, "%s does not start: cudnnCreate returned %d (%s)",
                   cudnn->library.path, status, cudnn->error_string(status));
}

void cudnn_close(struct cudnn *cudnn) {
  if (cudnn->handle) (void)cudnn->destroy(cudnn->handle);
  cudnn->handle = NULL;
}

int cudnn_check(const struct cudnn *cudnn, cudnn_status status, const char *what,
                struct error *error) {
  if (status == DNN_SUCCESS) return 0;
  char words[200] = "";
  cudnn->last_error(words, sizeof words);
  words[strcspn(words, "\n")] = '\0';
  /* 3000 to 3999 are the kinds of "not supported". */
  return error_set(error, status / 1000 == 3 ? -ENOTSUP : -EIO, "%s: %s (%d)%s%s", what,
                   cudnn->error_string(status), status, words[0] ? ": " : "", words);
}
