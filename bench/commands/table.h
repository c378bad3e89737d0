/*
 * The commands there are. A new one: its file in this folder, its name here and in table.c, and a
 * line in enum options_command (bench/options_table.h) and in options_table.c for its options.
 */
#ifndef REFILL_BENCH_COMMANDS_TABLE_H
#define REFILL_BENCH_COMMANDS_TABLE_H

#include "bench/command.h"

extern const struct command command_doctor;
extern const struct command command_calibrate;
extern const struct command command_sweep;
extern const struct command command_verify;
extern const struct command command_storage;
extern const struct command command_plan;
extern const struct command command_compare;
extern const struct command command_report;

/* Compiled, never listed: to be copied. */
extern const struct command command_skeleton;

#endif
