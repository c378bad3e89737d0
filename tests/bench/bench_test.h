/*
 * What the tests of bench share: parsing a command line given as one text, capturing what a
 * function prints, and a directory of their own.
 */
#ifndef REFILL_TESTS_BENCH_TEST_H
#define REFILL_TESTS_BENCH_TEST_H

#include <limits.h>
#include <stdio.h>

#include "base/error.h"
#include "bench/options.h"

#define LINE_WORDS_MAX 32

/* What command_interrupted() says. */
extern int test_interrupted;

/* A command line cut into words; outlives the options parsed from it. */
struct line {
  char text[2048];
  char *argv[LINE_WORDS_MAX];
  int argc;
};

/* Parses "sweep --window 4" (words separated by single blanks, so that two blanks are an empty
 * argument); what options_parse() returned. */
int line_parse(struct line *line, const char *text, struct options *options, struct error *error);

/* The text that print(context, stream) writes; the caller frees it. */
char *printed(void (*print)(void *context, FILE *stream), void *context);

/* A new directory in path[]; remove_directory() removes it with the files in it. */
void make_directory(char path[PATH_MAX]);
void remove_directory(const char *path);

/* Files (of any name) in a directory. */
int files_in(const char *path);

/* Writes a file of this text. */
void write_file(const char *directory, const char *name, const char *text);

/* A file's text; the caller frees it. NULL where it cannot be read. */
char *read_text(const char *directory, const char *name);

#endif
