/*
 * Making the lab's data. Content and order are the generator's, so that a page in the wrong place
 * is a wrong page; the seed is fixed, so that runs with other seeds find the same file.
 */
#include "bench/measure/lab_data.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/memory.h"
#include "base/prng.h"

#define DATA_SEED 0x6c6162 /* "lab" */
#define CHUNK_BYTES ((size_t)4 << 20)

void lab_data_identity(struct kv_identity *identity, uint64_t blocks) {
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
                                   .seed = DATA_SEED};
  snprintf(identity->model, sizeof identity->model, "storage-lab");
  snprintf(identity->content, sizeof identity->content, "synthetic blocks");
}

uint32_t lab_data_block_crc(uint64_t block, const void *data) {
  return crc32c(crc32c(0, &block, sizeof block), data, LAB_BLOCK_BYTES);
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

/* Writes every block of the member's region. */
static int fill(struct lab_member *member, struct error *error) {
  struct memory memory = {0};
  int failed = memory_map(&memory, CHUNK_BYTES, NULL, 1, error);
  for (uint64_t at = 0; at < member->bytes && !failed; at += CHUNK_BYTES) {
    size_t bytes = member->bytes - at < CHUNK_BYTES ? (size_t)(member->bytes - at) : CHUNK_BYTES;
    prng_fill(memory.address, bytes, DATA_SEED, at / 8);
    note_crcs(member, at / LAB_BLOCK_BYTES, memory.address, bytes);
    int code = write_all(member->fd, memory.address, bytes, member->offset_bytes + at);
    if (code)
      failed = error_set(error, code, "writing the lab's data to %s at byte %llu: %s", member->path,
                         (unsigned long long)at, strerror(-code));
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

static int make(struct lab_member *member, const struct kv_identity *identity,
                const struct lab_target_config *config, struct error *error) {
  double start_s = clock_now_s();
  if (config->announce) config->announce(config->context, &member->target, kv_file_bytes(identity));
  int failed = kv_file_create(&member->data, member->path, identity, error);
  if (failed) return failed;
  adopt(member);
  failed = fill(member, error);
  if (!failed) failed = kv_file_publish(member->data, error);
  member->made_s = clock_now_s() - start_s;
  return failed;
}

int lab_data_open(struct lab_member *member, uint64_t bytes, const struct lab_target_config *config,
                  struct error *error) {
  struct kv_identity identity;
  lab_data_identity(&identity, bytes / LAB_BLOCK_BYTES);
  struct error found = {0};
  int failed = kv_file_open(&member->data, member->path, &identity, &found);
  if (failed == -ENOENT)
    failed = make(member, &identity, config, error);
  else if (failed)
    return error_set(error, failed, "%s; remove it to have it made anew", found.message);
  if (!failed) adopt(member);
  return failed;
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
