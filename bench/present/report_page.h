/*
 * Results as one HTML page that needs nothing else: no network, no server, no second file.
 *
 * The page's template (scripts/report/, made into one file at build) holds style, scripts, charts
 * and the models as WebAssembly; here results are checked and put into it as data. They come from
 * other boxes and their texts from drives and people, so they are data to the very end: JSON in an
 * element that is not run, with '<' escaped, and the page's policy (CSP) lets only scripts run that
 * carry a number drawn for this page.
 */
#ifndef REFILL_BENCH_PRESENT_REPORT_PAGE_H
#define REFILL_BENCH_PRESENT_REPORT_PAGE_H

#include <jansson.h>
#include <stddef.h>

#include "base/error.h"

/* A page is at most so large: results beyond it are refused, after raw samples were left out. */
#define REPORT_PAGE_BYTES_MAX 2000000

/* Reads results and traces, in the order given: a trace (Chrome's format, as --trace leaves it)
 * belongs to the result before it. Returns {"version", "results": [{"file", "result", "trace"}]},
 * NULL with a sentence where a file is none of both or a trace comes first. The caller owns it. */
json_t *report_read(const char *const *paths, int n_paths, struct error *error);

/* Adds "comparisons": what changed between its results, and between a storage result's targets, by
 * the rule of `refill compare` (report_compare.c). Needs raw samples: before they are dropped. */
void report_compare(json_t *report);

/* Results, and those of them with a trace. */
int report_count(const json_t *report, int *n_traces);

/* Takes raw samples and fio's command lines out of all results (medians and intervals stay) and
 * says so in the report. */
void report_drop_samples(json_t *report);

/* Writes the page at `path` (published whole, see publish.h); bytes may be NULL. -EFBIG where it
 * would be over REPORT_PAGE_BYTES_MAX even without samples. */
int report_publish(json_t *report, const char *path, size_t *bytes, struct error *error);

#endif
