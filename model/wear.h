/*
 * Writing wears a drive: bytes per request against endurance, years until it
 * is worn out, and what that adds to the price of a token. Formulas from drive
 * datasheets' definitions (DWPD, TBW); "kv-offload cost model" leaves writes
 * out, "slides" has W only as time.
 */
#ifndef REFILL_MODEL_WEAR_H
#define REFILL_MODEL_WEAR_H

/* Bytes that may be written over a drive's life: capacity x DWPD x 365 x years of warranty. */
double wear_endurance_bytes(double capacity_bytes, double drive_writes_per_day, double years);

/* Bytes that one request writes to flash: (n_new + stored output) x KV per token x write
 * amplification (1 for large sequential writes, several for small random ones). */
double wear_bytes_per_request(double n_new_tokens, double n_out_stored_tokens,
                              double kv_bytes_per_token, double write_amplification);

/* Years (of 365 days) that an endurance lasts at a mean rate; INFINITY at rate 0. */
double wear_years(double endurance_bytes, double bytes_per_s);

/* Drive writes per day that a mean rate means on a capacity: to hold against the rating. */
double wear_drive_writes_per_day(double bytes_per_s, double capacity_bytes);

/* The mean rate, bytes/s, that wears a drive out in exactly `years`. */
double wear_sustainable_bytes_per_s(double endurance_bytes, double years);

/* US dollars of drive that a million stored tokens use up: price / endurance x KV per token x
 * amplification x 1e6. */
double wear_usd_per_mtok(double drive_usd, double endurance_bytes, double kv_bytes_per_token,
                         double write_amplification);

/* US dollars of GPU time that a million recomputed tokens cost: $/hour / 3600 x T x 1e6. */
double wear_recompute_usd_per_mtok(double gpu_usd_per_hour, double compute_s_per_token);

/* How often stored tokens must be read for their wear to cost less than recomputing them: the
 * ratio of the two. Below 1, one reuse pays. */
double wear_breakeven_reuses(double wear_usd_per_mtok, double recompute_usd_per_mtok);

#endif
