/*
 * NVIDIA's libraries, loaded at run time: where they are looked for, and what is
 * said when they are not there.
 *
 * In this order: `directory` (--cuda-libdir) and nowhere else where it is given; the loader's
 * path; CUDA_HOME; /usr/local/cuda*; python's site-packages (nvidia/<part>/lib), where most boxes
 * have cuDNN: of the environment that is active, of any whose programs PATH names, of the user and
 * of the system, and of environments in the usual places. The first that loads is taken.
 */
#ifndef REFILL_KERNELS_CUDA_LIBRARIES_H
#define REFILL_KERNELS_CUDA_LIBRARIES_H

#include <stddef.h>

#include "base/error.h"

struct library {
  void *handle;
  char path[256]; /* of the file that was loaded */
};

/* One function that is wanted, and where its address goes. */
struct library_symbol {
  const char *name;
  void *member;
};

/* Loads `file` ("libcublasLt.so.13"). Returns 0 or -ENOTSUP with what was tried. */
int library_open(struct library *library, const char *file, const char *directory,
                 struct error *error);

/* Resolves one function that may be missing: NULL then. */
void library_find(const struct library *library, struct library_symbol symbol);

/* Resolves all of `symbols`; -ENOTSUP names the first that is missing. */
int library_resolve(const struct library *library, const struct library_symbol *symbols, size_t n,
                    struct error *error);

#endif
