/*
 * Parts over the sizes of a grid, on a device that remembers what it was asked.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "bench/measure/datasheet.h"
#include "bench/measure/parts.h"

/* Takes a second for each new token and a tenth for each of the past; `missing` it does not have.
 */
struct fake {
  struct device device;
  enum device_probe missing;
  int n_asked;
  bool hot;
};

static int probe(struct device *device, enum device_probe what, int64_t n_new, int64_t n_past,
                 struct device_rate *rate, struct error *error) {
  struct fake *fake = (struct fake *)device;
  fake->n_asked++;
  if (what == fake->missing) return error_set(error, -ENOTSUP, "no such part");
  *rate = (struct device_rate){.seconds = (double)n_new + 0.1 * (double)n_past, .flops = 1};
  return 0;
}

static void condition(struct device *device, struct device_condition *now) {
  *now = (struct device_condition){.link = {.gt_per_s = 16, .width = 8}};
  if (((struct fake *)device)->hot) snprintf(now->held_down, sizeof now->held_down, "heat");
}

static const struct device_ops ops = {.name = "fake", .probe = probe, .condition = condition};

static const int64_t new_axis[] = {1, 64, 512}, past_axis[] = {0, 256};
static const struct parts_axes axes = {new_axis, past_axis, 3, 2};

static int never(void) {
  return 0;
}

static int at_once(void) {
  return 1;
}

static struct parts measure(struct fake *fake) {
  struct parts parts = {0};
  struct error error = {0};
  fake->device.ops = &ops;
  cr_assert_eq(parts_measure(&parts, &fake->device, &axes, never, &error), 0, "%s", error.message);
  return parts;
}

Test(parts, a_layer_is_the_sum_of_its_kernels) {
  struct fake fake = {.missing = PROBE_QUANTISE};
  struct parts parts = measure(&fake);
  struct parts_layer sum = parts_layer_sum(&parts, 64, 256);
  cr_expect_float_eq(sum.gemms_s, 4 * 64, 1e-9);
  cr_expect_float_eq(sum.attention_s, 64 + 25.6, 1e-9);
  /* two norms, RoPE, SwiGLU; decoding the past, which is asked for with one new token */
  cr_expect_float_eq(sum.elementwise_s, 4 * 64 + 1 + 25.6, 1e-9);
  cr_expect_eq(parts_find(&parts, PROBE_ATTENTION, 512, 256)->seconds, 537.6);
  cr_expect_null(parts_find(&parts, PROBE_QUANTISE, 64, 0));
  cr_expect_eq(parts.peak_flops_per_s, 1);
}

Test(parts, what_is_missing_is_not_guessed) {
  struct fake fake = {.missing = PROBE_SWIGLU};
  struct parts parts = measure(&fake);
  cr_expect(isnan(parts_layer_sum(&parts, 64, 0).elementwise_s));
  fake = (struct fake){.missing = PROBE_QKV}; /* a device that does not take its layers apart */
  parts = measure(&fake);
  cr_expect_null(parts_find(&parts, PROBE_ATTENTION, 64, 0), "too short to be worth its time");
  cr_expect_null(parts_find(&parts, PROBE_ATTENTION, 512, 256));
  cr_expect_not_null(parts_find(&parts, PROBE_ATTENTION, 512, 0));
}

Test(parts, a_held_down_clock_is_told_with_each) {
  struct fake fake = {.missing = PROBE_EMBED, .hot = true};
  struct parts parts = measure(&fake);
  for (int i = 0; i < parts.n; i++) cr_expect(parts.all[i].held_down, "%d", i);
  fake.hot = false;
  cr_expect_not(measure(&fake).all[0].held_down);
}

Test(parts, copies_beside_reads_are_apart) {
  struct fake fake = {.missing = PROBE_D2H};
  struct parts parts = {0};
  struct error error = {0};
  fake.device.ops = &ops;
  cr_assert_eq(parts_measure_copies(&parts, &fake.device, true, &error), 0);
  cr_assert_eq(parts.n, 2);
  cr_expect_str_eq(part_name(&parts.all[0]), "H2D, storage read beside");
  cr_expect_null(parts_find(&parts, PROBE_H2D, 0, 0));
}

Test(parts, ends_when_it_is_told) {
  struct fake fake = {.missing = PROBE_EMBED, .device = {.ops = &ops}};
  struct parts parts = {0};
  struct error error = {0};
  cr_expect_eq(parts_measure(&parts, &fake.device, &axes, at_once, &error), -EINTR);
  cr_expect_eq(fake.n_asked, 0);
}

Test(parts, copies_are_held_against_the_link) {
  struct part part = {.what = PROBE_H2D,
                      .seconds = 1,
                      .bytes = 0.5 * datasheet_link_bytes_per_s(32, 16),
                      .link = {.gt_per_s = 32, .width = 16}};
  cr_expect_float_eq(part_of_link(&part), 0.5, 1e-9);
  part.what = PROBE_BOTH_WAYS;
  cr_expect_float_eq(part_of_link(&part), 0.25, 1e-9, "of both directions");
  part.what = PROBE_MEMORY_COPY;
  cr_expect(isnan(part_of_link(&part)), "it does not cross the link");
  part = (struct part){.what = PROBE_D2H, .seconds = 1, .bytes = 1};
  cr_expect(isnan(part_of_link(&part)), "the link is not known");
}

Test(parts, the_link_is_read_after_each) {
  struct fake fake = {.missing = PROBE_EMBED};
  struct parts parts = measure(&fake);
  const struct part *copy = parts_find(&parts, PROBE_H2D, 0, 0);
  cr_assert_not_null(copy);
  cr_expect_eq(copy->link.width, 8);
}
