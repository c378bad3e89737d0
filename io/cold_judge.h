/*
 * The parts of the cold proof that can be tested without a drive.
 */
#ifndef REFILL_IO_COLD_JUDGE_H
#define REFILL_IO_COLD_JUDGE_H

#include "io/cold.h"

/* The verdict on what was seen: drive bytes read / bytes asked for (NaN unknown), and bytes of the
 * file in the page cache (-1 unknown). */
void cold_judge(struct cold_result *result, const struct target *target, double counter_ratio,
                int64_t cached_bytes);

/* Bytes of an open file in the page cache: by cachestat, else by mincore; -1 unknown. */
int64_t cold_cached_bytes(int fd);
int64_t cold_cached_by_mincore(int fd);

#endif
