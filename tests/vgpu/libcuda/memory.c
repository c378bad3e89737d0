/*
 * Memory: device allocations, registered host memory, copies and fills.
 *
 * Addresses are judged when a copy is enqueued (as the real driver does); bytes are read and
 * written when the stream comes to it, so that memory used again too early shows.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/vgpu/libcuda/state.h"
#include "tests/vgpu/memory/order.h"

driver_result enter_memory_alloc(driver_pointer *pointer, size_t bytes) {
  ENTER(memory_alloc, NEEDS_CONTEXT);
  if (!pointer || bytes == 0) return RESULT_INVALID_VALUE;
  *pointer = arena_alloc(vgpu()->arena, bytes, false);
  return *pointer ? RESULT_OK : RESULT_OUT_OF_MEMORY;
}

/* The real one waits for the device before it frees, too. */
driver_result enter_memory_free(driver_pointer pointer) {
  ENTER(memory_free, NEEDS_CONTEXT);
  if (pointer == 0) return RESULT_OK;
  streams_drain();
  return arena_free(vgpu()->arena, pointer) == 0 ? RESULT_OK : RESULT_INVALID_VALUE;
}

/* ---- host memory ------------------------------------------------------------------------ */

/* Whether every page of the range is mapped. */
static bool is_mapped(uintptr_t start, size_t bytes, size_t page) {
  unsigned char state;
  for (size_t at = 0; at < bytes; at += page)
    if (mincore((void *)(start + at), 1, &state) != 0) return false;
  return true;
}

static driver_result add_range(struct vgpu *state, uintptr_t start, size_t bytes, enum ring ring) {
  for (size_t i = 0; i < state->n_host; i++)
    if (start < state->host[i].end && start + bytes > state->host[i].start)
      return RESULT_HOST_MEMORY_ALREADY_REGISTERED;
  if (state->n_host == state->host_room) {
    size_t room = state->host_room ? state->host_room * 2 : 64;
    struct host_range *grown = realloc(state->host, room * sizeof *grown);
    if (!grown) return RESULT_OUT_OF_MEMORY;
    state->host = grown;
    state->host_room = room;
  }
  state->host[state->n_host++] =
      (struct host_range){.start = start, .end = start + bytes, .ring = ring};
  return RESULT_OK;
}

/* What the address is to the driver: memory that it never heard of is an error, as for the real
 * one. */
driver_result enter_pointer_get_attribute(void *value, unsigned attribute, driver_pointer pointer) {
  ENTER(pointer_get_attribute, NEEDS_CONTEXT);
  bool partly;
  if (!value || attribute != DRIVER_POINTER_MEMORY_TYPE) return RESULT_INVALID_VALUE;
  const bool device = vgpu_is_device(pointer, 1);
  if (!device && !host_is_pinned((const void *)(uintptr_t)pointer, 1, &partly))
    return RESULT_INVALID_VALUE;
  *(unsigned *)value = device ? DRIVER_MEMORY_DEVICE : DRIVER_MEMORY_HOST;
  return RESULT_OK;
}

driver_result enter_host_register(void *address, size_t bytes, unsigned flags) {
  ENTER(host_register, NEEDS_CONTEXT);
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  uintptr_t start = (uintptr_t)address;
  if (!address || bytes == 0 || flags & ~15U) return RESULT_INVALID_VALUE;
  if (start % page || bytes % page) {
    vgpu_finding("cuMemHostRegister of %zu bytes at %p: not whole pages", bytes, address);
    return RESULT_INVALID_VALUE;
  }
  if (!is_mapped(start, bytes, page)) return RESULT_INVALID_VALUE;
  const enum ring ring = ring_of(start);
  order_lock(&vgpu()->lock);
  driver_result result = add_range(vgpu(), start, bytes, ring);
  order_unlock(&vgpu()->lock);
  return result;
}

driver_result enter_host_unregister(void *address) {
  ENTER(host_unregister, NEEDS_CONTEXT);
  struct vgpu *state = vgpu();
  driver_result result = RESULT_HOST_MEMORY_NOT_REGISTERED;
  streams_drain();
  const enum ring ring = ring_of((uintptr_t)address);
  order_lock(&state->lock);
  for (size_t i = 0; i < state->n_host; i++) {
    if (state->host[i].start != (uintptr_t)address) continue;
    if (state->host[i].ring == RING_HOLDS && ring == RING_WITHOUT)
      vgpu_finding("io_uring gave %p up before it was unregistered", address);
    if (state->host[i].ring == RING_WITHOUT && ring == RING_HOLDS)
      vgpu_finding("%p was registered before io_uring registered it", address);
    size_t bytes = state->host[i].end - state->host[i].start;
    if (!is_mapped((uintptr_t)address, bytes, (size_t)sysconf(_SC_PAGESIZE)))
      vgpu_finding("%p was unmapped before it was unregistered", address);
    state->host[i] = state->host[--state->n_host];
    result = RESULT_OK;
    break;
  }
  order_unlock(&state->lock);
  return result;
}

/* At a range's first copy: storage has registered it by now, and must have before the driver.
 * (Where it is registered again and again, unregistering tells.) */
static void check_order(const void *address) {
  struct vgpu *state = vgpu();
  const uintptr_t at = (uintptr_t)address;
  struct host_range *range = NULL, first = {0};
  order_lock(&state->lock);
  for (size_t i = 0; i < state->n_host && !range; i++)
    if (at >= state->host[i].start && at < state->host[i].end) range = &state->host[i];
  if (range) first = *range;
  if (range) range->used = true;
  order_unlock(&state->lock);
  if (!range || first.used || first.ring != RING_WITHOUT) return;
  if (ring_of(at) == RING_HOLDS)
    vgpu_finding("%p was registered before io_uring registered it", address);
}

/* Neighbouring ranges count as one: buffers are registered in pieces. */
bool host_is_pinned(const void *address, size_t bytes, bool *partly) {
  struct vgpu *state = vgpu();
  uintptr_t at = (uintptr_t)address, end = at + bytes;
  bool moved = true;
  *partly = false;
  order_lock(&state->lock);
  while (moved && at < end) {
    moved = false;
    for (size_t i = 0; i < state->n_host; i++) {
      if (state->host[i].start < end && state->host[i].end > (uintptr_t)address) *partly = true;
      if (at < state->host[i].start || at >= state->host[i].end) continue;
      at = state->host[i].end;
      moved = true;
    }
  }
  order_unlock(&state->lock);
  return at >= end;
}

/* ---- copies ------------------------------------------------------------------------------ */

struct copy {
  unsigned char *target;
  const unsigned char *source;
  size_t width, height, target_pitch, source_pitch;
  uint64_t mark, check;  /* device addresses to mark as written, to check for it; or 0 */
  unsigned char *staged; /* a copy of pageable memory, freed when done */
  int value;             /* of a fill; -1: a copy */
  bool strided;          /* pages on their way: what VGPU_SLOW_COPIES_US holds up */
};

static void run_copy(void *argument) {
  const struct copy *copy = argument;
  struct arena *arena = vgpu()->arena;
  if (copy->strided) vgpu_pause(vgpu()->settings.slow_copies_us);
  for (size_t row = 0; row < copy->height && !vgpu_is_broken(); row++) {
    unsigned char *target = copy->target + row * copy->target_pitch;
    if (copy->mark) arena_mark(arena, copy->mark + row * copy->target_pitch, copy->width);
    if (copy->value >= 0) {
      memset(target, copy->value, copy->width);
      continue;
    }
    if (copy->check && !vgpu()->settings.any_memory &&
        !arena_written(arena, copy->check + row * copy->source_pitch, copy->width)) {
      vgpu_finding("a copy reads %zu bytes of device memory at 0x%llx that nobody wrote",
                   copy->width, (unsigned long long)(copy->check + row * copy->source_pitch));
      break;
    }
    memcpy(target, copy->source + row * copy->source_pitch, copy->width);
  }
  free(copy->staged);
}

/* The bytes from the first to the last row. */
static size_t extent(size_t width, size_t height, size_t pitch) {
  return height ? (height - 1) * pitch + width : 0;
}

static bool check_device(const char *what, uint64_t address, size_t bytes) {
  if (vgpu_is_device(address, bytes)) return true;
  vgpu_finding("%s: %zu bytes at 0x%llx are not in one allocation of device memory", what, bytes,
               (unsigned long long)address);
  return false;
}

/* Host memory of a copy: not a device address; told where it is not pinned, since the real
 * driver then copies through a buffer of its own and does not overlap. */
static driver_result check_host(const char *what, const void *address, size_t bytes,
                                bool *pageable) {
  bool partly;
  if (vgpu_is_device((uint64_t)(uintptr_t)address, 1)) {
    vgpu_finding("%s: %p is device memory, not host memory", what, address);
    return RESULT_INVALID_VALUE;
  }
  *pageable = !host_is_pinned(address, bytes, &partly);
  if (*pageable && partly) {
    vgpu_finding("%s: %zu bytes at %p are registered in part only", what, bytes, address);
    return RESULT_INVALID_VALUE;
  }
  if (!*pageable) check_order(address);
  if (*pageable && vgpu()->settings.pageable_is_finding)
    vgpu_finding("%s: %zu bytes at %p are pageable", what, bytes, address);
  return RESULT_OK;
}

/* Pageable memory is read before the call returns; writes to it are waited for. */
static driver_result enqueue_copy(struct copy *copy, bool reads_pageable, bool writes_pageable,
                                  driver_stream stream) {
  if (copy->width == 0 || copy->height == 0) return RESULT_OK;
  if (reads_pageable) {
    size_t bytes = extent(copy->width, copy->height, copy->source_pitch);
    copy->staged = malloc(bytes);
    if (!copy->staged) return RESULT_OUT_OF_MEMORY;
    memcpy(copy->staged, copy->source, bytes);
    copy->source = copy->staged;
  }
  driver_result result = stream_enqueue(stream, run_copy, copy, sizeof *copy);
  if (result != RESULT_OK) free(copy->staged);
  if (result == RESULT_OK && writes_pageable) result = enter_stream_synchronize(stream);
  return result;
}

driver_result enter_copy_in(driver_pointer target, const void *source, size_t bytes,
                            driver_stream stream) {
  ENTER(copy_in, NEEDS_CONTEXT);
  bool pageable;
  if (bytes == 0) return RESULT_OK;
  if (!check_device("cuMemcpyHtoDAsync", target, bytes)) return RESULT_INVALID_VALUE;
  driver_result result = check_host("cuMemcpyHtoDAsync", source, bytes, &pageable);
  if (result != RESULT_OK) return result;
  struct copy copy = {.target = arena_data(vgpu()->arena, target),
                      .source = source,
                      .width = bytes,
                      .height = 1,
                      .mark = target,
                      .value = -1};
  return enqueue_copy(&copy, pageable, false, stream);
}

driver_result enter_copy_out(void *target, driver_pointer source, size_t bytes,
                             driver_stream stream) {
  ENTER(copy_out, NEEDS_CONTEXT);
  bool pageable;
  if (bytes == 0) return RESULT_OK;
  if (!check_device("cuMemcpyDtoHAsync", source, bytes)) return RESULT_INVALID_VALUE;
  driver_result result = check_host("cuMemcpyDtoHAsync", target, bytes, &pageable);
  if (result != RESULT_OK) return result;
  struct copy copy = {.target = target,
                      .source = arena_data(vgpu()->arena, source),
                      .width = bytes,
                      .height = 1,
                      .check = source,
                      .value = -1};
  return enqueue_copy(&copy, false, pageable, stream);
}

driver_result enter_copy_within(driver_pointer target, driver_pointer source, size_t bytes,
                                driver_stream stream) {
  ENTER(copy_within, NEEDS_CONTEXT);
  if (bytes == 0) return RESULT_OK;
  if (!check_device("cuMemcpyDtoDAsync", target, bytes) ||
      !check_device("cuMemcpyDtoDAsync", source, bytes))
    return RESULT_INVALID_VALUE;
  if (target < source + bytes && source < target + bytes) {
    vgpu_finding("cuMemcpyDtoDAsync: source and target overlap");
    return RESULT_INVALID_VALUE;
  }
  struct copy copy = {.target = arena_data(vgpu()->arena, target),
                      .source = arena_data(vgpu()->arena, source),
                      .width = bytes,
                      .height = 1,
                      .mark = target,
                      .check = source,
                      .value = -1};
  return enqueue_copy(&copy, false, false, stream);
}

driver_result enter_fill(driver_pointer target, unsigned char value, size_t bytes,
                         driver_stream stream) {
  ENTER(fill, NEEDS_CONTEXT);
  if (bytes == 0) return RESULT_OK;
  if (!check_device("cuMemsetD8Async", target, bytes)) return RESULT_INVALID_VALUE;
  struct copy copy = {.target = arena_data(vgpu()->arena, target),
                      .width = bytes,
                      .height = 1,
                      .mark = target,
                      .value = value};
  return enqueue_copy(&copy, false, false, stream);
}

driver_result enter_copy_2d(const struct CUDA_MEMCPY2D_st *given, driver_stream stream) {
  ENTER(copy_2d, NEEDS_CONTEXT);
  const struct driver_copy_2d *c = (const void *)given;
  bool reads_pageable = false, writes_pageable = false;
  if (!c || c->source_kind - 1U > 1 || c->target_kind - 1U > 1) return RESULT_INVALID_VALUE;
  if (c->source_pitch_bytes < c->source_x_bytes + c->width_bytes ||
      c->target_pitch_bytes < c->target_x_bytes + c->width_bytes)
    return RESULT_INVALID_VALUE;
  size_t from = c->source_y * c->source_pitch_bytes + c->source_x_bytes;
  size_t to = c->target_y * c->target_pitch_bytes + c->target_x_bytes;
  struct copy copy = {.width = c->width_bytes,
                      .height = c->height,
                      .source_pitch = c->source_pitch_bytes,
                      .target_pitch = c->target_pitch_bytes,
                      .strided = true,
                      .value = -1};
  size_t source_bytes = extent(copy.width, copy.height, copy.source_pitch);
  size_t target_bytes = extent(copy.width, copy.height, copy.target_pitch);
  driver_result result = RESULT_OK;
  if (copy.width == 0 || copy.height == 0) return RESULT_OK;
  if (c->source_kind == DRIVER_MEMORY_DEVICE) {
    copy.check = c->source_device + from;
    if (!check_device("cuMemcpy2DAsync", copy.check, source_bytes)) return RESULT_INVALID_VALUE;
    copy.source = arena_data(vgpu()->arena, copy.check);
  } else {
    copy.source = (const unsigned char *)c->source_host + from;
    result = check_host("cuMemcpy2DAsync", copy.source, source_bytes, &reads_pageable);
  }
  if (c->target_kind == DRIVER_MEMORY_DEVICE) {
    copy.mark = c->target_device + to;
    if (!check_device("cuMemcpy2DAsync", copy.mark, target_bytes)) return RESULT_INVALID_VALUE;
    copy.target = arena_data(vgpu()->arena, copy.mark);
  } else if (result == RESULT_OK) {
    copy.target = (unsigned char *)c->target_host + to;
    result = check_host("cuMemcpy2DAsync", copy.target, target_bytes, &writes_pageable);
  }
  return result == RESULT_OK ? enqueue_copy(&copy, reads_pageable, writes_pageable, stream)
                             : result;
}
