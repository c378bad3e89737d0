/*
 * Fuzz target: the scanners of base/units.c. Beyond not crashing, what they
 * accept must be finite, not negative, printable in the room there is, and
 * within the printed digits of what scanning the print gives back; what they
 * refuse must leave the result alone.
 */
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* Not assert(): the checks must hold in builds with NDEBUG too. */
static void require(int condition) {
  if (!condition) abort();
}

static int near(double value, double printed) {
  return fabs(value - printed) <= 0.00501 * fabs(value);
}

static void try_whole(int (*scan)(const char *, uint64_t *), const char *text) {
  const uint64_t untouched = UINT64_C(0xdeadbeefcafe);
  uint64_t value = untouched;
  int status = scan(text, &value);
  require(status == 0 || status == -EINVAL || status == -ERANGE);
  if (status != 0) {
    require(value == untouched);
    return;
  }
  char print[UNITS_TEXT_BYTES];
  require(strlen(units_format_count(print, value)) < UNITS_TEXT_BYTES);
  require(strlen(units_format_bytes(print, (double)value)) < UNITS_TEXT_BYTES);
  uint64_t back = 0;
  if (units_scan_bytes(print, &back) == 0) require(near((double)value, (double)back));
}

static double try_real(int (*scan)(const char *, double *), const char *text) {
  double value = -1.0;
  int status = scan(text, &value);
  require(status == 0 || status == -EINVAL || status == -ERANGE);
  require(status == 0 ? isfinite(value) && value >= 0.0 : value == -1.0);
  return value;
}

static void try_rate(const char *text) {
  double rate = try_real(units_scan_rate, text);
  char print[UNITS_TEXT_BYTES];
  double back = 0.0;
  require(strlen(units_format_rate(print, rate)) < UNITS_TEXT_BYTES);
  /* Below 1 B/s the twelve decimals of a print do not hold three digits; above 1e18 B/s it has
   * an exponent, which the scanner refuses. */
  if (rate < 1.0 || rate > 1e17) return;
  require(units_scan_rate(print, &back) == 0 && near(rate, back));
}

static void try_seconds(const char *text) {
  double seconds = try_real(units_scan_seconds, text);
  char print[UNITS_TEXT_BYTES];
  double back = 0.0;
  require(strlen(units_format_seconds(print, seconds)) < UNITS_TEXT_BYTES);
  if (seconds < 1e-18 || seconds > 1e12) return;
  require(units_scan_seconds(print, &back) == 0 && near(seconds, back));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  char *text = malloc(bytes + 1);
  if (!text) return 0;
  memcpy(text, data, bytes);
  text[bytes] = '\0';
  try_whole(units_scan_count, text);
  try_whole(units_scan_bytes, text);
  try_rate(text);
  try_seconds(text);
  try_real(units_scan_real, text);
  free(text);
  return 0;
}
