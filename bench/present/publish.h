/*
 * Files that appear whole or not at all: written under a temporary name in the same directory,
 * synced, renamed over the target, directory synced. Whoever reads a result never sees half of
 * one, and a full disk leaves the previous result as it was.
 *
 * A file that exists is replaced only where it is one of ours (or empty): `-o model.json` typed
 * for `--model model.json` must not cost anybody a file.
 */
#ifndef REFILL_BENCH_PRESENT_PUBLISH_H
#define REFILL_BENCH_PRESENT_PUBLISH_H

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/error.h"

/* What kind of file it will be, which decides what may be replaced. */
enum publish_kind {
  PUBLISH_RESULT,  /* replaces JSON with "schema": "refill/..." */
  PUBLISH_PROFILE, /* likewise */
  PUBLISH_TRACE,   /* replaces JSON that begins with PUBLISH_TRACE_HEAD */
  PUBLISH_JSONL,   /* replaces lines of JSON that begin with PUBLISH_JSONL_HEAD */
  PUBLISH_CSV,     /* replaces a file whose first line is a row of field names */
  PUBLISH_REPORT   /* replaces HTML that begins with PUBLISH_REPORT_HEAD */
};

/* A trace's first bytes, so that a later run knows it for one of ours. */
#define PUBLISH_TRACE_HEAD "{\"otherData\":{\"schema\":\"refill/"

/* The first bytes of a file of JSON lines. */
#define PUBLISH_JSONL_HEAD "{\"schema\": \"refill/"

/* A report's first bytes, from scripts/report/report.html. */
#define PUBLISH_REPORT_HEAD "<!doctype html>\n<!-- refill report -->"

/* Checks before minutes of measuring that `path` can be published: the directory exists and takes
 * a new file, and what is there may be replaced. Leaves nothing behind. Returns 0 or -EEXIST (not
 * ours), -EISDIR, -ENOENT, -ENOTDIR, -EACCES, -EROFS, ... with a sentence that names the option
 * (`option`, such as "-o") and the path. */
int publish_check(const char *option, const char *path, enum publish_kind kind,
                  struct error *error);

struct publish {
  FILE *stream;          /* write here */
  char path[PATH_MAX];   /* the target */
  char hidden[PATH_MAX]; /* where it is written */
};

/* Opens the temporary file after the checks of publish_check(). */
int publish_begin(struct publish *publish, const char *option, const char *path,
                  enum publish_kind kind, struct error *error);

/* Flushes, syncs and renames. On failure nothing is left and the target is as it was. */
int publish_commit(struct publish *publish, struct error *error);

/* Removes what was written; safe on a zeroed struct and after a commit. */
void publish_cancel(struct publish *publish);

#endif
