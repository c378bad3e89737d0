/*
 * CRC32C (Castagnoli, reflected 0x82f63b78, as in iSCSI and ext4), by the
 * SSE4.2 instruction in three interleaved streams where the CPU has it (the
 * instruction has a latency of 3 cycles and a throughput of 1), by table else.
 */
#ifndef REFILL_BASE_CRC32C_H
#define REFILL_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The CRC of `bytes` at `data`, continued from `crc` (0 to start). So
 * crc32c(crc32c(0, a), b) is the CRC of a followed by b. Check value:
 * crc32c(0, "123456789", 9) == 0xe3069283. */
uint32_t crc32c(uint32_t crc, const void *data, size_t bytes);

/* The same by table, byte by byte: the oracle and the fallback. */
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t bytes);

/* "sse4.2" or "portable": what crc32c() uses here. */
const char *crc32c_name(void);

#endif
