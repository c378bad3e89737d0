/*
 * What the tests of io/ share: temporary directories that clean up after
 * themselves, small KV identities, and data whose every byte is known.
 */
#ifndef REFILL_TESTS_IO_TEST_H
#define REFILL_TESTS_IO_TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/kv_file.h"

#define IO_TEST_PATH_BYTES 256

/* A new directory on the disk of the build machine ($TMPDIR or /tmp), or in memory (/dev/shm).
 * False where there is none. */
bool io_test_directory(char *path);
bool io_test_memory_directory(char *path);

/* Removes a directory made here with all that is in it. */
void io_test_remove(const char *path);

/* For forked processes: be killed when the test's process ends. */
void io_test_end_with_parent(void);

/* Runs `body` in a child process, for what cannot be undone (limits, filters, privileges). It
 * returns IO_TEST_PASS, IO_TEST_SKIP, or another number of its own choosing, such as its line. */
#define IO_TEST_PASS 0
#define IO_TEST_SKIP 77
int io_test_in_child(int (*body)(void *argument), void *argument);

/* In a child: makes the system call `number` fail with `code` (positive) where its argument
 * `argument_index` has any of the bits of `mask` set; always, where mask is 0. False where seccomp
 * is not to be had. */
bool io_test_forbid(long number, unsigned argument_index, uint32_t mask, int code);

/* In a child: leaves everything that root may do. */
bool io_test_drop_capabilities(void);

/* How many entries (without . and ..) a directory has. */
int io_test_count(const char *path);

/* Writes `bytes` to a file, new or replaced. */
void io_test_write_file(const char *path, const void *data, size_t bytes);

/* Reads a whole file; the caller frees. */
void *io_test_read_file(const char *path, size_t *bytes);

/* Major and minor number of the device that a path's filesystem is on. */
void io_test_device_numbers(const char *path, unsigned numbers[2]);

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
