/*
 * What a sweep says of itself: only what was measured.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "bench/present/sweep_report.h"

/* A sweep of one length with a recompute of 1 s and room for three more points. */
struct said {
  struct device device;
  struct rig rig;
  struct sweep sweep;
  struct break_even break_even;
  char text[ANSWER_BYTES];
};

static struct said *said_new(int n_points) {
  struct said *said = calloc(1, sizeof *said);
  cr_assert_not_null(said);
  said->rig.device = &said->device;
  said->sweep.rig = &said->rig;
  said->sweep.points = calloc(4, sizeof *said->sweep.points);
  cr_assert_not_null(said->sweep.points);
  said->sweep.n_points = n_points;
  said->sweep.n_lengths = 1;
  said->sweep.scouts[0].n_tokens = 4096;
  struct point *points = said->sweep.points;
  points[0] = (struct point){.n_tokens = 4096, .policy = POLICY_RECOMPUTE, .n_new = 4096};
  points[0].groups = 1;
  samples_add(&points[0].metrics[METRIC_FIRST_TOKEN], 1);
  samples_add(&points[0].metrics[METRIC_COMPUTE_ALONE], 1);
  return said;
}

static void said_point(struct said *said, enum policy policy, double first_token_s) {
  struct point *point = &said->sweep.points[1];
  *point = (struct point){
      .n_tokens = 4096, .policy = policy, .n_past = 2048, .n_new = 2048, .alpha = 0.5, .groups = 1};
  samples_add(&point->metrics[METRIC_FIRST_TOKEN], first_token_s);
  samples_add(&point->metrics[METRIC_COMPUTE_ALONE], first_token_s / 2);
  samples_add(&point->metrics[METRIC_READ_ALONE], first_token_s);
}

static const char *answer(struct said *said) {
  return sweep_answer(&said->sweep, &said->break_even, said->text);
}

static void said_free(struct said *said) {
  free(said->sweep.points);
  free(said);
}

Test(sweep_answer, nothing_measured_binds_nothing) {
  struct said *said = said_new(1);
  cr_expect_null(strstr(answer(said), "binds"), "%s", said->text);
  struct warnings warnings = {0};
  sweep_warn(&said->sweep, &warnings);
  cr_expect_not(warnings_has(&warnings, WARNING_NO_IO_BOUND));
  cr_expect_not(warnings_has(&warnings, WARNING_NO_COMPUTE_BOUND));
  said_free(said);
}

Test(sweep_answer, serial_points_say_what_binds_too) {
  struct said *said = said_new(2);
  said_point(said, POLICY_SERIAL, 0.5);
  cr_expect_not_null(strstr(answer(said), "reading binds at every alpha"), "%s", said->text);
  said_free(said);
}

Test(sweep_answer, factors_read_well) {
  static const struct {
    double first_token_s;
    const char *words;
  } cases[] = {{0.98, "about the same"}, {1.02, "about the same"}, {0.5, "2.0x lower"},
               {1.25, "1.2x higher"},    {0.01, "100x lower"},     {0.05, "20x lower"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct said *said = said_new(2);
    said_point(said, POLICY_OVERLAP, cases[i].first_token_s);
    cr_expect_not_null(strstr(answer(said), cases[i].words), "%s", said->text);
    said_free(said);
  }
}

/* Three overlapped points, alpha 0.25, 0.5, 0.75, bound by these legs. */
static const char *answer_bound_by(struct said *said, enum metric a, enum metric b, enum metric c) {
  const enum metric legs[] = {a, b, c};
  said->sweep.n_points = 4;
  for (int i = 1; i < 4; i++) {
    struct point *point = &said->sweep.points[i];
    *point = (struct point){
        .n_tokens = 4096, .policy = POLICY_OVERLAP, .n_new = 1, .alpha = 0.25 * i, .groups = 1};
    samples_add(&point->metrics[METRIC_FIRST_TOKEN], 1);
    samples_add(&point->metrics[legs[i - 1]], 1);
  }
  return answer(said);
}

Test(sweep_answer, ranges_are_claimed_only_where_all_alphas_agree) {
  const enum metric compute = METRIC_COMPUTE_ALONE, read = METRIC_READ_ALONE,
                    write = METRIC_WRITE_ALONE;
  struct said *said = said_new(4);
  answer_bound_by(said, write, compute, read);
  cr_expect_not_null(strstr(said->text, "write of new KV binds up to alpha 0.25; reading binds "
                                        "from alpha 0.75 on"),
                     "%s", said->text);
  answer_bound_by(said, read, write, read);
  cr_expect_not_null(strstr(said->text, "reading binds at some alphas from 0.25 to 0.75"), "%s",
                     said->text);
  answer_bound_by(said, compute, compute, compute);
  cr_expect_not_null(strstr(said->text, "compute binds at every alpha"), "%s", said->text);
  said_free(said);
}
