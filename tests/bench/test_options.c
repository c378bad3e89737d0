/*
 * What the parser takes. Every option of the table is set once, and the configuration in the
 * result must show it: the test fails for an option without a sample here.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench/options_table.h"
#include "bench_test.h"

/* A value unlike the default, and what the configuration then holds ("" for options that are not
 * in it). */
static const struct {
  const char *name, *value, *json;
} samples[] = {
    {"device", "playback:zero", "\"playback:zero\""},
    {"model", "llama-3-8b", "\"llama-3-8b\""},
    {"layers", "3", "3"},
    {"tokens", "1k,2Ki,300", "[1000, 2048, 300]"},
    {"dtype", "bf16", "\"bf16\""},
    {"kv-dtype", "fp8", "\"fp8\""},
    {"chunk-tokens", "512", "512"},
    {"weight-sets", "2", "2"},
    {"seed", "9007199254740991", "9007199254740991"},
    {"target", "/a,/b", "[\"/a,/b\"]"},
    {"engine", "null:read=2GB/s,write=1GB/s", "\"null:read=2GB/s,write=1GB/s\""},
    {"page-tokens", "16", "[16]"},
    {"queue-depth", "128", "[128]"},
    {"io-size", "128Ki", "131072"},
    {"window", "7", "7"},
    {"write-window", "5", "5"},
    {"store", "off", "false"},
    {"sync", "on", "true"},
    {"io-timeout", "400ms", "0.40000000000000002"},
    {"bind", "1", "\"1\""},
    {"alpha", "0,0.25,0.5", "[0.0, 0.25, 0.5]"},
    {"policy", "serial,recompute", "[\"recompute\", \"serial\"]"},
    {"repeat", "9", "9"},
    {"break-even", "off", "false"},
    {"time", "2s", "2.0"},
    {"budget", "3min", "180.0"},
    {"all", NULL, "true"},
    {"out", "a.json", ""},
    {"csv", "a.csv", ""},
    {"trace", "a.trace", ""},
    {"jsonl", "a.jsonl", ""},
    {"profile", "a.profile", ""},
    {"json", NULL, ""},
    {"help", NULL, ""},
    {"rw", "mixed,read", "[\"read\", \"mixed\"]"},
    {"page-size", "1MiB,128Ki", "[1048576, 131072]"},
    {"layout", "token-major", "[\"token-major\"]"},
    {"working-set", "64MiB", "67108864"},
    {"write-to", "fresh", "[\"fresh\"]"},
    {"preallocate", "off", "false"},
    {"sync-at", "end,layer", "[\"end\", \"layer\"]"},
    {"streams", "8", "8"},
    {"stream-order", "first-come", "\"first-come\""},
    {"check-bytes", "all", "\"all\""},
    {"attention", "builtin", "\"builtin\""},
    {"cuda-graphs", "on", "\"on\""},
    {"gemm-tune", "off", "false"},
    {"step", "copies", "\"copies\""},
    {"cuda-libdir", "/opt/cuda/lib", "\"/opt/cuda/lib\""},
    {"compute", "playback:x", "\"playback:x\""},
    {"destroy-data-on", "/dev/x", "[\"/dev/x\"]"},
    {"check-with-fio", NULL, "true"},
    {"fio-commands", NULL, ""},
    {"from", "a.json", "\"a.json\""},
    {"context", "32k", "32000"},
    {"concurrency", "400", "400"},
    {"hbm", "141GB", "141000000000"},
    {"gpu-cost", "2.5", "2.5"},
    {"tflops", "700", "700.0"},
    {"nvme-capacity", "30TB", "30000000000000"},
    {"nvme-bw", "14GB/s", "14000000000.0"},
    {"ext-bw", "2.5GB/s", "2500000000.0"},
    {"ext-cost", "0.05", "0.050000000000000003"},
    {"tp-base", "4", "4"},
    {"params", "405G", "405000000000.0"},
    {"weights", "8GB", "8000000000"},
    {"turns", "7", "7"},
    {"prompt", "9600", "9600"},
    {"output", "200", "200"},
    {"set", "hbm-bw=4.8TB/s", "[\"hbm-bw=4.8TB/s\"]"},
    {"vary", "nvme-bw=1..56GB/s:4", "[\"nvme-bw=1..56GB/s:4\"]"},
    {"show", "decode,all", "\"decode,all\""},
    {"fail-if", "slower:5%,e:3", "\"slower:5%,e:3\""},
};

enum { N_SAMPLES = sizeof samples / sizeof samples[0] };

static int sample_of(const char *name) {
  for (int i = 0; i < N_SAMPLES; i++) {
    if (strcmp(samples[i].name, name) == 0) return i;
  }
  return -1;
}

/* A command that takes the option. */
static const char *taker(const struct options_entry *entry) {
  for (int i = 0; i < OPTIONS_COMMANDS; i++) {
    if (entry->commands & (1U << i)) return options_command_name(i);
  }
  return NULL;
}

static char *config_value(const struct options *options, const char *key) {
  json_t *config = options_to_json(options);
  json_t *value = json_object_get(config, key);
  char *text = value ? json_dumps(value, JSON_ENCODE_ANY) : NULL;
  json_decref(config);
  return text;
}

static void check_sample(const struct options_entry *entry, const char *format) {
  int i = sample_of(entry->name);
  cr_assert_geq(i, 0, "--%s has no sample here", entry->name);
  char text[256];
  if (samples[i].value)
    snprintf(text, sizeof text, format, taker(entry), entry->name, samples[i].value);
  else
    snprintf(text, sizeof text, "%s --%s", taker(entry), entry->name);
  if (strcmp(entry->name, "destroy-data-on") == 0) /* only what is measured may be destroyed */
    snprintf(text + strlen(text), 24, " --target %s", samples[i].value);
  if (strcmp(taker(entry), "compare") == 0) snprintf(text + strlen(text), 16, " a.json b.json");
  struct line line;
  struct options options;
  struct error error = {0};
  cr_assert_eq(line_parse(&line, text, &options, &error), 0, "%s: %s", text, error.message);
  if (!entry->key) return;
  cr_assert(options_given(&options, entry->name));
  char *json = config_value(&options, entry->key);
  cr_assert_str_eq(json, samples[i].json, "%s", text);
  free(json);
}

Test(options, every_option_reaches_its_field) {
  const struct options_entry *entry;
  for (int i = 0; (entry = options_entry_at(i)); i++) {
    check_sample(entry, "%s --%s %s");
    check_sample(entry, "%s --%s=%s");
  }
}

Test(options, samples_name_only_options_that_exist) {
  for (int i = 0; i < N_SAMPLES; i++)
    cr_assert(options_entry_find(samples[i].name, strlen(samples[i].name)), "%s", samples[i].name);
}

/* Commands that take lists vary by default what others take one of. */
Test(options, lists_have_defaults_of_their_own) {
  static const char *const commands[] = {"calibrate", "storage"};
  struct line line;
  struct options options;
  for (size_t i = 0; i < 2; i++) {
    cr_assert_eq(line_parse(&line, commands[i], &options, NULL), 0);
    cr_expect_eq(options.page_tokens.n, 3);
    cr_expect_eq(options.page_tokens.values[2], 256);
    cr_expect_eq(options.queue_depth.n, 2);
    cr_expect_eq(options.queue_depth.values[0], 8);
    cr_expect_not(options_given(&options, "page-tokens"));
  }
}

Test(options, defaults_are_those_of_the_design) {
  struct line line;
  struct options options;
  struct error error = {0};
  cr_assert_eq(line_parse(&line, "sweep", &options, &error), 0);
  cr_assert_str_eq(options.device, "auto");
  cr_assert_str_eq(options.model, "");
  cr_assert_str_eq(options.engine, "uring");
  cr_assert_str_eq(options.bind, "auto");
  cr_assert_eq(options.tokens.n, 1);
  cr_assert_eq(options.tokens.values[0], 4096);
  cr_assert_eq(options.page_tokens.values[0], 64);
  cr_assert_eq(options.queue_depth.values[0], 32);
  cr_assert_eq(options.io_bytes, 1048576);
  cr_assert_eq(options.window, 4);
  cr_assert_eq(options.write_window, 2);
  cr_assert(options.store && !options.sync && options.break_even);
  cr_assert_eq(options.seed, 1);
  cr_assert_eq(options.io_timeout_s, 30.0);
  cr_assert(options.policies[POLICY_OVERLAP]);
  cr_assert(!options.policies[POLICY_SERIAL] && !options.policies[POLICY_RECOMPUTE]);
  cr_assert_eq(options.repeat, 0);
  cr_assert_eq(options.alpha.n, 0);
  cr_assert_eq(options.n_targets, 0);
  for (int i = 0; i < OPTIONS_ENTRIES_MAX / 64; i++) cr_assert_eq(options.given[i], 0);
}

Test(options, bounds_themselves_are_accepted) {
  const char *const good[] = {
      "sweep --tokens 2 --page-tokens 1 --alpha 0 --policy serial",
      "sweep --tokens 1 --policy recompute",
      "sweep --tokens 16777216",
      "sweep --window 1024",
      "sweep --io-size 4KiB",
      "sweep --io-size 1GiB",
      "sweep --io-timeout 10ms",
      "sweep --io-timeout 1h",
      "sweep --seed 0",
      "sweep --repeat 1024",
      "sweep --budget 0s",
      "sweep --bind none",
      "sweep --bind 0",
      "sweep --alpha 0.999999",
      "sweep --queue-depth 4096",
  };
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    struct line line;
    struct options options;
    struct error error = {0};
    cr_assert_eq(line_parse(&line, good[i], &options, &error), 0, "%s: %s", good[i], error.message);
  }
}

Test(options, letters_stand_for_names) {
  struct line line;
  struct options options;
  struct error error = {0};
  cr_assert_eq(line_parse(&line, "sweep -o a.json", &options, &error), 0);
  cr_assert_str_eq(options.output, "a.json");
  cr_assert(options_given(&options, "out"));
  cr_assert_eq(line_parse(&line, "sweep -o=b.json", &options, &error), 0);
  cr_assert_str_eq(options.output, "b.json");
}

Test(options, help_is_given_whatever_else_is_wrong) {
  struct line line;
  struct options options;
  struct error error = {0};
  cr_assert_eq(line_parse(&line, "sweep --window 0 --nonsense -h", &options, &error), 0);
  cr_assert(options.help);
}

Test(options, files_are_read_by_position) {
  struct line line;
  struct options options;
  struct error error = {0};
  const char *text = "compare a.json --fail-if slower:5% b.json";
  cr_assert_eq(line_parse(&line, text, &options, &error), 0, "%s", error.message);
  cr_assert_eq(options.n_files, 2);
  cr_assert_str_eq(options.files[0], "a.json");
  cr_assert_str_eq(options.files[1], "b.json");
}

Test(options, settings_and_ranges_repeat) {
  struct line line;
  struct options options;
  struct error error = {0};
  const char *text = "plan --set batch=8 --set tpot=20ms --vary hbm=80..192GB --vary batch=1..64";
  cr_assert_eq(line_parse(&line, text, &options, &error), 0, "%s", error.message);
  cr_assert_eq(options.set.n, 2);
  cr_assert_eq(options.vary.n, 2);
  cr_assert_str_eq(options.set.values[1], "tpot=20ms");
}

Test(options, targets_repeat) {
  struct line line;
  struct options options;
  struct error error = {0};
  const char *text = "sweep --target /mnt/a --target /mnt/b,/mnt/c";
  cr_assert_eq(line_parse(&line, text, &options, &error), 0, "%s", error.message);
  cr_assert_eq(options.n_targets, 2);
  cr_assert_str_eq(options.targets[0], "/mnt/a");
  cr_assert_str_eq(options.targets[1], "/mnt/b,/mnt/c");
}

Test(options, the_command_line_is_kept_as_typed) {
  struct line line;
  struct options options;
  struct error error = {0};
  cr_assert_eq(line_parse(&line, "verify --seed 7", &options, &error), 0);
  cr_assert_str_eq(options.command, "verify");
  cr_assert_eq(options.argc, 3);
  cr_assert_str_eq(options.argv[2], "7");
}

Test(options, a_path_that_is_not_text_is_shown_in_json) {
  struct line line;
  struct options options;
  struct error error = {0};
  cr_assert_eq(line_parse(&line, "sweep --target /mnt/\xff", &options, &error), 0);
  char *json = config_value(&options, "targets");
  cr_assert_str_eq(json, "[\"/mnt/?\"]");
  free(json);
  char text[1001] = "";
  memset(text, '\xff', sizeof text - 1);
  json_t *all = options_text_to_json(text);
  cr_expect_eq(json_string_length(all), 1000);
  json_decref(all);
}

Test(options, the_configuration_holds_what_the_command_takes) {
  struct line line;
  struct options options;
  struct error error = {0};
  cr_assert_eq(line_parse(&line, "doctor", &options, &error), 0);
  json_t *config = options_to_json(&options);
  cr_assert(json_object_get(config, "device"));
  cr_assert_null(json_object_get(config, "alpha"));
  json_decref(config);
}
