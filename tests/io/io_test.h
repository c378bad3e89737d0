/*
 * What the tests of io/ share: temporary directories that clean up after
 * themselves, small KV identities, and data whose every byte is known.
 */
#ifndef REFILL_TESTS_IO_TEST_H
#define REFILL_TESTS_IO_TEST_H

#include <stddef.h>
#include <stdint.h>

#include "io/kv_file.h"

#define IO_TEST_PATH_BYTES 256

/* A new directory on the disk of the build machine ($TMPDIR or /tmp), or in memory (/dev/shm).
 * False where there is none. */
bool io_test_directory(char *path);
bool io_test_memory_directory(char *path);

/* Removes a directory made here with the plain files in it. */
void io_test_remove(const char *path);

/* How many entries (without . and ..) a directory has. */
int io_test_count(const char *path);

/* Writes `bytes` to a new file, made of the generator's stream `seed`. */
void io_test_write_file(const char *path, const void *data, size_t bytes);

/* Reads a whole file; the caller frees. */
void *io_test_read_file(const char *path, size_t *bytes);

/* Page-aligned memory, zeroed; free() it. */
void *io_test_memory(size_t bytes);

/* A small identity: 3 layers, 10 tokens in pages of 4, pages of 8192 bytes of which 6000 are used.
 */
struct kv_identity io_test_identity(void);

/* Makes and publishes a whole KV file of that identity in a directory; every page is filled with
 * the stream of its own number. Returns publish's code. */
int io_test_make_kv_file(const char *directory, const struct kv_identity *identity);

/* Fills a page's payload as io_test_make_kv_file() does; the rest of its stride is zeroed. */
void io_test_fill_page(void *page, const struct kv_identity *identity, int layer, int64_t number);

#endif
