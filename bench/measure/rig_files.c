/*
 * The stored KV that runs reload, and the unnamed file that takes new KV.
 *
 * Stored KV is made the way a server makes it: by computing the prompt on this
 * device and writing each layer's pages as they come, through the same pipeline. Its CRCs are
 * taken from the device's KV cache, so that what a reload must bring back is what attention used.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"
#include "bench/measure/bounded_file.h"
#include "bench/measure/rig.h"
#include "bench/measure/verification.h"

#define FREE_SHARE_MAX 0.95 /* of the free space that preparing may take */

static void identity_of(const struct rig *rig, int64_t n_tokens, struct kv_identity *identity) {
  const struct shape *shape = &rig->shape;
  const struct device_info *info = &rig->device->info;
  *identity = (struct kv_identity){
      .layers = rig->layers,
      .hidden = shape->hidden,
      .q_heads = shape->q_heads,
      .kv_heads = shape->kv_heads,
      .head_dim = shape->head_dim,
      .ffn = shape->ffn,
      .vocabulary = shape->vocabulary,
      .element = (int32_t)rig->element,
      .kv_element = (int32_t)rig->kv_element,
      .k_scale = 1,
      .v_scale = 1,
      .n_tokens = n_tokens,
      .page_tokens = rig->page_tokens,
      .page_payload_bytes = rig->page_payload_bytes,
      .page_stride_bytes = rig->page_stride_bytes,
      .seed = rig->config.options->seed,
      .prefix_hash = kv_prefix_hash(rig->tokens, n_tokens),
  };
  snprintf(identity->model, sizeof identity->model, "%s", shape->name);
  /* KV computed with other chunks or kernels differs in its last bits: it is another file. */
  if (info->played_back)
    snprintf(identity->content, sizeof identity->content, "synthetic");
  else
    snprintf(identity->content, sizeof identity->content, "%.24s/%.20s/chunk %lld/%d", info->gemm,
             info->attention, (long long)info->chunk_tokens, info->weight_sets);
}

static const char *directory_of(const struct rig *rig) {
  const struct options *options = rig->config.options;
  return options->n_targets ? options->targets[0] : ".";
}

/* Computes the first n_tokens of the prompt and writes their KV into `file`, CRCs too. */
static int fill_source(struct rig *rig, struct kv_file *file, int64_t n_tokens,
                       struct error *error) {
  struct pipeline *pipeline = NULL;
  struct pipeline_run run = {0};
  int failed = pipeline_run_init(&run, rig->layers);
  if (failed) error_set(error, failed, "no memory for %d layers", rig->layers);
  if (!failed) failed = rig_open_pipeline(rig, NULL, file, &pipeline, error);
  struct pipeline_request request = {.sequence = rig_sequence(rig, n_tokens, 0),
                                     .legs = LEG_COMPUTE | LEG_WRITE};
  if (!failed) failed = pipeline_run(pipeline, &request, &run, error);
  pipeline_close(pipeline);
  pipeline_run_free(&run);
  if (failed || !rig->device->info.kv_resident) return failed; /* else recorded in-line */
  int64_t pages = n_tokens / rig->page_tokens;
  uint32_t *crcs = malloc((size_t)pages * sizeof *crcs);
  if (!crcs) return error_set(error, -ENOMEM, "no memory for %lld CRCs", (long long)pages);
  for (int layer = 0; layer < rig->layers && !failed; layer++)
    failed = verify_record_layer(rig->device, file, layer, 0, pages, crcs, error);
  free(crcs);
  return failed;
}

static int make_source(struct rig *rig, const struct kv_identity *identity, struct error *error) {
  double start_s = clock_now_s();
  double timeout_s = rig->config.options->io_timeout_s;
  int failed = bounded_file_create(&rig->source, directory_of(rig), identity, timeout_s, error);
  if (!failed) failed = fill_source(rig, rig->source, identity->n_tokens, error);
  if (!failed && rig->config.keep_source) {
    failed = bounded_file_publish(&rig->source, timeout_s, error);
    if (failed == -EEXIST) { /* another run was first: its file is as good */
      error_clear(error);
      bounded_file_close(rig->source, timeout_s);
      rig->source = NULL;
      failed = bounded_file_open(&rig->source, directory_of(rig), identity, timeout_s, error);
    }
  }
  if (failed) return error_prefix(error, "making the stored KV in %s", directory_of(rig));
  rig->source_made = true;
  rig->source_s = clock_now_s() - start_s;
  rig->written_bytes += kv_file_bytes(identity);
  return 0;
}

/* Before anything is written: what it will take, and whether it fits. */
static int check_space(struct rig *rig, uint64_t need_bytes, struct error *error) {
  char need[UNITS_TEXT_BYTES];
  char available[UNITS_TEXT_BYTES];
  units_format_bytes(need, (double)need_bytes);
  units_format_bytes(available, (double)rig->target.free_bytes);
  if ((double)need_bytes > FREE_SHARE_MAX * (double)rig->target.free_bytes)
    return error_set(error, -ENOSPC,
                     "%s: %s are needed, %s are free; use fewer --tokens, or another --target",
                     directory_of(rig), need, available);
  if (need_bytes > 0 && rig->config.announce)
    rig->config.announce(rig->config.announce_context, &rig->target, need_bytes);
  return 0;
}

int rig_open_files(struct rig *rig, struct error *error) {
  int64_t past = rig->config.past_max / rig->page_tokens * rig->page_tokens;
  int64_t pages = pipeline_pages(rig->config.tokens_max, rig->page_tokens);
  struct kv_identity stored;
  struct kv_identity fresh;
  identity_of(rig, past > 0 ? past : rig->page_tokens, &stored);
  identity_of(rig, rig->config.tokens_max, &fresh);
  fresh.n_tokens = pages * rig->page_tokens;
  double timeout_s = rig->config.options->io_timeout_s;
  int failed = bounded_file_sweep(directory_of(rig), timeout_s, error);
  if (failed < 0) return failed;
  bool stores = rig->config.options->store;
  bool found = false;
  if (past > 0 && rig->config.keep_source) {
    failed = bounded_file_open(&rig->source, directory_of(rig), &stored, timeout_s, error);
    found = failed == 0;
    if (failed == -ENOENT)
      error_clear(error);
    else if (failed)
      return failed;
  }
  uint64_t need_bytes = (past > 0 && !found ? kv_file_bytes(&stored) : 0) +
                        (stores ? kv_file_bytes(&fresh) : 0);
  failed = check_space(rig, need_bytes, error);
  if (!failed && past > 0 && !found) failed = make_source(rig, &stored, error);
  if (!failed && stores)
    failed = bounded_file_create(&rig->sink, directory_of(rig), &fresh, timeout_s, error);
  return failed;
}
