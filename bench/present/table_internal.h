/*
 * A table's cells, for the files that print them.
 */
#ifndef REFILL_BENCH_PRESENT_TABLE_INTERNAL_H
#define REFILL_BENCH_PRESENT_TABLE_INTERNAL_H

#include "bench/present/table.h"

struct table_cell {
  enum { CELL_MISSING, CELL_TEXT, CELL_COUNT, CELL_REAL } holds;
  union {
    char *text; /* the table's */
    int64_t count;
    double real;
  };
};

struct table {
  struct table_column columns[TABLE_COLUMNS_MAX];
  int n_columns;
  int n_rows;
  int filled;               /* cells given of the last row */
  struct table_cell *cells; /* (rows_max, n_columns) */
  int rows_max;
  bool lost; /* memory ran out */
};

static inline const struct table_cell *table_cell_at(const struct table *table, int row,
                                                     int column) {
  return &table->cells[row * table->n_columns + column];
}

#endif
