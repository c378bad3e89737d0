/*
 * The parser: one pass over the arguments, looking each up in the table. `--name value`,
 * `--name=value` and the letters -o and -h; nothing is guessed, nothing is ignored. An argument
 * that is not understood costs one line now rather than an hour of measuring something else.
 */
#include "bench/options.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bench/options_table.h"

/* The command line while it is read. */
struct reading {
  struct options *options;
  int command;
  int at; /* the next argument */
  struct error *error;
};

static bool takes(const struct options_entry *entry, int command) {
  return (entry->commands & (1U << command)) != 0;
}

static void set_defaults(struct options *options, int command) {
  memset(options, 0, sizeof *options);
  options->command = options_command_name(command);
  const struct options_entry *entry;
  for (int i = 0; (entry = options_entry_at(i)); i++) {
    const char *initial = options_initial(entry, command);
    if (!initial) continue;
    int code = options_scan(entry, initial, options, NULL);
    assert(code == 0);
    (void)code;
  }
  options->model = ""; /* chosen by the device: no text that one could type */
}

/* ---- what is not an option of this command -------------------------------------- */

/* "calibrate, sweep" */
static void list_commands(const struct options_entry *entry, char *text, size_t n) {
  text[0] = '\0';
  for (int i = 0; i < OPTIONS_COMMANDS; i++) {
    size_t used = strlen(text);
    if (takes(entry, i))
      snprintf(text + used, n - used, "%s%s", used ? ", " : "", options_command_name(i));
  }
}

static int refuse_unknown(const struct reading *reading, const char *name, size_t n) {
  const char *command = reading->options->command;
  const struct options_entry *entry = options_entry_find(name, n);
  if (entry) {
    char commands[128];
    list_commands(entry, commands, sizeof commands);
    return error_set(reading->error, -EINVAL,
                     "--%s: not an option of %s; accepted by: %s (see refill %s --help)",
                     entry->name, command, commands, command);
  }
  const char *names[OPTIONS_ENTRIES_MAX + 1] = {NULL};
  int count = 0;
  for (int i = 0; (entry = options_entry_at(i)); i++) {
    if (takes(entry, reading->command)) names[count++] = entry->name;
  }
  char typed[OPTIONS_SHOWN_BYTES], shown[OPTIONS_SHOWN_BYTES];
  snprintf(typed, sizeof typed, "%.*s", (int)(n < 60 ? n : 60), name);
  options_shown(typed, shown);
  const char *nearest = options_nearest(typed, names);
  if (nearest)
    return error_set(reading->error, -EINVAL,
                     "--%s: no such option; did you mean --%s? (see refill %s --help)", shown,
                     nearest, command);
  return error_set(reading->error, -EINVAL,
                   "--%s: no such option; accepted are those of refill %s --help", shown, command);
}

static int refuse_argument(const struct reading *reading, const char *argument) {
  char shown[OPTIONS_SHOWN_BYTES];
  const char *command = reading->options->command;
  const char *hint = argument[0] == '-' ? "no such option" : "not an option";
  return error_set(reading->error, -EINVAL,
                   "%s: %s; accepted are options such as --seed 1 (see refill %s --help)",
                   argument[0] ? options_shown(argument, shown) : "''", hint, command);
}

/* ---- one argument ---------------------------------------------------------------- */

/* True where the next argument is an option rather than a value: "-1" is a (bad) number. */
static bool looks_like_option(const char *argument) {
  if (argument[0] != '-' || argument[1] == '\0') return false;
  if (argument[1] == '-') return true;
  const struct options_entry *entry;
  for (int i = 0; (entry = options_entry_at(i)); i++) {
    if (entry->letter == argument[1] && argument[2] == '\0') return true;
  }
  return false;
}

static int refuse_missing(const struct reading *reading, const struct options_entry *entry,
                          const char *next) {
  char label[OPTIONS_LABEL_BYTES], accepts[OPTIONS_ACCEPTS_BYTES], shown[OPTIONS_SHOWN_BYTES];
  options_label(entry, label);
  options_accepts(entry, reading->command, accepts);
  if (next)
    return error_set(reading->error, -EINVAL, "%s: no value before %s; accepted: %s", label,
                     options_shown(next, shown), accepts);
  return error_set(reading->error, -EINVAL, "%s: no value; accepted: %s", label, accepts);
}

/* Takes the value of an option (from after '=' or the next argument) and scans it. */
static int take(struct reading *reading, const struct options_entry *entry, const char *value) {
  struct options *options = reading->options;
  char label[OPTIONS_LABEL_BYTES], shown[OPTIONS_SHOWN_BYTES];
  int index = options_entry_index(entry);
  uint64_t bit = UINT64_C(1) << (index % 64);
  if ((options->given[index / 64] & bit) && !options_repeats(entry))
    return error_set(reading->error, -EINVAL, "%s: given twice; accepted: once",
                     options_label(entry, label));
  options->given[index / 64] |= bit;

  if (entry->kind == OPTIONS_FLAG) {
    if (value)
      return error_set(reading->error, -EINVAL, "%s=%s: takes no value; accepted: %s alone",
                       options_label(entry, label), options_shown(value, shown), label);
    return options_scan(entry, "", options, reading->error);
  }
  if (!value) {
    const char *next = reading->at < options->argc ? options->argv[reading->at] : NULL;
    if (!next || looks_like_option(next)) return refuse_missing(reading, entry, next);
    value = next;
    reading->at++;
  }
  return options_scan(entry, value, options, reading->error);
}

static int read_long(struct reading *reading, const char *name) {
  const char *equals = strchr(name, '=');
  size_t n = equals ? (size_t)(equals - name) : strlen(name);
  const struct options_entry *entry = options_entry_find(name, n);
  if (!entry || !takes(entry, reading->command)) return refuse_unknown(reading, name, n);
  return take(reading, entry, equals ? equals + 1 : NULL);
}

/* -o FILE, -o=FILE, -h. */
static int read_letter(struct reading *reading, const char *argument) {
  const struct options_entry *entry;
  for (int i = 0; (entry = options_entry_at(i)); i++) {
    if (entry->letter != argument[1] || !takes(entry, reading->command)) continue;
    if (argument[2] == '\0') return take(reading, entry, NULL);
    if (argument[2] == '=') return take(reading, entry, argument + 3);
  }
  return refuse_argument(reading, argument);
}

/* A file that the command reads; the others take none. */
static int read_operand(struct reading *reading, const char *argument) {
  struct options *options = reading->options;
  const struct options_operands *operands = options_operands(reading->command);
  if (!operands || !argument[0]) return refuse_argument(reading, argument);
  char shown[OPTIONS_SHOWN_BYTES];
  if (options->n_files == operands->max)
    return error_set(reading->error, -EINVAL, "%s: a file too many; accepted: refill %s %s",
                     options_shown(argument, shown), options->command, operands->shown);
  options->files[options->n_files++] = argument;
  return 0;
}

static int check_operands(const struct reading *reading) {
  const struct options *options = reading->options;
  const struct options_operands *operands = options_operands(reading->command);
  if (!operands || options->n_files >= operands->min) return 0;
  const char *last = options->n_files ? options->files[options->n_files - 1] : "nothing";
  char shown[OPTIONS_SHOWN_BYTES];
  return error_set(reading->error, -EINVAL, "%s: too few files to %s; accepted: refill %s %s",
                   options_shown(last, shown), options->command, options->command, operands->shown);
}

static int read_argument(struct reading *reading) {
  const char *argument = reading->options->argv[reading->at++];
  if (argument[0] == '-' && argument[1] == '-' && argument[2] != '\0')
    return read_long(reading, argument + 2);
  if (argument[0] == '-' && argument[1] != '-' && argument[1] != '\0')
    return read_letter(reading, argument);
  if (argument[0] != '-') return read_operand(reading, argument);
  return refuse_argument(reading, argument);
}

/* Who asks for help gets it, whatever else is on the line. */
static bool asks_for_help(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return true;
  }
  return false;
}

int options_parse(struct options *options, const char *command, int argc, char **argv,
                  struct error *error) {
  struct reading reading = {
      .options = options, .command = options_command_find(command), .at = 1, .error = error};
  assert(reading.command >= 0);
  set_defaults(options, reading.command);
  options->argc = argc;
  options->argv = argv;
  if (asks_for_help(argc, argv)) {
    options->help = true;
    return 0;
  }
  while (reading.at < argc) {
    int code = read_argument(&reading);
    if (code < 0) return code;
  }
  int code = check_operands(&reading);
  return code < 0 ? code : options_check(options, error);
}

bool options_given(const struct options *options, const char *name) {
  const struct options_entry *entry = options_entry_find(name, strlen(name));
  assert(entry);
  int index = options_entry_index(entry);
  return (options->given[index / 64] >> (index % 64)) & 1;
}
