/*
 * A calibration as tables, as JSON, as an answer, and as a playback profile.
 */
#ifndef REFILL_BENCH_PRESENT_CALIBRATE_REPORT_H
#define REFILL_BENCH_PRESENT_CALIBRATE_REPORT_H

#include <jansson.h>

#include "bench/measure/compute_grid.h"
#include "bench/measure/datasheet.h"
#include "bench/measure/parts.h"
#include "bench/measure/storage_grid.h"
#include "bench/present/table.h"
#include "bench/present/warnings.h"

/* What calibrate knows at its end. */
struct calibration {
  struct shape shape;
  int layers;
  int64_t n_tokens;
  const char *device_name;          /* as asked for */
  const struct device_info *device; /* as obtained */
  enum element element, kv_element;
  const struct datasheet *datasheet; /* of the device; NULL: none is kept, so no MFU */
  struct compute_grid compute;
  struct parts parts;
  struct storage_grid storage; /* no rows: nothing was measured (an emulated drive) */
};

/* T at N, R and W of the best row, and what follows; NaN where unknown. */
struct calibration_summary {
  double compute_s_per_token; /* T(N, 0) */
  double storage_read_s_per_token, storage_write_s_per_token;
  double h2d_s_per_token, d2h_s_per_token;    /* NaN where nothing is copied */
  double read_s_per_token, write_s_per_token; /* R and W: the larger of storage's and the copy's */
  double e, alpha_star_constant, alpha_star;
  int64_t break_even_tokens; /* shortest whole-page prefix whose reload is faster, as the grids
                                predict; 0: none */
  const struct storage_row *best;
};
struct calibration_summary calibration_summarise(const struct calibration *calibration);

/* T and TFLOPS over (n_new, n_past); the device's parts; R and W over page and depth. NULL when
 * memory is out. */
struct table *calibration_compute_table(const struct calibration *calibration);
struct table *calibration_parts_table(const struct calibration *calibration);
/* A layer as it runs beside the sum of its kernels timed alone. */
struct table *calibration_layer_table(const struct calibration *calibration);
struct table *calibration_storage_table(const struct calibration *calibration);

/* calibrate_parts.c: what both JSON and tables need. */
json_t *calibration_parts_to_json(const struct calibration *calibration);
json_t *calibration_layers_to_json(const struct calibration *calibration);
json_t *calibration_datasheet_to_json(const struct calibration *calibration);

/* A rate as a share of the datasheet's; NaN where there is none. */
double calibration_mfu(const struct calibration *calibration, double flops_per_s);

void calibration_to_json(const struct calibration *calibration, json_t *result);
void calibration_warn(const struct calibration *calibration, struct warnings *warnings);

#define CALIBRATION_ANSWER_BYTES 512
char *calibration_answer(const struct calibration *calibration,
                         char text[CALIBRATION_ANSWER_BYTES]);

/* Writes the measured times as a profile that --device playback:FILE plays back. */
int calibration_write_profile(const struct calibration *calibration, const char *path,
                              struct error *error);

#endif
