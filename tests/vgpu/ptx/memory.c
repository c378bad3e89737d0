/*
 * Loads and stores, in all spaces.
 *
 * A vector access is checked as one (it must be aligned to all of its bytes), lane by lane, and
 * its elements are then spread over the registers.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "tests/vgpu/ptx/decode.h"
#include "tests/vgpu/ptx/execute.h"

#define VECTOR_BYTES_MAX 16

/* Finds the allocation, trying the last one first. */
static bool in_allocation(struct warp *warp, uint64_t address, size_t bytes) {
  if (address >= warp->last.start && address + bytes <= warp->last.end) return true;
  const struct arena_view *memory = &warp->block->run->memory;
  size_t low = 0, high = memory->n_ranges;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (memory->ranges[middle].end > address)
      high = middle;
    else
      low = middle + 1;
  }
  if (low == memory->n_ranges || address < memory->ranges[low].start) return false;
  warp->last = memory->ranges[low];
  return address + bytes <= warp->last.end;
}

unsigned char *global_bytes(struct warp *warp, const struct insn *insn, int lane, uint64_t address,
                            size_t bytes, bool writes) {
  const struct run *run = warp->block->run;
  if (address % bytes) {
    fault(warp, insn, lane, -EFAULT, "misaligned global address 0x%" PRIx64 " for %zu bytes",
          address, bytes);
    return NULL;
  }
  if (!in_allocation(warp, address, bytes)) {
    fault(warp, insn, lane, -EFAULT,
          "global %s of %zu bytes out of bounds or freed at 0x%" PRIx64 " (nearest 0x%" PRIx64
          "..0x%" PRIx64 ")",
          writes ? "write" : "read", bytes, address, warp->last.start, warp->last.end);
    return NULL;
  }
  unsigned char *state = (unsigned char *)(uintptr_t)(address + run->memory.state_delta);
  if (writes) {
    if (warp->last.constant) {
      fault(warp, insn, lane, -EFAULT, "write to constant memory at 0x%" PRIx64, address);
      return NULL;
    }
    memset(state, 1, bytes);
  } else if (!run->options->any_memory && memchr(state, 0, bytes)) {
    fault(warp, insn, lane, -EINVAL, "read of global memory that nobody wrote, at 0x%" PRIx64,
          address);
    return NULL;
  }
  return (unsigned char *)(uintptr_t)(address + run->memory.data_delta);
}

static unsigned char *local_bytes(struct warp *warp, const struct insn *insn, int lane,
                                  uint64_t address, size_t bytes, bool writes) {
  size_t room = warp->block->run->kernel->info.local_bytes;
  if (address % bytes || address > room || bytes > room - address) {
    fault(warp, insn, lane, -EFAULT, "local address 0x%" PRIx64 " out of bounds or misaligned",
          address);
    return NULL;
  }
  unsigned char *at = warp->local + (size_t)lane * room + address;
  unsigned char *state = at + room * LANES;
  if (writes) {
    memset(state, 1, bytes);
  } else if (!warp->block->run->options->any_memory && memchr(state, 0, bytes)) {
    fault(warp, insn, lane, -EINVAL, "read of local memory that nobody wrote, at 0x%" PRIx64,
          address);
    return NULL;
  }
  return at;
}

static unsigned char *locate(struct warp *warp, const struct insn *insn, int lane, size_t bytes,
                             bool writes) {
  uint64_t address = lane_address(warp, insn, lane);
  enum space space = (enum space)insn->space;
  if (space == SPACE_GENERIC) {
    space = SPACE_GLOBAL;
    if (address >> 56 == 1) space = SPACE_SHARED;
    if (address >> 56 == 2) space = SPACE_LOCAL;
    if (space != SPACE_GLOBAL) address &= WINDOW_BYTES - 1;
  }
  if (space == SPACE_SHARED) return shared_bytes(warp, insn, lane, address, bytes, writes);
  if (space == SPACE_LOCAL) return local_bytes(warp, insn, lane, address, bytes, writes);
  return global_bytes(warp, insn, lane, address, bytes, writes);
}

/* ---- loads ----------------------------------------------------------------------------- */

static uint64_t extended(uint64_t value, int bytes, bool sign) {
  if (bytes == 8) return value;
  uint64_t top = UINT64_C(1) << (8 * bytes - 1);
  return sign ? (value ^ top) - top : value;
}

static void spread(struct warp *warp, const struct insn *insn, uint32_t mask,
                   const unsigned char (*lines)[VECTOR_BYTES_MAX]) {
  for (int i = 0; i < insn->n_elements; i++) {
    void *target = place_at(warp, insn->d[i]);
    if (insn->width == 4 && insn->dw[0] == WIDTH_32) {
      for (int lane = 0; lane < LANES; lane++)
        if (mask >> lane & 1) memcpy((unsigned char *)target + lane * 4, lines[lane] + i * 4, 4);
      continue;
    }
    for (int lane = 0; lane < LANES; lane++) {
      if (!(mask >> lane & 1)) continue;
      uint64_t value = 0;
      memcpy(&value, lines[lane] + i * insn->width, insn->width);
      lane_set(target, insn->dw[0], lane, extended(value, insn->width, insn->sign));
    }
  }
}

static enum outcome run_load(struct warp *warp, const struct insn *insn, uint32_t mask) {
  _Alignas(64) unsigned char lines[LANES][VECTOR_BYTES_MAX];
  size_t bytes = (size_t)insn->width * insn->n_elements;
  for (int lane = 0; lane < LANES; lane++) {
    if (!(mask >> lane & 1)) continue;
    const unsigned char *source = locate(warp, insn, lane, bytes, false);
    if (!source) return OUTCOME_FAULT;
    memcpy(lines[lane], source, bytes);
  }
  spread(warp, insn, mask, (const unsigned char(*)[VECTOR_BYTES_MAX])lines);
  return OUTCOME_GO_ON;
}

static enum outcome run_load_parameter(struct warp *warp, const struct insn *insn, uint32_t mask) {
  unsigned char lines[LANES][VECTOR_BYTES_MAX];
  size_t bytes = (size_t)insn->width * insn->n_elements;
  const struct run *run = warp->block->run;
  for (int lane = 0; lane < LANES; lane++) {
    if (!(mask >> lane & 1)) continue;
    uint64_t address = lane_address(warp, insn, lane);
    if (address % bytes || address + bytes > run->kernel->info.parameter_bytes)
      return fault(warp, insn, lane, -EFAULT, "parameter out of bounds at %" PRIu64, address);
    memcpy(lines[lane], (const unsigned char *)run->launch->parameters + address, bytes);
  }
  spread(warp, insn, mask, (const unsigned char(*)[VECTOR_BYTES_MAX])lines);
  return OUTCOME_GO_ON;
}

/* ---- stores ---------------------------------------------------------------------------- */

static enum outcome run_store(struct warp *warp, const struct insn *insn, uint32_t mask) {
  size_t bytes = (size_t)insn->width * insn->n_elements;
  const void *sources[4];
  for (int i = 0; i < insn->n_elements; i++) sources[i] = place_at(warp, insn->s[i + 1]);
  for (int lane = 0; lane < LANES; lane++) {
    if (!(mask >> lane & 1)) continue;
    unsigned char *target = locate(warp, insn, lane, bytes, true);
    if (!target) return OUTCOME_FAULT;
    for (int i = 0; i < insn->n_elements; i++) {
      uint64_t value = lane_value(sources[i], insn->dw[0], lane);
      memcpy(target + i * insn->width, &value, insn->width);
    }
  }
  return OUTCOME_GO_ON;
}

static enum outcome run_nothing(struct warp *warp, const struct insn *insn, uint32_t mask) {
  (void)warp;
  (void)insn;
  (void)mask;
  return OUTCOME_GO_ON;
}

/* ---- decoding -------------------------------------------------------------------------- */

/* Hints for caches and orders between threads: blocks run one after another on a machine that
 * is coherent, so that they change nothing here. */
static void take_hints(struct decoder *decoder) {
  static const char *hints[] = {
      "nc",      "ca",      "cg",      "cs",      "lu",  "cv",  "wb",   "wt", "volatile", "gpu",
      "relaxed", "acquire", "release", "acq_rel", "sys", "cta", "weak", "sc", "gl",       "proxy"};
  for (size_t i = 0; i < sizeof hints / sizeof *hints; i++) take(decoder, hints[i]);
  for (int i = 1; i < decoder->n_parts; i++)
    if (decoder->parts[i].length > 4 && (memcmp(decoder->parts[i].start, "L1::", 4) == 0 ||
                                         memcmp(decoder->parts[i].start, "L2::", 4) == 0))
      decoder->taken[i] = true;
}

static enum space take_space(struct decoder *decoder) {
  if (take(decoder, "global")) return SPACE_GLOBAL;
  if (take(decoder, "shared") || take(decoder, "shared::cta")) return SPACE_SHARED;
  if (take(decoder, "local")) return SPACE_LOCAL;
  if (take(decoder, "const")) return SPACE_CONST;
  if (take(decoder, "param")) return SPACE_PARAM;
  return SPACE_GENERIC;
}

/* The registers of a load or store: all of one width, not narrower than an element. */
static int decode_elements(struct decoder *decoder, int group, bool loads) {
  const struct statement *statement = decoder->statement;
  struct insn *insn = decoder->insn;
  const struct group *vector = &statement->groups[group];
  const struct item *items = &statement->items[vector->first];
  int expected = take(decoder, "v4") ? 4 : take(decoder, "v2") ? 2 : 1;
  if (vector->count != expected || vector->address || insn->width * expected > VECTOR_BYTES_MAX)
    return refuse(decoder, "wrong vector");
  insn->n_elements = (uint8_t)expected;
  insn->dw[0] = insn->width < 2 ? 2 : insn->width;
  for (int i = 0; i < expected; i++)
    if (items[i].kind == ITEM_REGISTER && items[i].width > insn->dw[0])
      insn->dw[0] = items[i].width;
  for (int i = 0; i < expected; i++) {
    int code = loads ? result(decoder, &items[i], insn->dw[0], &insn->d[i])
                     : input(decoder, &items[i], insn->dw[0], &insn->s[i + 1]);
    if (code < 0) return code;
  }
  return 0;
}

static int decode_access(struct decoder *decoder, bool loads) {
  struct insn *insn = decoder->insn;
  char kind;
  int bits;
  if (decoder->statement->n_groups != 2) return refuse(decoder, "wrong number of operands");
  if (take_type(decoder, &kind, &bits) < 0) return -EINVAL;
  insn->width = (uint8_t)(bits / 8);
  insn->sign = kind == 's';
  insn->space = take_space(decoder);
  take_hints(decoder);
  if (!loads && (insn->space == SPACE_CONST || insn->space == SPACE_PARAM))
    return refuse(decoder, "space not supported");
  insn->run = !loads ? run_store : insn->space == SPACE_PARAM ? run_load_parameter : run_load;
  int code = decode_elements(decoder, loads ? 0 : 1, loads);
  if (code == 0) code = address(decoder, loads ? 1 : 0);
  return code < 0 ? code : all_taken(decoder);
}

int decode_memory(struct decoder *decoder) {
  if (opcode_is(decoder, "ld") || opcode_is(decoder, "ldu")) return decode_access(decoder, true);
  if (opcode_is(decoder, "st")) return decode_access(decoder, false);
  if (opcode_is(decoder, "membar") || opcode_is(decoder, "fence") ||
      opcode_is(decoder, "prefetch") || opcode_is(decoder, "nanosleep")) {
    decoder->insn->run = run_nothing;
    take_space(decoder);
    take_hints(decoder);
    take(decoder, "L1");
    take(decoder, "L2");
    take(decoder, "u32");
    return all_taken(decoder);
  }
  return 0;
}
