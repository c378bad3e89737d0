/*
 * A device to copy: the least that keeps every promise of device.h.
 *
 * It is compiled and runs the same contract tests as the real ones, but it is
 * in no table: to make a device of a copy, rename it, and add its ops to device.c
 * and to the list in tests/kernels/test_device_contract.c. The real ones to read next:
 * playback/ (times come from a file), cpu/ (computes; lands in place).
 *
 * This one computes nothing; the KV of a token is its id and layer, repeated. It finishes
 * all work before it returns, so a ticket is a number that was given out. Where
 * a real device differs is said at each member.
 */
#include "kernels/device_skeleton.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/memory.h"

struct skeleton {
  struct device device; /* first, so that a pointer to it is a pointer to this */
  struct device_config config;
  struct memory kv; /* (layers, pages, page_stride_bytes) */
  int64_t pages;    /* of one layer */
  size_t payload_bytes;
  int64_t first_new_page, end_page; /* of this run */
  int32_t token;
  bool head_done;
  device_ticket first_ticket;        /* of this run */
  _Atomic device_ticket next_ticket; /* wait() reads it from any thread */
};

static struct skeleton *skeleton_of(struct device *device) {
  assert(device->ops == &device_skeleton_ops);
  return (struct skeleton *)device;
}

static unsigned char *page_at(const struct skeleton *skeleton, int layer, int64_t page) {
  assert(layer >= 0 && layer < skeleton->config.layers);
  assert(page >= 0 && page < skeleton->pages);
  size_t index = (size_t)layer * (size_t)skeleton->pages + (size_t)page;
  return (unsigned char *)skeleton->kv.address + index * skeleton->config.page_stride_bytes;
}

/* close: Required. Everything that open() made, also half of it; NULL is allowed. A device with
 * work under way ends or awaits it first. */
static void skeleton_close(struct device *device) {
  if (device == NULL) return;
  struct skeleton *skeleton = skeleton_of(device);
  memory_unmap(&skeleton->kv);
  free(skeleton);
}

/* open: Required. All allocation and planning is here, since later calls are timed. A real device
 * first asks whether it can work at all (-ENOTSUP, and why), then how much KV fits:
 * device_kv_slots() with the memory it has; where that is fewer than all layers, layer l uses slot
 * l % kv_slots and info.kv_resident is false. Fill `info` with what was obtained, not with what was
 * asked for, and `regions` with every range that buffer() may point into. */
static int skeleton_open(struct device **device, const struct device_config *config,
                         struct error *error) {
  *device = NULL;
  int refused = device_check_choices(config, "skeleton", error);
  if (refused) return refused;
  struct skeleton *skeleton = calloc(1, sizeof *skeleton);
  if (skeleton == NULL) return error_set(error, -ENOMEM, "skeleton: no memory");
  skeleton->device.ops = &device_skeleton_ops;
  skeleton->config = *config; /* argument and placement stay the caller's: use them here only */
  skeleton->pages = (config->tokens_max + config->page_tokens - 1) / config->page_tokens;
  skeleton->payload_bytes =
      device_page_payload_bytes(&config->shape, config->page_tokens, config->kv_element);
  skeleton->first_ticket = 1;
  atomic_init(&skeleton->next_ticket, 1);
  size_t bytes = (size_t)config->layers * (size_t)skeleton->pages * config->page_stride_bytes;
  int code = memory_map(&skeleton->kv, bytes, config->placement, 1, error);
  if (code != 0) {
    skeleton_close(&skeleton->device);
    return code;
  }
  struct device_info *info = &skeleton->device.info;
  snprintf(info->description, sizeof info->description, "skeleton: computes nothing");
  snprintf(info->gemm, sizeof info->gemm, "none");
  snprintf(info->attention, sizeof info->attention, "none");
  info->element = config->element;
  info->kv_resident = true;
  info->kv_slots = config->layers;
  info->weight_sets = config->layers;
  info->chunk_tokens = config->tokens_max;
  info->memory_bytes = skeleton->kv.bytes;
  skeleton->device.regions[0] =
      (struct device_region){.address = skeleton->kv.address, .bytes = skeleton->kv.bytes};
  skeleton->device.n_regions = 1;
  *device = &skeleton->device;
  return 0;
}

/* pin: Optional, absent here: what is no copy of its own device needs nothing pinned. A staged
 * device pins its landing and leaving buffers here and not in open(), since storage must have
 * registered them first, and fills info.pinned_bytes and info.pinned_s. */

/* begin: Required. Checks what later calls rely on, forgets earlier tickets, and spoils the past:
 * a page that storage fails to deliver must not pass for delivered because an earlier run left
 * the right bytes there. The pattern is finite, as attention may read it. A staged device spoils
 * its landing buffers too. */
static int skeleton_begin(struct device *device, const struct device_sequence *seqs, int n_seqs,
                          struct error *error) {
  static const uint64_t pattern = UINT64_C(0x3f803f803f803f80); /* 1.0 in bf16 */
  struct skeleton *skeleton = skeleton_of(device);
  int64_t page_tokens = skeleton->config.page_tokens;
  if (n_seqs != 1 || seqs->n_new < 1 || seqs->n_past < 0 || seqs->n_past % page_tokens != 0 ||
      seqs->n_past + seqs->n_new > skeleton->config.tokens_max) {
    return error_set(error, -EINVAL, "%d sequences of %lld past and %lld new tokens cannot be run",
                     n_seqs, (long long)seqs->n_past, (long long)seqs->n_new);
  }
  skeleton->first_new_page = seqs->n_past / page_tokens;
  skeleton->end_page = (seqs->n_past + seqs->n_new + page_tokens - 1) / page_tokens;
  skeleton->head_done = false;
  skeleton->first_ticket = atomic_load(&skeleton->next_ticket);
  for (int layer = 0; layer < skeleton->config.layers; layer++) {
    for (int64_t page = 0; page < skeleton->first_new_page; page++) {
      unsigned char *at = page_at(skeleton, layer, page);
      for (size_t offset = 0; offset + sizeof pattern <= skeleton->payload_bytes; offset += 512) {
        memcpy(at + offset, &pattern, sizeof pattern);
      }
    }
  }
  return 0;
}

/* buffer: Required. Only arithmetic, since the pipeline calls it per layer. Where KV lands in place
 * both sides are the KV cache: landing begins with page 0, leaving with the first new page. A
 * staged device returns its pinned buffers instead: landing buffer layer % window, leaving
 * buffer layer % write_window. */
static void *skeleton_buffer(struct device *device, int layer, enum device_side side) {
  struct skeleton *skeleton = skeleton_of(device);
  return page_at(skeleton, layer, side == DEVICE_LANDING ? 0 : skeleton->first_new_page);
}

static int check_layer(const struct skeleton *skeleton, int layer, struct error *error) {
  if (layer >= 0 && layer < skeleton->config.layers) return 0;
  return error_set(error, -EINVAL, "no layer %d: the run has layers 0 to %d", layer,
                   skeleton->config.layers - 1);
}

static int check_ticket(struct skeleton *skeleton, device_ticket ticket, struct error *error) {
  if (ticket == 0) return 0;
  if (ticket >= skeleton->first_ticket && ticket < atomic_load(&skeleton->next_ticket)) return 0;
  return error_set(error, -EINVAL, "ticket %llu was not enqueued in this run",
                   (unsigned long long)ticket);
}

/* kv_in: Required. Ticket 0 where pages landed in place. A staged device enqueues host-to-device
 * copies on its copy stream, splitting each page into its K and V rows. */
static int skeleton_kv_in(struct device *device, int layer, int64_t first_page, int64_t n_pages,
                          device_ticket *ticket, struct error *error) {
  (void)first_page, (void)n_pages;
  *ticket = 0;
  return check_layer(skeleton_of(device), layer, error);
}

/* The KV of one page's tokens; rows that no token uses, and the padding, are zero. */
static void make_page(const struct skeleton *skeleton, int layer, int64_t page,
                      const struct device_sequence *seq) {
  unsigned char *at = page_at(skeleton, layer, page);
  int64_t page_tokens = skeleton->config.page_tokens;
  size_t row_bytes = skeleton->payload_bytes / 2 / (size_t)page_tokens;
  memset(at, 0, skeleton->config.page_stride_bytes);
  for (int64_t i = 0; i < page_tokens; i++) {
    int64_t token = page * page_tokens + i - seq->n_past;
    if (token >= seq->n_new) return;
    int byte = (seq->tokens[token] + layer) % 64 + 1; /* finite in every element */
    memset(at + (size_t)i * row_bytes, byte, row_bytes);
    memset(at + (size_t)(page_tokens + i) * row_bytes, byte, row_bytes);
  }
}

/* forward_layer: Required. Waits for (or enqueues behind) the tickets of `after`, computes, and
 * leaves the new KV in the cache. A device that finishes within the call, as this one, waits with
 * wait(); one with streams makes the stream wait on events and returns at once. */
static int skeleton_forward_layer(struct device *device, int layer,
                                  const struct device_sequence *seqs, int n_seqs,
                                  const device_ticket *after, int n_after, device_ticket *ticket,
                                  struct error *error) {
  (void)n_seqs;
  struct skeleton *skeleton = skeleton_of(device);
  *ticket = 0;
  int code = check_layer(skeleton, layer, error);
  for (int i = 0; i < n_after && code == 0; i++) code = check_ticket(skeleton, after[i], error);
  if (code != 0) return code;
  for (int64_t page = skeleton->first_new_page; page < skeleton->end_page; page++) {
    make_page(skeleton, layer, page, seqs);
  }
  *ticket = atomic_fetch_add(&skeleton->next_ticket, 1);
  return 0;
}

/* kv_out: Required. Ticket 0 where new pages leave from the cache. A staged device enqueues
 * device-to-host copies behind `after`, and zeroes the last page's unused rows. */
static int skeleton_kv_out(struct device *device, int layer, int64_t n_pages, device_ticket after,
                           device_ticket *ticket, struct error *error) {
  (void)n_pages;
  struct skeleton *skeleton = skeleton_of(device);
  *ticket = 0;
  int code = check_layer(skeleton, layer, error);
  return code != 0 ? code : check_ticket(skeleton, after, error);
}

/* head: Required. After the last layer; its result is read by output(). */
static int skeleton_head(struct device *device, const struct device_sequence *seqs, int n_seqs,
                         device_ticket *ticket, struct error *error) {
  (void)n_seqs, (void)error;
  struct skeleton *skeleton = skeleton_of(device);
  skeleton->token = seqs->tokens[seqs->n_new - 1];
  skeleton->head_done = true;
  *ticket = atomic_fetch_add(&skeleton->next_ticket, 1);
  return 0;
}

/* wait: Required. From any thread. A device whose work is still under way waits up to timeout_s
 * and returns -EAGAIN after it; spans are of the work on the device, on clock_now_s()'s scale. */
static int skeleton_wait(struct device *device, device_ticket ticket, double timeout_s,
                         struct device_span *span, struct error *error) {
  (void)timeout_s;
  int code = check_ticket(skeleton_of(device), ticket, error);
  if (code != 0) return code;
  double now_s = clock_now_s();
  if (span != NULL) *span = (struct device_span){now_s, now_s}; /* a real one has kept them */
  return 0;
}

/* kv_crc: Required. Of the payload as it stands in the KV cache, so that copies are checked too:
 * a GPU computes it by a kernel over HBM. */
static int skeleton_kv_crc(struct device *device, int layer, int64_t first_page, int64_t n_pages,
                           uint32_t *crcs, struct error *error) {
  struct skeleton *skeleton = skeleton_of(device);
  int code = check_layer(skeleton, layer, error);
  if (code != 0) return code;
  if (first_page < 0 || n_pages < 0 || n_pages > skeleton->pages - first_page) {
    return error_set(error, -EINVAL, "no %lld pages from %lld: a layer has %lld",
                     (long long)n_pages, (long long)first_page, (long long)skeleton->pages);
  }
  for (int64_t i = 0; i < n_pages; i++) {
    crcs[i] = crc32c(crcs[i], page_at(skeleton, layer, first_page + i), skeleton->payload_bytes);
  }
  return 0;
}

/* output: Required. hidden is NULL where nothing is computed. */
static int skeleton_output(struct device *device, struct device_output *output,
                           struct error *error) {
  struct skeleton *skeleton = skeleton_of(device);
  if (!skeleton->head_done) return error_set(error, -EINVAL, "no output: head() was not called");
  *output = (struct device_output){.token = skeleton->token, .hidden = NULL};
  return 0;
}

const struct device_ops device_skeleton_ops = {
    .name = "skeleton", /* Required: what --device is given; short, lower case */
    .open = skeleton_open,
    .close = skeleton_close,
    .begin = skeleton_begin,
    .buffer = skeleton_buffer,
    .kv_in = skeleton_kv_in,
    .forward_layer = skeleton_forward_layer,
    .kv_out = skeleton_kv_out,
    .head = skeleton_head,
    .wait = skeleton_wait,
    .kv_crc = skeleton_kv_crc,
    .output = skeleton_output,
    .pin = NULL,   /* Optional: no copies of its own */
    .probe = NULL, /* Optional: calibrate then shows no peak, GEMM and copy rates apart */
};
