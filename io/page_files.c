/*
 * Sets of page files on disk: making, finding, removing. See page_files.h.
 */
#include "io/page_files.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/memory.h"
#include "base/prng.h"
#include "io/cold_judge.h"

#define MARKER "refill-pages"
#define MARKER_NEW "refill-pages.new"
#define PROBE "refill-probe"
#define NEW_PREFIX "refill-pages-new-"
#define MAGIC UINT64_C(0x5345474150465552) /* "RUFPAGES" */
#define ALIGNMENT 4096
#define SAMPLE_PAGES 256
#define NEW_TRIES 100

/* What MARKER holds. */
struct marker {
  uint64_t magic, page_bytes, n_pages, seed;
  uint32_t crc, zero; /* of what is before it */
};

void page_files_name(uint64_t page, char name[PAGE_FILES_NAME_BYTES]) {
  snprintf(name, PAGE_FILES_NAME_BYTES, "%08llx", (unsigned long long)(page & UINT32_MAX));
}

static bool name_is_page(const char *name) {
  return strlen(name) == 8 && strspn(name, "0123456789abcdef") == 8;
}

static uint32_t marker_crc(const struct marker *marker) {
  return crc32c(0, marker, offsetof(struct marker, crc));
}

/* ---- the marker ---- */

static int read_marker(int directory_fd, struct marker *marker) {
  int fd = openat(directory_fd, MARKER, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -errno;
  ssize_t n = read(fd, marker, sizeof *marker);
  close(fd);
  bool whole = n == (ssize_t)sizeof *marker && marker->magic == MAGIC &&
               marker->crc == marker_crc(marker);
  return whole ? 0 : -EBADMSG;
}

/* Replaces the marker at once, after what it tells of is on the drive. */
static int write_marker(const struct page_files *set, uint64_t n_pages, uint64_t seed) {
  struct marker marker = {
      .magic = MAGIC, .page_bytes = set->page_bytes, .n_pages = n_pages, .seed = seed};
  marker.crc = marker_crc(&marker);
  if (n_pages > 0 && syncfs(set->fd) < 0) return -errno;
  int fd = openat(set->fd, MARKER_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return -errno;
  ssize_t n = write(fd, &marker, sizeof marker);
  int code = n < 0 ? -errno : n != (ssize_t)sizeof marker ? -EIO : 0;
  if (code == 0 && fsync(fd) < 0) code = -errno;
  close(fd);
  if (code == 0 && renameat(set->fd, MARKER_NEW, set->fd, MARKER) < 0) code = -errno;
  if (code < 0) unlinkat(set->fd, MARKER_NEW, 0);
  if (code == 0) fsync(set->fd); /* some filesystems have no such call for directories */
  return code;
}

/* ---- pages ---- */

/* Opens a page to be written whole; direct where that goes. */
static int open_page(const struct page_files *set, const char *name) {
  int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
  return openat(set->fd, name, flags | (set->direct ? O_DIRECT : 0), 0644);
}

static int write_page(const struct page_files *set, uint64_t page, const char *data) {
  char name[PAGE_FILES_NAME_BYTES];
  page_files_name(page, name);
  int fd = open_page(set, name);
  if (fd < 0) return -errno;
  int code = 0;
  for (size_t done = 0; done < set->page_bytes && code == 0;) {
    ssize_t n = pwrite(fd, data + done, set->page_bytes - done, (off_t)done);
    if (n < 0 && errno != EINTR) code = -errno;
    if (n == 0) code = -EIO;
    if (n > 0) done += (size_t)n;
  }
  if (close(fd) < 0 && code == 0) code = -errno;
  return code;
}

/* Removes pages from `first` on; 0 or the first error. */
static int remove_pages(const struct page_files *set, uint64_t first) {
  int listing = openat(set->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *stream = listing < 0 ? NULL : fdopendir(listing);
  int code = 0;
  if (!stream) return -errno;
  for (struct dirent *entry = readdir(stream); entry; entry = readdir(stream)) {
    if (!name_is_page(entry->d_name) || strtoull(entry->d_name, NULL, 16) < first) continue;
    if (unlinkat(set->fd, entry->d_name, 0) < 0 && errno != ENOENT && code == 0) code = -errno;
  }
  closedir(stream);
  return code;
}

static int fail_page(const struct page_files *set, uint64_t page, int code, struct error *error) {
  char name[PAGE_FILES_NAME_BYTES];
  page_files_name(page, name);
  return error_set(error, code, "writing %s/%s (page %llu of %llu): %s", set->path, name,
                   (unsigned long long)page, (unsigned long long)set->n_pages, strerror(-code));
}

/* Writes pages [first, set->n_pages). `seed`: the generator's; without: zeros. */
static int write_pages(const struct page_files *set, uint64_t first, const uint64_t *seed,
                       struct error *error) {
  struct memory memory = {0};
  int failed = memory_map(&memory, set->page_bytes, NULL, 1, error);
  for (uint64_t page = first; page < set->n_pages && !failed; page++) {
    if (seed) prng_fill(memory.address, set->page_bytes, *seed, page * set->page_bytes / 8);
    int code = write_page(set, page, memory.address);
    if (code < 0) failed = fail_page(set, page, code, error);
  }
  memory_unmap(&memory);
  return failed;
}

/* ---- directories ---- */

/* Opens and locks it; -EWOULDBLOCK where another run holds it. */
static int open_locked(struct page_files *set, int lock) {
  set->fd = open(set->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (set->fd < 0) return -errno;
  if (flock(set->fd, lock | LOCK_NB) < 0 && errno != ENOSYS && errno != EOPNOTSUPP) {
    int code = -errno;
    close(set->fd);
    set->fd = -1;
    return code;
  }
  return 0;
}

/* Does a file here open for O_DIRECT? */
static bool takes_direct(int directory_fd) {
  int fd = openat(directory_fd, PROBE, O_WRONLY | O_CREAT | O_CLOEXEC | O_DIRECT, 0600);
  if (fd >= 0) close(fd);
  unlinkat(directory_fd, PROBE, 0);
  return fd >= 0;
}

static int begin_set(struct page_files *set, const char *directory, size_t page_bytes,
                     struct error *error) {
  memset(set, 0, sizeof *set);
  set->fd = -1;
  set->page_bytes = page_bytes;
  int n = snprintf(set->path, sizeof set->path, "%s/refill-pages-%zu", directory, page_bytes);
  if (n > 0 && (size_t)n < sizeof set->path) return 0;
  return error_set(error, -ENAMETOOLONG, "directory %s: its name is too long", directory);
}

/* True where a run was killed before it could say what the directory is: nothing is in it but what
 * came first. */
static bool is_begun(int directory_fd) {
  int listing = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *stream = listing < 0 ? NULL : fdopendir(listing);
  bool others = !stream;
  for (struct dirent *entry; !others && (entry = readdir(stream));)
    others = strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
             strcmp(entry->d_name, PROBE) != 0 && strcmp(entry->d_name, MARKER_NEW) != 0;
  if (stream) closedir(stream);
  return !others;
}

/* What failed goes, unless it was there before: pages from `there` on, and an empty directory. */
static void take_back(struct page_files *set, uint64_t there) {
  remove_pages(set, there);
  if (there > 0) return;
  unlinkat(set->fd, MARKER, 0);
  rmdir(set->path);
}

/* Makes pages `there` and on. The lock keeps two runs from doing so at once. */
static int extend(struct page_files *set, uint64_t there, uint64_t seed, struct error *error) {
  if (flock(set->fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
    return error_set(error, -EBUSY, "%s is in use by another run: wait until that is done",
                     set->path);
  set->made = true;
  int code = there == 0 ? write_marker(set, 0, seed) : 0;
  int failed = code < 0 ? error_set(error, code, "%s: %s", set->path, strerror(-code)) : 0;
  if (!failed) failed = write_pages(set, there, &seed, error);
  if (!failed && (code = write_marker(set, set->n_pages, seed)) < 0)
    failed = error_set(error, code, "%s: %s", set->path, strerror(-code));
  if (failed) take_back(set, there);
  flock(set->fd, LOCK_SH | LOCK_NB);
  return failed;
}

int page_files_open(struct page_files *set, const char *directory, size_t page_bytes,
                    uint64_t n_pages, uint64_t seed, struct error *error) {
  assert(page_bytes > 0 && page_bytes % ALIGNMENT == 0);
  int failed = begin_set(set, directory, page_bytes, error);
  if (failed) return failed;
  if (n_pages > PAGE_FILES_MAX)
    return error_set(error, -EINVAL,
                     "file-per-page: %llu files of %zu bytes, at most %llu: take larger pages or a "
                     "smaller --working-set",
                     (unsigned long long)n_pages, page_bytes, (unsigned long long)PAGE_FILES_MAX);
  rmdir(set->path); /* an empty one: of a run killed at once */
  bool is_new = mkdir(set->path, 0755) == 0;
  if (!is_new && errno != EEXIST)
    return error_set(error, -errno, "making directory %s: %s", set->path, strerror(errno));
  int code = open_locked(set, LOCK_SH);
  if (code < 0)
    return error_set(error, code == -EWOULDBLOCK ? -EBUSY : code, "directory %s: %s", set->path,
                     code == -EWOULDBLOCK ? "another run is making it" : strerror(-code));
  struct marker marker = {.page_bytes = page_bytes, .seed = seed};
  code = is_new ? 0 : read_marker(set->fd, &marker);
  if (code == -ENOENT && is_begun(set->fd)) code = 0;
  if (code < 0 || marker.page_bytes != page_bytes || marker.seed != seed)
    failed = error_set(error, -EEXIST, "%s is not a set of pages made by refill: move it away",
                       set->path);
  set->direct = !failed && takes_direct(set->fd);
  set->n_pages = n_pages > marker.n_pages ? n_pages : marker.n_pages;
  if (!failed && n_pages > marker.n_pages) failed = extend(set, marker.n_pages, seed, error);
  if (failed) page_files_close(set);
  return failed;
}

uint64_t page_files_there(const char *directory, size_t page_bytes) {
  struct page_files set;
  struct marker marker = {0};
  if (begin_set(&set, directory, page_bytes, NULL) || open_locked(&set, LOCK_SH) < 0) return 0;
  bool ours = read_marker(set.fd, &marker) == 0 && marker.page_bytes == page_bytes;
  page_files_close(&set);
  return ours ? marker.n_pages : 0;
}

/* ---- new pages ---- */

/* Removes directories of new pages that no run holds. */
static void sweep_new(const char *directory) {
  DIR *stream = opendir(directory);
  struct page_files set = {0};
  if (!stream) return;
  for (struct dirent *entry = readdir(stream); entry; entry = readdir(stream)) {
    if (strncmp(entry->d_name, NEW_PREFIX, strlen(NEW_PREFIX)) != 0) continue;
    int n = snprintf(set.path, sizeof set.path, "%s/%s", directory, entry->d_name);
    if (n < 0 || (size_t)n >= sizeof set.path || open_locked(&set, LOCK_EX) < 0) continue;
    set.temporary = true;
    page_files_close(&set);
  }
  closedir(stream);
}

/* True while the path leads to the directory that is open: a sweep may have been faster. */
static bool is_linked(const struct page_files *set) {
  struct stat by_path, by_fd;
  return stat(set->path, &by_path) == 0 && fstat(set->fd, &by_fd) == 0 &&
         by_path.st_ino == by_fd.st_ino && by_path.st_dev == by_fd.st_dev;
}

int page_files_open_new(struct page_files *set, const char *directory, size_t page_bytes,
                        uint64_t n_pages, struct error *error) {
  int failed = begin_set(set, directory, page_bytes, error);
  if (failed) return failed;
  sweep_new(directory);
  set->n_pages = n_pages;
  set->temporary = true;
  for (int i = 0; i < NEW_TRIES; i++) {
    int n = snprintf(set->path, sizeof set->path, "%s/" NEW_PREFIX "XXXXXX", directory);
    if (n < 0 || (size_t)n >= sizeof set->path || !mkdtemp(set->path)) break;
    if (open_locked(set, LOCK_EX) == 0 && is_linked(set)) {
      set->direct = takes_direct(set->fd);
      return 0;
    }
    if (set->fd >= 0) close(set->fd);
    set->fd = -1;
  }
  return error_set(error, errno ? -errno : -EBUSY, "a directory for new pages in %s: %s", directory,
                   strerror(errno));
}

int page_files_fill_zero(const struct page_files *set, struct error *error) {
  return write_pages(set, 0, NULL, error);
}

int page_files_clear(const struct page_files *set, struct error *error) {
  int code = remove_pages(set, 0);
  return code < 0 ? error_set(error, code, "emptying %s: %s", set->path, strerror(-code)) : 0;
}

void page_files_close(struct page_files *set) {
  if (!set->path[0] || set->fd < 0) return;
  if (set->temporary) {
    remove_pages(set, 0);
    unlinkat(set->fd, PROBE, 0);
    rmdir(set->path);
  }
  close(set->fd);
  set->fd = -1;
}

/* ---- the page cache ---- */

static int open_to_ask(const struct page_files *set, uint64_t page) {
  char name[PAGE_FILES_NAME_BYTES];
  page_files_name(page, name);
  return openat(set->fd, name, O_RDONLY | O_CLOEXEC);
}

void page_files_drop_cache(const struct page_files *set) {
  for (uint64_t page = 0; page < set->n_pages; page++) {
    int fd = open_to_ask(set, page);
    if (fd < 0) continue;
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
  }
}

int64_t page_files_cached_bytes(const struct page_files *set) {
  uint64_t step = set->n_pages / SAMPLE_PAGES + 1;
  int64_t all = 0;
  for (uint64_t page = 0; page < set->n_pages; page += step) {
    int fd = open_to_ask(set, page);
    int64_t cached = fd < 0 ? -1 : cold_cached_bytes(fd);
    if (fd >= 0) close(fd);
    if (cached < 0) return -1;
    all += cached;
  }
  return all;
}
