/*
 * A few lines of PTX as a kernel of their own.
 */
#include "tests/vgpu/snippet.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char frame[] = ".version 8.0\n.target sm_90a\n.address_size 64\n%s\n"
                            ".visible .entry k(.param .u64 k_in, .param .u64 k_out)\n{\n"
                            ".reg .pred %%p<8>;\n.reg .b16 %%h<16>;\n.reg .b32 %%r<64>;\n"
                            ".reg .f32 %%f<16>;\n.reg .f64 %%g<4>;\n.reg .b64 %%d<16>;\n"
                            "ld.param.u64 %%d8, [k_in];\nld.param.u64 %%d9, [k_out];\n"
                            "%s\nret;\n}\n";

static int run(struct snippet *snippet, struct arena *arena, const char *text,
               struct error *error) {
  struct ptx_module *module = NULL;
  int code = ptx_module_open(&module, text, arena, error);
  if (code < 0) return code;
  uint64_t addresses[2] = {arena_alloc(arena, SNIPPET_WORDS * 8, false),
                           arena_alloc(arena, SNIPPET_WORDS * 8, false)};
  if (snippet->n_in) memcpy(arena_data(arena, addresses[0]), snippet->in, snippet->n_in * 8);
  arena_mark(arena, addresses[0], snippet->n_in * 8);
  struct ptx_launch launch = {.grid = {snippet->blocks ? snippet->blocks : 1, 1, 1},
                              .block = {snippet->threads ? snippet->threads : 1, 1, 1},
                              .shared_bytes = snippet->shared_bytes,
                              .parameters = addresses};
  code = ptx_run(ptx_kernel_find(module, "k"), &launch, arena, &snippet->options, NULL, error);
  memcpy(snippet->out, arena_data(arena, addresses[1]), sizeof snippet->out);
  ptx_module_close(module);
  return code;
}

int snippet_run(struct snippet *snippet, struct error *error) {
  size_t room = sizeof frame + strlen(snippet->code) +
                (snippet->declarations ? strlen(snippet->declarations) : 0);
  char *text = malloc(room);
  struct arena *arena = arena_open(1 << 20);
  if (!text || !arena) return -ENOMEM;
  snprintf(text, room, frame, snippet->declarations ? snippet->declarations : "", snippet->code);
  int code = run(snippet, arena, text, error);
  arena_close(arena);
  free(text);
  return code;
}
