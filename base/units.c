/*
 * Numbers with units, scanned and printed.
 *
 * Integers are scanned in integer arithmetic: "16777217" or "1.5Ki" must not
 * pass through a double that may round. All scanners first split the text
 * into a plain decimal number and the rest, which must be a known unit; so
 * what strtod() would also take (hex, nan, a sign, blanks) never reaches it.
 * Printing keeps three significant digits, and chooses the unit by the value
 * as it will be printed, so that "1000 us" cannot appear for 999.7 us.
 */
#include "base/units.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit {
  const char *name;
  double multiple;
  double divisor; /* apart, since x / 1e3 is rounded once and x * 1e-3 twice */
};

/* The multiples that counts, sizes and rates share. */
struct multiple {
  const char *name;
  uint64_t value;
};

static const struct multiple MULTIPLES[] = {
    {"Ki", UINT64_C(1) << 10}, {"Mi", UINT64_C(1) << 20},   {"Gi", UINT64_C(1) << 30},
    {"Ti", UINT64_C(1) << 40}, {"k", UINT64_C(1000)},       {"K", UINT64_C(1000)},
    {"M", UINT64_C(1000000)},  {"G", UINT64_C(1000000000)}, {"T", UINT64_C(1000000000000)},
};

static const struct unit TIMES[] = {
    {"ns", 1.0, 1e9}, {"us", 1.0, 1e6},   {"ms", 1.0, 1e3},
    {"s", 1.0, 1.0},  {"min", 60.0, 1.0}, {"h", 3600.0, 1.0},
};

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* ---- scanning --------------------------------------------------------------- */

static const char *skip_digits(const char *at) {
  while (*at >= '0' && *at <= '9') at++;
  return at;
}

/* The end of the decimal number at `text` ("12", "12.5"), NULL where there is none. */
static const char *number_end(const char *text) {
  const char *end = skip_digits(text);
  if (end == text) return NULL;
  if (*end != '.') return end;
  const char *fraction_end = skip_digits(end + 1);
  return fraction_end == end + 1 ? NULL : fraction_end;
}

/* The unit after a number: one space may part them, as in what we print. */
static const char *unit_start(const char *end) {
  return end[0] == ' ' && end[1] != '\0' ? end + 1 : end;
}

/* Takes a multiple off the front of *unit: 1 where there is none. */
static uint64_t take_multiple(const char **unit) {
  for (size_t i = 0; i < LENGTH(MULTIPLES); i++) {
    size_t length = strlen(MULTIPLES[i].name);
    if (strncmp(*unit, MULTIPLES[i].name, length) != 0) continue;
    *unit += length;
    return MULTIPLES[i].value;
  }
  return 1;
}

/* value = [text, end) * multiple, exactly. A fraction that does not come out
 * whole is -EINVAL; zeros at the end of a fraction count for nothing. */
static int exact_product(const char *text, const char *end, uint64_t multiple, uint64_t *value) {
  const char *point = memchr(text, '.', (size_t)(end - text));
  if (point) {
    while (end[-1] == '0') end--;
  }
  unsigned __int128 product = 0;
  for (const char *at = text; at < end; at++) {
    if (at == point) continue;
    product = product * 10 + (unsigned)(*at - '0');
    if (product > UINT64_MAX) return -ERANGE;
  }
  product *= multiple;
  for (const char *at = point ? point + 1 : end; at < end; at++) {
    if (product % 10 != 0) return -EINVAL;
    product /= 10;
  }
  if (product > UINT64_MAX) return -ERANGE;
  *value = (uint64_t)product;
  return 0;
}

/* What follows the multiple must be one of the two endings. */
static int scan_whole(const char *text, const char *ending, uint64_t *value) {
  const char *end = number_end(text);
  if (!end) return -EINVAL;
  const char *unit = unit_start(end);
  uint64_t multiple = take_multiple(&unit);
  if (*unit != '\0' && strcmp(unit, ending) != 0) return -EINVAL;
  return exact_product(text, end, multiple, value);
}

int units_scan_count(const char *text, uint64_t *count) {
  return scan_whole(text, "", count);
}

int units_scan_bytes(const char *text, uint64_t *bytes) {
  return scan_whole(text, "B", bytes);
}

/* strtod() over a number that has been looked at; `end` is where it must stop,
 * which also catches a locale whose decimal point is a comma. */
static int convert(const char *text, const char *end, double *value) {
  char *stop = NULL;
  errno = 0;
  double result = strtod(text, &stop);
  if (stop != end) return -EINVAL;
  if (errno == ERANGE) return -ERANGE;
  *value = result;
  return 0;
}

int units_scan_rate(const char *text, double *bytes_per_s) {
  const char *end = number_end(text);
  if (!end) return -EINVAL;
  const char *unit = unit_start(end);
  uint64_t multiple = take_multiple(&unit);
  if (strcmp(unit, "B/s") != 0 && strcmp(unit, "/s") != 0) return -EINVAL;
  double number = 0.0;
  int status = convert(text, end, &number);
  if (status != 0) return status;
  if (!isfinite(number * (double)multiple)) return -ERANGE;
  *bytes_per_s = number * (double)multiple;
  return 0;
}

int units_scan_seconds(const char *text, double *seconds) {
  const char *end = number_end(text);
  if (!end) return -EINVAL;
  const char *unit = unit_start(end);
  for (size_t i = 0; i < LENGTH(TIMES); i++) {
    if (strcmp(unit, TIMES[i].name) != 0) continue;
    double number = 0.0;
    int status = convert(text, end, &number);
    if (status != 0) return status;
    double result = number * TIMES[i].multiple / TIMES[i].divisor;
    if (!isfinite(result)) return -ERANGE;
    *seconds = result;
    return 0;
  }
  return -EINVAL;
}

int units_scan_real(const char *text, double *value) {
  const char *end = number_end(text);
  if (!end) return -EINVAL;
  if (*end == 'e' || *end == 'E') {
    const char *digits = end[1] == '-' || end[1] == '+' ? end + 2 : end + 1;
    end = skip_digits(digits);
    if (end == digits) return -EINVAL;
  }
  if (*end != '\0') return -EINVAL;
  return convert(text, end, value);
}

/* ---- printing --------------------------------------------------------------- */

/* Decimals that give `value` >= 0 three significant digits. */
static int decimals_of(double value) {
  if (value < 1e-12) return 2;
  if (value >= 99.95) return 0;
  if (value >= 9.995) return 1;
  if (value >= 0.9995) return 2;
  int decimals = 2 - (int)floor(log10(value * 1.0005));
  return decimals < 12 ? decimals : 12;
}

static char *print(char *text, double value, const char *unit) {
  double size = fabs(value);
  if (size < 1e9) {
    snprintf(text, UNITS_TEXT_BYTES, "%.*f %s", decimals_of(size), value, unit);
  } else {
    snprintf(text, UNITS_TEXT_BYTES, "%.3g %s", value, unit); /* nan and inf too */
  }
  return text;
}

char *units_format_count(char *text, uint64_t count) {
  char digits[UNITS_TEXT_BYTES];
  int length = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)count);
  char *out = text;
  for (int i = 0; i < length; i++) {
    if (i > 0 && (length - i) % 3 == 0) *out++ = ',';
    *out++ = digits[i];
  }
  *out = '\0';
  return text;
}

char *units_format_bytes(char *text, double bytes) {
  static const char *const NAMES[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  size_t i = 0;
  double value = bytes;
  while (i + 1 < LENGTH(NAMES) && fabs(value) >= 1023.5) {
    value /= 1024.0;
    i++;
  }
  if (i == 0 && value == floor(value)) {
    snprintf(text, UNITS_TEXT_BYTES, "%.0f B", value);
    return text;
  }
  return print(text, value, NAMES[i]);
}

char *units_format_rate(char *text, double bytes_per_s) {
  return print(text, bytes_per_s / 1e9, "GB/s");
}

char *units_format_seconds(char *text, double seconds) {
  static const struct {
    double below_s; /* where this unit ends, by the value as it will be printed */
    const char *name;
    double per_s;
  } UNITS[] = {
      {999.5e-9, "ns", 1e9},
      {999.5e-6, "us", 1e6},
      {999.5e-3, "ms", 1e3},
      {119.5, "s", 1.0},
      {119.5 * 60.0, "min", 1.0 / 60.0},
      {INFINITY, "h", 1.0 / 3600.0},
  };
  if (seconds == 0.0) return print(text, 0.0, "s");
  size_t i = 0;
  while (i + 1 < LENGTH(UNITS) && !(fabs(seconds) < UNITS[i].below_s)) i++;
  return print(text, seconds * UNITS[i].per_s, UNITS[i].name);
}

char *units_format_flops(char *text, double flops_per_s) {
  if (fabs(flops_per_s) < 999.5e9) return print(text, flops_per_s / 1e9, "GFLOPS");
  return print(text, flops_per_s / 1e12, "TFLOPS");
}
