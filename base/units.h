/*
 * Numbers with units: every format function has a scan twin (but flops, which
 * is only printed: --tflops takes a plain number).
 *
 * k, M, G, T are powers of 1000; Ki, Mi, Gi, Ti of 1024, in counts as in
 * bytes. A rate needs its "/s". Sizes print in KiB/MiB/GiB, rates in GB/s
 * (1e9 bytes/s), times in the unit that reads best. Scanning takes the whole
 * string or fails: no leading or trailing space, no sign, no nan/inf/hex. One
 * space may stand between number and unit, so that what was printed can be
 * pasted; thousands commas may not, since commas part lists.
 */
#ifndef REFILL_BASE_UNITS_H
#define REFILL_BASE_UNITS_H

#include <stddef.h>
#include <stdint.h>

#define UNITS_TEXT_BYTES 32 /* room that every format function needs */

/* Scans: return 0, or -EINVAL (malformed or wrong unit), -ERANGE (does not fit);
 * *value is only written on success. */
int units_scan_count(const char *text,
                     uint64_t *count); /* "128k" "128Ki" "4096" "1.5k" (must come out whole) */
int units_scan_bytes(const char *text, uint64_t *bytes); /* "2MiB" "128KB" "64k" "4096" "4096B" */
int units_scan_rate(const char *text, double *bytes_per_s); /* "56GB/s" "1.5GiB/s" "800M/s" */
int units_scan_seconds(
    const char *text,
    double *seconds); /* "400ms" "2s" "20us" "5ns" "3min" "1h"; a bare number is refused */
int units_scan_real(const char *text, double *value); /* "0.9" "1e-3": plain decimal number >= 0 */

/* Formats: write at most UNITS_TEXT_BYTES with the terminator; return `text`.
 * All but count and whole bytes print three significant digits. */
char *units_format_count(char *text, uint64_t count);    /* 131072 -> "131,072" */
char *units_format_bytes(char *text, double bytes);      /* 1536 -> "1.50 KiB" */
char *units_format_rate(char *text, double bytes_per_s); /* 1.2e9 -> "1.20 GB/s" always GB/s */
char *units_format_seconds(char *text, double seconds);  /* 0.0123 -> "12.3 ms" */
char *units_format_flops(char *text,
                         double flops_per_s); /* 8.1e14 -> "810 TFLOPS"; below 1e12 GFLOPS */

#endif
