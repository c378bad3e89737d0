/*
 * Values that are each good and together make no sense. Only what is wrong on every box is refused
 * here; what depends on the model, the device or the target is their business.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "bench/options_table.h"

static bool reloads(const struct options *options) {
  return options->policies[POLICY_SERIAL] || options->policies[POLICY_OVERLAP];
}

static int check_amounts(const struct options *options, struct error *error) {
  if (options->layers > 0 && options->weight_sets > options->layers)
    return error_set(error, -EINVAL,
                     "--weight-sets %" PRId64 ": more than --layers %" PRId64
                     "; accepted: at most as many as layers, or 0 for as many as fit",
                     options->weight_sets, options->layers);
  bool runs_prompts = strcmp(options->command, "sweep") == 0 ||
                      strcmp(options->command, "verify") == 0;
  if (!runs_prompts || !reloads(options)) return 0;
  for (int i = 0; i < options->tokens.n; i++) {
    if (options->page_tokens.values[0] < options->tokens.values[i]) continue;
    return error_set(error, -EINVAL,
                     "--page-tokens %" PRId64 ": a prompt of --tokens %" PRId64
                     " has no whole page to reload; accepted: fewer than its tokens",
                     options->page_tokens.values[0], options->tokens.values[i]);
  }
  return 0;
}

/* What only the storage lab takes several of. */
static int check_lists(const struct options *options, struct error *error) {
  char item[128];
  if (strcmp(options->command, "storage") == 0 || !options->engine) return 0;
  if (!options_engine_item(options->engine, 1, item, sizeof item)) return 0;
  return error_set(error, -EINVAL, "--engine %s: more than one; accepted: one (a list in storage)",
                   options->engine);
}

static int check_meaning(const struct options *options, struct error *error) {
  if (options->alpha.n > 0 && !reloads(options))
    return error_set(error, -EINVAL,
                     "--alpha: --policy recompute reloads nothing; accepted with: --policy serial "
                     "or overlap");
  if (options_given(options, "sync") && options->sync && !options->store)
    return error_set(error, -EINVAL,
                     "--sync on: --store off writes nothing; accepted with: --store on");
  if (options->trace && options->tokens.n > 1)
    return error_set(error, -EINVAL,
                     "--trace: --tokens has %d values; accepted with: one value of --tokens",
                     options->tokens.n);
  return 0;
}

/* Two outputs into one file: the second would replace the first. */
static int check_outputs(const struct options *options, struct error *error) {
  const struct {
    const char *label, *path;
  } outputs[] = {{"-o/--out", options->output},
                 {"--csv", options->csv},
                 {"--jsonl", options->jsonl},
                 {"--trace", options->trace},
                 {"--profile", options->profile}};
  for (size_t i = 0; i < sizeof outputs / sizeof outputs[0]; i++) {
    for (size_t j = 0; j < i; j++) {
      if (!outputs[i].path || !outputs[j].path) continue;
      if (strcmp(outputs[i].path, outputs[j].path) != 0) continue;
      char shown[OPTIONS_SHOWN_BYTES];
      return error_set(error, -EINVAL, "%s %s: the file of %s too; accepted: a file of its own",
                       outputs[i].label, options_shown(outputs[i].path, shown), outputs[j].label);
    }
  }
  return 0;
}

/* True where `path` is one of the members of a target, "A,B". */
static bool is_member(const char *target, const char *path) {
  size_t length = strlen(path);
  for (const char *at = target; at;) {
    const char *comma = strchr(at, ',');
    size_t n = comma ? (size_t)(comma - at) : strlen(at);
    if (n == length && strncmp(at, path, n) == 0) return true;
    at = comma ? comma + 1 : NULL;
  }
  return false;
}

/* What may be destroyed must be among what is measured: a typing error there is not to be passed
 * over. */
static int check_destroy(const struct options *options, struct error *error) {
  for (int i = 0; i < options->destroy.n; i++) {
    bool named = false;
    for (int k = 0; k < options->n_targets; k++)
      named = named || is_member(options->targets[k], options->destroy.values[i]);
    char shown[OPTIONS_SHOWN_BYTES];
    if (!named)
      return error_set(error, -EINVAL,
                       "--destroy-data-on %s: no such --target; accepted: a device that is one",
                       options_shown(options->destroy.values[i], shown));
  }
  return 0;
}

int options_check(const struct options *options, struct error *error) {
  int code = check_amounts(options, error);
  if (code == 0) code = check_lists(options, error);
  if (code == 0) code = check_meaning(options, error);
  if (code == 0) code = check_outputs(options, error);
  if (code == 0) code = check_destroy(options, error);
  return code;
}
