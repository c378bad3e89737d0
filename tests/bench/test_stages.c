/*
 * Reader and writer by themselves: the bounds that they keep without compute, and what they wait
 * for with which patience.
 */
#include <dirent.h>
#include <errno.h>

#include "base/clock.h"
#include "tests/bench/bench_fixture.h"

#define LAYERS 6
#define TOKENS 512

static int run(struct fixture *fixture, const struct device_ops *ops, unsigned legs,
               struct pipeline_run *out, struct error *error) {
  struct pipeline_request request = {.sequence = rig_sequence(&fixture->rig, TOKENS, 256),
                                     .legs = legs};
  const struct device_ops *usual = fixture->rig.device->ops;
  fixture->rig.device->ops = ops;
  int failed = pipeline_run(fixture->rig.pipeline, &request, out, error);
  fixture->rig.device->ops = usual;
  return failed;
}

/* kv_out that leaves the moment of its call in the ticket: playback has no use for it. */
static int timed_kv_out(struct device *device, int layer, int64_t n_pages, device_ticket after,
                        device_ticket *ticket, struct error *error) {
  (void)device, (void)layer, (void)n_pages, (void)after, (void)error;
  *ticket = (device_ticket)(clock_now_s() * 1e9);
  return 0;
}

static int timed_wait(struct device *device, device_ticket ticket, double timeout_s,
                      struct device_span *span, struct error *error) {
  (void)device, (void)timeout_s, (void)error;
  if (span) span->start_s = span->end_s = (double)ticket / 1e9;
  return 0;
}

/* A staged device has as many leaving buffers as the window: what is brought out too early
 * overwrites what is being written. */
Test(stages, writes_alone_keep_the_write_window, .timeout = 60) {
  struct fixture fixture = {0};
  struct error error = {0};
  cr_assert_eq(fixture_open(&fixture,
                            "--device playback:zero --page-tokens 16 --write-window 2 "
                            "--queue-depth 64 --engine null:write=200MB/s",
                            TOKENS, &error),
               0, "%s", error.message);
  struct pipeline_run out;
  cr_assert_eq(pipeline_run_init(&out, LAYERS), 0);
  struct device_ops ops = *fixture.rig.device->ops;
  ops.kv_out = timed_kv_out;
  ops.wait = timed_wait;
  fixture.rig.device->info.staged = true; /* so that the spans of kv_out are kept */
  cr_assert_eq(run(&fixture, &ops, LEG_WRITE, &out, &error), 0, "%s", error.message);
  fixture.rig.device->info.staged = false;
  for (int layer = 2; layer < LAYERS; layer++)
    cr_assert_geq(out.layers[layer].d2h.start_s, out.layers[layer - 2].write.end_s - 1e-5,
                  "layer %d left before layer %d was written", layer, layer - 2);
  pipeline_run_free(&out);
  fixture_close(&fixture);
}

/* A device whose layers take longer than any answer of a drive may. */
static int slow_wait(struct device *device, device_ticket ticket, double timeout_s,
                     struct device_span *span, struct error *error) {
  if (timeout_s > 0 && timeout_s < 5) return -EAGAIN;
  return device_find("playback")->wait(device, ticket, timeout_s, span, error);
}

Test(stages, a_long_layer_is_no_slow_drive, .timeout = 60) {
  struct fixture fixture = {0};
  struct error error = {0};
  cr_assert_eq(fixture_open(&fixture,
                            "--device playback:zero --page-tokens 16 --window 1 --engine null "
                            "--io-timeout 2s",
                            TOKENS, &error),
               0, "%s", error.message);
  struct pipeline_run out;
  cr_assert_eq(pipeline_run_init(&out, LAYERS), 0);
  struct device_ops ops = *fixture.rig.device->ops;
  ops.wait = slow_wait;
  cr_assert_eq(run(&fixture, &ops, LEG_ALL, &out, &error), 0, "%s", error.message);
  pipeline_run_free(&out);
  fixture_close(&fixture);
}

/* io_urings that this process has open. */
static int count_rings(void) {
  static const char name[] = "anon_inode:[io_uring]";
  int n = 0;
  DIR *directory = opendir("/proc/self/fd");
  for (struct dirent *entry; directory && (entry = readdir(directory));) {
    char path[300], target[64] = "";
    snprintf(path, sizeof path, "/proc/self/fd/%s", entry->d_name);
    n += readlink(path, target, sizeof target - 1) > 0 && strcmp(target, name) == 0;
  }
  if (directory) closedir(directory);
  return n;
}

/* What pin() was called with, and how many rings there were then. */
static struct {
  bool pinned;
  int rings;
} pins[4];
static int n_pins;

static void noting_pin(struct device *device, bool pinned) {
  (void)device;
  cr_assert_lt(n_pins, 4);
  pins[n_pins].pinned = pinned;
  pins[n_pins++].rings = count_rings();
}

/* Engines register a device's memory before it pins it, and give it up after it has given it back.
 */
Test(stages, a_device_pins_while_the_engines_are_open, .timeout = 60) {
  struct fixture fixture = {0};
  struct error error = {0};
  const char *line = "--device playback:zero --page-tokens 16 --engine uring";
  int code = fixture_open(&fixture, line, TOKENS, &error);
  if (code == -ENOTSUP) cr_skip_test("%s", error.message);
  cr_assert_eq(code, 0, "%s", error.message);
  const int before = count_rings();
  cr_assert_eq(before, 2, "reader and writer have one each");
  struct device_ops ops = *fixture.rig.device->ops;
  const struct device_ops *usual = fixture.rig.device->ops;
  ops.pin = noting_pin;
  fixture.rig.device->ops = &ops;
  struct pipeline *pipeline = NULL;
  cr_assert_eq(
      rig_open_pipeline(&fixture.rig, fixture.rig.source, fixture.rig.sink, &pipeline, &error), 0,
      "%s", error.message);
  pipeline_close(pipeline);
  fixture.rig.device->ops = usual;
  cr_assert_eq(n_pins, 2);
  cr_expect(pins[0].pinned);
  cr_expect_eq(pins[0].rings, before + 2, "pinned when both engines had registered");
  cr_expect_not(pins[1].pinned);
  cr_expect_eq(pins[1].rings, before + 2, "given back before either gave up");
  cr_expect_eq(count_rings(), before);
  fixture_close(&fixture);
}
