/*
 * The profiles that are part of the program, so that it runs from any directory.
 */
#ifndef REFILL_KERNELS_PLAYBACK_BUILTIN_H
#define REFILL_KERNELS_PLAYBACK_BUILTIN_H

#include <stdbool.h>
#include <stddef.h>

struct builtin_profile {
  const char *name;
  const char *text; /* JSON, not terminated; NULL for "zero", which fits any shape */
  size_t text_bytes;
};

/* Fills `profile` with the i-th, or with the one called `name`; false where there is none. */
bool builtin_profile_at(int index, struct builtin_profile *profile);
bool builtin_profile_find(const char *name, struct builtin_profile *profile);

#endif
