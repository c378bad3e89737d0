/*
 * Filling, spoiling and checking many pages: one job type, split by page over a
 * few threads that live as long as the job. All of it happens outside timed
 * regions but playback_pages_fill(), which a cache that does not hold all layers needs within
 * a layer's time; that one stays on the calling thread.
 */
#include "kernels/playback/pages.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/prng.h"

enum { THREADS_MAX = 8, SPOIL_EVERY_BYTES = 512 };

static const uint64_t spoil_word = UINT64_C(0x3f803f803f803f80); /* 1.0 in bf16, finite in fp8 */

int playback_pages_map(struct playback_pages *pages, const struct device_config *config, int slots,
                       struct error *error) {
  int64_t per_layer = (config->tokens_max + config->page_tokens - 1) / config->page_tokens;
  long online = sysconf(_SC_NPROCESSORS_ONLN);
  *pages = (struct playback_pages){
      .placement = config->placement != NULL ? *config->placement : PLACEMENT_ANY,
      .slots = slots,
      .pages = per_layer,
      .page_tokens = config->page_tokens,
      .payload_bytes =
          device_page_payload_bytes(&config->shape, config->page_tokens, config->kv_element),
      .stride_bytes = config->page_stride_bytes,
      .seed = config->seed,
      .threads = online < 1 ? 1 : (online > THREADS_MAX ? THREADS_MAX : (int)online),
  };
  size_t bytes = (size_t)slots * (size_t)per_layer * pages->stride_bytes;
  return memory_map(&pages->memory, bytes, &pages->placement, 0, error);
}

unsigned char *playback_pages_at(const struct playback_pages *pages, int layer, int64_t page) {
  assert(page >= 0 && page < pages->pages);
  size_t slot = (size_t)(layer % pages->slots);
  return (unsigned char *)pages->memory.address +
         (slot * (size_t)pages->pages + (size_t)page) * pages->stride_bytes;
}

static void fill_page(const struct playback_pages *pages, int layer, int64_t page,
                      int64_t n_tokens) {
  unsigned char *at = playback_pages_at(pages, layer, page);
  size_t payload_bytes = pages->payload_bytes;
  uint64_t words = (payload_bytes + 7) / 8;
  prng_fill(at, payload_bytes, prng_stream(pages->seed, (uint64_t)layer), (uint64_t)page * words);
  memset(at + payload_bytes, 0, pages->stride_bytes - payload_bytes);
  int64_t used = n_tokens - page * pages->page_tokens;
  if (used >= pages->page_tokens) return;
  size_t half_bytes = payload_bytes / 2; /* K rows, then V rows */
  size_t used_bytes = half_bytes / (size_t)pages->page_tokens * (size_t)(used > 0 ? used : 0);
  memset(at + used_bytes, 0, half_bytes - used_bytes);
  memset(at + half_bytes + used_bytes, 0, half_bytes - used_bytes);
}

void playback_pages_fill(const struct playback_pages *pages, int layer, int64_t first, int64_t end,
                         int64_t n_tokens) {
  for (int64_t page = first; page < end; page++) fill_page(pages, layer, page, n_tokens);
}

static void spoil_page(const struct playback_pages *pages, int layer, int64_t page) {
  unsigned char *at = playback_pages_at(pages, layer, page);
  for (size_t offset = 0; offset < pages->payload_bytes; offset += SPOIL_EVERY_BYTES) {
    size_t left = pages->payload_bytes - offset;
    memcpy(at + offset, &spoil_word, left < sizeof spoil_word ? left : sizeof spoil_word);
  }
}

/* ---- one job over many pages, split over threads ---- */

enum job_kind { JOB_FILL, JOB_SPOIL, JOB_CRC };

struct job {
  const struct playback_pages *pages;
  enum job_kind kind;
  int first_layer;
  int64_t first_page, n_pages; /* of each layer */
  int64_t n_items;             /* layers * n_pages */
  int64_t n_tokens;            /* JOB_FILL */
  uint32_t *crcs;              /* JOB_CRC: (n_pages) */
};

struct share {
  const struct job *job;
  int index, n_shares;
};

static void do_item(const struct job *job, int64_t item) {
  int layer = job->first_layer + (int)(item / job->n_pages);
  int64_t page = job->first_page + item % job->n_pages;
  switch (job->kind) {
  case JOB_FILL:
    fill_page(job->pages, layer, page, job->n_tokens);
    break;
  case JOB_SPOIL:
    spoil_page(job->pages, layer, page);
    break;
  case JOB_CRC:
    job->crcs[item] = crc32c(job->crcs[item], playback_pages_at(job->pages, layer, page),
                             job->pages->payload_bytes);
    break;
  }
}

static void do_share(const struct share *share) {
  int64_t n_items = share->job->n_items;
  int64_t end = n_items * (share->index + 1) / share->n_shares;
  for (int64_t item = n_items * share->index / share->n_shares; item < end; item++) {
    do_item(share->job, item);
  }
}

static void *share_thread(void *argument) {
  const struct share *share = argument;
  placement_bind_thread(&share->job->pages->placement); /* where it fails: only slower */
  do_share(share);
  return NULL;
}

static void do_job(const struct job *job) {
  struct share shares[THREADS_MAX];
  pthread_t threads[THREADS_MAX];
  bool started[THREADS_MAX] = {false};
  int n = job->pages->threads;
  if (job->n_items < n) n = job->n_items > 0 ? (int)job->n_items : 1;
  for (int i = n - 1; i >= 0; i--) {
    shares[i] = (struct share){job, i, n};
    started[i] = i > 0 && pthread_create(&threads[i], NULL, share_thread, &shares[i]) == 0;
    if (!started[i]) do_share(&shares[i]); /* the caller's own, or no thread could be had */
  }
  for (int i = 1; i < n; i++) {
    if (started[i]) pthread_join(threads[i], NULL);
  }
}

void playback_pages_fill_all(const struct playback_pages *pages, int n_layers, int64_t first,
                             int64_t end, int64_t n_tokens) {
  if (end <= first) return;
  do_job(&(struct job){.pages = pages,
                       .kind = JOB_FILL,
                       .first_page = first,
                       .n_pages = end - first,
                       .n_items = n_layers * (end - first),
                       .n_tokens = n_tokens});
}

void playback_pages_spoil_all(const struct playback_pages *pages, int n_layers, int64_t end) {
  if (end <= 0) return;
  do_job(
      &(struct job){.pages = pages, .kind = JOB_SPOIL, .n_pages = end, .n_items = n_layers * end});
}

void playback_pages_crc(const struct playback_pages *pages, int layer, int64_t first, int64_t n,
                        uint32_t *crcs) {
  if (n <= 0) return;
  do_job(&(struct job){.pages = pages,
                       .kind = JOB_CRC,
                       .first_layer = layer,
                       .first_page = first,
                       .n_pages = n,
                       .n_items = n,
                       .crcs = crcs});
}
