/*
 * A conversation of many turns: each sends the whole history again. How alpha,
 * TTFT and prefill work develop when the history is recomputed and when it is
 * reloaded. Sources: "slides", multi-turn chats evict their KV between turns;
 * "essay".
 */
#ifndef REFILL_MODEL_TURNS_H
#define REFILL_MODEL_TURNS_H

#include <stdbool.h>

#include "model/fit.h"

struct turns {
  double system_tokens; /* before the first user message: system prompt, tools, documents */
  double user_tokens;   /* of each turn's message */
  double output_tokens; /* of each answer */
  bool system_stored;   /* the system part's KV is in storage already at turn 1 */
  bool output_stored;   /* KV of answers is stored too; else an answer's tokens are computed again
                           at the next turn, as part of the prompt */
  double kv_bytes_per_token;
  struct fit_compute compute; /* {.s_per_token = T} for a constant T */
  struct fit_line read;       /* over bytes */
  struct fit_line write;      /* over bytes */
};

/* Turn `turn`, from 1. */
struct turns_point {
  double n_tokens; /* prompt: history and new message */
  double n_past;   /* of it in storage */
  double n_new;
  double alpha;
  double recompute_s; /* TTFT, compute(n_tokens, 0) */
  double reload_s;    /* TTFT, max(read, compute(n_new, n_past), write of n_new): the ideal */
  double speedup;
  double read_bytes;
  double write_bytes; /* the prompt's new KV, and the answer's where it is stored */
};
struct turns_point turns_at(const struct turns *turns, int turn);

/* A conversation of n_turns >= 1. */
struct turns_total {
  double recompute_tokens; /* prefilled when nothing is kept: grows as the square of the turns */
  double reload_tokens;    /* prefilled when all is: grows as the turns */
  double avoided_share;    /* 1 - reload / recompute ("up to 99% of prefill cost") */
  double recompute_s;      /* sum of TTFTs */
  double reload_s;
  double speedup;    /* ratio of the sums */
  double mean_alpha; /* over tokens: past / prompt tokens of all turns */
  double read_bytes, write_bytes;
  double stored_bytes; /* KV of the whole conversation, kept for the next turn */
};
struct turns_total turns_total(const struct turns *turns, int n_turns);

/* The first turn up to `max_turns` at which reloading is faster; 0 where none is. */
int turns_first_gain(const struct turns *turns, int max_turns);

#endif
