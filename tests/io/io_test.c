/* Helpers of the tests of io/; see io_test.h. */
#include "tests/io/io_test.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/prng.h"

#define CHILD_S 100 /* files are synced, on a drive that others use */

static bool make_directory(char *path, const char *parent) {
  snprintf(path, IO_TEST_PATH_BYTES, "%s/refill-test-XXXXXX", parent);
  return mkdtemp(path) != NULL;
}

bool io_test_directory(char *path) {
  const char *parent = getenv("TMPDIR");
  return make_directory(path, parent != NULL ? parent : "/tmp");
}

bool io_test_memory_directory(char *path) {
  return make_directory(path, "/dev/shm");
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place) {
  (void)status, (void)kind, (void)place;
  return remove(path);
}

void io_test_remove(const char *path) {
  nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

void io_test_end_with_parent(void) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
}

int io_test_in_child(int (*body)(void *argument), void *argument) {
  pid_t child = fork();
  cr_assert_geq(child, 0);
  if (child == 0) {
    io_test_end_with_parent();
    alarm(CHILD_S); /* an assertion that fails in a child would wait for a runner that is not its */
    _exit(body(argument));
  }
  int status = 0;
  cr_assert_eq(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool io_test_forbid(long number, unsigned argument_index, uint32_t mask, int code) {
  const unsigned argument_at =
      (unsigned)(offsetof(struct seccomp_data, args) + argument_index * sizeof(uint64_t));
  struct sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, argument_at), /* its low half, little endian */
      BPF_JUMP(BPF_JMP | (mask == 0 ? BPF_JGE : BPF_JSET) | BPF_K, mask, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ((uint32_t)code & SECCOMP_RET_DATA)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog filter = {.len = sizeof program / sizeof program[0], .filter = program};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

bool io_test_drop_capabilities(void) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  struct __user_cap_data_struct none[2];
  memset(none, 0, sizeof none);
  return syscall(SYS_capset, &header, none) == 0;
}

int io_test_count(const char *path) {
  DIR *stream = opendir(path);
  cr_assert_not_null(stream);
  int n = -2;
  while (readdir(stream) != NULL) n++;
  closedir(stream);
  return n;
}

void io_test_write_file(const char *path, const void *data, size_t bytes) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  cr_assert_geq(fd, 0, "%s: %s", path, strerror(errno));
  for (size_t done = 0; done < bytes;) {
    ssize_t n = write(fd, (const char *)data + done, bytes - done);
    cr_assert_gt(n, 0, "%s: %s", path, strerror(errno));
    done += (size_t)n;
  }
  close(fd);
}

void *io_test_read_file(const char *path, size_t *bytes) {
  int fd = open(path, O_RDONLY);
  cr_assert_geq(fd, 0, "%s: %s", path, strerror(errno));
  struct stat status;
  cr_assert_eq(fstat(fd, &status), 0);
  *bytes = (size_t)status.st_size;
  void *data = io_test_memory(*bytes);
  for (size_t done = 0; done < *bytes;) {
    ssize_t n = read(fd, (char *)data + done, *bytes - done);
    cr_assert_gt(n, 0);
    done += (size_t)n;
  }
  close(fd);
  return data;
}

void io_test_device_numbers(const char *path, unsigned numbers[2]) {
  struct stat status;
  cr_assert_eq(stat(path, &status), 0, "%s: %s", path, strerror(errno));
  numbers[0] = major(status.st_dev);
  numbers[1] = minor(status.st_dev);
}

void *io_test_memory(size_t bytes) {
  size_t rounded = (bytes + 4095) / 4096 * 4096;
  void *memory = aligned_alloc(4096, rounded > 0 ? rounded : 4096);
  cr_assert_not_null(memory);
  memset(memory, 0, rounded > 0 ? rounded : 4096);
  return memory;
}

struct kv_identity io_test_identity(void) {
  struct kv_identity identity;
  memset(&identity, 0, sizeof identity);
  snprintf(identity.model, sizeof identity.model, "tiny-test");
  snprintf(identity.content, sizeof identity.content, "synthetic");
  identity.layers = 3;
  identity.hidden = 64;
  identity.q_heads = 4;
  identity.kv_heads = 2;
  identity.head_dim = 16;
  identity.ffn = 128;
  identity.vocabulary = 100;
  identity.k_scale = identity.v_scale = 1.0F;
  identity.n_tokens = 10;
  identity.page_tokens = 4;
  identity.page_payload_bytes = 6000;
  identity.page_stride_bytes = 8192;
  identity.seed = 42;
  identity.prefix_hash = 4711;
  return identity;
}

void io_test_fill_page(void *page, const struct kv_identity *identity, int layer, int64_t number) {
  memset(page, 0, identity->page_stride_bytes);
  prng_fill(page, identity->page_payload_bytes, identity->seed,
            (uint64_t)layer * 1000000 + (uint64_t)number * 10000);
}

int io_test_make_kv_file(const char *directory, const struct kv_identity *identity) {
  struct kv_file *file;
  struct error error = {0};
  int code = kv_file_create(&file, directory, identity, &error);
  if (code < 0) return code;
  char *page = io_test_memory(identity->page_stride_bytes);
  for (int layer = 0; layer < identity->layers; layer++) {
    for (int64_t i = 0; i < kv_file_pages_per_layer(file); i++) {
      io_test_fill_page(page, identity, layer, i);
      ssize_t n = pwrite(kv_file_fd(file), page, identity->page_stride_bytes,
                         (off_t)kv_file_page_offset(file, layer, i));
      cr_assert_eq(n, (ssize_t)identity->page_stride_bytes, "page write: %s", strerror(errno));
      kv_file_set_crc(
          file, layer, i,
          crc32c(kv_file_crc_start(file, layer, i), page, identity->page_payload_bytes));
    }
  }
  free(page);
  code = kv_file_publish(file, &error);
  kv_file_close(file);
  return code;
}
