/*
 * Commands, their options and their exit codes.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "bench/commands/table.h"
#include "bench/options_table.h"

Test(command, each_has_options_and_texts) {
  const struct command *command;
  int n = 0;
  for (; (command = command_at(n)); n++) {
    cr_assert_geq(options_command_find(command->name), 0, "%s has no options", command->name);
    cr_assert_eq(command_find(command->name), command);
    cr_assert(command->run && command->summary[0] && command->examples[0], "%s", command->name);
    cr_assert_null(strchr(command->summary, '\n'));
    char example[64];
    snprintf(example, sizeof example, "refill %s", command->name);
    cr_assert(strstr(command->examples, example), "examples of %s", command->name);
  }
  cr_assert_null(command_at(n + 1));
}

Test(command, each_with_options_exists) {
  for (int i = 0; i < OPTIONS_COMMANDS; i++)
    cr_assert(command_find(options_command_name(i)), "%s", options_command_name(i));
}

Test(command, unknown_names_are_not_found) {
  cr_assert_null(command_find("nonsense"));
  cr_assert_null(command_find(""));
  cr_assert_null(command_find("skeleton"), "the skeleton is there to be copied, not to be run");
}

Test(command, exit_codes) {
  cr_assert_eq(command_exit_code(0), 0);
  cr_assert_eq(command_exit_code(-EIO), 1);
  cr_assert_eq(command_exit_code(-EINVAL), 2);
  cr_assert_eq(command_exit_code(-ENOTSUP), 77);
}
