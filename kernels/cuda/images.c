/*
 * Kernel images, taken in by the assembler's .incbin from where the Makefile
 * put them. Each ends with a zero byte, since the driver takes PTX as a string.
 */
#include "kernels/cuda/images.h"

#define EMBED(module, form, file)                                                                  \
  __asm__(".pushsection .rodata\n"                                                                 \
          ".balign 64\n"                                                                           \
          "image_" #module "_" #form "_begin:\n"                                                   \
          ".incbin \"" CUDA_IMAGES_DIR "/" #module "." file "\"\n"                                 \
          "image_" #module "_" #form "_end:\n"                                                     \
          ".byte 0\n"                                                                              \
          ".popsection\n");                                                                        \
  extern const char image_##module##_##form##_begin[], image_##module##_##form##_end[];

#define EMBED_MODULE(module)                                                                       \
  EMBED(module, sm_90a, "sm_90a.cubin")                                                            \
  EMBED(module, compute_90a, "compute_90a.ptx")                                                    \
  EMBED(module, sm_80, "sm_80.cubin")                                                              \
  EMBED(module, compute_80, "compute_80.ptx")
MODULE_TABLE(EMBED_MODULE)

struct entry {
  const char *module;
  struct {
    const char *begin, *end;
  } forms[IMAGE_FORMS];
};

#define BOUNDS(module, form)                                                                       \
  { image_##module##_##form##_begin, image_##module##_##form##_end }
#define ENTRY(module)                                                                              \
  {#module,                                                                                        \
   {[IMAGE_SM_90A] = BOUNDS(module, sm_90a),                                                       \
    [IMAGE_COMPUTE_90A] = BOUNDS(module, compute_90a),                                             \
    [IMAGE_SM_80] = BOUNDS(module, sm_80),                                                         \
    [IMAGE_COMPUTE_80] = BOUNDS(module, compute_80)}},

static const struct entry entries[] = {MODULE_TABLE(ENTRY)};

struct image image_at(int module, enum image_form form) {
  const struct entry *entry = &entries[module];
  const char *begin = entry->forms[form].begin;
  return (struct image){entry->module, begin, (size_t)(entry->forms[form].end - begin)};
}
