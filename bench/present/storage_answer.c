/*
 * The lab's conclusion in sentences.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/units.h"
#include "bench/present/storage_report.h"

/* Text that grows up to its end. */
struct text {
  char *at;
  size_t left;
};

static void say(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct text *text, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int n = vsnprintf(text->at, text->left, format, arguments);
  va_end(arguments);
  size_t used = n < 0 ? 0 : (size_t)n < text->left ? (size_t)n : text->left - 1;
  text->at += used;
  text->left -= used;
}

static double median_of(const struct samples *samples) {
  return stats_median(samples->values, samples->n);
}

void storage_name_setting(const struct lab_row *row, char *text, size_t bytes) {
  if (bytes > 0) text[0] = '\0';
  if (!row) return;
  char page[UNITS_TEXT_BYTES];
  units_format_bytes(page, (double)row->setting.payload_bytes);
  snprintf(text, bytes, "%s, %s%s%s, depth %d", row->setting.engine, page,
           row->setting.layout == LAB_LAYER_MAJOR ? "" : " ",
           row->setting.layout == LAB_LAYER_MAJOR ? "" : lab_layout_name(row->setting.layout),
           row->setting.queue_depth);
}

/* Of the target that reads (or, where none was read, writes) in the shortest time. */
static int best_target(const struct storage_lab *lab, const struct lab_compute *compute,
                       double alpha, bool reads, struct lab_summary *best) {
  int index = -1;
  double least = INFINITY;
  for (int i = 0; i < lab->n_targets; i++) {
    struct lab_summary one = lab_summarise(lab, compute, i, alpha);
    double s_per_token = reads ? one.read_s_per_token : one.write_s_per_token;
    if (!(s_per_token < least)) continue;
    least = s_per_token;
    index = i;
    *best = one;
  }
  return index;
}

/* What the other layouts read at, over layer-major, each at its best on this target. */
static void say_layouts(const struct storage_lab *lab, int target, struct text *text) {
  double best[LAB_LAYOUTS] = {0};
  for (int i = 0; i < lab->n_rows; i++) {
    const struct lab_row *row = &lab->rows[i];
    if (row->target != target || row->setting.rw != LAB_READ) continue;
    best[row->setting.layout] = fmax(best[row->setting.layout], median_of(&row->read_bytes_per_s));
  }
  for (int i = LAB_LAYER_MAJOR + 1; i < LAB_LAYOUTS; i++) {
    if (best[i] > 0 && best[LAB_LAYER_MAJOR] > 0)
      say(text, " There %s reads at %.2f of layer-major's rate, each at its best.",
          lab_layout_name((enum lab_layout)i), best[i] / best[LAB_LAYER_MAJOR]);
  }
}

static void say_compute(const struct lab_summary *summary, const struct lab_compute *compute,
                        struct text *text) {
  char ttft[UNITS_TEXT_BYTES], recompute[UNITS_TEXT_BYTES];
  if (!compute->known) {
    say(text, " Say --compute to hear what that does to TTFT.");
    return;
  }
  say(text,
      " e = %.3g, so reading binds from alpha* = %.3g; at alpha %.3g and %.0f tokens the model "
      "gives TTFT %s, recomputing takes %s%s.",
      summary->e, summary->alpha_star, summary->alpha, summary->n_tokens,
      units_format_seconds(ttft, summary->ttft_pipelined_s),
      units_format_seconds(recompute, summary->recompute_s),
      compute->played_back ? " (compute played back, not measured)" : "");
}

/* What was checked after the last round, of all targets. */
static void say_checked(const struct storage_lab *lab, struct text *text) {
  char checked[UNITS_TEXT_BYTES], whole[UNITS_TEXT_BYTES];
  uint64_t bytes = 0, checked_bytes = 0;
  for (int i = 0; i < lab->n_targets; i++) {
    bytes += lab->targets[i].whole_bytes;
    checked_bytes += lab->targets[i].whole_checked_bytes;
  }
  if (checked_bytes == 0) return;
  units_format_bytes(whole, (double)bytes);
  units_format_bytes(checked, (double)checked_bytes);
  if (checked_bytes >= bytes)
    say(text, " After the last round all data, %s, was checked by its CRCs.", whole);
  else
    say(text, " After the last round %s of %s of data were checked by their CRCs.", checked, whole);
}

char *storage_answer(const struct storage_lab *lab, const struct lab_compute *compute, double alpha,
                     char text[STORAGE_ANSWER_BYTES]) {
  struct text answer = {.at = text, .left = STORAGE_ANSWER_BYTES};
  struct lab_summary reading = {0}, writing = {0};
  char time[UNITS_TEXT_BYTES], setting[160];
  const char *model = lab->config.shape.name;
  int reads = best_target(lab, compute, alpha, true, &reading);
  int writes = best_target(lab, compute, alpha, false, &writing);
  text[0] = '\0';
  if (reads >= 0) {
    storage_name_setting(reading.read, setting, sizeof setting);
    say(&answer, "%s reads fastest, by %s: R = %s a token of %s (%d layers).",
        lab->targets[reads].name, setting, units_format_seconds(time, reading.read_s_per_token),
        model, lab->config.layers);
    say_layouts(lab, reads, &answer);
    say_compute(&reading, compute, &answer);
  }
  if (writes >= 0) {
    storage_name_setting(writing.write, setting, sizeof setting);
    say(&answer, "%s%s writes fastest, by %s: W = %s a token.", reads >= 0 ? " " : "",
        lab->targets[writes].name, setting, units_format_seconds(time, writing.write_s_per_token));
  }
  if (reads < 0 && writes < 0) say(&answer, "Nothing was read or written alone.");
  say(&answer, " Medians of %d round%s; a pass took %s.", lab->rounds, lab->rounds == 1 ? "" : "s",
      units_format_seconds(time, storage_lab_time_s(lab->config.options)));
  say_checked(lab, &answer);
  return text;
}
