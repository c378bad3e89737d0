/*
 * Shared memory and its shadow.
 *
 * Order between warps is kept as vector clocks: a warp's own clock goes up at each barrier, where
 * it also learns the others' clocks. An access is ordered after another warp's when that
 * warp's clock at the time is known. Per 4 bytes the shadow holds the last writer and the readers
 * since; bytes within a word are told apart, so that neighbours may belong to two warps.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/vgpu/ptx/execute.h"

int shadow_open(struct shadow *shadow, size_t bytes) {
  shadow->n_words = (bytes + 3) / 4 + 4; /* an access of 16 bytes may end beyond */
  shadow->words = calloc(shadow->n_words, sizeof *shadow->words);
  return shadow->words ? 0 : -1;
}

void shadow_clear(struct shadow *shadow) {
  memset(shadow->words, 0, shadow->n_words * sizeof *shadow->words);
}

void shadow_close(struct shadow *shadow) {
  free(shadow->words);
}

static bool races(struct warp *warp, const struct insn *insn, int lane, uint64_t address,
                  const char *what, int line) {
  if (warp->block->run->options->any_order) return false;
  fault(warp, insn, lane, -EINVAL,
        "shared memory race at 0x%" PRIx64 ": %s, with no barrier in between, PTX line %d", address,
        what, line);
  return true;
}

/* Whether everything that `readers` read up to `clock` comes before now. */
static inline bool readers_before(const struct warp *warp, uint32_t readers, uint32_t clock) {
  readers &= ~(1U << warp->index);
  if (readers == 0) return true;
  for (; readers; readers &= readers - 1)
    if (warp->clocks[__builtin_ctz(readers)] < clock) return false;
  return true;
}

static inline bool check_write(struct warp *warp, const struct insn *insn, int lane, size_t at,
                               uint8_t bytes) {
  struct shadow_word *word = &warp->block->shadow.words[at];
  bool after_write = word->write_clock == 0 || word->writer == warp->index ||
                     warp->clocks[word->writer] >= word->write_clock;
  if (!after_write && word->write_bytes & bytes &&
      races(warp, insn, lane, at * 4, "a write after another warp's write", word->write_line))
    return false;
  if (!readers_before(warp, word->readers, word->read_clock) && word->read_bytes & bytes &&
      races(warp, insn, lane, at * 4, "a write after another warp's read", word->read_line))
    return false;
  word->write_bytes |= bytes;
  word->write_clock = warp->clocks[warp->index];
  word->writer = (uint8_t)warp->index;
  word->write_line = insn->line;
  return true;
}

static inline void note_read(const struct warp *warp, struct shadow_word *word, uint8_t bytes) {
  uint32_t own = 1U << warp->index, now = warp->clocks[warp->index];
  if (readers_before(warp, word->readers, word->read_clock)) {
    word->readers = own;
    word->read_bytes = bytes;
    word->read_clock = now;
    return;
  }
  word->readers |= own;
  word->read_bytes |= bytes;
  if (word->read_clock < now) word->read_clock = now;
}

static inline bool check_read(struct warp *warp, const struct insn *insn, int lane, size_t at,
                              uint8_t bytes) {
  struct shadow_word *word = &warp->block->shadow.words[at];
  if ((word->write_bytes & bytes) != bytes && !warp->block->run->options->any_memory) {
    fault(warp, insn, lane, -EINVAL, "read of shared memory that nobody wrote, at 0x%zx", at * 4);
    return false;
  }
  if (word->writer != warp->index && warp->clocks[word->writer] < word->write_clock &&
      races(warp, insn, lane, at * 4, "a read after another warp's write", word->write_line))
    return false;
  note_read(warp, word, bytes);
  word->read_line = insn->line;
  return true;
}

unsigned char *shared_bytes(struct warp *warp, const struct insn *insn, int lane, uint64_t address,
                            size_t bytes, bool writes) {
  struct block *block = warp->block;
  if (address % bytes) {
    fault(warp, insn, lane, -EFAULT, "misaligned shared address 0x%" PRIx64 " for %zu bytes",
          address, bytes);
    return NULL;
  }
  if (address > block->shared_bytes || bytes > block->shared_bytes - address) {
    fault(warp, insn, lane, -EFAULT,
          "shared %s of %zu bytes out of bounds at 0x%" PRIx64 " (the block has %zu)",
          writes ? "write" : "read", bytes, address, block->shared_bytes);
    return NULL;
  }
  uint8_t part = bytes >= 4 ? 15 : (uint8_t)(((1U << bytes) - 1) << (address % 4));
  for (size_t word = address / 4; word * 4 < address + bytes; word++) {
    if (block->shadow.words[word].pending) {
      fault(warp, insn, lane, -EINVAL,
            "shared memory at 0x%" PRIx64 " touched while a cp.async to it is under way", address);
      return NULL;
    }
    if (!(writes ? check_write(warp, insn, lane, word, part)
                 : check_read(warp, insn, lane, word, part)))
      return NULL;
  }
  return block->shared + address;
}

void shared_pending(struct warp *warp, uint32_t address, size_t bytes, int change) {
  for (size_t word = address / 4; word * 4 < address + bytes; word++)
    warp->block->shadow.words[word].pending =
        (uint16_t)(warp->block->shadow.words[word].pending + change);
}
