/*
 * Shipped profiles, taken into the program by the assembler's .incbin: the JSON
 * files stay the one form in which they are written, read and reviewed. Paths are relative to
 * the repository's root, where make runs; the Makefile names the files as prerequisites,
 * since the compiler does not see them.
 *
 * A new shipped profile is a file in profiles/, an EMBED line and a table line.
 */
#include "kernels/playback/builtin.h"

#include <string.h>

#define EMBED(symbol, file)                                                                        \
  __asm__(".pushsection .rodata\n"                                                                 \
          ".balign 16\n" #symbol "_begin:\n"                                                       \
          ".incbin \"kernels/playback/profiles/" file "\"\n" #symbol "_end:\n"                     \
          ".popsection\n");                                                                        \
  extern const char symbol##_begin[], symbol##_end[]

EMBED(profile_h100_70b, "h100-sxm-llama-3-70b.json");
EMBED(profile_h100_70b_kv_fp8, "h100-sxm-llama-3-70b-kv-fp8.json");
EMBED(profile_h100_70b_fp8, "h100-sxm-llama-3-70b-fp8.json");

struct entry {
  const char *name, *begin, *end;
};

static const struct entry entries[] = {
    {"zero", NULL, NULL},
    {"h100-sxm-llama-3-70b", profile_h100_70b_begin, profile_h100_70b_end},
    {"h100-sxm-llama-3-70b-kv-fp8", profile_h100_70b_kv_fp8_begin, profile_h100_70b_kv_fp8_end},
    {"h100-sxm-llama-3-70b-fp8", profile_h100_70b_fp8_begin, profile_h100_70b_fp8_end},
};

enum { N_ENTRIES = sizeof entries / sizeof entries[0] };

bool builtin_profile_at(int index, struct builtin_profile *profile) {
  if (index < 0 || index >= N_ENTRIES) return false;
  const struct entry *entry = &entries[index];
  *profile =
      (struct builtin_profile){entry->name, entry->begin, (size_t)(entry->end - entry->begin)};
  return true;
}

bool builtin_profile_find(const char *name, struct builtin_profile *profile) {
  for (int i = 0; builtin_profile_at(i, profile); i++) {
    if (strcmp(profile->name, name) == 0) return true;
  }
  return false;
}
