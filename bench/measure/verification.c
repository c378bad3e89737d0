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

/* Reads one page whole: preads until the stride is there. */
static int read_page(const struct kv_file *file, int layer, int64_t page, void *buffer,
                     struct error *error) {
  size_t bytes = kv_file_identity(file)->page_stride_bytes;
  uint64_t offset = kv_file_page_offset(file, layer, page);
  size_t done = 0;
  while (done < bytes) {
    ssize_t got =
        pread(kv_file_fd(file), (char *)buffer + done, bytes - done, (off_t)(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0)
      return error_set(error, got < 0 ? -errno : -ENODATA,
                       "reading page %lld of layer %d back at byte %llu: %s", (long long)page,
                       layer, (unsigned long long)(offset + done),
                       got < 0 ? strerror(errno) : "the file ends there");
    done += (size_t)got;
  }
  return 0;
}

static int compare_written_layer(struct device *device, const struct kv_file *sink, int layer,
                                 int64_t first_page, int64_t n_pages, uint32_t *crcs, void *page,
                                 int64_t *wrong_pages, struct error *error) {
  int failed = device_crcs(device, sink, layer, first_page, n_pages, crcs, error);
  for (int64_t i = 0; i < n_pages && !failed; i++) {
    failed = read_page(sink, layer, first_page + i, page, error);
    if (failed) break;
    uint32_t crc = crc32c(kv_file_crc_start(sink, layer, first_page + i), page,
                          kv_file_identity(sink)->page_payload_bytes);
    *wrong_pages += crc != crcs[i];
  }
  return failed;
}

int verify_written(struct device *device, const struct kv_file *sink, int layers,
                   int64_t first_page, int64_t n_pages, int64_t *wrong_pages, struct error *error) {
  if (n_pages == 0) return 0;
  struct memory page = {0};
  int failed = memory_map(&page, kv_file_identity(sink)->page_stride_bytes, NULL, 1, error);
  if (failed) return failed;
  uint32_t *crcs = malloc((size_t)n_pages * sizeof *crcs);
  if (!crcs) failed = error_set(error, -ENOMEM, "no memory for %lld CRCs", (long long)n_pages);
  for (int layer = 0; layer < layers && !failed; layer++)
    failed = compare_written_layer(device, sink, layer, first_page, n_pages, crcs, page.address,
                                   wrong_pages, error);
  free(crcs);
  memory_unmap(&page);
  return failed;
}
