/*
 * What the tests of bench share: see bench_test.h. It also stands in for main.c, which is not part
 * of test programs: nobody interrupts a test but itself.
 */
#include "bench_test.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/command.h"

int test_interrupted;

int command_interrupted(void) {
  return test_interrupted;
}

int line_parse(struct line *line, const char *text, struct options *options, struct error *error) {
  cr_assert_lt(snprintf(line->text, sizeof line->text, "%s", text), (int)sizeof line->text);
  line->argc = 0;
  char *rest = line->text;
  char *word;
  while ((word = strsep(&rest, " "))) {
    cr_assert_lt(line->argc, LINE_WORDS_MAX);
    line->argv[line->argc++] = word;
  }
  return options_parse(options, line->argv[0], line->argc, line->argv, error);
}

char *printed(void (*print)(void *context, FILE *stream), void *context) {
  char *text = NULL;
  size_t n = 0;
  FILE *stream = open_memstream(&text, &n);
  cr_assert(stream);
  print(context, stream);
  fclose(stream);
  return text;
}

void make_directory(char path[PATH_MAX]) {
  const char *base = getenv("TMPDIR");
  snprintf(path, PATH_MAX, "%s/refill-test-XXXXXX", base ? base : "/tmp");
  cr_assert(mkdtemp(path));
}

static bool is_dots(const char *name) {
  return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

int files_in(const char *path) {
  DIR *directory = opendir(path);
  cr_assert(directory);
  int n = 0;
  const struct dirent *entry;
  while ((entry = readdir(directory))) n += !is_dots(entry->d_name);
  closedir(directory);
  return n;
}

void remove_directory(const char *path) {
  DIR *directory = opendir(path);
  cr_assert(directory);
  const struct dirent *entry;
  while ((entry = readdir(directory))) {
    if (!is_dots(entry->d_name)) unlinkat(dirfd(directory), entry->d_name, 0);
  }
  closedir(directory);
  rmdir(path);
}

static void join(char path[PATH_MAX], const char *directory, const char *name) {
  cr_assert_lt(snprintf(path, PATH_MAX, "%s/%s", directory, name), PATH_MAX);
}

void write_file(const char *directory, const char *name, const char *text) {
  char path[PATH_MAX];
  join(path, directory, name);
  FILE *stream = fopen(path, "w");
  cr_assert(stream);
  fputs(text, stream);
  fclose(stream);
}

char *read_text(const char *directory, const char *name) {
  char path[PATH_MAX];
  join(path, directory, name);
  FILE *stream = fopen(path, "r");
  if (!stream) return NULL;
  char *text = NULL;
  size_t n = 0;
  ssize_t length = getdelim(&text, &n, '\0', stream);
  fclose(stream);
  if (length >= 0) return text;
  free(text);
  return strdup("");
}
