/*
 * What an option accepts, in words: the same words in the help and in errors, both made from the
 * table's ranges.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "bench/options_table.h"

/* A bound as one would type it: "4KiB", not "4.00 KiB". */
static char *typed_bytes(char text[UNITS_TEXT_BYTES], double bytes) {
  static const char *const units[] = {"", "KiB", "MiB", "GiB", "TiB"};
  static const char *const tens[] = {"", "KB", "MB", "GB", "TB"};
  const char *const *named = fmod(bytes, 1000) == 0 ? tens : units;
  double base = named == tens ? 1000 : 1024;
  int i = 0;
  for (; i < 4 && bytes >= base && fmod(bytes, base) == 0; i++) bytes /= base;
  snprintf(text, UNITS_TEXT_BYTES, "%.0f%s", bytes, named[i]);
  return text;
}

static char *typed_seconds(char text[UNITS_TEXT_BYTES], double seconds) {
  if (seconds > 0 && seconds < 1)
    snprintf(text, UNITS_TEXT_BYTES, "%.0fms", seconds * 1e3);
  else if (seconds >= 3600 && fmod(seconds, 3600) == 0)
    snprintf(text, UNITS_TEXT_BYTES, "%.0fh", seconds / 3600);
  else
    snprintf(text, UNITS_TEXT_BYTES, "%.0fs", seconds);
  return text;
}

/* "recompute, serial, overlap" */
static char *joined(char *text, size_t n, const char *const *names) {
  text[0] = '\0';
  for (int i = 0; names[i]; i++) {
    size_t used = strlen(text);
    snprintf(text + used, n - used, "%s%s", i ? ", " : "", names[i]);
  }
  return text;
}

/* True where `command` takes a list of this option. */
static bool listed(const struct options_entry *entry, int command) {
  bool single = command >= 0 && (entry->single & (1U << command));
  return entry->kind == OPTIONS_COUNT_LIST && !single;
}

static void range(const struct options_entry *entry, bool list, char *text, size_t n) {
  char low[UNITS_TEXT_BYTES], high[UNITS_TEXT_BYTES], step[UNITS_TEXT_BYTES];
  switch (entry->kind) {
  case OPTIONS_BYTES:
  case OPTIONS_BYTES_LIST:
    snprintf(text, n,
             entry->kind == OPTIONS_BYTES ? "a size from %s to %s"
                                          : "sizes from %s to %s, separated by commas",
             typed_bytes(low, entry->min), typed_bytes(high, entry->max));
    if (!entry->multiple) break;
    n -= strlen(text);
    snprintf(text + strlen(text), n, ", a multiple of %s",
             typed_bytes(step, (double)entry->multiple));
    break;
  case OPTIONS_SECONDS:
    snprintf(text, n, "a time from %s to %s, with its unit: ns, us, ms, s, min, h",
             typed_seconds(low, entry->min), typed_seconds(high, entry->max));
    break;
  case OPTIONS_REAL_LIST:
    snprintf(text, n, "numbers from %g to below %g, separated by commas", entry->min, entry->max);
    break;
  case OPTIONS_RATE:
    snprintf(text, n, "a rate of at least %.0f B/s, with its unit: GB/s, MB/s, GiB/s", entry->min);
    break;
  case OPTIONS_REAL:
    snprintf(text, n, "a number from %g to %g", entry->min, entry->max);
    break;
  default:
    snprintf(text, n, "%s from %s to %s%s", list ? "counts" : "a count",
             units_format_count(low, (uint64_t)entry->min),
             units_format_count(high, (uint64_t)entry->max), list ? ", separated by commas" : "");
  }
}

static void names(const struct options_entry *entry, char *text, size_t n) {
  char list[OPTIONS_ACCEPTS_BYTES - 64];
  switch (entry->kind) {
  case OPTIONS_DEVICE:
    options_list_devices(text, n);
    break;
  case OPTIONS_ENGINE:
    options_list_engines(text, n);
    break;
  case OPTIONS_MODEL:
    snprintf(text, n, "%s or a JSON file", options_list_models(list, sizeof list));
    break;
  case OPTIONS_BIND:
    snprintf(text, n, "auto, none or a NUMA node's number from 0 to %.0f", entry->max);
    break;
  case OPTIONS_SETTINGS:
  case OPTIONS_RANGES:
  case OPTIONS_SECTIONS:
  case OPTIONS_RULES:
    options_accepts_plan(entry->kind, text, n);
    break;
  case OPTIONS_CHOICES:
  case OPTIONS_POLICIES:
    snprintf(text, n, "%s, separated by commas", joined(list, sizeof list, entry->accepted));
    break;
  default: /* OPTIONS_CHOICE */
    joined(text, n, entry->accepted);
  }
}

char *options_accepts(const struct options_entry *entry, int command,
                      char text[OPTIONS_ACCEPTS_BYTES]) {
  const size_t n = OPTIONS_ACCEPTS_BYTES;
  switch (entry->kind) {
  case OPTIONS_COUNT:
  case OPTIONS_COUNT_LIST:
  case OPTIONS_REAL_LIST:
  case OPTIONS_REAL:
  case OPTIONS_BYTES:
  case OPTIONS_BYTES_LIST:
  case OPTIONS_RATE:
  case OPTIONS_SECONDS:
  case OPTIONS_SEED:
    range(entry, listed(entry, command), text, n);
    break;
  case OPTIONS_FILE:
  case OPTIONS_PATHS:
    snprintf(text, n, "the path of a file");
    break;
  case OPTIONS_TARGETS:
    snprintf(text, n, "a directory, or several separated by commas for a stripe set");
    break;
  case OPTIONS_SWITCH:
    snprintf(text, n, "on or off");
    break;
  case OPTIONS_FLAG:
    snprintf(text, n, "no value");
    break;
  default:
    names(entry, text, n);
  }
  return text;
}
