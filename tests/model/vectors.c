/*
 * Reading the test vectors. Whatever is absent or of the wrong type fails the
 * test at once: a vector that is skipped silently checks nothing.
 */
#include "vectors.h"

#include <criterion/criterion.h>
#include <math.h>

json_t *vectors_section(const char *name) {
  json_error_t error;
  json_t *root = json_load_file("tests/model/vectors.json", 0, &error);
  cr_assert(root, "tests/model/vectors.json: %s (run from the repository root)", error.text);
  json_t *section = json_incref(json_object_get(root, name));
  json_decref(root);
  cr_assert(json_array_size(section) > 0, "no vectors called %s", name);
  return section;
}

double vectors_number(const json_t *object, const char *key) {
  const json_t *value = json_object_get(object, key);
  cr_assert(json_is_number(value), "vector without number %s", key);
  return json_number_value(value);
}

int vectors_count(const json_t *object, const char *key) {
  const json_t *value = json_object_get(object, key);
  cr_assert(json_is_integer(value), "vector without integer %s", key);
  return (int)json_integer_value(value);
}

const struct shape *vectors_preset(const json_t *object, const char *key) {
  const char *name = json_string_value(json_object_get(object, key));
  const struct shape *shape = shape_preset(name);
  cr_assert(shape, "vector names no preset: %s", name ? name : "(nothing)");
  return shape;
}

int vectors_array(const json_t *object, const char *key, double *values, int max) {
  const json_t *array = json_object_get(object, key);
  int n = (int)json_array_size(array);
  cr_assert(n <= max, "%s is longer than %d", key, max);
  for (int i = 0; i < max; i++) {
    values[i] = i < n ? json_number_value(json_array_get(array, (size_t)i)) : 0.0;
  }
  return n;
}

void expect_near(double actual, double expected, double relative, const char *what) {
  double tolerance = relative * fmax(fabs(expected), 1e-300);
  cr_expect(fabs(actual - expected) <= tolerance, "%s: got %.17g, expected %.17g", what, actual,
            expected);
}
