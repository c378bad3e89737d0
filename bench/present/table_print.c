/*
 * Printing a table for people: one unit and one number of decimals for a whole column, and for
 * neighbours of the same kind (a time, its bounds, its models, whatever errors stand between them),
 * so that values can be compared by eye, length for length.
 *
 * The unit suits the geometric middle of the smallest and largest of these values; decimals give
 * the smallest three significant digits, or two where the largest is far from it.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "bench/present/table_internal.h"

#define GAP 2 /* blanks between columns */
#define FAR_APART 1000
#define DECIMALS_MAX 6
#define CELL_BYTES 64

/* How a column is printed. */
struct style {
  const char *unit; /* "" none */
  double divisor;   /* of base units */
  int decimals;
  int width; /* characters */
  bool hidden;
};

struct unit {
  const char *name;
  double size;
};

static const struct unit time_units[] = {{"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3}, {"s", 1}};
static const struct unit byte_units[] = {{"B", 1},
                                         {"KiB", 1024.0},
                                         {"MiB", 1024.0 * 1024},
                                         {"GiB", 1024.0 * 1024 * 1024},
                                         {"TiB", 1024.0 * 1024 * 1024 * 1024}};
static const struct unit flops_units[] = {{"GFLOPS", 1e9}, {"TFLOPS", 1e12}};
static const struct unit rate_units[] = {{"GB/s", 1e9}};

/* Those of columns [first, end) that are of this kind. */
struct group {
  enum table_kind kind;
  int first, end;
};

/* Ratios that tell of the value before them, its interval or error, do not part neighbours. */
static bool is_remark(enum table_kind kind) {
  return kind == TABLE_CHANGE || kind == TABLE_PERCENT;
}

static struct group group_of(const struct table *table, int column) {
  const struct table_column *columns = table->columns;
  struct group group = {.kind = columns[column].kind, .first = column, .end = column + 1};
  for (int i = column - 1; i >= 0; i--) {
    if (columns[i].kind == group.kind) group.first = i;
    if (columns[i].kind != group.kind && !is_remark(columns[i].kind)) break;
  }
  for (int i = column + 1; i < table->n_columns; i++) {
    if (columns[i].kind == group.kind) group.end = i + 1;
    if (columns[i].kind != group.kind && !is_remark(columns[i].kind)) break;
  }
  return group;
}

/* Smallest and largest magnitude but zero of a group; false where there is none. */
static bool extent(const struct table *table, struct group group, double *low, double *high) {
  *low = INFINITY;
  *high = 0;
  for (int row = 0; row < table->n_rows; row++) {
    for (int column = group.first; column < group.end; column++) {
      const struct table_cell *cell = table_cell_at(table, row, column);
      double value = cell->holds == CELL_REAL ? fabs(cell->real) : 0;
      if (value == 0 || table->columns[column].kind != group.kind) continue;
      *low = fmin(*low, value);
      *high = fmax(*high, value);
    }
  }
  return *high > 0;
}

/* Decimals that give `value` so many significant digits. */
static int decimals_for(double value, int digits) {
  int decimals = digits - 1 - (int)floor(log10(value));
  if (decimals < 0) return 0;
  return decimals < DECIMALS_MAX ? decimals : DECIMALS_MAX;
}

static bool all_whole(const struct table *table, struct group group, double divisor) {
  for (int row = 0; row < table->n_rows; row++) {
    for (int column = group.first; column < group.end; column++) {
      const struct table_cell *cell = table_cell_at(table, row, column);
      double value = cell->holds == CELL_REAL ? cell->real / divisor : 0;
      if (table->columns[column].kind == group.kind && value != floor(value)) return false;
    }
  }
  return true;
}

/* Chooses a unit and decimals for a column of quantities. */
static void choose(const struct table *table, int column, const struct unit *units, int n,
                   struct style *style) {
  double low, high;
  struct group group = group_of(table, column);
  bool any = extent(table, group, &low, &high);
  double middle = any ? sqrt(low) * sqrt(high) : 1; /* without values, the base unit */
  int chosen = 0;
  while (chosen + 1 < n && middle >= 0.9995 * units[chosen + 1].size) chosen++;
  style->unit = units[chosen].name;
  style->divisor = units[chosen].size;
  style->decimals = 0;
  bool bytes = table->columns[column].kind == TABLE_BYTES;
  if (!any || (bytes && all_whole(table, group, style->divisor))) return;
  style->decimals = decimals_for(low / style->divisor, high > FAR_APART * low ? 2 : 3);
}

#define CHOOSE(units) choose(table, column, units, (int)(sizeof(units) / sizeof(units)[0]), style)

static void choose_style(const struct table *table, int column, struct style *style) {
  const struct table_column *about = &table->columns[column];
  *style = (struct style){.unit = about->unit ? about->unit : "", .divisor = 1};
  style->decimals = about->digits;
  switch (about->kind) {
  case TABLE_TEXT:
  case TABLE_COUNT:
  case TABLE_REAL:
    break;
  case TABLE_PERCENT:
  case TABLE_CHANGE:
    style->unit = "%";
    style->divisor = 0.01;
    break;
  case TABLE_SECONDS:
    CHOOSE(time_units);
    break;
  case TABLE_BYTES:
    CHOOSE(byte_units);
    break;
  case TABLE_RATE:
    CHOOSE(rate_units);
    break;
  case TABLE_FLOPS:
    CHOOSE(flops_units);
    break;
  }
}

/* A cell as text, in buffer[] unless it is one already. */
static const char *cell_text(const struct table_column *column, const struct style *style,
                             const struct table_cell *cell, char buffer[CELL_BYTES]) {
  char digits[UNITS_TEXT_BYTES];
  switch (cell->holds) {
  case CELL_TEXT:
    return cell->text;
  case CELL_COUNT:
    units_format_count(digits, (uint64_t)llabs(cell->count));
    snprintf(buffer, CELL_BYTES, "%s%s", cell->count < 0 ? "-" : "", digits);
    return buffer;
  case CELL_REAL:
    snprintf(buffer, CELL_BYTES, column->kind == TABLE_CHANGE ? "%+.*f" : "%.*f", style->decimals,
             cell->real / style->divisor);
    return buffer;
  default:
    return "-";
  }
}

/* Characters, not bytes, of UTF-8. */
static int width_of(const char *text) {
  int width = 0;
  for (; *text; text++) width += (*text & 0xc0) != 0x80;
  return width;
}

/* A line under way; blanks wait for a text to follow them, so that no line ends in them. */
struct line {
  FILE *stream;
  int blanks;
  bool begun;
};

/* Texts to the left, numbers to the right. */
static void put(struct line *line, const struct table *table, int column, const struct style *style,
                const char *text) {
  int blanks = style->width - width_of(text);
  if (style->hidden) return;
  bool left = table->columns[column].kind == TABLE_TEXT;
  if (line->begun) line->blanks += GAP;
  line->begun = true;
  if (!left) line->blanks += blanks;
  if (text[0]) {
    fprintf(line->stream, "%*s%s", line->blanks, "", text);
    line->blanks = 0;
  }
  if (left) line->blanks += blanks;
}

static void end_line(struct line *line) {
  fputc('\n', line->stream);
  line->blanks = 0;
  line->begun = false;
}

static int wider(int width, const char *text) {
  int other = width_of(text);
  return other > width ? other : width;
}

static void print_header(const struct table *table, const struct style *styles, FILE *stream) {
  struct line line = {.stream = stream};
  bool units = false;
  for (int i = 0; i < table->n_columns; i++) {
    put(&line, table, i, &styles[i], table->columns[i].title);
    units = units || (styles[i].unit[0] && !styles[i].hidden);
  }
  end_line(&line);
  if (!units) return;
  for (int i = 0; i < table->n_columns; i++) put(&line, table, i, &styles[i], styles[i].unit);
  end_line(&line);
}

static void print_rows(const struct table *table, const struct style *styles, FILE *stream) {
  struct line line = {.stream = stream};
  char buffer[CELL_BYTES];
  for (int row = 0; row < table->n_rows; row++) {
    for (int i = 0; i < table->n_columns; i++)
      put(&line, table, i, &styles[i],
          cell_text(&table->columns[i], &styles[i], table_cell_at(table, row, i), buffer));
    end_line(&line);
  }
}

static bool is_empty(const struct table *table, int column) {
  for (int row = 0; row < table->n_rows; row++) {
    if (table_cell_at(table, row, column)->holds != CELL_MISSING) return false;
  }
  return true;
}

static bool cells_agree(const struct table_cell *a, const struct table_cell *b) {
  if (a->holds != b->holds) return false;
  if (a->holds == CELL_TEXT) return strcmp(a->text, b->text) == 0;
  return a->holds == CELL_COUNT ? a->count == b->count : a->real == b->real;
}

/* A row whose value is that of all rows that have one; -1: they differ, or none has. */
static int agreed_row(const struct table *table, int column) {
  int found = -1;
  for (int row = 0; row < table->n_rows; row++) {
    const struct table_cell *cell = table_cell_at(table, row, column);
    if (cell->holds == CELL_MISSING) continue;
    if (found >= 0 && !cells_agree(cell, table_cell_at(table, found, column))) return -1;
    if (found < 0) found = row;
  }
  return found;
}

/* "each row: engine uring, page 1 MiB, depth 8" */
static void print_shared(const struct table *table, const struct style *styles, FILE *stream) {
  char buffer[CELL_BYTES];
  int n = 0;
  for (int i = 0; i < table->n_columns; i++) {
    const struct table_column *column = &table->columns[i];
    int row = column->shared ? agreed_row(table, i) : -1;
    if (row < 0) continue;
    fprintf(stream, "%s%s %s%s%s", n++ ? ", " : "each row: ", column->title,
            cell_text(column, &styles[i], table_cell_at(table, row, i), buffer),
            styles[i].unit[0] ? " " : "", styles[i].unit);
  }
  if (n > 0) fputc('\n', stream);
}

int table_print(const struct table *table, FILE *stream) {
  if (!table) return -ENOMEM;
  struct style styles[TABLE_COLUMNS_MAX];
  char buffer[CELL_BYTES];
  for (int i = 0; i < table->n_columns; i++) {
    const struct table_column *column = &table->columns[i];
    choose_style(table, i, &styles[i]);
    styles[i].hidden = (column->optional && is_empty(table, i)) ||
                       (column->shared && agreed_row(table, i) >= 0);
    styles[i].width = wider(wider(0, column->title), styles[i].unit);
    for (int row = 0; row < table->n_rows; row++)
      styles[i].width = wider(styles[i].width,
                              cell_text(column, &styles[i], table_cell_at(table, row, i), buffer));
  }
  print_shared(table, styles, stream);
  print_header(table, styles, stream);
  print_rows(table, styles, stream);
  if (ferror(stream)) return -EIO;
  return table->lost ? -ENOMEM : 0;
}
