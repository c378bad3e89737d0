/*
 * The table of options itself. Reading guide: `initial` is the default as one would type it, so it
 * passes through the same scanner as what is typed; min and max bound every value of a list;
 * `single` names the commands in which a list takes one value only.
 */
#include <assert.h>
#include <string.h>

#include "bench/options_entry.h"
#include "kernels/cuda/steps.h"
#include "kernels/device.h"

#define KIB 1024.0
#define GIB (KIB * KIB * KIB)
#define DAY_S 86400.0

static const char *const command_names[OPTIONS_COMMANDS + 1] = {
    [OPTIONS_DOCTOR] = "doctor", [OPTIONS_CALIBRATE] = "calibrate", [OPTIONS_SWEEP] = "sweep",
    [OPTIONS_VERIFY] = "verify", [OPTIONS_PLAN] = "plan",           [OPTIONS_COMPARE] = "compare",
    [OPTIONS_REPORT] = "report", [OPTIONS_STORAGE_LAB] = "storage",
};

static const char *const elements[] = {"bf16", "fp8", NULL};
static const char *const attentions[] = {
    [DEVICE_ATTENTION_AUTO] = "auto",
    [DEVICE_ATTENTION_CUDNN] = "cudnn",
    [DEVICE_ATTENTION_BUILTIN] = "builtin",
    NULL,
};
static const char *const graphs[] = {
    [DEVICE_GRAPHS_AUTO] = "auto",
    [DEVICE_GRAPHS_ON] = "on",
    [DEVICE_GRAPHS_OFF] = "off",
    NULL,
};
static const char *const steps[] = {
#define STEP_NAME(id, name, what, needs) name,
    CUDA_STEPS(STEP_NAME)
#undef STEP_NAME
        NULL,
};
static const char *const policies[] = {
    [POLICY_RECOMPUTE] = "recompute",
    [POLICY_SERIAL] = "serial",
    [POLICY_OVERLAP] = "overlap",
    NULL,
};

static const struct options_entry entries[] = {
    /* what to run */
    {.name = "device",
     IS(DEVICE, WHAT, D | C | S | V),
     FIELD(device),
     .argument = "NAME[:ARG]",
     .initial = "auto",
     .help = "what computes; auto is cpu where the box has no NVIDIA device"},
    {.name = "model",
     IS(MODEL, WHAT, C | S | V | P | L),
     FIELD(model),
     .argument = "NAME|FILE",
     .zero = "mha-125m on cpu, the profile's own on playback, none in plan; in storage that of "
             "--compute, else llama-3-70b",
     .help = "shape of the model"},
    {.name = "layers",
     IS(COUNT, WHAT, C | S | V | L),
     FIELD(layers),
     .argument = "COUNT",
     RANGE("0", 0, 4096),
     .zero = "all of the model's",
     .help = "run only the first COUNT layers"},
    {.name = "tokens",
     IS(COUNT_LIST, WHAT, C | S | V | L),
     FIELD(tokens),
     .single = L,
     .argument = "LIST",
     RANGE("4096", 1, 16777216),
     .help = "prompt lengths N, in tokens"},
    {.name = "dtype",
     IS(CHOICE, WHAT, C | S | V | P),
     FIELD(dtype),
     .argument = "TYPE",
     .initial = "bf16",
     .accepted = elements,
     .help = "element of weights and activations"},
    {.name = "kv-dtype",
     IS(CHOICE, WHAT, C | S | V | P | L),
     FIELD(kv_dtype),
     .argument = "TYPE",
     .initial = "bf16",
     .accepted = elements,
     .help = "element of the KV cache, stored and attended"},
    {.name = "chunk-tokens",
     IS(COUNT, WHAT, C | S | V),
     FIELD(chunk_tokens),
     .argument = "COUNT",
     RANGE("0", 0, 1048576),
     .zero = "the device's choice",
     .help = "tokens that one pass of a layer takes at most"},
    {.name = "weight-sets",
     IS(COUNT, WHAT, C | S | V),
     FIELD(weight_sets),
     .argument = "COUNT",
     RANGE("0", 0, 4096),
     .zero = "as many as fit",
     .help = "layers with weights of their own, cycled over the others"},
    {.name = "attention",
     IS(CHOICE, WHAT, C | S | V),
     FIELD(attention),
     .argument = "KERNEL",
     .initial = "auto",
     .accepted = attentions,
     .help = "what computes attention on cuda; auto is cudnn where it works"},
    {.name = "cuda-graphs",
     IS(CHOICE, WHAT, C | S | V),
     FIELD(cuda_graphs),
     .argument = "WHEN",
     .initial = "auto",
     .accepted = graphs,
     .help = "launch layers as CUDA graphs; auto: where layers take no longer than launching them"},
    {.name = "gemm-tune",
     IS(SWITCH, WHAT, C | S | V),
     FIELD(gemm_tune),
     .argument = "on|off",
     .initial = "on",
     .help = "time cuBLASLt's proposals at set-up and keep the fastest; cuda only"},
    {.name = "cuda-libdir",
     IS(FILE, WHAT, D | C | S | V),
     FIELD(cuda_libdir),
     .argument = "DIR",
     .zero = "where they usually are",
     .help = "directory of cuBLASLt and cuDNN, and no other"},
    {.name = "seed",
     IS(SEED, WHAT, C | S | V | L),
     FIELD(seed),
     .argument = "COUNT",
     RANGE("1", 0, 9007199254740991.0), /* 2^53 - 1: survives JSON readers that know only doubles */
     .help = "seed of weights, prompts, KV and the order of runs"},

    /* storage */
    {.name = "target",
     IS(TARGETS, STORAGE, D | C | S | V | L),
     FIELD(targets),
     .argument = "DIR[,DIR...]",
     .zero = "the working directory",
     .help = "directory for KV files; in storage a file or drive too, which is read, a list as a "
             "stripe set, and several"},
    {.name = "engine",
     IS(ENGINE, STORAGE, C | S | V | L),
     FIELD(engine),
     .argument = "NAME[:OPT]",
     .initial = "uring",
     .help = "what moves bytes; null:read=2GB/s,write=1GB/s acts as a steady drive"},
    {.name = "page-tokens",
     IS(COUNT_LIST, STORAGE, C | S | V | L),
     FIELD(page_tokens),
     .single = S | V,
     .argument = "COUNT",
     RANGE("64", 1, 65536),
     .listed = "16,64,256",
     .help = "tokens of one KV page"},
    {.name = "queue-depth",
     IS(COUNT_LIST, STORAGE, C | S | V | L),
     FIELD(queue_depth),
     .single = S | V,
     .argument = "COUNT",
     RANGE("32", 1, 4096),
     .listed = "8,32",
     .help = "requests under way at most"},
    {.name = "io-size",
     IS(BYTES, STORAGE, C | S | V),
     FIELD(io_bytes),
     .argument = "SIZE",
     RANGE("1MiB", 4 * KIB, GIB),
     .multiple = 4096,
     .help = "size of one request, at most"},
    {.name = "window",
     IS(COUNT, STORAGE, S | V),
     FIELD(window),
     .argument = "COUNT",
     RANGE("4", 1, 1024),
     .help = "layers that reads may be ahead of compute"},
    {.name = "write-window",
     IS(COUNT, STORAGE, S | V),
     FIELD(write_window),
     .argument = "COUNT",
     RANGE("2", 1, 1024),
     .help = "layers of new KV that may wait to be written"},
    {.name = "store",
     IS(SWITCH, STORAGE, S),
     FIELD(store),
     .argument = "on|off",
     .initial = "on",
     .help = "write the new tokens' KV while computing"},
    {.name = "sync",
     IS(SWITCH, STORAGE, C | S),
     FIELD(sync),
     .argument = "on|off",
     .initial = "off",
     .help = "count a write as done only when synced to the drive"},
    {.name = "io-timeout",
     IS(SECONDS, STORAGE, C | S | V | L),
     FIELD(io_timeout_s),
     .argument = "TIME",
     RANGE("30s", 0.01, 3600),
     .help = "fail when no request completes for so long"},
    {.name = "bind",
     IS(BIND, STORAGE, C | S | V | L),
     FIELD(bind),
     .argument = "WHERE",
     RANGE("auto", 0, 1023),
     .help = "NUMA node of threads and memory; auto is the node of device and drive"},

    /* how to measure */
    {.name = "alpha",
     IS(REAL_LIST, MEASURE, S | V | P | L),
     FIELD(alpha),
     .argument = "LIST",
     RANGE(NULL, 0, 1),
     .zero = "points around alpha*",
     .help = "shares of the prompt to reload"},
    {.name = "policy",
     IS(POLICIES, MEASURE, S | V),
     FIELD(policies),
     .argument = "LIST",
     .initial = "overlap",
     .accepted = policies,
     .help = "how to fill the KV cache"},
    {.name = "repeat",
     IS(COUNT, MEASURE, C | S | L),
     FIELD(repeat),
     .argument = "COUNT",
     RANGE("0", 0, 1024),
     .zero = "until intervals are narrow, the cap or the budget",
     .help = "times that each point is measured"},
    {.name = "break-even",
     IS(SWITCH, MEASURE, S),
     FIELD(break_even),
     .argument = "on|off",
     .initial = "on",
     .help = "measure from which stored prefix on reload wins, up to 20 s after all points"},
    {.name = "time",
     IS(SECONDS, MEASURE, C | L),
     FIELD(time_s),
     .argument = "TIME",
     RANGE("0s", 0, 3600),
     .zero = "chosen by size",
     .help = "time that one storage point takes at least"},
    {.name = "budget",
     IS(SECONDS, MEASURE, C | S | V | L),
     FIELD(budget_s),
     .argument = "TIME",
     RANGE("0s", 0, 7 * DAY_S),
     .zero = "no limit",
     .help = "stop measuring after so long, with what there is"},
    {.name = "all",
     IS(FLAG, MEASURE, V),
     FIELD(all),
     .help = "every combination that this box can run; on cuda the GPU's whole check"},
    {.name = "step",
     IS(CHOICE, MEASURE, V),
     FIELD(step),
     .argument = "STEP",
     .accepted = steps,
     .zero = "none",
     .help = "one step of the GPU's check, in this process; cuda only"},

    /* what to leave */
    {.name = "out",
     .letter = 'o',
     IS(FILE, LEAVE, D | C | S | V | P | X | R | L),
     FIELD_UNLISTED(output),
     .argument = "FILE",
     .help = "write the result as JSON; report: the page, report.html if not given"},
    {.name = "csv",
     IS(FILE, LEAVE, C | S | P | X | L),
     FIELD_UNLISTED(csv),
     .argument = "FILE",
     .help = "write the table as CSV, in base units"},
    {.name = "jsonl",
     IS(FILE, LEAVE, C | S | V | P | X | L),
     FIELD_UNLISTED(jsonl),
     .argument = "FILE",
     .help = "write one line of JSON for each row of the result"},
    {.name = "trace",
     IS(FILE, LEAVE, S),
     FIELD_UNLISTED(trace),
     .argument = "FILE",
     .help = "write a timeline of every layer, for Perfetto"},
    {.name = "profile",
     IS(FILE, LEAVE, C),
     FIELD_UNLISTED(profile),
     .argument = "FILE",
     .help = "write what was measured as a profile for --device playback:FILE"},
    {.name = "json",
     IS(FLAG, LEAVE, D | C | S | V | P | X | L),
     FIELD_UNLISTED(json),
     .help = "print the result as JSON instead of the table"},
    {.name = "help",
     .letter = 'h',
     IS(FLAG, LEAVE, D | C | S | V | P | X | R | L),
     FIELD_UNLISTED(help),
     .help = "print this and exit"},
};

enum { N_ENTRIES = sizeof entries / sizeof entries[0] };

const struct options_entry *options_entry_at(int index) {
  assert(index >= 0);
  assert(N_ENTRIES + options_plan_count + options_storage_count <= OPTIONS_ENTRIES_MAX);
  if (index < N_ENTRIES) return &entries[index];
  index -= N_ENTRIES;
  if (index < options_plan_count) return &options_plan_entries[index];
  index -= options_plan_count;
  return index < options_storage_count ? &options_storage_entries[index] : NULL;
}

int options_entry_index(const struct options_entry *entry) {
  int index = 0;
  while (options_entry_at(index) != entry) index++;
  return index;
}

const char *options_initial(const struct options_entry *entry, int command) {
  bool single = (entry->single & (1U << command)) != 0;
  return entry->listed && !single ? entry->listed : entry->initial;
}

bool options_repeats(const struct options_entry *entry) {
  return entry->kind == OPTIONS_TARGETS || entry->kind == OPTIONS_SETTINGS ||
         entry->kind == OPTIONS_RANGES || entry->kind == OPTIONS_PATHS;
}

const struct options_operands *options_operands(int command) {
  static const struct options_operands compared = {.shown = "A.json B.json", .min = 2, .max = 2};
  static const struct options_operands reported = {
      .shown = "RESULT.json...", .min = 1, .max = OPTIONS_FILES_MAX};
  if (command == OPTIONS_REPORT) return &reported;
  return command == OPTIONS_COMPARE ? &compared : NULL;
}

const struct options_entry *options_entry_find(const char *name, size_t n) {
  const struct options_entry *entry;
  for (int i = 0; (entry = options_entry_at(i)); i++) {
    if (strlen(entry->name) == n && memcmp(entry->name, name, n) == 0) return entry;
  }
  return NULL;
}

const char *options_command_name(int command) {
  assert(command >= 0 && command <= OPTIONS_COMMANDS);
  return command_names[command];
}

int options_command_find(const char *name) {
  for (int i = 0; i < OPTIONS_COMMANDS; i++) {
    if (strcmp(command_names[i], name) == 0) return i;
  }
  return -1;
}
