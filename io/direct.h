/*
 * What alignment direct I/O on an open file needs.
 */
#ifndef REFILL_IO_DIRECT_H
#define REFILL_IO_DIRECT_H

#include <stddef.h>

/* The larger of what memory and offsets need, bytes (statx's stx_dio_*_align); 0 where the kernel
 * does not tell (before Linux 6.1) or the file has no direct I/O. */
size_t direct_alignment_of_fd(int fd);

#endif
