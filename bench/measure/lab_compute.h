/*
 * The compute times that a lab's drives are judged by: measured by `calibrate`, or a profile's.
 */
#ifndef REFILL_BENCH_MEASURE_LAB_COMPUTE_H
#define REFILL_BENCH_MEASURE_LAB_COMPUTE_H

#include <stdbool.h>

#include "base/error.h"
#include "kernels/playback/profile.h"
#include "model/shape.h"

#define LAB_AXIS_MAX 64

struct lab_compute {
  bool known;
  bool played_back; /* from a profile */
  char model[SHAPE_NAME_BYTES];
  struct shape shape; /* of a profile */
  int layers;         /* that the times are of */
  struct profile *profile;
  int64_t new_axis[LAB_AXIS_MAX], past_axis[LAB_AXIS_MAX];
  double seconds[LAB_AXIS_MAX * LAB_AXIS_MAX]; /* (n_new, n_past) all layers */
  struct profile_grid grid;
};

/* Loads "playback:PROFILE" or a result of calibrate; NULL or "": nothing is known. Returns 0 or a
 * negative errno with the file named. Free with lab_compute_free(), safe on a zeroed struct. */
int lab_compute_load(struct lab_compute *compute, const char *from, struct error *error);
void lab_compute_free(struct lab_compute *compute);

/* Seconds of all layers, embedding and head; NaN where nothing is known. */
double lab_compute_s(const struct lab_compute *compute, double n_new, double n_past);

#endif
