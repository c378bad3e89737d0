/*
 * The `playback` device: storage I/O is real, compute is a wait.
 *
 * Nobody can test an H100's pipeline without an H100; but what the pipeline does to the
 * drive, and when, depends on the GPU only through how long each layer takes.
 * So a profile gives that time and this device spends it; pages are real
 * memory with real bytes, read, written and verified as on any device.
 *
 * Time: schedule.h says how a layer occupies the calling thread without errors adding up.
 *
 * KV. Where all layers fit into memory, their content is there from open()
 * on, and begin() restores what the run before has replaced. Otherwise layers share slots,
 * and forward_layer() writes its layer's new pages first, at memory speed, within
 * the layer's time where that is long enough; the span says so where it is not.
 */
#include "kernels/playback/device_playback.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/prng.h"
#include "kernels/playback/pages.h"
#include "kernels/playback/profile.h"
#include "kernels/playback/schedule.h"

struct playback {
  struct device device; /* first: what the pipeline sees */
  struct profile *profile;
  struct playback_pages pages;
  struct schedule schedule;
  int layers, vocabulary;
  uint64_t seed;

  /* The run. */
  int64_t n_past, n_new;
  int64_t first_new_page, end_page;
  bool head_done;
  int32_t token;

  /* What earlier runs left in a resident cache. */
  int64_t replaced_end; /* pages [0, replaced_end) of each layer do not hold their content */
  int64_t partial_page; /* has its unused rows zeroed; -1: none */
};

static struct playback *playback_of(struct device *device) {
  assert(device->ops->open == device_playback_ops.open); /* its ops may be decorated, in tests */
  return (struct playback *)device;
}

/* ---- opening ---- */

static void describe(struct playback *playback) {
  const struct profile *profile = playback->profile;
  struct device_info *info = &playback->device.info;
  if (profile->any_shape) {
    snprintf(info->description, sizeof info->description,
             "playback of %.64s: no time is spent, only the harness's own", profile->name);
  } else {
    snprintf(info->description, sizeof info->description,
             "playback of %.80s (%s figures of %.32s, not measured here)", profile->name,
             profile_origin_name(profile->layer_s.origin), profile->device);
  }
  snprintf(info->gemm, sizeof info->gemm, "played back: %.100s", profile->device);
  snprintf(info->attention, sizeof info->attention, "%s", info->gemm);
}

static int check_config(const struct device_config *config, struct error *error) {
  if (config->argument == NULL || config->argument[0] == '\0') {
    return error_set(error, -EINVAL,
                     "--device playback needs a profile: playback:NAME (%s, ...) or "
                     "playback:FILE" PROFILE_SUFFIX,
                     profile_builtin_name(1));
  }
  size_t payload_bytes =
      device_page_payload_bytes(&config->shape, config->page_tokens, config->kv_element);
  if (config->page_stride_bytes >= payload_bytes) return 0;
  return error_set(error, -EINVAL, "page stride of %zu bytes is less than a page's %zu bytes",
                   config->page_stride_bytes, payload_bytes);
}

/* Refuses what memory cannot hold, before the kernel would by killing us. */
static int check_memory(const struct device_config *config, int slots, size_t available_bytes,
                        struct error *error) {
  double usable_bytes = (double)available_bytes * 0.875;
  double page_bytes = (double)config->page_stride_bytes;
  int64_t pages = (config->tokens_max + config->page_tokens - 1) / config->page_tokens;
  if (available_bytes == 0 || slots * (double)pages * page_bytes <= usable_bytes) return 0;
  int64_t fits = (int64_t)(usable_bytes / (slots * page_bytes)) * config->page_tokens;
  return error_set(error, -ENOMEM,
                   "KV of %lld tokens in %d layers' slots needs %.1f GiB, %.1f GiB can be had; "
                   "up to %lld tokens fit, more with a smaller --window",
                   (long long)config->tokens_max, slots,
                   slots * (double)pages * page_bytes / 0x1p30, usable_bytes / 0x1p30,
                   (long long)fits);
}

static int set_up(struct playback *playback, const struct device_config *config,
                  size_t available_bytes, struct error *error) {
  int code = profile_load(&playback->profile, config->argument, error);
  if (code == 0) {
    code = profile_match(playback->profile, &config->shape, config->element, config->kv_element,
                         error);
  }
  int slots = device_kv_slots(config, available_bytes);
  if (code == 0) code = check_memory(config, slots, available_bytes, error);
  if (code == 0) code = playback_pages_map(&playback->pages, config, slots, error);
  /* A run enqueues layers + 1 pieces; callers that time layers alone may ask for more. */
  if (code == 0) code = schedule_open(&playback->schedule, 4 * config->layers + 64, error);
  if (code != 0) return code;

  struct device_info *info = &playback->device.info;
  info->played_back = true;
  info->element = config->element;
  info->kv_slots = slots;
  info->kv_resident = slots == config->layers;
  info->weight_sets = config->layers;
  info->chunk_tokens = config->chunk_tokens > 0 ? config->chunk_tokens : config->tokens_max;
  info->memory_bytes = playback->pages.memory.bytes;
  describe(playback);
  playback->device.regions[0] = (struct device_region){.address = playback->pages.memory.address,
                                                       .bytes = playback->pages.memory.bytes};
  playback->device.n_regions = 1;
  if (info->kv_resident) {
    int64_t pages = playback->pages.pages;
    playback_pages_fill_all(&playback->pages, slots, 0, pages, pages * config->page_tokens);
  }
  return 0;
}

static void playback_close(struct device *device) {
  if (device == NULL) return;
  struct playback *playback = playback_of(device);
  memory_unmap(&playback->pages.memory);
  profile_free(playback->profile);
  schedule_close(&playback->schedule);
  free(playback);
}

int device_playback_open_within(struct device **device, const struct device_config *config,
                                size_t available_bytes, struct error *error) {
  *device = NULL;
  int code = check_config(config, error);
  if (code != 0) return code;
  struct playback *playback = calloc(1, sizeof *playback);
  if (playback == NULL) return error_set(error, -ENOMEM, "playback: no memory");
  playback->device.ops = &device_playback_ops;
  playback->layers = config->layers;
  playback->vocabulary = config->shape.vocabulary;
  playback->seed = config->seed;
  playback->partial_page = -1;
  code = set_up(playback, config, available_bytes, error);
  if (code != 0) {
    playback_close(&playback->device);
    return code;
  }
  *device = &playback->device;
  return 0;
}

static int playback_open(struct device **device, const struct device_config *config,
                         struct error *error) {
  *device = NULL;
  int failed = device_check_choices(config, "playback", error);
  if (failed) return failed;
  return device_playback_open_within(device, config, memory_available_bytes(), error);
}

/* ---- a run ---- */

static int check_sequence(const struct playback *playback, const struct device_sequence *seqs,
                          int n_seqs, struct error *error) {
  if (n_seqs != 1) {
    return error_set(error, -EINVAL, "playback runs one sequence at a time, not %d", n_seqs);
  }
  int64_t page_tokens = playback->pages.page_tokens;
  int64_t tokens_max = playback->pages.pages * page_tokens;
  if (seqs->n_past < 0 || seqs->n_past % page_tokens != 0 || seqs->n_new < 1 ||
      seqs->n_past > tokens_max || seqs->n_new > tokens_max - seqs->n_past) {
    return error_set(error, -EINVAL,
                     "n_past %lld must be a multiple of %lld, n_new %lld at least 1, and both "
                     "together at most %lld tokens",
                     (long long)seqs->n_past, (long long)page_tokens, (long long)seqs->n_new,
                     (long long)tokens_max);
  }
  int32_t last = seqs->tokens != NULL ? seqs->tokens[seqs->n_new - 1] : -1;
  if (last >= 0 && last < playback->vocabulary) return 0;
  return error_set(error, -EINVAL, "the last token's id is %d; ids are from 0 to %d", (int)last,
                   playback->vocabulary - 1);
}

/* Gives back their content to the pages that this run computes and an earlier one replaced. */
static void restore_content(struct playback *playback) {
  const struct playback_pages *pages = &playback->pages;
  int64_t first = playback->first_new_page;
  int64_t whole = pages->pages * pages->page_tokens;
  playback_pages_fill_all(pages, playback->layers, first, playback->replaced_end, whole);
  if (playback->partial_page >= 0) {
    playback_pages_fill_all(pages, playback->layers, playback->partial_page,
                            playback->partial_page + 1, whole);
  }
  int64_t n_tokens = playback->n_past + playback->n_new;
  playback->partial_page = n_tokens % pages->page_tokens != 0 ? playback->end_page - 1 : -1;
  if (playback->partial_page >= 0) {
    playback_pages_fill_all(pages, playback->layers, playback->partial_page, playback->end_page,
                            n_tokens);
  }
  playback->replaced_end = first;
}

static int playback_begin(struct device *device, const struct device_sequence *seqs, int n_seqs,
                          struct error *error) {
  struct playback *playback = playback_of(device);
  int code = check_sequence(playback, seqs, n_seqs, error);
  if (code != 0) return code;
  int64_t page_tokens = playback->pages.page_tokens;
  playback->n_past = seqs->n_past;
  playback->n_new = seqs->n_new;
  playback->first_new_page = seqs->n_past / page_tokens;
  playback->end_page = (seqs->n_past + seqs->n_new + page_tokens - 1) / page_tokens;
  playback->head_done = false;
  if (device->info.kv_resident) restore_content(playback);
  playback_pages_spoil_all(&playback->pages, playback->pages.slots, playback->first_new_page);
  schedule_begin(&playback->schedule);
  return 0;
}

static void *playback_buffer(struct device *device, int layer, enum device_side side) {
  struct playback *playback = playback_of(device);
  assert(layer >= 0 && layer < playback->layers);
  return playback_pages_at(&playback->pages, layer,
                           side == DEVICE_LANDING ? 0 : playback->first_new_page);
}

static int check_layer(const struct playback *playback, int layer, struct error *error) {
  if (layer >= 0 && layer < playback->layers) return 0;
  return error_set(error, -EINVAL, "no layer %d: the run has layers 0 to %d", layer,
                   playback->layers - 1);
}

static int check_pages(const struct playback *playback, int layer, int64_t first, int64_t n,
                       struct error *error) {
  int code = check_layer(playback, layer, error);
  if (code != 0) return code;
  int64_t pages = playback->pages.pages;
  if (first >= 0 && n >= 0 && first <= pages && n <= pages - first) return 0;
  return error_set(error, -EINVAL, "no pages %lld to %lld: a layer has %lld", (long long)first,
                   (long long)(first + n - 1), (long long)pages);
}

/* Pages land where they are used. */
static int playback_kv_in(struct device *device, int layer, int64_t first_page, int64_t n_pages,
                          device_ticket *ticket, struct error *error) {
  *ticket = 0;
  return check_pages(playback_of(device), layer, first_page, n_pages, error);
}

struct fill {
  const struct playback *playback;
  int layer;
};

static void fill_new_pages(void *argument) {
  const struct fill *fill = argument;
  const struct playback *playback = fill->playback;
  playback_pages_fill(&playback->pages, fill->layer, playback->first_new_page, playback->end_page,
                      playback->n_past + playback->n_new);
}

static int playback_forward_layer(struct device *device, int layer,
                                  const struct device_sequence *seqs, int n_seqs,
                                  const device_ticket *after, int n_after, device_ticket *ticket,
                                  struct error *error) {
  struct playback *playback = playback_of(device);
  *ticket = 0;
  int code = check_layer(playback, layer, error);
  if (code == 0) code = check_sequence(playback, seqs, n_seqs, error);
  for (int i = 0; i < n_after && code == 0; i++) {
    code = schedule_span(&playback->schedule, after[i], NULL, error);
  }
  if (code != 0) return code;
  double seconds = profile_layer_s(playback->profile, seqs->n_new, seqs->n_past);
  if (layer == 0) seconds += profile_embedding_s(playback->profile, seqs->n_new);
  struct fill fill = {playback, layer};
  return schedule_spend(&playback->schedule, seconds,
                        device->info.kv_resident ? NULL : fill_new_pages, &fill, ticket, error);
}

/* New pages leave from where they are. */
static int playback_kv_out(struct device *device, int layer, int64_t n_pages, device_ticket after,
                           device_ticket *ticket, struct error *error) {
  struct playback *playback = playback_of(device);
  *ticket = 0;
  int code = check_pages(playback, layer, playback->first_new_page, n_pages, error);
  return code != 0 ? code : schedule_span(&playback->schedule, after, NULL, error);
}

static int playback_head(struct device *device, const struct device_sequence *seqs, int n_seqs,
                         device_ticket *ticket, struct error *error) {
  struct playback *playback = playback_of(device);
  *ticket = 0;
  int code = check_sequence(playback, seqs, n_seqs, error);
  double seconds = profile_head_s(playback->profile);
  if (code == 0) code = schedule_spend(&playback->schedule, seconds, NULL, NULL, ticket, error);
  if (code != 0) return code;
  playback->token = (int32_t)prng_below(playback->seed, (uint64_t)seqs->tokens[seqs->n_new - 1],
                                        (uint64_t)playback->vocabulary);
  playback->head_done = true;
  return 0;
}

static int playback_wait(struct device *device, device_ticket ticket, double timeout_s,
                         struct device_span *span, struct error *error) {
  (void)timeout_s; /* what has a ticket is complete */
  return schedule_span(&playback_of(device)->schedule, ticket, span, error);
}

static int playback_kv_crc(struct device *device, int layer, int64_t first_page, int64_t n_pages,
                           uint32_t *crcs, struct error *error) {
  struct playback *playback = playback_of(device);
  int code = check_pages(playback, layer, first_page, n_pages, error);
  if (code == 0) playback_pages_crc(&playback->pages, layer, first_page, n_pages, crcs);
  return code;
}

static int playback_output(struct device *device, struct device_output *output,
                           struct error *error) {
  const struct playback *playback = playback_of(device);
  if (!playback->head_done) {
    return error_set(error, -EINVAL, "no output: head() was not called in this run");
  }
  *output = (struct device_output){.token = playback->token, .hidden = NULL};
  return 0;
}

/* Peaks come from the profile; its layer times are whole, so parts of a layer are not known. */
static int playback_probe(struct device *device, enum device_probe what, int64_t n_new,
                          int64_t n_past, struct device_rate *rate, struct error *error) {
  (void)n_new, (void)n_past;
  const struct profile_peaks *peaks = &playback_of(device)->profile->peaks;
  if (what == PROBE_PEAK && peaks->flops_per_s > 0.0) {
    *rate = (struct device_rate){.seconds = 1.0, .flops = peaks->flops_per_s};
    return 0;
  }
  if (what == PROBE_MEMORY_COPY && peaks->hbm_bytes_per_s > 0.0) {
    *rate = (struct device_rate){.seconds = 1.0, .bytes = peaks->hbm_bytes_per_s};
    return 0;
  }
  return error_set(error, -ENOTSUP, "a playback profile does not say this; measure it on a device");
}

const struct device_ops device_playback_ops = {
    .name = "playback",
    .open = playback_open,
    .close = playback_close,
    .begin = playback_begin,
    .buffer = playback_buffer,
    .kv_in = playback_kv_in,
    .forward_layer = playback_forward_layer,
    .kv_out = playback_kv_out,
    .head = playback_head,
    .wait = playback_wait,
    .kv_crc = playback_kv_crc,
    .output = playback_output,
    .probe = playback_probe,
};
