/*
 * Choosing points, order and end; slowdowns; break-even; equality: the arithmetic of measuring.
 */
#include <math.h>

#include "bench/measure/break_even.h"
#include "bench/measure/compute_grid.h"
#include "bench/measure/equality.h"
#include "bench/measure/layer_io.h"
#include "bench/measure/sweep_plan.h"
#include "tests/bench/bench_fixture.h"

Test(sweep_plan, alphas_lie_on_both_sides_of_the_crossover) {
  double alphas[SWEEP_ALPHAS];
  int n = sweep_choose_alphas(0.8, 0.99, alphas);
  cr_assert_eq(n, SWEEP_ALPHAS);
  int below = 0;
  int above = 0;
  for (int i = 0; i < n; i++) {
    if (i > 0) cr_assert_gt(alphas[i], alphas[i - 1]);
    below += alphas[i] < 0.8;
    above += alphas[i] > 0.8;
  }
  cr_assert_geq(below, 2);
  cr_assert_geq(above, 2);
  cr_assert_float_eq(alphas[n - 1], 0.99, 1e-12, "the longest prefix is always measured");
}

Test(sweep_plan, alphas_without_a_crossover_cover_the_range) {
  double alphas[SWEEP_ALPHAS];
  int n = sweep_choose_alphas(1, 0.98, alphas);
  cr_assert_eq(n, SWEEP_ALPHAS);
  cr_assert_lt(alphas[0], 0.3);
  cr_assert_float_eq(alphas[n - 1], 0.98, 1e-12);
  n = sweep_choose_alphas(0, 0.98, alphas);
  cr_assert_float_eq(alphas[n - 1], 0.98, 1e-12);
}

Test(sweep_plan, past_is_whole_pages_and_leaves_a_new_token) {
  cr_assert_eq(rig_past_tokens(0.5, 4096, 64), 2048);
  cr_assert_eq(rig_past_tokens(1, 4096, 64), 4032);
  cr_assert_eq(rig_past_tokens(1, 4113, 64), 4096);
  cr_assert_eq(rig_past_tokens(0, 4096, 64), 0);
  cr_assert_eq(rig_past_tokens(0.999, 65, 64), 64);
  cr_assert_eq(rig_past_tokens(0.5, 64, 64), 0);
}

Test(sweep_plan, shuffle_is_a_seeded_permutation) {
  int first[20];
  int second[20];
  int other[20];
  sweep_shuffle(first, 20, 1, 3);
  sweep_shuffle(second, 20, 1, 3);
  sweep_shuffle(other, 20, 1, 4);
  int seen = 0;
  int same = 0;
  for (int i = 0; i < 20; i++) {
    seen |= 1 << first[i];
    same += first[i] == other[i];
    cr_assert_eq(first[i], second[i]);
  }
  cr_assert_eq(seen, (1 << 20) - 1);
  cr_assert_lt(same, 10, "another round, another order");
}

Test(sweep_plan, break_even_is_the_start_of_the_winning_tail) {
  struct break_even_point points[] = {{.n_past = 64, .recompute_s = 1, .reload_s = 0.9},
                                      {.n_past = 128, .recompute_s = 1, .reload_s = 1.1},
                                      {.n_past = 256, .recompute_s = 2, .reload_s = 1},
                                      {.n_past = 512, .recompute_s = 4, .reload_s = 1}};
  cr_assert_eq(break_even_prefix(points, 4), 256, "a lucky short prefix does not count");
  points[3].reload_s = 5;
  cr_assert_eq(break_even_prefix(points, 4), 0);
}

Test(sweep_plan, break_even_tries_the_longest_prefix_last) {
  cr_assert_eq(break_even_next(64, 4032), 128);
  cr_assert_eq(break_even_next(1024, 4032), 2048);
  cr_assert_eq(break_even_next(2048, 4032), 4032, "not a doubling, and yet tried");
  cr_assert_eq(break_even_next(4032, 4032), 0);
  cr_assert_eq(break_even_next(64, 64), 0);
}

Test(sweep_plan, alphas_in_any_order_make_ascending_points, .timeout = 60) {
  struct fixture fixture = {0};
  struct error error = {0};
  cr_assert_eq(fixture_open(&fixture,
                            "--device playback:zero --engine null --page-tokens 16 --tokens 512 "
                            "--alpha 0.75,0.25,0.5",
                            512, &error),
               0, "%s", error.message);
  struct sweep sweep = {.rig = &fixture.rig, .n_lengths = 1, .scouts = {{.n_tokens = 512}}};
  cr_assert_eq(sweep_make_points(&sweep, &error), 0);
  cr_assert_eq(sweep.n_points, 4);
  for (int i = 1; i < sweep.n_points; i++)
    cr_assert_gt(sweep.points[i].n_past, sweep.points[i - 1].n_past, "point %d", i);
  sweep_free(&sweep);
  fixture_close(&fixture);
}

Test(sweep_plan, round_bytes_are_what_the_legs_write, .timeout = 60) {
  struct fixture fixture = {0};
  struct error error = {0};
  cr_assert_eq(fixture_open(&fixture,
                            "--device playback:zero --page-tokens 16 --tokens 512 --alpha 0,0.5",
                            512, &error),
               0, "%s", error.message);
  struct sweep sweep = {.rig = &fixture.rig, .n_lengths = 1, .scouts = {{.n_tokens = 512}}};
  cr_assert_eq(sweep_make_points(&sweep, &error), 0);
  double layer_pages = 2 * 32 + 3 * 16; /* alpha 0: alone, overlapped; 0.5: beside reads too */
  cr_assert_float_eq(sweep_round_bytes(&sweep),
                     layer_pages * 6 * (double)fixture.rig.page_stride_bytes, 0.5);
  sweep_free(&sweep);
  fixture_close(&fixture);
}

Test(sweep_plan, pieces_merge_pages_or_cut_them) {
  cr_assert_eq(layer_io_piece_bytes(49152, 1 << 20, 4096), 21 * 49152);
  cr_assert_eq(layer_io_piece_bytes(1 << 20, 1 << 20, 4096), 1 << 20);
  cr_assert_eq(layer_io_piece_bytes(1 << 21, 1 << 20, 4096), 1 << 20);
  cr_assert_eq(layer_io_piece_bytes(1 << 21, 5000, 4096), 4096);
}

Test(sweep_plan, slowdown_explains_the_time_beside_others) {
  /* Two layers of compute, 1 s alone each; the second lies beside a read and takes 1.5 s. */
  struct pipeline_run run;
  pipeline_run_init(&run, 2);
  run.layers[0].compute = (struct pipeline_span){0, 1};
  run.layers[1].compute = (struct pipeline_span){1, 2.5};
  run.layers[1].read = (struct pipeline_span){1, 2.5};
  struct ttft_layer alone[2] = {{.compute_s = 1}, {.compute_s = 1, .read_s = 1}};
  struct ttft_layer own[2];
  pipeline_intervals(&run, own);
  struct ttft_slowdown slowdown = group_slowdown(&run, alone, own);
  cr_assert_float_eq(slowdown.compute, 1.5, 1e-9);
  cr_assert_float_eq(slowdown.read, 1.5, 1e-9);
  cr_assert_float_eq(slowdown.write, 1.0, 1e-9);
  pipeline_run_free(&run);
}

Test(sweep_plan, equality_difference_sees_one_bit_and_nan) {
  float a[4] = {1, -2, 0.5F, 0};
  float b[4] = {1, -2, 0.5F, 0};
  cr_assert_eq(equality_difference(a, b, 4), 0);
  b[1] = -2.0000002F;
  cr_assert_gt(equality_difference(a, b, 4), 0);
  cr_assert_lt(equality_difference(a, b, 4), 1e-6);
  b[3] = NAN;
  cr_assert(isinf(equality_difference(a, b, 4)));
}

Test(sweep_plan, grid_interpolates_between_its_points) {
  struct compute_grid grid;
  struct error error = {0};
  cr_assert_eq(compute_grid_init(&grid, 4096, 64, &error), 0);
  cr_assert_eq(grid.new_axis[0], 1);
  cr_assert_eq(grid.new_axis[grid.n_new - 1], 4096);
  cr_assert_eq(grid.past_axis[0], 0);
  for (int i = 0; i < grid.n_new; i++)
    for (int k = 0; k < grid.n_past; k++)
      samples_add(&compute_grid_at(&grid, i, k)->compute_s,
                  2.0 * (double)grid.new_axis[i] + 0.5 * (double)grid.past_axis[k]);
  cr_assert_float_eq(compute_grid_s(&grid, 4096, 0), 8192, 1e-9);
  cr_assert_float_eq(compute_grid_s(&grid, 2560, 512), 5120 + 256, 1e-9);
  cr_assert_float_eq(compute_grid_s(&grid, 0.5, 0), 2, 1e-9, "held below the first point");
  compute_grid_free(&grid);
}

Test(sweep_plan, whole_sweep_on_a_paced_drive, .timeout = 120) {
  struct fixture fixture = {0};
  struct error error = {0};
  cr_assert_eq(fixture_open(&fixture,
                            /* so slow that a busy box cannot turn which stage binds */
                            "--device playback:zero --engine null:read=10MB/s,write=10MB/s "
                            "--page-tokens 16 --tokens 512 --repeat 2 --alpha 0.25,0.75",
                            512, &error),
               0, "%s", error.message);
  struct sweep sweep = {.rig = &fixture.rig};
  cr_assert_eq(group_init(&sweep.group, &fixture.rig, &error), 0);
  cr_assert_eq(sweep_scout_all(&sweep, &error), 0, "%s", error.message);
  cr_assert_eq(sweep_make_points(&sweep, &error), 0);
  cr_assert_eq(sweep.n_points, 3, "recompute and two alphas");
  while (sweep_wants_more(&sweep)) {
    for (int i = 0; i < sweep.n_points; i++)
      cr_assert_eq(group_measure(&sweep.group, &sweep.points[i], sweep.groups_done, false, &error),
                   0, "%s", error.message);
    sweep.groups_done++;
  }
  cr_assert_eq(sweep.groups_done, 2);
  const struct point *low = &sweep.points[1];
  const struct point *high = &sweep.points[2];
  cr_assert_eq(point_regime(low), REGIME_WRITE);
  cr_assert_eq(point_regime(high), REGIME_READ);
  cr_assert_eq(low->metrics[METRIC_FIRST_TOKEN].n, 2);
  cr_assert_lt(fabs(point_median(high, METRIC_ERROR_PIPELINED)), 0.25);
  cr_assert_not(high->checked, "an emulated drive has nothing to check");
  sweep_free(&sweep);
  fixture_close(&fixture);
}
