/*
 * The one table of options: parser, help and JSON configuration are loops over it, so that they
 * cannot disagree.
 *
 * A new option is a field in struct options and an entry in options_table.c; a new command is a
 * line in enum options_command and one in options_table.c's names.
 */
#ifndef REFILL_BENCH_OPTIONS_TABLE_H
#define REFILL_BENCH_OPTIONS_TABLE_H

#include <stdint.h>

#include "bench/options.h"

enum options_command {
  OPTIONS_DOCTOR,
  OPTIONS_CALIBRATE,
  OPTIONS_SWEEP,
  OPTIONS_VERIFY,
  OPTIONS_PLAN,
  OPTIONS_COMPARE,
  OPTIONS_REPORT,
  OPTIONS_STORAGE_LAB,
  OPTIONS_COMMANDS /* how many */
};

/* Kind of value; the field's type in struct options follows from it. */
enum options_kind {
  OPTIONS_COUNT,      /* int64_t */
  OPTIONS_COUNT_LIST, /* struct options_counts */
  OPTIONS_BYTES_LIST, /* struct options_counts */
  OPTIONS_REAL_LIST,  /* struct options_reals */
  OPTIONS_REAL,       /* double */
  OPTIONS_BYTES,      /* uint64_t */
  OPTIONS_RATE,       /* double, bytes/s */
  OPTIONS_SECONDS,    /* double */
  OPTIONS_SEED,       /* uint64_t */
  OPTIONS_CHOICE,     /* const char *, one of `accepted` */
  OPTIONS_CHOICES,    /* uint32_t, bit i: accepted[i] is in the list */
  OPTIONS_FILE,       /* const char *, a path */
  OPTIONS_PATHS,      /* struct options_texts; repeats */
  OPTIONS_DEVICE,     /* const char *, NAME[:ARGUMENT] of kernels/device.h, or "auto" */
  OPTIONS_MODEL,      /* const char *, a preset of model/shape.h or a path */
  OPTIONS_ENGINE,     /* const char *, NAME[:OPTIONS] of io/engine.h; a list in storage */
  OPTIONS_BIND,       /* const char *, "auto", "none" or a node's number */
  OPTIONS_TARGETS,    /* const char *[], n_targets; repeats */
  OPTIONS_POLICIES,   /* bool[3], a list of names */
  OPTIONS_SETTINGS,   /* struct options_texts, NAME=VALUE of bench/plan/inputs.h; repeats */
  OPTIONS_RANGES,     /* struct options_texts, NAME=RANGE of bench/plan/vary.h; repeats */
  OPTIONS_SECTIONS,   /* const char *, names of bench/plan/outputs.h */
  OPTIONS_RULES,      /* const char *, rules of bench/present/compare_rule.h */
  OPTIONS_FLAG,       /* bool, takes no value */
  OPTIONS_SWITCH      /* bool, "on" or "off" */
};

/* Headings of the help. */
enum options_group { OPTIONS_WHAT, OPTIONS_STORAGE, OPTIONS_MEASURE, OPTIONS_JUDGE, OPTIONS_LEAVE };

struct options_entry {
  const char *name; /* without dashes */
  char letter;      /* short form, 0: none */
  enum options_kind kind;
  enum options_group group;
  size_t offset;        /* of the field in struct options */
  const char *key;      /* the field's name, unit last: the key in JSON; NULL: not in `config` */
  uint32_t commands;    /* bit set over enum options_command */
  uint32_t single;      /* of a list: commands in which it takes one value only */
  const char *argument; /* "COUNT"; NULL where no value is taken */
  const char *initial;  /* default as one would type it; NULL: none */
  const char *listed;   /* of a list: default where a command takes several; NULL: as `initial` */
  double min, max;      /* accepted values, both included but for reals, which stay below max */
  uint64_t multiple;    /* BYTES: accepted are multiples of it; 0: any */
  const char *const *accepted; /* CHOICE, POLICIES: names, NULL at the end */
  const char *zero;            /* what 0 means, or no default; NULL: nothing special */
  const char *help;            /* one line */
};

/* The i-th entry, NULL past the last; and where an entry stands. */
const struct options_entry *options_entry_at(int index);
int options_entry_index(const struct options_entry *entry);

/* The entries that only judge what was measured (options_plan.c), which follow the others. */
extern const struct options_entry options_plan_entries[];
extern const int options_plan_count;

/* Those of the storage lab alone (options_storage.c), which follow these. */
extern const struct options_entry options_storage_entries[];
extern const int options_storage_count;

/* The default of an option of `command` as one would type it, NULL: none. */
const char *options_initial(const struct options_entry *entry, int command);

/* True where the option may be given several times. */
bool options_repeats(const struct options_entry *entry);

/* The files that a command reads by position; NULL for one that takes none. */
struct options_operands {
  const char *shown; /* "A.json B.json", for the usage line */
  int min, max;
};
const struct options_operands *options_operands(int command);

/* The entry called `name` (n characters), whatever command takes it; NULL where there is none. */
const struct options_entry *options_entry_find(const char *name, size_t n);

/* "sweep"; NULL past the last. */
const char *options_command_name(int command);

/* Index of a command's name, or -1. */
int options_command_find(const char *name);

/* options_names.c: NULL where NAME[:ARGUMENT] names a device, engine, model or binding that this
 * program knows, else what is wrong with it. Nothing is opened. */
const char *options_problem_device(const char *value);
const char *options_problem_engine(const char *value);
const char *options_problem_model(const char *value);

/* The i-th engine of "uring,null:read=2GB/s,write=1GB/s,pread": a comma parts engines where an
 * engine's name follows it. False past the last. */
bool options_engine_item(const char *list, int i, char *item, size_t item_bytes);

/* What there is of them, as text of at most n bytes; returns text. */
char *options_list_devices(char *text, size_t n);
char *options_list_engines(char *text, size_t n);
char *options_list_models(char *text, size_t n);

/* The same of what plan and compare take: a setting, a range, sections, rules. */
const char *options_problem_plan(enum options_kind kind, const char *value);
char *options_accepts_plan(enum options_kind kind, char *text, size_t n);

/* What the option accepts in a command (-1: in any), as text for help and errors: "a count from 1
 * to 1,024". */
#define OPTIONS_ACCEPTS_BYTES 320
char *options_accepts(const struct options_entry *entry, int command,
                      char text[OPTIONS_ACCEPTS_BYTES]);

/* Scans `value` into the entry's field, as options->command takes it (NULL: any). Returns 0 or
 * -EINVAL with one line. Pure: no file is touched. */
int options_scan(const struct options_entry *entry, const char *value, struct options *options,
                 struct error *error);

/* The combinations that make no sense, after all values are in. */
int options_check(const struct options *options, struct error *error);

/* "--window"; "-o/--out" where there is a short form. */
#define OPTIONS_LABEL_BYTES 48
char *options_label(const struct options_entry *entry, char text[OPTIONS_LABEL_BYTES]);

/* What was typed, fit for a message: one line, printable, at most 60 characters. */
#define OPTIONS_SHOWN_BYTES 64
char *options_shown(const char *value, char text[OPTIONS_SHOWN_BYTES]);

/* The candidate (NULL-terminated list) nearest to what was typed, or NULL where none is near. */
const char *options_nearest(const char *typed, const char *const *candidates);

#endif
