/*
 * Tables, compared as the texts that people and programs get.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/present/table.h"
#include "bench_test.h"

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof(array)[0]))

static void print_table(void *table, FILE *stream) {
  cr_assert_eq(table_print(table, stream), 0);
}

static void print_csv(void *table, FILE *stream) {
  cr_assert_eq(table_print_csv(table, stream), 0);
}

/* Prints, compares and frees. */
static void expect(struct table *table, const char *text) {
  char *out = printed(print_table, table);
  cr_assert_str_eq(out, text, "\n%s", out);
  free(out);
  table_free(table);
}

/* A table of one column with these values. */
static struct table *column_of(enum table_kind kind, int digits, const double *values, int n) {
  struct table_column column = {.title = "t", .name = "t_x", .kind = kind, .digits = digits};
  struct table *table = table_new(&column, 1);
  for (int i = 0; i < n; i++) {
    table_row(table);
    table_real(table, values[i]);
  }
  return table;
}

#define EXPECT_COLUMN(kind, digits, text, ...)                                                     \
  expect(column_of(kind, digits, (const double[]){__VA_ARGS__},                                    \
                   COUNT_OF(((const double[]){__VA_ARGS__}))),                                     \
         text)

Test(table, aligns_texts_left_and_numbers_right) {
  static const struct table_column columns[] = {
      {.title = "policy", .name = "policy", .kind = TABLE_TEXT},
      {.title = "tokens", .name = "n_tokens", .kind = TABLE_COUNT},
      {.title = "TTFT", .name = "first_token_s", .kind = TABLE_SECONDS},
      {.title = "error", .name = "error", .kind = TABLE_CHANGE, .digits = 1},
      {.title = "regime", .name = "regime", .kind = TABLE_TEXT},
  };
  struct table *table = table_new(columns, COUNT_OF(columns));
  table_row(table);
  table_text(table, "overlap");
  table_count(table, 131072);
  table_reals(table, 2, (const double[]){0.0123, 0.032});
  table_text(table, "read");
  table_row(table);
  table_text(table, "recompute");
  table_count(table, 512);
  table_real(table, 0.987);
  table_missing(table);
  cr_assert_eq(table_rows(table), 2);
  expect(table, "policy      tokens   TTFT  error  regime\n"
                "                       ms      %\n"
                "overlap    131,072   12.3   +3.2  read\n"
                "recompute      512  987.0      -  -\n");
}

/* An optional column without a value is not printed; CSV has it, so that programs find it. */
Test(table, optional_columns_are_printed_where_they_say_something) {
  static const struct table_column columns[] = {
      {.title = "a", .name = "a", .kind = TABLE_COUNT},
      {.title = "fio", .name = "ratio", .unit = "x", .kind = TABLE_REAL, .optional = true},
      {.title = "b", .name = "b", .kind = TABLE_COUNT, .optional = true},
  };
  for (int given = 0; given < 2; given++) {
    struct table *table = table_new(columns, COUNT_OF(columns));
    table_row(table);
    table_count(table, 1);
    table_real(table, given ? 2 : NAN);
    table_count(table, 3);
    char *csv = printed(print_csv, table);
    cr_expect_not_null(strstr(csv, "a,ratio,b"), "%s", csv);
    free(csv);
    expect(table, given ? "a  fio  b\n     x\n1    2  3\n" : "a  b\n1  3\n");
  }
}

/* What all rows have in common is said once, wherever its column stands. */
Test(table, shared_values_are_said_once) {
  static const struct table_column columns[] = {
      {.title = "engine", .name = "engine", .kind = TABLE_TEXT, .shared = true},
      {.title = "page", .name = "page_bytes", .kind = TABLE_BYTES, .shared = true},
      {.title = "n", .name = "n", .kind = TABLE_COUNT},
      {.title = "cold", .name = "cold", .kind = TABLE_TEXT, .shared = true},
  };
  for (int differ = 0; differ < 2; differ++) {
    struct table *table = table_new(columns, COUNT_OF(columns));
    for (int i = 0; i < 2; i++) {
      table_row(table);
      table_text(table, differ && i ? "pread" : "uring");
      table_real(table, differ && i ? 2048 : 1024);
      table_count(table, i);
      table_text(table, i ? "proven" : NULL); /* who has none does not disagree */
    }
    char *csv = printed(print_csv, table);
    cr_expect_not_null(strstr(csv, "engine,page_bytes,n,cold"), "%s", csv);
    free(csv);
    expect(table, differ ? "each row: cold proven\n"
                           "engine  page  n\n"
                           "         KiB\n"
                           "uring      1  0\n"
                           "pread      2  1\n"
                         : "each row: engine uring, page 1 KiB, cold proven\n"
                           "n\n"
                           "0\n"
                           "1\n");
  }
}

Test(table, one_unit_holds_for_a_column) {
  EXPECT_COLUMN(TABLE_SECONDS, 0, "    t\n   us\n 20.0\n330.0\n", 20e-6, 330e-6);
  EXPECT_COLUMN(TABLE_SECONDS, 0, "     t\n    us\n  50.0\n2000.0\n", 50e-6, 2e-3);
  EXPECT_COLUMN(TABLE_SECONDS, 0, "    t\n    s\n 1.50\n80.00\n", 1.5, 80);
  EXPECT_COLUMN(TABLE_SECONDS, 0, "  t\n ns\n  0\n250\n", 0, 250e-9);
  EXPECT_COLUMN(TABLE_BYTES, 0, "   t\n KiB\n  64\n1024\n", 65536, 1048576);
  EXPECT_COLUMN(TABLE_BYTES, 0, "   t\n MiB\n1.50\n4.00\n", 1572864, 4194304);
  EXPECT_COLUMN(TABLE_RATE, 0, "     t\n  GB/s\n 0.940\n12.500\n", 0.94e9, 12.5e9);
  EXPECT_COLUMN(TABLE_FLOPS, 0, "     t\nTFLOPS\n   703\n   833\n", 703e12, 833e12);
  EXPECT_COLUMN(TABLE_FLOPS, 0, "     t\nGFLOPS\n  96.0\n", 96e9);
  EXPECT_COLUMN(TABLE_PERCENT, 1, "   t\n   %\n98.5\n", 0.985);
  EXPECT_COLUMN(TABLE_CHANGE, 1, "    t\n    %\n -0.4\n+12.0\n", -0.004, 0.12);
  EXPECT_COLUMN(TABLE_REAL, 2, "    t\n 0.50\n-1.25\n", 0.5, -1.25);
}

Test(table, nothing_is_lost_between_far_apart_values) {
  EXPECT_COLUMN(TABLE_SECONDS, 0, "        t\n       ms\n    0.020\n20000.000\n", 20e-6, 20);
}

Test(table, neighbours_of_one_kind_share_their_unit) {
  static const struct table_column columns[] = {
      {.title = "TTFT", .name = "ttft_s", .kind = TABLE_SECONDS},
      {.title = "ideal", .name = "ideal_s", .kind = TABLE_SECONDS},
      {.title = "alpha", .name = "alpha", .kind = TABLE_REAL, .digits = 1},
      {.title = "step", .name = "step_s", .kind = TABLE_SECONDS},
  };
  struct table *table = table_new(columns, COUNT_OF(columns));
  table_row(table);
  table_real(table, 1.2);
  table_real(table, 0.9);
  table_real(table, 0.5);
  table_real(table, 3e-6);
  expect(table, " TTFT  ideal  alpha  step\n"
                "    s      s           us\n"
                "1.200  0.900    0.5  3.00\n");
}

/* An error, or a half width, after each value does not part them. */
Test(table, neighbours_are_told_beside_their_errors) {
  static const struct table_column columns[] = {
      {.title = "TTFT", .name = "ttft_s", .kind = TABLE_SECONDS},
      {.title = "+-", .name = "half", .kind = TABLE_PERCENT},
      {.title = "ideal", .name = "ideal_s", .kind = TABLE_SECONDS},
      {.title = "error", .name = "error", .kind = TABLE_CHANGE},
  };
  struct table *table = table_new(columns, COUNT_OF(columns));
  table_row(table);
  table_real(table, 1.2);
  table_real(table, 0.02);
  table_real(table, 0.9);
  table_real(table, -0.25);
  expect(table, " TTFT  +-  ideal  error\n"
                "    s   %      s      %\n"
                "1.200   2  0.900    -25\n");
}

Test(table, missing_cells) {
  static const struct table_column columns[] = {
      {.title = "a", .name = "a_s", .kind = TABLE_SECONDS},
      {.title = "b", .name = "b", .kind = TABLE_COUNT, .unit = "tokens"},
      {.title = "c", .name = "c", .kind = TABLE_TEXT},
  };
  struct table *table = table_new(columns, 3);
  table_row(table);
  table_real(table, NAN);
  table_row(table);
  table_real(table, INFINITY);
  table_missing(table);
  table_text(table, "");
  expect(table, "a       b  c\ns  tokens\n-       -  -\n-       -  -\n");
}

Test(table, without_rows_or_units_the_header_alone) {
  static const struct table_column columns[] = {
      {.title = "device", .name = "device", .kind = TABLE_TEXT},
      {.title = "works", .name = "works", .kind = TABLE_TEXT},
  };
  expect(table_new(columns, 2), "device  works\n");
}

Test(table, utf8_is_counted_in_characters) {
  static const struct table_column columns[] = {
      {.title = "\xce\xb1*", .name = "alpha_star", .kind = TABLE_TEXT},
      {.title = "n", .name = "n", .kind = TABLE_COUNT},
  };
  struct table *table = table_new(columns, 2);
  table_row(table);
  table_text(table, "\xce\xb1\xce\xb1\xce\xb1");
  table_count(table, -1234);
  expect(table, "\xce\xb1*        n\n\xce\xb1\xce\xb1\xce\xb1  -1,234\n");
}

Test(table, grows_to_many_rows) {
  struct table_column column = {.title = "n", .name = "n", .kind = TABLE_COUNT};
  struct table *table = table_new(&column, 1);
  for (int i = 0; i < 1000; i++) {
    table_row(table);
    table_count(table, i);
  }
  char *text = printed(print_csv, table);
  cr_assert(strstr(text, "\r\n0\r\n1\r\n"));
  cr_assert(strstr(text, "\r\n998\r\n999\r\n"));
  free(text);
  table_free(table);
}

Test(table, csv_keeps_base_units_and_every_digit) {
  static const struct table_column columns[] = {
      {.title = "TTFT", .name = "first_token_s", .kind = TABLE_SECONDS},
      {.title = "error", .name = "error_ideal", .kind = TABLE_CHANGE, .digits = 1},
      {.title = "rate", .name = "read_bytes_per_s", .kind = TABLE_RATE},
      {.title = "tokens", .name = "n_tokens", .kind = TABLE_COUNT},
      {.title = "note", .name = "note", .kind = TABLE_TEXT},
  };
  struct table *table = table_new(columns, COUNT_OF(columns));
  table_row(table);
  table_real(table, 0.1);
  table_real(table, 1.0 / 3);
  table_real(table, 2e9);
  table_count(table, 1234567);
  table_text(table, "plain");
  table_row(table);
  table_missing(table);
  table_real(table, -0.25);
  table_missing(table);
  table_missing(table);
  table_text(table, "a \"quote\", a comma\nand a line");
  char *text = printed(print_csv, table);
  cr_assert_str_eq(text, "first_token_s,error_ideal,read_bytes_per_s,n_tokens,note\r\n"
                         "0.1,0.33333333333333331,2000000000,1234567,plain\r\n"
                         ",-0.25,,,\"a \"\"quote\"\", a comma\nand a line\"\r\n");
  free(text);
  table_free(table);
}

Test(table, a_full_disk_is_told) {
  static const double values[] = {1};
  struct table *table = column_of(TABLE_SECONDS, 0, values, 1);
  FILE *full = fopen("/dev/full", "w");
  cr_assert(full);
  setvbuf(full, NULL, _IONBF, 0);
  cr_assert_eq(table_print(table, full), -EIO);
  cr_assert_eq(table_print_csv(table, full), -EIO);
  fclose(full);
  table_free(table);
}

Test(table, no_table_is_no_memory) {
  table_row(NULL);
  table_real(NULL, 1);
  table_text(NULL, "x");
  cr_assert_eq(table_rows(NULL), 0);
  cr_assert_eq(table_print(NULL, stdout), -ENOMEM);
  table_free(NULL);
}
