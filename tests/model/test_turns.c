/*
 * Conversations: a short one by hand, the slides' set-ups, and that what is
 * written by one turn is what the next one finds.
 */
#include <criterion/criterion.h>
#include <math.h>

#include "base/prng.h"
#include "model/ttft.h"
#include "model/turns.h"
#include "vectors.h"

static struct turns chat(void) {
  return (struct turns){.system_tokens = 1000,
                        .user_tokens = 100,
                        .output_tokens = 200,
                        .output_stored = true,
                        .kv_bytes_per_token = 1000,
                        .compute = {.s_per_token = 9e-4},
                        .read = {.slope_s = 1e-7},
                        .write = {.slope_s = 1e-7}};
}

Test(turns, three_turns_by_hand) {
  struct turns t = chat();
  struct turns_point first = turns_at(&t, 1), third = turns_at(&t, 3);
  cr_expect_eq(first.n_tokens, 1100.0);
  cr_expect_eq(first.n_past, 0.0);
  cr_expect_eq(first.alpha, 0.0);
  expect_near(first.speedup, 1, 1e-12, "nothing to reload yet");
  cr_expect_eq(third.n_tokens, 1000.0 + 2 * 300 + 100);
  cr_expect_eq(third.n_past, 1600.0);
  cr_expect_eq(third.n_new, 100.0);
  expect_near(third.recompute_s, 1700 * 9e-4, 1e-12, "N T");
  expect_near(third.reload_s, 1600 * 1e-4, 1e-12, "bound by the read");
  cr_expect_eq(third.write_bytes, 300e3);
  struct turns_total all = turns_total(&t, 3);
  cr_expect_eq(all.recompute_tokens, 1100.0 + 1400 + 1700);
  cr_expect_eq(all.reload_tokens, 1100.0 + 100 + 100);
  cr_expect_eq(all.stored_bytes, 1900e3);
  expect_near(all.mean_alpha, all.avoided_share, 1e-12, "what is not new is past");
  expect_near(all.recompute_s, 4200 * 9e-4, 1e-12, "sum of TTFTs");
  expect_near(all.speedup, all.recompute_s / all.reload_s, 1e-12, "speedup");
}

Test(turns, a_turn_takes_the_ideal_ttft) {
  struct turns t = chat();
  for (int turn = 1; turn < 40; turn++) {
    struct turns_point p = turns_at(&t, turn);
    expect_near(p.reload_s, ttft_ideal_s(p.alpha, p.n_tokens, 9e-4, 1e-4, 1e-4, NULL), 1e-12,
                "ideal");
    expect_near(p.speedup, ttft_ideal_speedup(p.alpha, 9), 1e-9, "the slides' x at e = 9");
  }
}

Test(turns, answers_that_are_not_stored_are_computed_again) {
  struct turns t = chat();
  t.output_stored = false;
  struct turns_point second = turns_at(&t, 2);
  cr_expect_eq(second.n_new, 300.0, "the answer and the new message");
  cr_expect_eq(second.n_past, 1100.0);
  t.system_stored = true;
  cr_expect_eq(turns_at(&t, 1).n_past, 1000.0);
  cr_expect_eq(turns_at(&t, 2).n_past, 1100.0);
}

Test(turns, each_turn_finds_what_was_written_before) {
  for (uint64_t seed = 0; seed < 300; seed++) {
    struct turns t = chat();
    t.system_tokens = (double)prng_below(seed, 0, 5000);
    t.user_tokens = 1 + (double)prng_below(seed, 1, 500);
    t.output_tokens = (double)prng_below(seed, 2, 500);
    t.output_stored = prng_below(seed, 3, 2) == 1;
    double written = 0, alpha = 0;
    for (int turn = 1; turn < 30; turn++) {
      struct turns_point p = turns_at(&t, turn);
      expect_near(p.read_bytes, written, 1e-12, "all that was written");
      cr_expect(p.n_new >= t.user_tokens && p.alpha >= alpha - 1e-12, "alpha grows");
      written += p.write_bytes;
      alpha = p.alpha;
    }
    expect_near(turns_total(&t, 29).stored_bytes, written, 1e-12, "kept in the end");
  }
}

Test(turns, long_conversations_avoid_nearly_all_prefill) {
  struct turns t = chat();
  double before = 0;
  for (int n = 1; n <= 1024; n *= 2) {
    struct turns_total all = turns_total(&t, n);
    cr_expect(n == 1 || all.avoided_share > before);
    before = all.avoided_share;
  }
  cr_expect_gt(before, 0.99, "the slides' up to 99%");
  /* Work grows as the square when recomputed, linearly when reloaded. */
  struct turns_total small = turns_total(&t, 500), large = turns_total(&t, 1000);
  expect_near(large.recompute_tokens / small.recompute_tokens, 4, 0.02, "square");
  expect_near(large.reload_tokens / small.reload_tokens, 2, 0.02, "linear");
}

Test(turns, the_slides_set_ups) {
  /* "Prompt 2200, output 170, turns 15" the prompt a mean over the turns. */
  struct turns t = chat();
  t.system_tokens = 0;
  t.output_tokens = 170;
  t.user_tokens = 110;
  cr_expect(fabs(turns_total(&t, 15).recompute_tokens / 15 - 2200) < 150);
  cr_expect_gt(turns_at(&t, 15).alpha, 0.95);
}

Test(turns, reloading_pays_from_some_turn_on) {
  struct turns t = chat();
  cr_expect_eq(turns_first_gain(&t, 10), 2);
  t.read.fixed_s = 2; /* so much that 2,200 tokens must be saved */
  int turn = turns_first_gain(&t, 100);
  cr_expect_gt(turn, 2);
  cr_expect_lt(turns_at(&t, turn).reload_s, turns_at(&t, turn).recompute_s);
  cr_expect_geq(turns_at(&t, turn - 1).reload_s, turns_at(&t, turn - 1).recompute_s);
  t.read.slope_s = 1;
  cr_expect_eq(turns_first_gain(&t, 100), 0);
}

Test(turns, the_last_turn_asked_for_counts) {
  struct turns t = chat();
  cr_expect_eq(turns_first_gain(&t, 2), 2);
  cr_expect_eq(turns_first_gain(&t, 1), 0);
}
