/*
 * Multi-turn conversations, turn by turn. Sums are taken in a loop, not by the
 * formula of an arithmetic series: compute is not linear in tokens, and the
 * loop is over turns, not tokens.
 */
#include "model/turns.h"

#include <math.h>

/* Tokens of the conversation before turn `turn`'s message. */
static double history_tokens(const struct turns *turns, int turn) {
  return turns->system_tokens + (turn - 1) * (turns->user_tokens + turns->output_tokens);
}

static double stored_tokens(const struct turns *turns, int turn) {
  if (turn == 1) return turns->system_stored ? turns->system_tokens : 0.0;
  double history = history_tokens(turns, turn);
  /* The last answer is in the prompt now, but its KV was never stored: it is computed with this
   * turn's prompt, and stored then. */
  return turns->output_stored ? history : history - turns->output_tokens;
}

struct turns_point turns_at(const struct turns *turns, int turn) {
  struct turns_point p = {0};
  p.n_tokens = history_tokens(turns, turn) + turns->user_tokens;
  p.n_past = stored_tokens(turns, turn);
  p.n_new = p.n_tokens - p.n_past;
  p.alpha = p.n_past / p.n_tokens;
  p.read_bytes = p.n_past * turns->kv_bytes_per_token;
  double prompt_bytes = p.n_new * turns->kv_bytes_per_token;
  double answer_bytes = turns->output_stored ? turns->output_tokens * turns->kv_bytes_per_token : 0;
  p.write_bytes = prompt_bytes + answer_bytes;

  p.recompute_s = fit_compute_s(&turns->compute, p.n_tokens, 0.0);
  double read_s = p.n_past > 0.0 ? fit_line_s(&turns->read, p.read_bytes) : 0.0;
  double compute_s = fit_compute_s(&turns->compute, p.n_new, p.n_past);
  double write_s = fit_line_s(&turns->write, prompt_bytes);
  p.reload_s = fmax(fmax(read_s, compute_s), write_s);
  p.speedup = p.recompute_s / p.reload_s;
  return p;
}

struct turns_total turns_total(const struct turns *turns, int n_turns) {
  struct turns_total t = {0};
  double past = 0.0;
  for (int turn = 1; turn <= n_turns; turn++) {
    struct turns_point p = turns_at(turns, turn);
    t.recompute_tokens += p.n_tokens;
    t.reload_tokens += p.n_new;
    past += p.n_past;
    t.recompute_s += p.recompute_s;
    t.reload_s += p.reload_s;
    t.read_bytes += p.read_bytes;
    t.write_bytes += p.write_bytes;
  }
  t.avoided_share = 1.0 - t.reload_tokens / t.recompute_tokens;
  t.speedup = t.recompute_s / t.reload_s;
  t.mean_alpha = past / t.recompute_tokens;
  t.stored_bytes = stored_tokens(turns, n_turns + 1) * turns->kv_bytes_per_token;
  return t;
}

int turns_first_gain(const struct turns *turns, int max_turns) {
  for (int turn = 1; turn <= max_turns; turn++) {
    struct turns_point p = turns_at(turns, turn);
    if (p.reload_s < p.recompute_s) return turn;
  }
  return 0;
}
