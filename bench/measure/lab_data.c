/*
 * Making the lab's data. Content and order are the generator's, so that a page in the wrong place
 * is a wrong page; the seed is fixed, so that runs with other seeds find the same file.
 */
#include "bench/measure/lab_data.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/memory.h"
#include "base/prng.h"
#include "bench/command.h"

#define MODEL "storage-lab"
#define CHUNK_BYTES ((size_t)4 << 20)

/* The identity of a file of `blocks` blocks. */
static void identify(struct kv_identity *identity, uint64_t blocks) {
  *identity = (struct kv_identity){.layers = 1,
                                   .hidden = 1,
                                   .q_heads = 1,
                                   .kv_heads = 1,
                                   .head_dim = 2,
                                   .ffn = 1,
                                   .vocabulary = 1,
                                   .k_scale = 1,
                                   .v_scale = 1,
                                   .n_tokens = (int64_t)blocks,
                                   .page_tokens = 1,
                                   .page_payload_bytes = LAB_BLOCK_BYTES,
                                   .page_stride_bytes = LAB_BLOCK_BYTES,
                                   .seed = LAB_DATA_SEED};
  snprintf(identity->model, sizeof identity->model, MODEL);
  snprintf(identity->content, sizeof identity->content, "synthetic blocks");
}

uint32_t lab_data_block_crc(uint64_t block, const void *data) {
  return crc32c(crc32c(0, &block, sizeof block), data, LAB_BLOCK_BYTES);
}

/* Not 0 where the block at `at` of `data` begins with another word than belongs there. */
static uint64_t differs(uint64_t at_bytes, const void *data, size_t at) {
  uint64_t word;
  memcpy(&word, (const char *)data + at, sizeof word);
  return le64toh(word) ^ prng_bits(LAB_DATA_SEED, (at_bytes + at) / sizeof word);
}

bool lab_data_is_placed(uint64_t at_bytes, const void *data, size_t bytes, uint64_t turn) {
  size_t first = (size_t)(turn % (LAB_LOOK_BYTES / LAB_BLOCK_BYTES)) * LAB_BLOCK_BYTES;
  uint64_t any = differs(at_bytes, data, 0) | differs(at_bytes, data, bytes - LAB_BLOCK_BYTES);
  /* No branch before the end: none waits for a cache line. */
  for (size_t at = first; at < bytes; at += LAB_LOOK_BYTES) any |= differs(at_bytes, data, at);
  return any == 0;
}

static int write_all(int fd, const char *data, size_t bytes, uint64_t offset_bytes) {
  for (size_t done = 0; done < bytes;) {
    ssize_t n = pwrite(fd, data + done, bytes - done, (off_t)(offset_bytes + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -errno;
    if (n == 0) return -EIO;
    done += (size_t)n;
  }
  return 0;
}

/* Notes the CRCs of a chunk's blocks. */
static void note_crcs(struct lab_member *member, uint64_t first, const char *chunk, size_t bytes) {
  for (uint64_t i = 0; i < bytes / LAB_BLOCK_BYTES; i++) {
    const char *block = chunk + i * LAB_BLOCK_BYTES;
    uint64_t number = first + i;
    if (member->crcs)
      member->crcs[number] = lab_data_block_crc(number, block);
    else
      kv_file_set_crc(
          member->data, 0, (int64_t)number,
          crc32c(kv_file_crc_start(member->data, 0, (int64_t)number), block, LAB_BLOCK_BYTES));
  }
}

/* Writes every block of the member's region; stops where the user interrupts. */
static int fill(struct lab_member *member, struct error *error) {
  struct memory memory = {0};
  int failed = memory_map(&memory, CHUNK_BYTES, NULL, 1, error);
  for (uint64_t at = 0; at < member->bytes && !failed; at += CHUNK_BYTES) {
    size_t bytes = member->bytes - at < CHUNK_BYTES ? (size_t)(member->bytes - at) : CHUNK_BYTES;
    prng_fill(memory.address, bytes, LAB_DATA_SEED, at / 8);
    note_crcs(member, at / LAB_BLOCK_BYTES, memory.address, bytes);
    int code = write_all(member->fd, memory.address, bytes, member->offset_bytes + at);
    if (code)
      failed = error_set(error, code, "writing the lab's data to %s at byte %llu: %s", member->path,
                         (unsigned long long)at, strerror(-code));
    if (!failed && command_interrupted())
      failed = error_set(error, -EINTR, "interrupted while the lab's data was written to %s",
                         member->path);
  }
  memory_unmap(&memory);
  return failed;
}

static void adopt(struct lab_member *member) {
  member->fd = kv_file_fd(member->data);
  member->offset_bytes = kv_file_page_offset(member->data, 0, 0);
  member->bytes = (uint64_t)kv_file_pages_per_layer(member->data) * LAB_BLOCK_BYTES;
  snprintf(member->data_path, sizeof member->data_path, "%s", kv_file_path(member->data));
}

/* Where another run was first its file is as good. */
static int make(struct lab_member *member, const struct kv_identity *identity,
                const struct lab_target_config *config, struct error *error) {
  double start_s = clock_now_s();
  if (config->announce) config->announce(config->context, &member->target, kv_file_bytes(identity));
  int failed = kv_file_create(&member->data, member->path, identity, error);
  if (failed) return failed;
  adopt(member);
  failed = fill(member, error);
  if (!failed) failed = kv_file_publish(member->data, error);
  if (failed == -EEXIST) {
    error_clear(error);
    kv_file_close(member->data);
    member->fd = -1; /* was that file's */
    failed = kv_file_open(&member->data, member->path, identity, error);
  }
  member->made_s = clock_now_s() - start_s;
  return failed;
}

/* ---- what is there ---- */

/* Bytes of data in a whole file of the lab's; 0: it is none. */
static uint64_t data_bytes(const char *path) {
  struct kv_file *file = NULL;
  if (kv_file_open_path(&file, path, NULL) < 0) return 0;
  struct kv_identity wanted;
  const struct kv_identity *identity = kv_file_identity(file);
  identify(&wanted, (uint64_t)identity->n_tokens);
  bool ours = strcmp(identity->model, wanted.model) == 0 &&
              strcmp(identity->content, wanted.content) == 0 && identity->seed == wanted.seed &&
              identity->page_tokens == wanted.page_tokens &&
              identity->page_stride_bytes == wanted.page_stride_bytes;
  uint64_t bytes = ours ? (uint64_t)identity->n_tokens * LAB_BLOCK_BYTES : 0;
  kv_file_close(file);
  return bytes;
}

static bool is_named_ours(const char *name) {
  size_t length = strlen(name);
  return strncmp(name, "refill-" MODEL "-", strlen("refill-" MODEL "-")) == 0 && length > 3 &&
         strcmp(name + length - 3, ".kv") == 0;
}

/* Calls `look` with each of the lab's files in a directory. */
static void for_each(const char *directory,
                     void (*look)(void *context, const char *path, uint64_t bytes), void *context) {
  DIR *stream = opendir(directory);
  if (!stream) return;
  for (struct dirent *entry = readdir(stream); entry; entry = readdir(stream)) {
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
    if (!is_named_ours(entry->d_name) || n < 0 || (size_t)n >= sizeof path) continue;
    uint64_t bytes = data_bytes(path);
    if (bytes > 0) look(context, path, bytes);
  }
  closedir(stream);
}

struct largest {
  uint64_t bytes;
  char path[PATH_MAX];
};

static void keep_largest(void *context, const char *path, uint64_t bytes) {
  struct largest *largest = context;
  if (bytes <= largest->bytes) return;
  largest->bytes = bytes;
  snprintf(largest->path, sizeof largest->path, "%s", path);
}

uint64_t lab_data_there(const char *directory) {
  struct largest largest = {0};
  for_each(directory, keep_largest, &largest);
  return largest.bytes;
}

/* Removes a file of less than *least_bytes that nobody holds. */
static void remove_smaller(void *context, const char *path, uint64_t bytes) {
  const uint64_t *least_bytes = context;
  if (bytes >= *least_bytes) return;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return;
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) unlink(path);
  close(fd);
}

int lab_data_open(struct lab_member *member, uint64_t bytes, const struct lab_target_config *config,
                  struct error *error) {
  struct kv_identity identity;
  struct largest largest = {0};
  struct error found = {0};
  for_each(member->path, keep_largest, &largest);
  uint64_t least_bytes = largest.bytes >= bytes ? largest.bytes : bytes;
  for_each(member->path, remove_smaller, &least_bytes);
  identify(&identity, bytes / LAB_BLOCK_BYTES);
  int failed = largest.bytes >= bytes
                   ? kv_file_open_path(&member->data, largest.path, &found)
                   : kv_file_open(&member->data, member->path, &identity, &found);
  if (failed == -ENOENT)
    failed = make(member, &identity, config, error);
  else if (failed)
    return error_set(error, failed, "%s; remove it to have it made anew", found.message);
  if (failed) return failed;
  adopt(member);
  if (member->bytes > bytes) member->bytes = bytes;
  return 0;
}

int lab_data_fill_device(struct lab_member *member, const struct lab_target_config *config,
                         struct error *error) {
  member->crcs = calloc((size_t)(member->bytes / LAB_BLOCK_BYTES), sizeof *member->crcs);
  if (!member->crcs) return error_set(error, -ENOMEM, "no memory for the CRCs of %s", member->path);
  if (config->announce) config->announce(config->context, &member->target, member->bytes);
  double start_s = clock_now_s();
  int failed = fill(member, error);
  member->made_s = clock_now_s() - start_s;
  return failed;
}
