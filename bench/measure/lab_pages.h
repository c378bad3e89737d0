/*
 * Layout file-per-page: the pages of a member as files of their own.
 *
 * They hold the same bytes as the member's data file, page i those at i * page_bytes, so that each
 * is checked by the CRCs of that file.
 */
#ifndef REFILL_BENCH_MEASURE_LAB_PAGES_H
#define REFILL_BENCH_MEASURE_LAB_PAGES_H

#include "bench/measure/lab_pass.h"
#include "io/cold.h"

/* The member's pages of this size; NULL where lab_pages_open() was not called for them. */
struct lab_pages *lab_pages_find(const struct lab_member *member, size_t page_bytes);

/* Finds or makes n_pages of page_bytes in the member's directory; announces what it will write.
 * Errors as page_files_open(); -EINVAL where the member is no directory. */
int lab_pages_open(struct lab_member *member, size_t page_bytes, uint64_t n_pages,
                   const struct lab_target_config *config, struct error *error);

/* Makes what a row writes to ready, in whatever layout: see lab_output_prepare(). */
int lab_prepare(struct lab_member *member, const struct lab_setting *setting,
                const struct lab_geometry *geometry, struct error *error);

/* Gives the space of a row's fresh pages back. */
void lab_pages_release(const struct lab_member *member, size_t page_bytes);

/* As cold_end(), and takes the pages' share of the page cache into account. */
void lab_pages_cold_end(const struct lab_pages *pages, const struct cold_probe *probe,
                        uint64_t asked_bytes, struct cold_result *result);

/* The pages stay where they are for the next run; new ones go. */
void lab_pages_close(struct lab_member *member);

#endif
