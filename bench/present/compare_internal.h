/*
 * What the files of the comparison share.
 */
#ifndef REFILL_BENCH_PRESENT_COMPARE_INTERNAL_H
#define REFILL_BENCH_PRESENT_COMPARE_INTERNAL_H

#include "bench/present/compare.h"

/* Equal samples, equal answer. */
#define COMPARE_SEED 1

/* The value at "rig.model", NULL where there is none. */
const json_t *compare_at(const json_t *json, const char *path);

/* Finite samples of {"samples": [...]}, each times `factor`; false where the field holds none. */
bool compare_samples(const json_t *field, double factor, struct samples *samples);

/* Room for one row more, NULL without memory. */
struct compare_row *compare_new_row(struct compare *compare);

/* compare_rows.c: does a result hold rows that can be compared; compares all of them. */
bool compare_has_rows(const json_t *result);
int compare_all_rows(struct compare *compare, const struct compare_side *a,
                     const struct compare_side *b);

/* compare_rates.c: T, R and W. */
int compare_rates(struct compare *compare, const struct compare_side *a,
                  const struct compare_side *b);

#endif
