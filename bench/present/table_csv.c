/*
 * A table for programs: RFC 4180, base units, digits enough to give each double back.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bench/present/table_internal.h"

/* Quoted where it holds what separates; quotes doubled. */
static void put_text(const char *text, FILE *stream) {
  if (!strpbrk(text, "\",\r\n")) {
    fputs(text, stream);
    return;
  }
  fputc('"', stream);
  for (; *text; text++) {
    if (*text == '"') fputc('"', stream);
    fputc(*text, stream);
  }
  fputc('"', stream);
}

/* The shorter of two precisions that reads back as the same number. */
static void put_real(double value, FILE *stream) {
  char text[32];
  snprintf(text, sizeof text, "%.15g", value);
  if (strtod(text, NULL) != value) snprintf(text, sizeof text, "%.17g", value);
  fputs(text, stream);
}

static void put_cell(const struct table_cell *cell, FILE *stream) {
  switch (cell->holds) {
  case CELL_TEXT:
    put_text(cell->text, stream);
    break;
  case CELL_COUNT:
    fprintf(stream, "%" PRId64, cell->count);
    break;
  case CELL_REAL:
    put_real(cell->real, stream);
    break;
  case CELL_MISSING:
    break;
  }
}

int table_print_csv(const struct table *table, FILE *stream) {
  if (!table) return -ENOMEM;
  for (int i = 0; i < table->n_columns; i++) {
    if (i > 0) fputc(',', stream);
    put_text(table->columns[i].name, stream);
  }
  fputs("\r\n", stream);
  for (int row = 0; row < table->n_rows; row++) {
    for (int i = 0; i < table->n_columns; i++) {
      if (i > 0) fputc(',', stream);
      put_cell(table_cell_at(table, row, i), stream);
    }
    fputs("\r\n", stream);
  }
  if (ferror(stream)) return -EIO;
  return table->lost ? -ENOMEM : 0;
}
