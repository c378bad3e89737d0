/*
 * cuGetProcAddress_v2: the only function of the driver that this library exports, so that a plain
 * dlsym of another one (whose ABI may be an old one) finds nothing.
 */
#include <string.h>

#include "tests/vgpu/libcuda/state.h"

enum { FOUND = 0, SYMBOL_NOT_FOUND = 1, VERSION_NOT_SUFFICIENT = 2 };

driver_result cuGetProcAddress_v2(const char *symbol, void **function, int version, uint64_t flags,
                                  unsigned *status);

/* Keeps the order of the bytes of a function pointer: ISO C has no such conversion. */
#define ADDRESS_OF(entry, target)                                                                  \
  do {                                                                                             \
    __typeof__(&(entry)) address_ = &(entry);                                                      \
    memcpy((target), &address_, sizeof address_);                                                  \
  } while (0)

__attribute__((visibility("default"))) driver_result
cuGetProcAddress_v2(const char *symbol, void **function, int version, uint64_t flags,
                    unsigned *status) {
  if (vgpu()->settings.stub) return RESULT_STUB_LIBRARY;
  if (!symbol || !function || flags > 2) return RESULT_INVALID_VALUE;
  *function = NULL;
  if (status) *status = SYMBOL_NOT_FOUND;
  if (version > vgpu()->settings.driver_version) return RESULT_NOT_FOUND;
#define FIND(member, name, abi, parameters)                                                        \
  if (strcmp(symbol, #name) == 0) {                                                                \
    if (status) *status = version >= (abi) ? FOUND : VERSION_NOT_SUFFICIENT;                       \
    if (version < (abi)) return RESULT_NOT_FOUND;                                                  \
    ADDRESS_OF(enter_##member, function);                                                          \
    return RESULT_OK;                                                                              \
  }
  DRIVER_TABLE(FIND)
#undef FIND
  return RESULT_NOT_FOUND;
}

driver_result enter_get_error_name(driver_result result, const char **name) {
  static const struct {
    driver_result result;
    const char *name;
  } names[] = {{0, "CUDA_SUCCESS"},
               {1, "CUDA_ERROR_INVALID_VALUE"},
               {2, "CUDA_ERROR_OUT_OF_MEMORY"},
               {3, "CUDA_ERROR_NOT_INITIALIZED"},
               {34, "CUDA_ERROR_STUB_LIBRARY"},
               {100, "CUDA_ERROR_NO_DEVICE"},
               {101, "CUDA_ERROR_INVALID_DEVICE"},
               {200, "CUDA_ERROR_INVALID_IMAGE"},
               {201, "CUDA_ERROR_INVALID_CONTEXT"},
               {209, "CUDA_ERROR_NO_BINARY_FOR_GPU"},
               {214, "CUDA_ERROR_ECC_UNCORRECTABLE"},
               {218, "CUDA_ERROR_INVALID_PTX"},
               {222, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION"},
               {400, "CUDA_ERROR_INVALID_HANDLE"},
               {500, "CUDA_ERROR_NOT_FOUND"},
               {600, "CUDA_ERROR_NOT_READY"},
               {700, "CUDA_ERROR_ILLEGAL_ADDRESS"},
               {701, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES"},
               {712, "CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED"},
               {713, "CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED"},
               {719, "CUDA_ERROR_LAUNCH_FAILED"},
               {803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"},
               {900, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"},
               {999, "CUDA_ERROR_UNKNOWN"}};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (names[i].result == result) {
      *name = names[i].name;
      return RESULT_OK;
    }
  *name = NULL;
  return RESULT_INVALID_VALUE;
}

driver_result enter_get_error_string(driver_result result, const char **text) {
  return enter_get_error_name(result, text);
}
