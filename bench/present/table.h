/*
 * A table on stdout, and the same rows as CSV.
 *
 * Cells are handed over as values in base units (seconds, bytes, ratios), not as texts, because
 * one unit has to hold for a whole column: it is chosen when the table is printed, from all values
 * of the column and of its neighbours of the same kind, which are there to be compared. The second
 * header row carries it. CSV (RFC 4180) keeps the base units, and its header the names of result
 * fields.
 *
 *   static const struct table_column columns[] = {
 *       {.title = "alpha", .name = "alpha", .kind = TABLE_REAL, .digits = 2},
 *       {.title = "first token", .name = "first_token_s", .kind = TABLE_SECONDS},
 *       {.title = "error", .name = "error_pipelined", .kind = TABLE_CHANGE, .digits = 1},
 *       {.title = "regime", .name = "regime", .kind = TABLE_TEXT},
 *   };
 *   struct table *table = table_new(columns, 4);
 *   table_row(table);
 *   table_real(table, 0.5);
 *   table_real(table, 0.0123);
 *   table_missing(table);
 *   table_text(table, "read");
 *   table_print(table, stdout);
 *   table_free(table);
 */
#ifndef REFILL_BENCH_PRESENT_TABLE_H
#define REFILL_BENCH_PRESENT_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define TABLE_COLUMNS_MAX 32

/* What a column holds; decides its unit row, its alignment and how a value is written. */
enum table_kind {
  TABLE_TEXT,    /* left-aligned; unit as given */
  TABLE_COUNT,   /* whole number, thousands separated; unit as given ("tokens") */
  TABLE_REAL,    /* `digits` after the point; unit as given */
  TABLE_PERCENT, /* a ratio, printed in % with `digits`; CSV keeps the ratio */
  TABLE_CHANGE,  /* likewise, with its sign: "+3.2" */
  TABLE_SECONDS, /* one of ns, us, ms, s, min for the column; 3 significant digits or more */
  TABLE_BYTES,   /* one of B, KiB, MiB, GiB, TiB for the column */
  TABLE_RATE,    /* bytes/s, always in GB/s (1e9) */
  TABLE_FLOPS    /* FLOP/s, GFLOPS or TFLOPS for the column */
};

/* Texts are not copied: they outlive the table (literals). */
struct table_column {
  const char *title; /* first header row */
  const char *name;  /* CSV header: the result's field name, with its unit */
  const char *unit;  /* second header row of TEXT, COUNT and REAL; NULL: none */
  enum table_kind kind;
  int digits;    /* REAL, PERCENT, CHANGE: digits after the point */
  bool optional; /* not printed where no row has a value; CSV has it all the same */
  bool shared;   /* where all values agree they are said once, above the header; CSV likewise */
};

struct table;

/* An empty table of n columns (1..TABLE_COLUMNS_MAX, copied); NULL only when memory is out. The
 * caller owns it. All other functions take NULL as an empty table. */
struct table *table_new(const struct table_column *columns, int n);
#define TABLE_OF(columns) table_new(columns, (int)(sizeof(columns) / sizeof *(columns)))
void table_free(struct table *table);

/* Starts the next row. Cells not given by its end are missing. */
void table_row(struct table *table);

/* The next cell of the row, left to right. A value that is not finite is missing; a text is
 * copied. Memory running out is remembered and told by table_print(). */
void table_text(struct table *table, const char *text);
void table_count(struct table *table, int64_t value);
void table_real(struct table *table, double value); /* every kind but TEXT and COUNT */
void table_reals(struct table *table, int n, const double *values); /* the next n of those */
void table_missing(struct table *table);                            /* prints "-", empty in CSV */

int table_rows(const struct table *table);

/* Prints header, unit row and rows. Returns 0, -ENOMEM when a cell was lost, or the negative errno
 * of the write. A table without rows prints its header only. */
int table_print(const struct table *table, FILE *stream);

/* The rows in base units, full precision, CRLF line ends and quotes as RFC 4180 has them. */
int table_print_csv(const struct table *table, FILE *stream);

#endif
