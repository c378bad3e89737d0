/* Alignment for direct I/O: enough, and not more than that. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/direct.h"
#include "io/kv_file.h"
#include "tests/io/io_test.h"

Test(direct, a_directorys_alignment_is_enough_to_read_and_write) {
  char directory[IO_TEST_PATH_BYTES], path[IO_TEST_PATH_BYTES + 16];
  cr_assert(io_test_directory(directory));
  size_t alignment = kv_file_directory_alignment(directory);
  cr_expect_geq(alignment, 4096);
  cr_expect_eq(alignment & (alignment - 1), 0);
  snprintf(path, sizeof path, "%s/data", directory);
  int fd = open(path, O_RDWR | O_CREAT | O_DIRECT, 0600);
  if (fd >= 0) {
    char *data = io_test_memory(2 * alignment);
    cr_expect_eq(pwrite(fd, data, 2 * alignment, (off_t)alignment), (ssize_t)(2 * alignment));
    cr_expect_eq(pread(fd, data, alignment, (off_t)(2 * alignment)), (ssize_t)alignment);
    free(data);
    close(fd);
  }
  cr_expect_eq(io_test_count(directory), fd >= 0 ? 1 : 0);
  io_test_remove(directory);
}

Test(direct, unknown_is_4096) {
  cr_expect_eq(kv_file_directory_alignment("/nonexistent/refill"), 4096);
}

Test(direct, files_without_it_have_none) {
  int ends[2];
  cr_assert_eq(pipe(ends), 0);
  cr_expect_eq(direct_alignment_of_fd(ends[0]), 0);
  cr_expect_eq(direct_alignment_of_fd(-1), 0);
  close(ends[0]);
  close(ends[1]);
}
