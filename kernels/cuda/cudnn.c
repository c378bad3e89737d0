/*
 * Loading cuDNN.
 */
#include "kernels/cuda/cudnn.h"

#include <errno.h>
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
