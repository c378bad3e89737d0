/*
 * Opening and closing what the lab measures.
 */
#include "bench/measure/lab_target.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/memory.h"
#include "base/units.h"
#include "bench/command.h"
#include "bench/measure/bounded_file.h"
#include "bench/measure/lab_data.h"
#include "bench/measure/lab_pages.h"
#include "io/drive.h"

#define FREE_SHARE_MAX 0.9 /* of the free space that the lab may take */
#define HALVINGS_MAX 16    /* of the working set, where space is short */
#define CHUNK_BYTES ((size_t)4 << 20)

/* ---- what a path is ---- */

static int describe_device(struct lab_member *member, dev_t number, struct error *error) {
  struct target *target = &member->target;
  *target = (struct target){.numa_node = -1, .direct = true};
  snprintf(target->path, sizeof target->path, "%.*s", TARGET_TEXT_BYTES - 1, member->path);
  snprintf(target->source, sizeof target->source, "%.*s", TARGET_TEXT_BYTES - 1, member->path);
  snprintf(target->filesystem, sizeof target->filesystem, "none (raw device)");
  if (!drive_of_device("/sys", major(number), minor(number), target->drive))
    return error_set(error, -ENODEV, "target %s: /sys has no such block device", member->path);
  drive_describe("/sys", target);
  target->direct_alignment_bytes = target->logical_block_bytes;
  return 0;
}

static int identify(struct lab_member *member, const struct lab_target_config *config,
                    struct error *error) {
  struct stat status;
  if (stat(member->path, &status) < 0) return target_refuse(error, -errno, member->path);
  if (S_ISDIR(status.st_mode)) {
    member->kind = LAB_DIRECTORY;
    double timeout_s = config->io_timeout_s > 0 ? config->io_timeout_s : INFINITY;
    return bounded_target_describe(&member->target, member->path, timeout_s, error);
  }
  if (S_ISBLK(status.st_mode)) {
    member->kind = LAB_DEVICE;
    return describe_device(member, status.st_rdev, error);
  }
  if (!S_ISREG(status.st_mode))
    return error_set(error, -EINVAL,
                     "target %s: accepted are directories, regular files and block devices",
                     member->path);
  member->kind = LAB_FILE;
  return target_describe_file(&member->target, member->path, error);
}

/* ---- directories ---- */

/* Bytes that a working set of `bytes` would take here beside what is there already: `there` is the
 * data's, of which a smaller file would make room. */
static double needed_bytes(const struct lab_member *member, uint64_t bytes, uint64_t there,
                           const struct lab_target_config *config) {
  double needed = (double)bytes * config->n_outputs * (1 + config->n_page_sizes);
  if (there < bytes) needed += (double)(bytes - there);
  for (int i = 0; i < config->n_page_sizes; i++) {
    uint64_t set = page_files_there(member->path, config->page_bytes[i]) * config->page_bytes[i];
    if (set < bytes) needed += (double)(bytes - set);
  }
  return needed;
}

/* The member's share, halved until it fits. */
static uint64_t fitting_bytes(const struct lab_member *member, uint64_t bytes,
                              const struct lab_target_config *config) {
  double room = (double)member->target.free_bytes * FREE_SHARE_MAX;
  uint64_t there = lab_data_there(member->path);
  for (int i = 0; i < HALVINGS_MAX && bytes > LAB_BLOCK_BYTES; i++) {
    if (needed_bytes(member, bytes, there, config) <= room) return bytes;
    bytes = bytes / 2 / LAB_BLOCK_BYTES * LAB_BLOCK_BYTES;
  }
  return 0;
}

static int open_output(struct lab_member *member, struct lab_output *output, struct error *error) {
  int flags = O_TMPFILE | O_RDWR | O_CLOEXEC;
  output->fd = open(member->path, flags | O_DIRECT, 0600);
  if (output->fd < 0 && errno == EINVAL) output->fd = open(member->path, flags, 0600);
  if (output->fd < 0) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%.*s/refill-lab-XXXXXX", PATH_MAX - 32, member->path);
    output->fd = mkostemp(path, O_CLOEXEC | O_DIRECT);
    if (output->fd >= 0) unlink(path);
  }
  if (output->fd < 0)
    return error_set(error, -errno, "a file for new pages in %s: %s", member->path,
                     strerror(errno));
  output->bytes = member->bytes;
  return 0;
}

static int open_directory(struct lab_member *member, uint64_t share_bytes,
                          const struct lab_target_config *config, struct error *error) {
  uint64_t bytes = fitting_bytes(member, share_bytes, config);
  char text[UNITS_TEXT_BYTES];
  if (bytes == 0)
    return error_set(error, -ENOSPC,
                     "target %s: %s free leave no room for a working set; free some, or lower "
                     "--working-set",
                     member->path, units_format_bytes(text, (double)member->target.free_bytes));
  int failed = lab_data_open(member, bytes, config, error);
  if (!failed && config->n_outputs > 0) failed = open_output(member, &member->reused, error);
  if (!failed && config->n_outputs > 0) failed = open_output(member, &member->fresh, error);
  return failed;
}

/* ---- files and devices ---- */

static int open_file(struct lab_member *member, uint64_t share_bytes, struct error *error) {
  struct stat status;
  snprintf(member->data_path, sizeof member->data_path, "%s", member->path);
  member->fd = open(member->path, O_RDONLY | O_DIRECT | O_CLOEXEC);
  if (member->fd < 0 && errno == EINVAL) member->fd = open(member->path, O_RDONLY | O_CLOEXEC);
  if (member->fd < 0 || fstat(member->fd, &status) < 0)
    return target_refuse(error, -errno, member->path);
  uint64_t bytes = (uint64_t)status.st_size / LAB_BLOCK_BYTES * LAB_BLOCK_BYTES;
  member->bytes = bytes < share_bytes ? bytes : share_bytes;
  return 0;
}

/* A lab file named by its path is verified like one found in its directory. */
static int open_named(struct lab_member *member, uint64_t share_bytes, struct error *error) {
  if (kv_file_open_path(&member->data, member->path, NULL) == 0) {
    const struct kv_identity *identity = kv_file_identity(member->data);
    if (strcmp(identity->model, "storage-lab") == 0 && identity->page_tokens == 1) {
      member->fd = kv_file_fd(member->data);
      member->offset_bytes = kv_file_page_offset(member->data, 0, 0);
      member->bytes = (uint64_t)kv_file_pages_per_layer(member->data) * LAB_BLOCK_BYTES;
      if (member->bytes > share_bytes) member->bytes = share_bytes;
      snprintf(member->data_path, sizeof member->data_path, "%s", member->path);
      return 0;
    }
    kv_file_close(member->data);
    member->data = NULL;
  }
  return open_file(member, share_bytes, error);
}

/* True where the device is named among those that may be written over, by whatever path. */
static bool may_destroy(const struct lab_member *member, const struct lab_target_config *config) {
  struct stat here, named;
  if (stat(member->path, &here) < 0) return false;
  for (int i = 0; i < config->n_destroy; i++) {
    if (stat(config->destroy[i], &named) == 0 && S_ISBLK(named.st_mode) &&
        named.st_rdev == here.st_rdev)
      return true;
  }
  return false;
}

/* The first half is read, the second written. O_EXCL refuses a device that is mounted, that another
 * stands on, or of which a partition is: the kernel lets nobody claim it then. */
static int open_device(struct lab_member *member, uint64_t share_bytes,
                       const struct lab_target_config *config, struct error *error) {
  bool destroy = may_destroy(member, config);
  int flags = O_DIRECT | O_CLOEXEC | (destroy ? O_RDWR | O_EXCL : O_RDONLY);
  uint64_t bytes = 0;
  snprintf(member->data_path, sizeof member->data_path, "%s", member->path);
  member->fd = open(member->path, flags);
  if (member->fd < 0 && errno == EBUSY)
    return error_set(error, -EBUSY,
                     "target %s: it, or a partition of it, is mounted or in use: nothing was "
                     "written; unmount it, or leave --destroy-data-on out to read it only",
                     member->path);
  if (member->fd < 0) return target_refuse(error, -errno, member->path);
  if (ioctl(member->fd, BLKGETSIZE64, &bytes) < 0)
    return error_set(error, -errno, "target %s: its size: %s", member->path, strerror(errno));
  if (destroy) bytes /= 2;
  bytes = bytes / LAB_BLOCK_BYTES * LAB_BLOCK_BYTES;
  member->target.free_bytes = bytes;
  member->bytes = bytes < share_bytes ? bytes : share_bytes;
  if (!destroy || member->bytes == 0) return 0;
  member->reused = (struct lab_output){.fd = dup(member->fd),
                                       .offset_bytes = member->bytes,
                                       .bytes = member->bytes,
                                       .written = true};
  return lab_data_fill_device(member, config, error);
}

/* ---- the whole ---- */

static int open_member(struct lab_member *member, uint64_t share_bytes,
                       const struct lab_target_config *config, struct error *error) {
  member->fd = member->fresh.fd = member->reused.fd = -1;
  int failed = identify(member, config, error);
  if (failed) return failed;
  if (member->kind == LAB_DIRECTORY) failed = open_directory(member, share_bytes, config, error);
  if (member->kind == LAB_FILE) failed = open_named(member, share_bytes, error);
  if (member->kind == LAB_DEVICE) failed = open_device(member, share_bytes, config, error);
  if (!failed && member->bytes < LAB_BLOCK_BYTES)
    failed = error_set(error, -EINVAL,
                       "target %s: nothing to read in it; accepted: a file of at least %d bytes",
                       member->path, LAB_BLOCK_BYTES);
  return failed;
}

static int split_names(struct lab_target *target, struct error *error) {
  for (const char *at = target->name; at;) {
    if (target->n_members == LAB_MEMBERS_MAX)
      return error_set(error, -EINVAL, "--target %s: more than %d members", target->name,
                       LAB_MEMBERS_MAX);
    const char *comma = strchr(at, ',');
    size_t length = comma ? (size_t)(comma - at) : strlen(at);
    struct lab_member *member = &target->members[target->n_members++];
    member->fd = member->fresh.fd = member->reused.fd = -1;
    if (length >= sizeof member->path)
      return error_set(error, -ENAMETOOLONG, "--target %.100s...: too long", at);
    char name[PATH_MAX];
    snprintf(name, sizeof name, "%.*s", (int)length, at);
    if (!realpath(name, member->path)) return target_refuse(error, -errno, name);
    at = comma ? comma + 1 : NULL;
  }
  return 0;
}

/* Identifies all members, and opens those that are not directories for reading. */
static int look_at_members(struct lab_target *target, const struct lab_target_config *config,
                           struct error *error) {
  int failed = split_names(target, error);
  for (int i = 0; i < target->n_members && !failed; i++) {
    struct lab_member *member = &target->members[i];
    failed = identify(member, config, error);
    if (failed || member->kind == LAB_DIRECTORY) continue;
    int fd = open(member->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) failed = target_refuse(error, -errno, member->path);
    if (fd >= 0) close(fd);
  }
  return failed;
}

int lab_target_look(const struct lab_target_config *config, struct error *error) {
  struct stat status;
  for (int i = 0; i < config->n_destroy; i++) {
    if (stat(config->destroy[i], &status) < 0 || S_ISBLK(status.st_mode)) continue;
    return error_set(error, -EINVAL,
                     "--destroy-data-on %s: not a block device; of directories and files nothing "
                     "is destroyed, so leave it out",
                     config->destroy[i]);
  }
  struct lab_target *target = calloc(1, sizeof *target);
  if (!target) return error_set(error, -ENOMEM, "no memory to look at %s", config->name);
  target->name = config->name;
  int failed = look_at_members(target, config, error);
  free(target);
  return failed;
}

int lab_target_open(struct lab_target *target, const struct lab_target_config *config,
                    struct error *error) {
  *target = (struct lab_target){.name = config->name, .asked_bytes = config->working_set_bytes};
  int failed = split_names(target, error);
  uint64_t least = UINT64_MAX;
  target->writable = true;
  for (int i = 0; i < target->n_members && !failed; i++) {
    struct lab_member *member = &target->members[i];
    uint64_t share = config->working_set_bytes / (uint64_t)target->n_members;
    share = (share + LAB_BLOCK_BYTES - 1) / LAB_BLOCK_BYTES * LAB_BLOCK_BYTES;
    failed = open_member(member, share, config, error);
    if (failed) break;
    if (member->bytes < least) least = member->bytes;
    if (member->reused.fd < 0) target->writable = false;
  }
  if (failed) {
    lab_target_close(target);
    return failed;
  }
  target->working_set_bytes = least * (uint64_t)target->n_members;
  return 0;
}

void lab_target_close(struct lab_target *target) {
  for (int i = 0; i < target->n_members; i++) {
    struct lab_member *member = &target->members[i];
    if (member->fresh.fd >= 0) close(member->fresh.fd);
    if (member->reused.fd >= 0) close(member->reused.fd);
    if (!member->data && member->fd >= 0) close(member->fd);
    kv_file_close(member->data);
    free(member->crcs);
    lab_pages_close(member);
  }
  target->n_members = 0;
}

int lab_target_node(const struct lab_target *target) {
  int node = target->members[0].placement.node;
  for (int i = 1; i < target->n_members; i++) {
    if (target->members[i].placement.node != node) return -1;
  }
  return node;
}

/* ---- checking ---- */

static bool block_is_right(const struct lab_member *member, uint64_t block, const char *bytes) {
  if (member->crcs) return lab_data_block_crc(block, bytes) == member->crcs[block];
  uint32_t start = kv_file_crc_start(member->data, 0, (int64_t)block);
  return crc32c(start, bytes, LAB_BLOCK_BYTES) == kv_file_crc(member->data, 0, (int64_t)block);
}

int64_t lab_member_wrong_blocks(const struct lab_member *member, uint64_t at_bytes,
                                const void *data, size_t bytes, uint64_t *first_bytes) {
  if (!member->data && !member->crcs) return -1;
  int64_t wrong = 0;
  for (size_t i = 0; i < bytes; i += LAB_BLOCK_BYTES) {
    if (block_is_right(member, (at_bytes + i) / LAB_BLOCK_BYTES, (const char *)data + i)) continue;
    if (wrong++ == 0) *first_bytes = at_bytes + i;
  }
  return wrong;
}

/* ---- outputs ---- */

static int empty(struct lab_output *output, bool preallocate) {
  if (ftruncate(output->fd, 0) < 0) return -errno;
  if (preallocate && fallocate(output->fd, 0, 0, (off_t)output->bytes) < 0) {
    if (errno != EOPNOTSUPP) return -errno;
    preallocate = false; /* the size alone, then */
  }
  if (!preallocate && ftruncate(output->fd, (off_t)output->bytes) < 0) return -errno;
  return 0;
}

/* *at_bytes: where it stands, or failed. */
static int write_over(const struct lab_output *output, const char *zeros, uint64_t *at_bytes) {
  for (uint64_t at = 0; at < output->bytes;) {
    uint64_t left = output->bytes - at;
    size_t bytes = left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES;
    *at_bytes = output->offset_bytes + at;
    ssize_t n = pwrite(output->fd, zeros, bytes, (off_t)*at_bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return n < 0 ? -errno : -EIO;
    if (command_interrupted()) return -EINTR;
    at += (uint64_t)n;
  }
  return fdatasync(output->fd) < 0 ? -errno : 0;
}

int lab_output_prepare(struct lab_member *member, bool fresh, bool preallocate,
                       struct error *error) {
  struct lab_output *output = fresh ? &member->fresh : &member->reused;
  uint64_t at_bytes = 0;
  if (output->fd < 0)
    return error_set(error, -EINVAL, "target %s: no %s file to write to", member->path,
                     fresh ? "fresh" : "reused");
  int code = 0;
  if (fresh) {
    code = empty(output, preallocate);
  } else if (!output->written) {
    struct memory zeros = {0};
    int failed = memory_map(&zeros, CHUNK_BYTES, NULL, 1, error);
    if (failed) return failed;
    code = empty(output, true);
    if (!code) code = write_over(output, zeros.address, &at_bytes);
    memory_unmap(&zeros);
    output->written = code == 0;
  }
  if (code)
    return error_set(error, code, "preparing the file for new pages in %s, at byte %llu: %s",
                     member->path, (unsigned long long)at_bytes, strerror(-code));
  return 0;
}

void lab_member_drop_cache(const struct lab_member *member) {
  /* Advice: what it left cached is told by the cold verdict. */
  (void)posix_fadvise(member->fd, 0, 0, POSIX_FADV_DONTNEED);
}
