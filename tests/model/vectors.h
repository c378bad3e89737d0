/*
 * The vectors that an independent implementation of the models computed
 * (vectors.json), and how near is near enough. Read from the repository root,
 * where make runs the tests.
 */
#ifndef REFILL_TESTS_MODEL_VECTORS_H
#define REFILL_TESTS_MODEL_VECTORS_H

#include <jansson.h>

#include "model/shape.h"

/* The section `name`, a non-empty array; fails the test where it is absent.
 * The caller gives the reference back with json_decref(). */
json_t *vectors_section(const char *name);

/* A field that must be there: a number, an integer, a preset by name. */
double vectors_number(const json_t *object, const char *key);
int vectors_count(const json_t *object, const char *key);
const struct shape *vectors_preset(const json_t *object, const char *key);

/* Numbers of an array into values[]; its length, at most `max`. An absent or
 * null array gives zeros of length 0. */
int vectors_array(const json_t *object, const char *key, double *values, int max);

/* Fails the test unless actual is within `relative` of expected. */
void expect_near(double actual, double expected, double relative, const char *what);

#endif
