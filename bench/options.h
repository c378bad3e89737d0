/*
 * The command line. One table (options.c) holds each option once: name, kind,
 * default, range, help, commands that take it. Parser, --help, and the `config` object of
 * results derive from it. Every error is one line that names the option, the value and what
 * is accepted.
 */
#ifndef REFILL_BENCH_OPTIONS_H
#define REFILL_BENCH_OPTIONS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "model/shape.h"

#define OPTIONS_LIST_MAX 32    /* values of a list-valued option */
#define OPTIONS_TARGETS_MAX 16 /* --target repeats */
#define OPTIONS_FILES_MAX 64   /* results that a command reads: compare A.json B.json */
#define OPTIONS_ENTRIES_MAX 128

enum policy { POLICY_RECOMPUTE, POLICY_SERIAL, POLICY_OVERLAP };

/* A list-valued option; n == 0: not given. */
struct options_reals {
  int n;
  double values[OPTIONS_LIST_MAX];
};

struct options_counts {
  int n;
  int64_t values[OPTIONS_LIST_MAX];
};

/* An option that repeats, each time one text. */
struct options_texts {
  int n;
  const char *values[OPTIONS_LIST_MAX];
};

struct options {
  /* what to run */
  const char *device;           /* --device auto|cpu|playback:PROFILE (NAME[:ARGUMENT]) */
  const char *model;            /* --model NAME|FILE; "": chosen by the device */
  int64_t layers;               /* --layers; 0: all of the model's */
  struct options_counts tokens; /* --tokens LIST */
  const char *dtype;            /* --dtype bf16 */
  const char *kv_dtype;         /* --kv-dtype bf16|fp8 */
  int64_t chunk_tokens;         /* --chunk-tokens; 0: the device's choice */
  int64_t weight_sets;          /* --weight-sets; 0: as many as fit */
  const char *attention;        /* --attention auto|cudnn|builtin */
  const char *cuda_graphs;      /* --cuda-graphs auto|on|off */
  bool gemm_tune;               /* --gemm-tune on|off */
  const char *cuda_libdir;      /* --cuda-libdir DIR; NULL: where libraries usually are */
  uint64_t seed;                /* --seed */

  /* storage */
  const char *targets[OPTIONS_TARGETS_MAX]; /* --target, repeats */
  int n_targets;
  const char *engine;                /* --engine NAME[:OPTIONS] */
  struct options_counts page_tokens; /* --page-tokens LIST */
  struct options_counts queue_depth; /* --queue-depth LIST */
  uint64_t io_bytes;                 /* --io-size */
  int64_t window;                    /* --window */
  int64_t write_window;              /* --write-window */
  bool store;                        /* --store on|off */
  bool sync;                         /* --sync on|off */
  double io_timeout_s;               /* --io-timeout */
  const char *bind;                  /* --bind auto|none|NODE */

  /* the storage lab */
  struct options_counts page_bytes; /* --page-size LIST; n 0: by --page-tokens */
  uint32_t rw, layouts, sync_at;    /* --rw, --layout, --sync-at: bits of enum lab_rw, ... */
  uint32_t write_to;                /* --write-to: bit 0 reused, bit 1 fresh */
  bool preallocate;                 /* --preallocate on|off */
  uint64_t working_set_bytes;       /* --working-set */
  const char *compute;              /* --compute FILE|playback:PROFILE */
  int64_t streams;                  /* --streams; 0: one, without an end of its own */
  const char *stream_order;         /* --stream-order fair|first-come */
  const char *check_bytes;          /* --check-bytes idle|all */
  struct options_texts destroy;     /* --destroy-data-on DEVICE, repeats */
  bool check_with_fio;              /* --check-with-fio */
  bool fio_commands;                /* --fio-commands */

  /* how to measure */
  struct options_reals alpha; /* --alpha LIST; n 0: chosen around alpha* */
  bool policies[3];           /* --policy LIST, indexed by enum policy */
  int64_t repeat;             /* --repeat: groups per point; 0: by interval or budget */
  bool break_even;            /* --break-even on|off */
  double time_s;    /* --time: seconds that one storage point takes at least; 0: default */
  double budget_s;  /* --budget: seconds for the whole command; 0: none */
  bool all;         /* verify --all */
  const char *step; /* verify --step NAME, of a GPU's check; NULL: none */

  /* what to plan with: the cost model's inputs, see model/cost.h */
  const char *from;                     /* --from RESULT.json */
  int64_t context_tokens;               /* --context */
  int64_t concurrency;                  /* --concurrency, requests */
  uint64_t hbm_bytes;                   /* --hbm, of one GPU */
  double gpu_usd_per_hour;              /* --gpu-cost */
  double tflops;                        /* --tflops, of one GPU */
  uint64_t nvme_bytes;                  /* --nvme-capacity, of one server */
  double nvme_bytes_per_s;              /* --nvme-bw, of one server */
  double external_bytes_per_s;          /* --ext-bw */
  double external_usd_per_gb_month;     /* --ext-cost */
  int64_t tp_base;                      /* --tp-base, GPUs of a server */
  double params;                        /* --params */
  uint64_t weights_bytes;               /* --weights */
  int64_t turns;                        /* --turns; 0: no conversation */
  int64_t prompt_tokens, output_tokens; /* --prompt, --output: of each turn */
  struct options_texts set;             /* --set NAME=VALUE, repeats */
  struct options_texts vary;            /* --vary NAME=RANGE, repeats */
  const char *show;                     /* --show LIST */

  /* what to compare */
  const char *files[OPTIONS_FILES_MAX]; /* results named on the command line */
  int n_files;
  const char *fail_if; /* --fail-if RULE[,RULE...] */

  /* what to leave */
  const char *output;  /* -o FILE */
  const char *csv;     /* --csv FILE */
  const char *jsonl;   /* --jsonl FILE */
  const char *trace;   /* --trace FILE */
  const char *profile; /* calibrate --profile FILE: writes a playback profile */
  bool json;           /* --json */
  bool help;           /* --help: print and exit 0 */

  uint64_t given[OPTIONS_ENTRIES_MAX / 64]; /* bit i: table entry i was on the command line */
  const char *command;
  int argc; /* the command line as typed, for the result */
  char **argv;
};

/* Parses argv[1..] for a command (argv[0] is the command's name). Values are checked for
 * form and range and option combinations for sense; nothing is opened or created. Returns 0 or
 * -EINVAL with one line. Texts stay argv's. */
int options_parse(struct options *options, const char *command, int argc, char **argv,
                  struct error *error);

/* True where the option (without dashes: "alpha") was given. */
bool options_given(const struct options *options, const char *name);

/* Prints `refill COMMAND --help` to stdout: the command's options with defaults, units and ranges.
 */
void options_print_help(const char *command);

/* The effective configuration, every option that the command takes: for results. The caller owns
 * it. */
json_t *options_to_json(const struct options *options);

/* A text as JSON: null where NULL or empty, '?' for what is not UTF-8. */
json_t *options_text_to_json(const char *text);

/* Resolves --model: a preset's name or a JSON file of a shape (fields as in struct shape; unknown
 * or missing ones are named); "" is mha-125m on a CPU and the profile's model on playback. The
 * shape has all of the model's layers; --layers and --weight-sets are held against them. Returns 0
 * or -EINVAL with one line. */
int options_shape(const struct options *options, struct shape *shape, struct error *error);

#endif
