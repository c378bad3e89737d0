/*
 * The end of a command: see leave.h.
 */
#include "bench/present/leave.h"

#include <errno.h>
#include <string.h>

#include "bench/present/jsonl.h"
#include "bench/present/publish.h"
#include "bench/present/result.h"

int leave_check(const struct options *options, struct error *error) {
  const struct {
    const char *option, *path;
    enum publish_kind kind;
  } files[] = {
      {"-o", options->output, PUBLISH_RESULT},          {"--csv", options->csv, PUBLISH_CSV},
      {"--jsonl", options->jsonl, PUBLISH_JSONL},       {"--trace", options->trace, PUBLISH_TRACE},
      {"--profile", options->profile, PUBLISH_PROFILE},
  };
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
    if (!files[i].path) continue;
    int code = publish_check(files[i].option, files[i].path, files[i].kind, error);
    if (code < 0) return code;
  }
  return 0;
}

/* Table or JSON to stdout, whole before warnings appear beside it. */
static int print(const struct options *options, const json_t *result,
                 const struct table *const *tables, int n_tables, struct error *error) {
  int code = 0;
  errno = 0;
  if (options->json) {
    code = result_print(result, stdout);
  } else {
    for (int i = 0; i < n_tables && code == 0; i++) {
      if (i > 0) fputc('\n', stdout);
      code = table_print(tables[i], stdout);
    }
  }
  if (code == 0 && fflush(stdout) != 0) code = -EIO;
  if (code == -ENOMEM) return error_set(error, code, "no memory to print the result");
  if (code < 0)
    return error_set(error, code, "standard output cannot be written: %s",
                     strerror(errno ? errno : EIO));
  return 0;
}

static int publish_csv(const char *path, const struct table *const *tables, int n_tables,
                       struct error *error) {
  struct publish publish;
  int code = publish_begin(&publish, "--csv", path, PUBLISH_CSV, error);
  if (code < 0) return code;
  for (int i = 0; i < n_tables; i++) {
    if (i > 0) fputs("\r\n", publish.stream);
    if (table_print_csv(tables[i], publish.stream) != -ENOMEM) continue;
    publish_cancel(&publish);
    return error_set(error, -ENOMEM, "--csv %s: no memory to write it", path);
  }
  return publish_commit(&publish, error);
}

int leave(const struct options *options, json_t *result, const struct table *const *tables,
          int n_tables, const struct warnings *warnings, struct error *error) {
  return leave_with(options, result, tables, n_tables, tables, n_tables, warnings, error);
}

int leave_with(const struct options *options, json_t *result, const struct table *const *tables,
               int n_tables, const struct table *const *csv, int n_csv,
               const struct warnings *warnings, struct error *error) {
  json_object_set_new(result, "finished", result_time());
  json_object_set_new(result, "interrupted",
                      json_boolean(warnings_has(warnings, WARNING_INTERRUPTED)));
  json_object_set_new(result, "warnings", warnings_to_json(warnings));

  /* A full disk must not cost the table, nor a closed pipe the file. `error` keeps the first. */
  int first = print(options, result, tables, n_tables, error);
  int code = options->output ? result_publish(result, options->output, error) : 0;
  if (first == 0) first = code;
  code = options->csv ? publish_csv(options->csv, csv, n_csv, error) : 0;
  if (first == 0) first = code;
  code = options->jsonl ? jsonl_publish(result, options->jsonl, error) : 0;
  if (first == 0) first = code;
  warnings_print(warnings, stderr);
  return first;
}
