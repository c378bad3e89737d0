/*
 * Wear as money and years. Offloading writes every new token's KV once: at
 * hundreds of KiB a token a busy server writes its drives full many times a
 * day, which a read-only cost model does not show.
 */
#include "model/wear.h"

#include <math.h>

#define SECONDS_PER_DAY 86400.0
#define DAYS_PER_YEAR 365.0 /* as in the definition of DWPD */

double wear_endurance_bytes(double capacity_bytes, double drive_writes_per_day, double years) {
  return capacity_bytes * drive_writes_per_day * DAYS_PER_YEAR * years;
}

double wear_bytes_per_request(double n_new_tokens, double n_out_stored_tokens,
                              double kv_bytes_per_token, double write_amplification) {
  return (n_new_tokens + n_out_stored_tokens) * kv_bytes_per_token * write_amplification;
}

double wear_years(double endurance_bytes, double bytes_per_s) {
  if (!(bytes_per_s > 0.0)) return INFINITY;
  return endurance_bytes / bytes_per_s / (SECONDS_PER_DAY * DAYS_PER_YEAR);
}

double wear_drive_writes_per_day(double bytes_per_s, double capacity_bytes) {
  return bytes_per_s * SECONDS_PER_DAY / capacity_bytes;
}

double wear_sustainable_bytes_per_s(double endurance_bytes, double years) {
  return endurance_bytes / (years * DAYS_PER_YEAR * SECONDS_PER_DAY);
}

double wear_usd_per_mtok(double drive_usd, double endurance_bytes, double kv_bytes_per_token,
                         double write_amplification) {
  return drive_usd / endurance_bytes * kv_bytes_per_token * write_amplification * 1e6;
}

double wear_recompute_usd_per_mtok(double gpu_usd_per_hour, double compute_s_per_token) {
  return gpu_usd_per_hour / 3600.0 * compute_s_per_token * 1e6;
}

double wear_breakeven_reuses(double wear_usd_per_mtok, double recompute_usd_per_mtok) {
  return wear_usd_per_mtok / recompute_usd_per_mtok;
}
