/*
 * The one place where a launch fails: the first error is kept, with where it happened.
 */
#include <stdarg.h>
#include <stdio.h>

#include "tests/vgpu/ptx/execute.h"

enum outcome fault(struct warp *warp, const struct insn *insn, int lane, int code,
                   const char *format, ...) {
  struct block *block = warp->block;
  struct run *run = block->run;
  int expected = 0;
  if (!__atomic_compare_exchange_n(&run->failed, &expected, 1, false, __ATOMIC_ACQ_REL,
                                   __ATOMIC_ACQUIRE))
    return OUTCOME_FAULT;
  char what[200], who[24] = "";
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(what, sizeof what, format, arguments);
  va_end(arguments);
  if (lane >= 0) snprintf(who, sizeof who, " lane %d", lane);
  error_set(run->error, code, "kernel %s block (%u,%u,%u) warp %d%s: %s; PTX line %d: %.*s",
            run->kernel->info.name, block->index[0], block->index[1], block->index[2], warp->index,
            who, what, insn ? insn->line : 0, insn ? insn->text_length : 0, insn ? insn->text : "");
  return OUTCOME_FAULT;
}
