/*
 * The bytes of the lab's own files: made once, each block with its CRC.
 */
#ifndef REFILL_BENCH_MEASURE_LAB_DATA_H
#define REFILL_BENCH_MEASURE_LAB_DATA_H

#include "bench/measure/lab_target.h"

/* The identity of a file of `blocks` blocks. */
void lab_data_identity(struct kv_identity *identity, uint64_t blocks);

/* Opens directory's data file of `bytes` or makes it; *made_s: seconds it took, 0 where it was
 * there. `announce` is called before writing. */
int lab_data_open(struct lab_member *member, uint64_t bytes, const struct lab_target_config *config,
                  struct error *error);

/* Fills a device's region and keeps the CRCs in memory. */
int lab_data_fill_device(struct lab_member *member, const struct lab_target_config *config,
                         struct error *error);

/* The CRC of block `block` of a device. */
uint32_t lab_data_block_crc(uint64_t block, const void *data);

#endif
