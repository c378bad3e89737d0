/*
 * `refill report`: results to one self-contained HTML page, with the planner on it.
 */
#include <stdio.h>

#include "base/units.h"
#include "bench/commands/table.h"
#include "bench/present/publish.h"
#include "bench/present/report_page.h"

#define DEFAULT_OUTPUT "report.html"

static int report_run(const struct options *options, struct error *error) {
  const char *output = options->output ? options->output : DEFAULT_OUTPUT;
  if (publish_check("-o", output, PUBLISH_REPORT, error) < 0) return EXIT_USAGE;
  json_t *report = report_read(options->files, options->n_files, error);
  if (!report) return EXIT_USAGE;
  report_compare(report);

  int n_traces = 0;
  int n_results = report_count(report, &n_traces);
  size_t bytes = 0;
  int code = report_publish(report, output, &bytes, error);
  if (code == 0) {
    char size[UNITS_TEXT_BYTES];
    units_format_bytes(size, (double)bytes);
    printf("%s: %s, %d result%s, %d trace%s; open it in any browser\n", output, size, n_results,
           n_results == 1 ? "" : "s", n_traces, n_traces == 1 ? "" : "s");
    if (json_is_true(json_object_get(report, "samples_left_out")))
      fprintf(stderr, "refill: raw samples were left out of the page to keep it under 2 MB\n");
  }
  json_decref(report);
  return command_exit_code(code);
}

const struct command command_report = {
    .name = "report",
    .summary = "results to one HTML page that needs no network, with a planner on it",
    .examples = "  refill report sweep.json -o report.html\n"
                "  refill report sweep.json sweep-trace.json calibrate.json -o report.html\n"
                "  refill report before.json after.json -o compared.html\n"
                "  refill report sweep.json storage.json -o drives.html",
    .run = report_run,
};
