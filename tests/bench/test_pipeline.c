/*
 * The pipeline on real files: right bytes, bounds kept, every failure told and nothing left behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>

#include "bench/measure/equality.h"
#include "bench/measure/verification.h"
#include "tests/bench/bench_fixture.h"

#define PAGE_TOKENS 16
#define TOKENS 512
#define LINE                                                                                       \
  "--device playback:zero --page-tokens 16 --io-size 16KiB --queue-depth 4 --window 2 "            \
  "--write-window 1"

static int run(struct fixture *fixture, unsigned legs, int64_t n_past, bool serial,
               struct pipeline_run *out, struct error *error) {
  struct pipeline_request request = {
      .sequence = rig_sequence(&fixture->rig, TOKENS, n_past), .legs = legs, .serial = serial};
  return pipeline_run(fixture->rig.pipeline, &request, out, error);
}

static void open_or_fail(struct fixture *fixture, const char *line) {
  struct error error = {0};
  cr_assert_eq(fixture_open(fixture, line, TOKENS, &error), 0, "%s", error.message);
}

Test(pipeline, overlapped_run_brings_every_byte, .timeout = 60) {
  struct fixture fixture = {0};
  open_or_fail(&fixture, LINE);
  struct pipeline_run out;
  pipeline_run_init(&out, fixture_shape.layers);
  struct error error = {0};
  const int64_t pasts[] = {0, PAGE_TOKENS, 256, TOKENS - PAGE_TOKENS};
  for (int i = 0; i < 4; i++)
    for (int serial = 0; serial <= 1; serial++) {
      cr_assert_eq(run(&fixture, LEG_ALL, pasts[i], serial, &out, &error), 0, "%s", error.message);
      int64_t wrong = 0;
      int64_t pages = pasts[i] / PAGE_TOKENS;
      int64_t fresh = (TOKENS - pasts[i]) / PAGE_TOKENS;
      verify_landed(fixture.rig.device, fixture.rig.source, fixture_shape.layers, pages, &wrong,
                    &error);
      verify_written(fixture.rig.device, fixture.rig.sink, fixture_shape.layers, pages, fresh, 30,
                     &wrong, &error);
      cr_assert_eq(wrong, 0, "past %d, serial %d", (int)pasts[i], serial);
      cr_assert_eq(out.read_bytes, (uint64_t)pages * fixture.rig.page_stride_bytes * 6);
      cr_assert_eq(out.write_bytes, (uint64_t)fresh * fixture.rig.page_stride_bytes * 6);
      cr_assert_leq(out.first_token_s, out.durable_s);
    }
  pipeline_run_free(&out);
  fixture_close(&fixture);
}

Test(pipeline, stages_keep_their_bounds, .timeout = 60) {
  struct fixture fixture = {0};
  open_or_fail(&fixture, "--device playback:zero --page-tokens 16 --window 2 --write-window 1 "
                         "--engine null:read=200MB/s,write=100MB/s");
  struct pipeline_run out;
  pipeline_run_init(&out, fixture_shape.layers);
  struct error error = {0};
  cr_assert_eq(run(&fixture, LEG_ALL, 256, false, &out, &error), 0, "%s", error.message);
  const double slack_s = 1e-4; /* a completion is seen a little after it happened */
  for (int layer = 0; layer < 6; layer++) {
    const struct pipeline_layer *spans = &out.layers[layer];
    cr_assert_geq(spans->compute.start_s, spans->read.end_s - slack_s, "layer %d", layer);
    cr_assert_geq(spans->write.start_s, spans->compute.end_s - slack_s, "layer %d", layer);
    if (layer >= 2)
      cr_assert_geq(spans->read.end_s, out.layers[layer - 2].compute.end_s, "window of 2");
    if (layer >= 1)
      cr_assert_geq(spans->compute.start_s, out.layers[layer - 1].write.end_s - slack_s,
                    "one leaving buffer");
  }
  pipeline_run_free(&out);
  fixture_close(&fixture);
}

Test(pipeline, legs_alone_run_alone, .timeout = 60) {
  struct fixture fixture = {0};
  open_or_fail(&fixture, LINE);
  struct pipeline_run out;
  pipeline_run_init(&out, fixture_shape.layers);
  struct error error = {0};
  cr_assert_eq(run(&fixture, LEG_READ, 256, false, &out, &error), 0, "%s", error.message);
  cr_assert_gt(out.layers[5].read.end_s, 0);
  cr_assert_eq(out.layers[5].write.end_s, 0);
  cr_assert(isnan(out.first_token_s), "no token without compute");
  cr_assert_eq(run(&fixture, LEG_WRITE, 256, false, &out, &error), 0, "%s", error.message);
  cr_assert_eq(out.layers[5].read.end_s, 0);
  cr_assert_gt(out.layers[5].write.end_s, 0);
  cr_assert_eq(run(&fixture, LEG_COMPUTE, 256, false, &out, &error), 0, "%s", error.message);
  cr_assert_eq(out.read_bytes + out.write_bytes, 0);
  cr_assert_geq(out.token, 0);
  pipeline_run_free(&out);
  fixture_close(&fixture);
}

Test(pipeline, wrong_bytes_are_counted, .timeout = 60) {
  struct fixture fixture = {0};
  open_or_fail(&fixture, LINE);
  struct pipeline_run out;
  pipeline_run_init(&out, fixture_shape.layers);
  struct error error = {0};
  char path[256];
  snprintf(path, sizeof path, "%s", kv_file_path(fixture.rig.source));
  int fd = open(path, O_RDWR);
  cr_assert_geq(fd, 0);
  off_t at = (off_t)kv_file_page_offset(fixture.rig.source, 3, 5) + 100;
  uint8_t byte = 0;
  cr_assert_eq(pread(fd, &byte, 1, at), 1);
  byte ^= 1;
  cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
  cr_assert_eq(fsync(fd), 0);
  close(fd);
  cr_assert_eq(run(&fixture, LEG_ALL, 256, false, &out, &error), 0, "%s", error.message);
  int64_t wrong = 0;
  verify_landed(fixture.rig.device, fixture.rig.source, 6, 256 / PAGE_TOKENS, &wrong, &error);
  cr_assert_eq(wrong, 1, "one bit of one page: %d pages", (int)wrong);
  pipeline_run_free(&out);
  fixture_close(&fixture);
}

Test(pipeline, file_that_shrinks_ends_the_run, .timeout = 60) {
  struct fixture fixture = {0};
  open_or_fail(&fixture, LINE);
  struct pipeline_run out;
  pipeline_run_init(&out, fixture_shape.layers);
  struct error error = {0};
  off_t end = (off_t)kv_file_page_offset(fixture.rig.source, 4, 0);
  cr_assert_eq(truncate(kv_file_path(fixture.rig.source), end), 0);
  cr_assert_lt(run(&fixture, LEG_ALL, 256, false, &out, &error), 0);
  cr_assert(strstr(error.message, "layer 4"), "%s", error.message);
  cr_assert(strstr(error.message, "reading"), "%s", error.message);
  pipeline_run_free(&out);
  fixture_close(&fixture);
}

/* A device that fails in one layer: the rest of its functions are the playback's. */
static int failing_forward(struct device *device, int layer, const struct device_sequence *seqs,
                           int n_seqs, const device_ticket *after, int n_after,
                           device_ticket *ticket, struct error *error) {
  if (layer == 3) return error_set(error, -EIO, "the device fell off the bus");
  return device_find("playback")
      ->forward_layer(device, layer, seqs, n_seqs, after, n_after, ticket, error);
}

Test(pipeline, compute_that_fails_ends_the_run_and_the_next_one_works, .timeout = 60) {
  struct fixture fixture = {0};
  open_or_fail(&fixture, LINE);
  struct pipeline_run out;
  pipeline_run_init(&out, fixture_shape.layers);
  struct error error = {0};
  const struct device_ops *good = fixture.rig.device->ops;
  struct device_ops failing = *good;
  failing.forward_layer = failing_forward;
  fixture.rig.device->ops = &failing;
  cr_assert_eq(run(&fixture, LEG_ALL, 256, false, &out, &error), -EIO);
  cr_assert_str_eq(error.message, "computing layer 3: the device fell off the bus");
  fixture.rig.device->ops = good;
  error_clear(&error);
  cr_assert_eq(run(&fixture, LEG_ALL, 256, false, &out, &error), 0, "%s", error.message);
  pipeline_run_free(&out);
  fixture_close(&fixture);
}

Test(pipeline, impossible_requests_are_refused, .timeout = 60) {
  struct fixture fixture = {0};
  open_or_fail(&fixture, LINE);
  struct pipeline_run out;
  pipeline_run_init(&out, fixture_shape.layers);
  struct error error = {0};
  cr_assert_eq(run(&fixture, LEG_ALL, 7, false, &out, &error), -EINVAL, "not whole pages");
  error_clear(&error);
  cr_assert_eq(run(&fixture, LEG_ALL, TOKENS, false, &out, &error), -EINVAL, "nothing new");
  pipeline_run_free(&out);
  fixture_close(&fixture);
}

Test(pipeline, stored_kv_is_found_again_and_not_made_twice, .timeout = 60) {
  struct fixture first = {0};
  open_or_fail(&first, LINE);
  cr_assert(first.rig.source_made);
  cr_assert_eq(fixture_files(&first), 1, "the stored KV and nothing else");
  struct rig again;
  struct error error = {0};
  struct rig_config config = first.rig.config;
  cr_assert_eq(rig_open(&again, &config, &error), 0, "%s", error.message);
  cr_assert_not(again.source_made);
  rig_close(&again);
  fixture_close(&first);
}

/* Another pipeline over the same device, as each queue depth of a sweep has one. */
static void reopen(struct fixture *fixture) {
  struct rig *rig = &fixture->rig;
  struct error error = {0};
  pipeline_close(rig->pipeline);
  cr_assert_eq(rig_open_pipeline(rig, rig->source, rig->sink, &rig->pipeline, &error), 0, "%s",
               error.message);
}

/* What could not be pinned is not used: the device has fewer buffers than were asked for. */
Test(pipeline, it_keeps_to_the_buffers_that_the_device_has, .timeout = 60) {
  struct fixture fixture = {0};
  open_or_fail(&fixture, LINE);
  cr_expect_eq(pipeline_config(fixture.rig.pipeline)->window, 2, "as asked for");
  fixture.rig.device->info.window = 1;
  fixture.rig.device->info.write_window = 5;
  reopen(&fixture);
  cr_expect_eq(pipeline_config(fixture.rig.pipeline)->window, 1);
  cr_expect_eq(pipeline_config(fixture.rig.pipeline)->write_window, 1, "no more than asked for");
  fixture_close(&fixture);
}

/* Reader and writer each register their own side: requests of the other are then unregistered. */
Test(pipeline, each_side_is_registered_where_it_is_used, .timeout = 60) {
  struct fixture fixture = {0};
  struct pipeline_run out;
  struct error error = {0};
  open_or_fail(&fixture, LINE);
  const struct io_engine_info *info = pipeline_reader_info(fixture.rig.pipeline);
  const char *at = strstr(info->description, "buffers ");
  if (!at || strncmp(at, "buffers registered", 18) != 0) cr_skip_test("%s", info->description);
  pipeline_run_init(&out, fixture_shape.layers);
  for (enum device_region_use use = DEVICE_REGION_BOTH; use <= DEVICE_REGION_LEAVING; use++) {
    fixture.rig.device->regions[0].use = use;
    reopen(&fixture);
    cr_assert_eq(run(&fixture, LEG_ALL, 256, false, &out, &error), 0, "%s", error.message);
    cr_expect_eq(pipeline_reader_info(fixture.rig.pipeline)->unregistered_count > 0,
                 use == DEVICE_REGION_LEAVING, "reader, %d", (int)use);
    cr_expect_eq(pipeline_writer_info(fixture.rig.pipeline)->unregistered_count > 0,
                 use == DEVICE_REGION_LANDING, "writer, %d", (int)use);
  }
  pipeline_run_free(&out);
  fixture_close(&fixture);
}

Test(pipeline, intervals_are_service_times) {
  struct pipeline_run out;
  pipeline_run_init(&out, 2);
  out.layers[0].read = (struct pipeline_span){0, 2};
  out.layers[1].read = (struct pipeline_span){2, 3};
  out.layers[1].compute = (struct pipeline_span){3, 7};
  struct ttft_layer layers[2];
  pipeline_intervals(&out, layers);
  struct ttft_layer total = pipeline_totals(layers, 2);
  cr_assert_float_eq(total.read_s, 3, 1e-12);
  cr_assert_float_eq(total.compute_s, 4, 1e-12);
  cr_assert_eq(pipeline_pages(17, 16), 2);
  cr_assert_eq(pipeline_pages(16, 16), 1);
  pipeline_run_free(&out);
}
