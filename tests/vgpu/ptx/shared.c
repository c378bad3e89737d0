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
  shadow->words = (bytes + 3) / 4 + 4;
  size_t n = shadow->words;
  shadow->write_clock = calloc(n, sizeof *shadow->write_clock);
  shadow->read_clock = calloc(n, sizeof *shadow->read_clock);
  shadow->readers = calloc(n, sizeof *shadow->readers);
  shadow->pending = calloc(n, sizeof *shadow->pending);
  shadow->writer = calloc(n, 1);
  shadow->write_bytes = calloc(n, 1);
  shadow->read_bytes = calloc(n, 1);
  shadow->write_line = calloc(n, sizeof *shadow->write_line);
  shadow->read_line = calloc(n, sizeof *shadow->read_line);
  return shadow->write_clock && shadow->read_clock && shadow->readers && shadow->pending &&
                 shadow->writer && shadow->write_bytes && shadow->read_bytes &&
                 shadow->write_line && shadow->read_line
             ? 0
             : -1;
}

void shadow_clear(struct shadow *shadow) {
  size_t n = shadow->words;
  memset(shadow->write_clock, 0, n * sizeof *shadow->write_clock);
  memset(shadow->read_clock, 0, n * sizeof *shadow->read_clock);
  memset(shadow->readers, 0, n * sizeof *shadow->readers);
  memset(shadow->pending, 0, n * sizeof *shadow->pending);
  memset(shadow->write_bytes, 0, n);
  memset(shadow->read_bytes, 0, n);
}

void shadow_close(struct shadow *shadow) {
  free(shadow->write_clock);
  free(shadow->read_clock);
  free(shadow->readers);
  free(shadow->pending);
  free(shadow->writer);
  free(shadow->write_bytes);
  free(shadow->read_bytes);
  free(shadow->write_line);
  free(shadow->read_line);
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
static bool readers_before(const struct warp *warp, uint32_t readers, uint32_t clock) {
  readers &= ~(1U << warp->index);
  for (; readers; readers &= readers - 1)
    if (warp->clocks[__builtin_ctz(readers)] < clock) return false;
  return true;
}

static bool check_write(struct warp *warp, const struct insn *insn, int lane, size_t word,
                        uint8_t bytes) {
  struct shadow *shadow = &warp->block->shadow;
  uint8_t writer = shadow->writer[word];
  bool before = shadow->write_clock[word] == 0 || writer == warp->index ||
                warp->clocks[writer] >= shadow->write_clock[word];
  if (!before && shadow->write_bytes[word] & bytes &&
      races(warp, insn, lane, word * 4, "a write after another warp's write",
            shadow->write_line[word]))
    return false;
  if (!readers_before(warp, shadow->readers[word], shadow->read_clock[word]) &&
      shadow->read_bytes[word] & bytes &&
      races(warp, insn, lane, word * 4, "a write after another warp's read",
            shadow->read_line[word]))
    return false;
  shadow->write_bytes[word] |= bytes;
  shadow->write_clock[word] = warp->clocks[warp->index];
  shadow->writer[word] = (uint8_t)warp->index;
  shadow->write_line[word] = insn->line;
  return true;
}

static bool check_read(struct warp *warp, const struct insn *insn, int lane, size_t word,
                       uint8_t bytes) {
  struct shadow *shadow = &warp->block->shadow;
  uint8_t writer = shadow->writer[word];
  if ((shadow->write_bytes[word] & bytes) != bytes && !warp->block->run->options->any_memory) {
    fault(warp, insn, lane, -EINVAL, "read of shared memory that nobody wrote, at 0x%zx", word * 4);
    return false;
  }
  if (writer != warp->index && warp->clocks[writer] < shadow->write_clock[word] &&
      races(warp, insn, lane, word * 4, "a read after another warp's write",
            shadow->write_line[word]))
    return false;
  uint32_t own = 1U << warp->index;
  if (readers_before(warp, shadow->readers[word], shadow->read_clock[word])) {
    shadow->readers[word] = own;
    shadow->read_bytes[word] = bytes;
    shadow->read_clock[word] = warp->clocks[warp->index];
  } else {
    shadow->readers[word] |= own;
    shadow->read_bytes[word] |= bytes;
    if (shadow->read_clock[word] < warp->clocks[warp->index])
      shadow->read_clock[word] = warp->clocks[warp->index];
  }
  shadow->read_line[word] = insn->line;
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
    if (block->shadow.pending[word]) {
      fault(warp, insn, lane, -EINVAL,
            "shared memory at 0x%" PRIx64 " touched while a cp.async to it is under way", address);
      return NULL;
    }
    if (!(writes ? check_write : check_read)(warp, insn, lane, word, part)) return NULL;
  }
  return block->shared + address;
}

void shared_pending(struct warp *warp, uint32_t address, size_t bytes, int change) {
  for (size_t word = address / 4; word * 4 < address + bytes; word++)
    warp->block->shadow.pending[word] = (uint16_t)(warp->block->shadow.pending[word] + change);
}
