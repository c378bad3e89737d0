/*
 * Sets of page files of a member: see lab_pages.h.
 */
#include "bench/measure/lab_pages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bench/measure/lab_data.h"
#include "io/cold_judge.h"

struct lab_pages *lab_pages_find(const struct lab_member *member, size_t page_bytes) {
  for (int i = 0; i < member->n_pages; i++) {
    if (member->pages[i].data.page_bytes == page_bytes) return &member->pages[i];
  }
  return NULL;
}

int lab_pages_open(struct lab_member *member, size_t page_bytes, uint64_t n_pages,
                   const struct lab_target_config *config, struct error *error) {
  if (member->kind != LAB_DIRECTORY)
    return error_set(error, -EINVAL, "file-per-page needs a directory, %s is none", member->path);
  if (lab_pages_find(member, page_bytes)) return 0;
  size_t n = (size_t)member->n_pages + 1;
  struct lab_pages *pages = realloc(member->pages, n * sizeof *pages);
  if (!pages) return error_set(error, -ENOMEM, "no memory for %zu sets of page files", n);
  member->pages = pages;
  pages += n - 1;
  memset(pages, 0, sizeof *pages);
  uint64_t there = page_files_there(member->path, page_bytes);
  if (there < n_pages && config->announce)
    config->announce(config->context, &member->target, (n_pages - there) * page_bytes);
  double start_s = clock_now_s();
  int failed =
      page_files_open(&pages->data, member->path, page_bytes, n_pages, LAB_DATA_SEED, error);
  if (failed) return failed;
  if (pages->data.made) member->made_s += clock_now_s() - start_s;
  member->n_pages++;
  return 0;
}

static int prepare(const struct lab_member *member, struct lab_pages *pages, bool fresh,
                   struct error *error) {
  struct page_files *set = fresh ? &pages->fresh : &pages->reused;
  int failed = 0;
  if (!set->path[0])
    failed =
        page_files_open_new(set, member->path, pages->data.page_bytes, pages->data.n_pages, error);
  if (failed) memset(set, 0, sizeof *set);
  if (failed || fresh) return failed ? failed : page_files_clear(set, error);
  if (pages->written) return 0;
  failed = page_files_fill_zero(set, error);
  pages->written = !failed;
  return failed;
}

int lab_prepare(struct lab_member *member, const struct lab_setting *setting,
                const struct lab_geometry *geometry, struct error *error) {
  if (setting->layout != LAB_FILE_PER_PAGE)
    return lab_output_prepare(member, setting->fresh, setting->preallocate, error);
  struct lab_pages *pages = lab_pages_find(member, geometry->unit_bytes);
  if (pages) return prepare(member, pages, setting->fresh, error);
  return error_set(error, -EINVAL, "%s has no files of %llu bytes", member->path,
                   (unsigned long long)geometry->unit_bytes);
}

void lab_pages_release(const struct lab_member *member, size_t page_bytes) {
  const struct lab_pages *pages = lab_pages_find(member, page_bytes);
  if (pages && pages->fresh.path[0]) page_files_clear(&pages->fresh, NULL);
}

void lab_pages_cold_end(const struct lab_pages *pages, const struct cold_probe *probe,
                        uint64_t asked_bytes, struct cold_result *result) {
  cold_end(probe, asked_bytes, result);
  int64_t cached_bytes = page_files_cached_bytes(&pages->data);
  if (cached_bytes >= 0 && result->cached_bytes > 0) cached_bytes += result->cached_bytes;
  cold_judge(result, probe->target, result->counter_ratio, cached_bytes);
}

void lab_pages_close(struct lab_member *member) {
  for (int i = 0; i < member->n_pages; i++) {
    page_files_close(&member->pages[i].data);
    page_files_close(&member->pages[i].fresh);
    page_files_close(&member->pages[i].reused);
  }
  free(member->pages);
  member->pages = NULL;
  member->n_pages = 0;
}
