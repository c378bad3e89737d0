/*
 * The table of commands, in the order in which a new user needs them.
 */
#include "bench/commands/table.h"

#include <errno.h>
#include <string.h>

static const struct command *const commands[] = {
    &command_doctor,  &command_calibrate, &command_sweep,   &command_verify,
    &command_storage, &command_plan,      &command_compare, &command_report,
};

enum { N_COMMANDS = sizeof commands / sizeof commands[0] };

const struct command *command_at(int index) {
  return index >= 0 && index < N_COMMANDS ? commands[index] : NULL;
}

const struct command *command_find(const char *name) {
  const struct command *command;
  for (int i = 0; (command = command_at(i)); i++) {
    if (strcmp(command->name, name) == 0) return command;
  }
  return NULL;
}

int command_exit_code(int error_code) {
  if (error_code >= 0) return EXIT_GOOD;
  if (error_code == -ENOTSUP) return EXIT_UNSUPPORTED;
  return error_code == -EINVAL ? EXIT_USAGE : EXIT_MEASUREMENT;
}
