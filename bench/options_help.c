/*
 * `refill COMMAND --help`, from the table: per option its argument, one line of help, default and
 * range, wrapped for a terminal of 80 columns.
 */
#include <stdio.h>
#include <string.h>

#include "bench/command.h"
#include "bench/options_table.h"

#define INDENT 28
#define COLUMNS 80

static const char *const headings[] = {
    [OPTIONS_WHAT] = "What to run",       [OPTIONS_STORAGE] = "Storage",
    [OPTIONS_MEASURE] = "How to measure", [OPTIONS_JUDGE] = "What to judge",
    [OPTIONS_LEAVE] = "What to leave",
};

enum { N_GROUPS = sizeof headings / sizeof headings[0] };

/* Prints words from column `column` on, broken before COLUMNS and indented to INDENT. */
static void print_wrapped(const char *text, int column) {
  while (*text) {
    size_t length = strcspn(text, " ");
    if (column > INDENT && column + (int)length + 1 > COLUMNS) {
      printf("\n%*s", INDENT, "");
      column = INDENT;
    } else if (column > INDENT) {
      putchar(' ');
      column++;
    }
    printf("%.*s", (int)length, text);
    column += (int)length;
    text += length;
    text += strspn(text, " ");
  }
  putchar('\n');
}

/* True where what is accepted says more than the argument's name and the help. */
static bool worth_telling(const struct options_entry *entry) {
  switch (entry->kind) {
  case OPTIONS_FLAG:
  case OPTIONS_SWITCH:
  case OPTIONS_FILE:
  case OPTIONS_PATHS:
  case OPTIONS_TARGETS:
    return false;
  default:
    return true;
  }
}

static void print_entry(const struct options_entry *entry, int command) {
  char left[INDENT * 2];
  int used = entry->letter ? snprintf(left, sizeof left, "  -%c, --%s", entry->letter, entry->name)
                           : snprintf(left, sizeof left, "      --%s", entry->name);
  if (entry->argument) snprintf(left + used, sizeof left - (size_t)used, " %s", entry->argument);
  printf("%-*s", INDENT, left);
  if (strlen(left) >= INDENT) printf("\n%*s", INDENT, "");

  char text[1024], accepts[OPTIONS_ACCEPTS_BYTES];
  snprintf(text, sizeof text, "%s", entry->help);
  size_t n = strlen(text);
  if (worth_telling(entry)) {
    n += (size_t)snprintf(text + n, sizeof text - n, " [%s]",
                          options_accepts(entry, command, accepts));
  }
  const char *initial = options_initial(entry, command);
  if (initial && entry->zero)
    snprintf(text + n, sizeof text - n, " (default %s: %s)", initial, entry->zero);
  else if (initial || entry->zero)
    snprintf(text + n, sizeof text - n, " (default %s)", initial ? initial : entry->zero);
  print_wrapped(text, INDENT);
}

void options_print_help(const char *command) {
  int index = options_command_find(command);
  const struct command *about = command_find(command);
  const struct options_operands *operands = options_operands(index);
  printf("usage: refill %s%s%s [options]\n", command, operands ? " " : "",
         operands ? operands->shown : "");
  if (about) printf("\n%s\n", about->summary);
  for (int group = 0; group < N_GROUPS; group++) {
    bool headed = false;
    const struct options_entry *entry;
    for (int i = 0; (entry = options_entry_at(i)); i++) {
      if ((int)entry->group != group || !(entry->commands & (1U << index))) continue;
      if (!headed) printf("\n%s\n", headings[group]);
      headed = true;
      print_entry(entry, index);
    }
  }
  printf("\nNumbers take k, M, G (of 1000) or Ki, Mi, Gi (of 1024); times need their unit.\n"
         "Values follow as --name VALUE or --name=VALUE.\n");
  if (about && about->examples) printf("\nExamples\n%s\n", about->examples);
}
