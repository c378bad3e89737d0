/*
 * Building a table: cells row by row, in base units.
 */
#include "bench/present/table.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/present/table_internal.h"

struct table *table_new(const struct table_column *columns, int n) {
  assert(n >= 1 && n <= TABLE_COLUMNS_MAX);
  struct table *table = calloc(1, sizeof *table);
  if (!table) return NULL;
  memcpy(table->columns, columns, (size_t)n * sizeof columns[0]);
  table->n_columns = n;
  return table;
}

void table_free(struct table *table) {
  if (!table) return;
  for (int i = 0; i < table->n_rows * table->n_columns; i++) {
    if (table->cells[i].holds == CELL_TEXT) free(table->cells[i].text);
  }
  free(table->cells);
  free(table);
}

/* Room for one more row, all of it missing. */
static bool grow(struct table *table) {
  if (table->n_rows < table->rows_max) return true;
  int rows_max = table->rows_max ? 2 * table->rows_max : 16;
  size_t columns = (size_t)table->n_columns;
  struct table_cell *cells = realloc(table->cells, (size_t)rows_max * columns * sizeof *cells);
  if (!cells) return false;
  size_t old = (size_t)table->rows_max * columns;
  memset(cells + old, 0, ((size_t)rows_max * columns - old) * sizeof *cells);
  table->cells = cells;
  table->rows_max = rows_max;
  return true;
}

void table_row(struct table *table) {
  if (!table) return;
  if (!grow(table)) {
    table->lost = true;
    table->filled = table->n_columns; /* what follows goes nowhere */
    return;
  }
  table->n_rows++;
  table->filled = 0;
}

/* The next cell, NULL where memory for its row ran out. */
static struct table_cell *next_cell(struct table *table) {
  if (!table || (table->lost && table->filled >= table->n_columns)) return NULL;
  assert(table->n_rows > 0);                /* table_row() comes first */
  assert(table->filled < table->n_columns); /* one cell too many */
  return &table->cells[(table->n_rows - 1) * table->n_columns + table->filled++];
}

/* What kind of cell the next column takes. */
static bool next_is(const struct table *table, bool (*fits)(enum table_kind)) {
  return !table || table->filled >= table->n_columns || fits(table->columns[table->filled].kind);
}

static bool holds_text(enum table_kind kind) {
  return kind == TABLE_TEXT;
}

static bool holds_count(enum table_kind kind) {
  return kind == TABLE_COUNT;
}

static bool holds_real(enum table_kind kind) {
  return kind != TABLE_TEXT && kind != TABLE_COUNT;
}

void table_text(struct table *table, const char *text) {
  assert(next_is(table, holds_text));
  struct table_cell *cell = next_cell(table);
  if (!cell || !text || text[0] == '\0') return;
  char *copy = strdup(text);
  if (copy)
    *cell = (struct table_cell){.holds = CELL_TEXT, .text = copy};
  else
    table->lost = true;
}

void table_count(struct table *table, int64_t value) {
  assert(next_is(table, holds_count));
  struct table_cell *cell = next_cell(table);
  if (cell) *cell = (struct table_cell){.holds = CELL_COUNT, .count = value};
}

void table_real(struct table *table, double value) {
  assert(next_is(table, holds_real));
  struct table_cell *cell = next_cell(table);
  if (cell && isfinite(value)) *cell = (struct table_cell){.holds = CELL_REAL, .real = value};
}

void table_reals(struct table *table, int n, const double *values) {
  for (int i = 0; i < n; i++) table_real(table, values[i]);
}

void table_missing(struct table *table) {
  (void)next_cell(table);
}

int table_rows(const struct table *table) {
  return table ? table->n_rows : 0;
}
