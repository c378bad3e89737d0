/*
 * The bytes of the lab's own files: made once, each block with its CRC.
 */
#ifndef REFILL_BENCH_MEASURE_LAB_DATA_H
#define REFILL_BENCH_MEASURE_LAB_DATA_H

#include "bench/measure/lab_target.h"

#define LAB_DATA_SEED                                                                              \
  0x6c6162 /* "lab": fixed, so that runs with other seeds find the same data                       \
            */

/* Bytes of data in the largest file of the lab's that `directory` holds; 0: there is none. */
uint64_t lab_data_there(const char *directory);

/* Opens directory's data file of `bytes` or more, or makes it (member->made_s); files of fewer
 * that no run holds are removed, since nothing would use them again. `announce` is called before
 * writing. */
int lab_data_open(struct lab_member *member, uint64_t bytes, const struct lab_target_config *config,
                  struct error *error);

/* Fills a device's region and keeps the CRCs in memory. */
int lab_data_fill_device(struct lab_member *member, const struct lab_target_config *config,
                         struct error *error);

/* True where the first block of `data`, which was read from at_bytes of the data (whole blocks),
 * its last and one of each LAB_LOOK_BYTES between them (which one, `turn` says) begin with the
 * words that belong there: then no more than that can be missing or of another place. It says
 * nothing of the rest of a block. */
#define LAB_LOOK_BYTES ((size_t)64 << 10)
bool lab_data_is_placed(uint64_t at_bytes, const void *data, size_t bytes, uint64_t turn);

/* The CRC of block `block` of a device. */
uint32_t lab_data_block_crc(uint64_t block, const void *data);

#endif
