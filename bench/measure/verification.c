/*
 * CRCs of the KV cache against those of the file, and of the file against the KV cache.
 */
#include "bench/measure/verification.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/memory.h"
#include "bench/measure/bounded_file.h"

#define READ_BACK_BYTES ((size_t)4 << 20) /* at a time */

/* CRCs of `n_pages` pages as they stand in the KV cache, each begun with where the page belongs. */
static int device_crcs(struct device *device, const struct kv_file *file, int layer,
                       int64_t first_page, int64_t n_pages, uint32_t *crcs, struct error *error) {
  for (int64_t i = 0; i < n_pages; i++) crcs[i] = kv_file_crc_start(file, layer, first_page + i);
  return device->ops->kv_crc(device, layer, first_page, n_pages, crcs, error);
}

int verify_landed_layer(struct device *device, const struct kv_file *file, int layer,
                        int64_t n_pages, uint32_t *crcs, int64_t *wrong_pages,
                        struct error *error) {
  int failed = device_crcs(device, file, layer, 0, n_pages, crcs, error);
  if (failed) return failed;
  for (int64_t i = 0; i < n_pages; i++) *wrong_pages += crcs[i] != kv_file_crc(file, layer, i);
  return 0;
}

int verify_landed(struct device *device, const struct kv_file *file, int layers, int64_t n_pages,
                  int64_t *wrong_pages, struct error *error) {
  if (n_pages == 0) return 0;
  uint32_t *crcs = malloc((size_t)n_pages * sizeof *crcs);
  if (!crcs) return error_set(error, -ENOMEM, "no memory for %lld CRCs", (long long)n_pages);
  int failed = 0;
  for (int layer = 0; layer < layers && !failed; layer++)
    failed = verify_landed_layer(device, file, layer, n_pages, crcs, wrong_pages, error);
  free(crcs);
  return failed;
}

int verify_record_layer(struct device *device, struct kv_file *file, int layer, int64_t first_page,
                        int64_t n_pages, uint32_t *crcs, struct error *error) {
  int failed = device_crcs(device, file, layer, first_page, n_pages, crcs, error);
  for (int64_t i = 0; i < n_pages && !failed; i++)
    kv_file_set_crc(file, layer, first_page + i, crcs[i]);
  return failed;
}

/* Reads n pages of a layer back and counts those that differ from `crcs`. */
static int compare_pages(const struct kv_file *sink, struct bounded_reader *reader, int layer,
                         int64_t first_page, int64_t n_pages, const uint32_t *crcs,
                         double timeout_s, int64_t *wrong_pages, struct error *error) {
  size_t stride = kv_file_identity(sink)->page_stride_bytes;
  const void *data = NULL;
  int failed = bounded_file_read(reader, sink, kv_file_page_offset(sink, layer, first_page),
                                 (size_t)n_pages * stride, &data, timeout_s, error);
  if (failed)
    return error_prefix(error, "reading new KV back, layer %d from page %lld on", layer,
                        (long long)first_page);
  for (int64_t i = 0; i < n_pages; i++) {
    uint32_t crc = crc32c(kv_file_crc_start(sink, layer, first_page + i),
                          (const char *)data + (size_t)i * stride,
                          kv_file_identity(sink)->page_payload_bytes);
    *wrong_pages += crc != crcs[i];
  }
  return 0;
}

static int compare_written_layer(struct device *device, const struct kv_file *sink,
                                 struct bounded_reader *reader, int layer, int64_t first_page,
                                 int64_t n_pages, uint32_t *crcs, double timeout_s,
                                 int64_t *wrong_pages, struct error *error) {
  size_t stride = kv_file_identity(sink)->page_stride_bytes;
  int64_t batch = stride < READ_BACK_BYTES ? (int64_t)(READ_BACK_BYTES / stride) : 1;
  int failed = device_crcs(device, sink, layer, first_page, n_pages, crcs, error);
  for (int64_t i = 0; i < n_pages && !failed; i += batch) {
    int64_t n = n_pages - i < batch ? n_pages - i : batch;
    failed = compare_pages(sink, reader, layer, first_page + i, n, crcs + i, timeout_s, wrong_pages,
                           error);
  }
  return failed;
}

int verify_written(struct device *device, const struct kv_file *sink, int layers,
                   int64_t first_page, int64_t n_pages, double timeout_s, int64_t *wrong_pages,
                   struct error *error) {
  if (n_pages == 0) return 0;
  struct bounded_reader reader = {0};
  uint32_t *crcs = malloc((size_t)n_pages * sizeof *crcs);
  if (!crcs) return error_set(error, -ENOMEM, "no memory for %lld CRCs", (long long)n_pages);
  int failed = 0;
  for (int layer = 0; layer < layers && !failed; layer++)
    failed = compare_written_layer(device, sink, &reader, layer, first_page, n_pages, crcs,
                                   timeout_s, wrong_pages, error);
  free(crcs);
  bounded_reader_free(&reader);
  return failed;
}

/* Writes a whole block: short writes are continued, interruptions retried, as the engines do. */
static int write_block(int fd, const void *block, size_t bytes, off_t offset, struct error *error) {
  size_t done = 0;
  while (done < bytes) {
    ssize_t put = pwrite(fd, (const char *)block + done, bytes - done, offset + (off_t)done);
    if (put < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (put <= 0)
      return error_set(error, put < 0 ? -errno : -EIO,
                       "preparing the new KV's file at byte %lld: %s", (long long)offset,
                       put < 0 ? strerror(errno) : "nothing was written");
    done += (size_t)put;
  }
  return 0;
}

int verify_spoil(const struct kv_file *sink, int layers, int64_t first_page, int64_t n_pages,
                 struct error *error) {
  size_t bytes = kv_file_alignment(sink);
  struct memory block = {0};
  int failed = memory_map(&block, bytes, NULL, 1, error);
  if (failed) return failed;
  memset(block.address, 0x5a, bytes);
  for (int layer = 0; layer < layers && !failed; layer++)
    for (int64_t page = first_page; page < first_page + n_pages && !failed; page++) {
      off_t offset = (off_t)kv_file_page_offset(sink, layer, page);
      failed = write_block(kv_file_fd(sink), block.address, bytes, offset, error);
    }
  memory_unmap(&block);
  return failed;
}
