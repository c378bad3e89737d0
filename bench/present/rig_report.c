/*
 * The apparatus in results and warnings.
 */
#include "bench/present/rig_report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "bench/present/result.h"

#define LARGE_WRITE_BYTES 4e9 /* from here on a drive's wear is worth a word */

void rig_announce(void *context, const struct target *target, uint64_t bytes) {
  char need[UNITS_TEXT_BYTES];
  char available[UNITS_TEXT_BYTES];
  units_format_bytes(need, (double)bytes);
  units_format_bytes(available, (double)target->free_bytes);
  fprintf(stderr, "refill: writing %s to %s (%s free)\n", need, target->path, available);
  if ((double)bytes > LARGE_WRITE_BYTES)
    warnings_tell(context, WARNING_WEAR, stderr, "%s before the first measurement", need);
}

void rig_announce_rounds(struct warnings *warnings, const struct target *target, double round_bytes,
                         int64_t rounds) {
  double all_bytes = round_bytes * (double)rounds;
  char each[UNITS_TEXT_BYTES];
  char all[UNITS_TEXT_BYTES];
  if (!(round_bytes > 0)) return;
  units_format_bytes(each, round_bytes);
  units_format_bytes(all, all_bytes);
  fprintf(stderr, "refill: writing %s a round to %s, into the same file; %s in %lld rounds\n", each,
          target->path, all, (long long)rounds);
  if (all_bytes > LARGE_WRITE_BYTES)
    warnings_tell(warnings, WARNING_WEAR, stderr, "%s in %lld rounds", all, (long long)rounds);
}

static json_t *engine_to_json(const struct io_engine_info *info) {
  return json_pack("{s:s, s:b, s:I, s:I, s:I}", "description", info->description, "emulated",
                   info->emulated, "short_count", (json_int_t)info->short_count, "retry_count",
                   (json_int_t)info->retry_count, "unregistered_count",
                   (json_int_t)info->unregistered_count);
}

static json_t *node_to_json(int node) {
  return node >= 0 ? json_integer(node) : json_null();
}

static json_t *device_to_json(const struct rig *rig) {
  const struct device_info *info = &rig->device->info;
  json_t *degraded = json_array();
  for (int i = 0; i < info->n_degraded; i++)
    json_array_append_new(degraded, options_text_to_json(info->degraded[i]));
  json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:b, s:b, s:b, s:i, s:i, s:i, s:I, s:I}", "name",
                           rig->device_name, "description", info->description, "gemm", info->gemm,
                           "attention", info->attention, "played_back", info->played_back, "staged",
                           info->staged, "kv_resident", info->kv_resident, "kv_slots",
                           info->kv_slots, "weight_sets", info->weight_sets, "threads",
                           info->threads, "chunk_tokens", (json_int_t)info->chunk_tokens,
                           "memory_bytes", (json_int_t)info->memory_bytes);
  json_object_set_new(json, "pinned_bytes", json_integer((json_int_t)info->pinned_bytes));
  json_object_set_new(json, "pinned_s", result_real(info->pinned_bytes ? info->pinned_s : NAN));
  json_object_set_new(json, "numa_node", node_to_json(rig->gpu_node));
  json_object_set_new(json, "degraded", degraded);
  return json;
}

/* What is above zero where it is known. */
static double known(double value) {
  return value > 0 ? value : NAN;
}

static json_t *count_to_json(int count) {
  return count > 0 ? json_integer(count) : json_null();
}

/* null where the device tells nothing of itself, and each reading that it does not tell. */
static json_t *condition_to_json(const struct rig_condition *condition) {
  if (condition->runs == 0) return json_null();
  const struct device_condition *last = &condition->last;
  const struct device_link *link = &condition->link;
  const char *held_down = condition->held_down_known ? condition->held_down : NULL;
  json_t *json = json_pack("{s:I, s:I, s:I, s:s?, s:f}", "runs", (json_int_t)condition->runs,
                           "graph_runs", (json_int_t)condition->graph_runs, "held_down_runs",
                           (json_int_t)condition->held_down_runs, "held_down", held_down,
                           "clock_error_s", condition->clock_error_s);
  const struct {
    const char *name;
    double value;
  } readings[] = {{"sm_hz_low", known(condition->sm_hz_low)},
                  {"sm_hz", last->sm_hz},
                  {"memory_hz", last->memory_hz},
                  {"power_w", last->power_w},
                  {"temperature_c", last->temperature_c},
                  {"link_gt_per_s", known(link->gt_per_s)},
                  {"link_max_gt_per_s", known(link->max_gt_per_s)}};
  for (size_t i = 0; i < sizeof readings / sizeof readings[0]; i++)
    json_object_set_new(json, readings[i].name, result_real(readings[i].value));
  json_object_set_new(json, "link_width", count_to_json(link->width));
  json_object_set_new(json, "link_max_width", count_to_json(link->max_width));
  return json;
}

/* What others have written, of any bytes; "" where there is none. */
static json_t *text_to_json(const char *text) {
  return text[0] ? options_text_to_json(text) : json_string("");
}

json_t *target_to_json(const struct target *target) {
  return json_pack(
      "{s:s, s:o, s:o, s:s, s:o, s:o, s:s, s:s, s:b, s:b, s:b, s:i, s:I, s:i, s:i, "
      "s:i, s:f, s:f, s:i, s:i, s:b, s:s, s:s}",
      "filesystem", target->filesystem, "mount_options", text_to_json(target->mount_options),
      "source", text_to_json(target->source), "drive", target->drive, "model",
      text_to_json(target->model), "firmware", text_to_json(target->firmware), "scheduler",
      target->scheduler, "transport", target->transport, "rotational", target->rotational,
      "virtual_drive", target->virtual_drive, "o_direct", target->direct, "direct_alignment_bytes",
      (int)target->direct_alignment_bytes, "free_bytes", (json_int_t)target->free_bytes,
      "numa_node", target->numa_node, "logical_block_bytes", (int)target->logical_block_bytes,
      "physical_block_bytes", (int)target->physical_block_bytes, "link_gt_per_s",
      target->link.gt_per_s, "link_max_gt_per_s", target->link.max_gt_per_s, "link_width",
      target->link.width, "link_max_width", target->link.max_width, "loop_cached",
      target->loop_cached, "write_cache", target->write_cache, "members", target->members);
}

json_t *rig_to_json(const struct rig *rig) {
  json_t *json = json_pack("{s:s, s:i, s:i, s:s, s:s, s:I, s:I, s:I}", "model", rig->shape.name,
                           "layers_run", rig->layers, "layers_model", rig->shape.layers, "dtype",
                           element_name(rig->element), "kv_dtype", element_name(rig->kv_element),
                           "page_tokens", (json_int_t)rig->page_tokens, "page_payload_bytes",
                           (json_int_t)rig->page_payload_bytes, "page_stride_bytes",
                           (json_int_t)rig->page_stride_bytes);
  /* `plan --from` asks for these where the model is no preset. */
  json_object_set_new(json, "params", json_real(shape_params(&rig->shape)));
  json_object_set_new(json, "attention_flops_per_pair",
                      json_real(shape_attention_flops_per_pair(&rig->shape)));
  const struct pipeline_config *ran = pipeline_config(rig->pipeline);
  json_object_set_new(json, "window", json_integer(ran->window));
  json_object_set_new(json, "write_window", json_integer(ran->write_window));
  json_object_set_new(json, "bound_node", node_to_json(rig->placement.node));
  json_object_set_new(json, "device", device_to_json(rig));
  json_object_set_new(json, "condition", condition_to_json(&rig->condition));
  json_object_set_new(json, "target",
                      rig->target.path[0] ? target_to_json(&rig->target) : json_null());
  json_object_set_new(json, "reader", engine_to_json(pipeline_reader_info(rig->pipeline)));
  json_object_set_new(json, "writer", engine_to_json(pipeline_writer_info(rig->pipeline)));
  json_object_set_new(json, "kv_verified",
                      json_string(rig->device->info.kv_resident ? "after the run" : "in-line"));
  return json;
}

/* True where `word` is one of a mount's comma-separated options, with or without a value. */
static bool has_option(const char *options, const char *word) {
  size_t n = strlen(word);
  for (const char *at = options; at && *at; at = strchr(at, ',')) {
    at += *at == ',';
    if (strncmp(at, word, n) == 0 && (at[n] == ',' || at[n] == '=' || at[n] == '\0')) return true;
  }
  return false;
}

/* The filesystem and what is between it and the drive. */
static void warn_mount(const struct target *target, struct warnings *warnings) {
  const char *options = target->mount_options;
  bool sums = !has_option(options, "nodatasum") && !has_option(options, "nodatacow");
  bool packs = has_option(options, "compress") || has_option(options, "compress-force");
  if (strcmp(target->filesystem, "btrfs") == 0 && (sums || packs))
    warnings_add(warnings, WARNING_FAKE_DIRECT, "%s: btrfs with %s", target->path,
                 packs ? "compression" : "checksums");
  if (strncmp(target->filesystem, "fuse", 4) == 0)
    warnings_add(warnings, WARNING_FAKE_DIRECT, "%s: %s", target->path, target->filesystem);
  if (target->loop_cached) warnings_add(warnings, WARNING_LOOP_CACHED, "%s", target->drive);
  if (has_option(options, "discard")) warnings_add(warnings, WARNING_DISCARD, "%s", target->path);
}

static void warn_drive(const struct target *target, struct warnings *warnings) {
  char link[DEVICE_LINK_BYTES];
  if (device_link_lesser(&target->link))
    warnings_add(warnings, WARNING_LINK_DEGRADED, "%s: %s", target->drive,
                 device_link_text(&target->link, link));
  bool nvme = strcmp(target->transport, "nvme") == 0;
  if (nvme && target->scheduler[0] && strcmp(target->scheduler, "none") != 0)
    warnings_add(warnings, WARNING_SCHEDULER, "%s: %s", target->drive, target->scheduler);
}

void target_warn_gpu(const struct target *target, int gpu_node, struct warnings *warnings) {
  if (target->numa_node >= 0 && gpu_node >= 0 && target->numa_node != gpu_node)
    warnings_add(warnings, WARNING_NODE_MISMATCH, "%s on node %d, the GPU on node %d",
                 target->drive, target->numa_node, gpu_node);
}

void link_warn(const struct device_link *link, struct warnings *warnings) {
  char text[DEVICE_LINK_BYTES];
  if (device_link_lesser(link))
    warnings_add(warnings, WARNING_GPU_LINK, "%s", device_link_text(link, text));
}

void target_warn_node(const struct target *target, const struct host *host,
                      struct warnings *warnings) {
  int known = 0;
  if (target->numa_node < 0) return;
  for (int i = 0; i < host->n_gpus; i++) {
    if (host->gpus[i].numa_node == target->numa_node) return;
    known += host->gpus[i].numa_node >= 0;
  }
  if (known > 0)
    warnings_add(warnings, WARNING_NODE_MISMATCH, "%s on node %d, no GPU there", target->drive,
                 target->numa_node);
}

void target_warn(const struct target *target, const char *engine, struct warnings *warnings) {
  warn_mount(target, warnings);
  warn_drive(target, warnings);
  if (target->virtual_drive)
    warnings_add(warnings, WARNING_DRIVE_VIRTUAL, "%s (%s)", target->drive, target->transport);
  if (!target->direct) warnings_add(warnings, WARNING_NO_DIRECT, "%s", target->path);
  if (strstr(engine, "buffers not registered"))
    warnings_add(warnings, WARNING_UNREGISTERED, "%s", engine);
}

void rig_warn(const struct rig *rig, struct warnings *warnings) {
  const struct device_info *info = &rig->device->info;
  const struct io_engine_info *reader = pipeline_reader_info(rig->pipeline);
  if (rig->condition.held_down_runs > 0)
    warnings_add(warnings, WARNING_HELD_DOWN, "%s in %lld of %lld runs", rig->condition.held_down,
                 (long long)rig->condition.held_down_runs, (long long)rig->condition.runs);
  for (int i = 0; i < info->n_degraded; i++)
    warnings_add(warnings, WARNING_DEGRADED, "%s", info->degraded[i]);
  if (info->played_back) warnings_add(warnings, WARNING_PLAYED_BACK, "%s", rig->device_name);
  if (rig->emulated) warnings_add(warnings, WARNING_EMULATED_DRIVE, "%s", reader->description);
  if (rig->layers < rig->shape.layers)
    warnings_add(warnings, WARNING_LAYERS_FEWER, "%d of %d", rig->layers, rig->shape.layers);
  if (!info->played_back && info->weight_sets < rig->layers)
    warnings_add(warnings, WARNING_WEIGHTS_CYCLED, "%d for %d layers", info->weight_sets,
                 rig->layers);
  if (!info->kv_resident)
    warnings_add(warnings, WARNING_KV_NOT_RESIDENT, "%d of %d layers held", info->kv_slots,
                 rig->layers);
  link_warn(&rig->condition.link, warnings);
  if (rig->target.path[0]) target_warn_gpu(&rig->target, rig->gpu_node, warnings);
  if (rig->target.path[0]) target_warn(&rig->target, reader->description, warnings);
}

void rig_tell(const struct rig *rig) {
  if (!rig->source_made || !rig->config.keep_source) return;
  fprintf(stderr, "refill: stored KV stays in %s for later runs; delete it when you are done\n",
          kv_file_path(rig->source));
}

void rig_tell_pinned(const struct rig *rig) {
  const struct device_info *info = &rig->device->info;
  char bytes[UNITS_TEXT_BYTES], seconds[UNITS_TEXT_BYTES];
  if (info->pinned_bytes == 0) return;
  fprintf(stderr, "refill: %s of host memory pinned for copies, in %s\n",
          units_format_bytes(bytes, (double)info->pinned_bytes),
          units_format_seconds(seconds, info->pinned_s));
}

char *cold_reason(const char *cold, char *text, size_t bytes) {
  static const char prefix[] = "not proven (";
  bool wrapped = strncmp(cold, prefix, sizeof prefix - 1) == 0;
  snprintf(text, bytes, "%s", wrapped ? cold + sizeof prefix - 1 : cold);
  size_t length = strlen(text);
  if (wrapped && length > 0 && text[length - 1] == ')') text[length - 1] = '\0';
  return text;
}
