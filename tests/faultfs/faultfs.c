/*
 * A filesystem that fails on command: faultfs BACKING MOUNT CONTROL.
 *
 * Passes everything through to the directory BACKING but for what CONTROL/rules says (rules.h).
 * Faults are put in above a real filesystem, not into our own code, so that the program is tested
 * as it is shipped, through the kernel. Files are opened with FUSE's direct_io: nothing of them
 * stays in the page cache, which would hide a fault from the second read on. Stays in the
 * foreground; ends when it is unmounted.
 *
 * O_TMPFILE is left out (libfuse has it from 3.17 on only), so that files in the making have
 * partial names here.
 */
#define FUSE_USE_VERSION 31

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/faultfs/rules.h"

#define WAIT_STEP_S 0.02 /* how often a call that hangs looks whether it may end */
#define SECTOR_BYTES 512

/* Calls that hang must not keep others waiting; libfuse before 3.12 has no such limit. */
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 12)
#define THREADS ",max_threads=256"
#else
#define THREADS ""
#endif

struct faultfs {
  int backing_fd;
  struct rules *rules;
};

/* An open file; its name at opening is what rules see, also once it is unlinked. */
struct handle {
  int fd;
  char path[PATH_MAX];
};

static struct faultfs *self_of_call(void) {
  return fuse_get_context()->private_data;
}

static struct handle *handle_of(const struct fuse_file_info *info) {
  return (struct handle *)(uintptr_t)info->fh;
}

/* A path below the backing directory: "/a" is "a", "/" is ".". */
static const char *below(const char *path) {
  return path[1] ? path + 1 : ".";
}

static int result_of(int returned) {
  return returned < 0 ? -errno : 0;
}

/* Waits as long as the fault wants. False where the caller was killed meanwhile. */
static bool sit_out(struct faultfs *self, const struct fault *fault) {
  double end_s = clock_now_s() + fault->seconds;
  for (;;) {
    if (fault->kind == FAULT_DELAY && clock_now_s() >= end_s) return true;
    if (fault->kind != FAULT_DELAY && rules_changed(self->rules, fault)) return true;
    if (fault->kind != FAULT_WEDGE && fuse_interrupted()) return false;
    clock_sleep_until_s(clock_now_s() + WAIT_STEP_S);
  }
}

/* The fault of this call. Delays, hangs and errors are dealt with here: then *code is what the call
 * returns, 0 to go on. */
static struct fault meet(enum fault_operation operation, const char *path, off_t offset,
                         size_t bytes, int *code) {
  struct faultfs *self = self_of_call();
  struct fault fault = rules_match(self->rules, operation, path, (uint64_t)offset, bytes);
  *code = 0;
  if (fault.kind == FAULT_ERRNO) *code = fault.code;
  if (fault.kind == FAULT_DELAY || fault.kind == FAULT_HANG || fault.kind == FAULT_WEDGE)
    *code = sit_out(self, &fault) ? 0 : -EINTR;
  return fault;
}

static int meet_simply(enum fault_operation operation, const char *path) {
  int code = 0;
  meet(operation, path, 0, 0, &code);
  return code;
}

/* ---- files ---- */

static int open_as(const char *path, int flags, mode_t mode, struct fuse_file_info *info) {
  struct handle *handle = calloc(1, sizeof *handle);
  if (!handle) return -ENOMEM;
  /* The backing file goes through the page cache: what is tested is this side of FUSE. */
  handle->fd =
      openat(self_of_call()->backing_fd, below(path), (flags & ~O_DIRECT) | O_CLOEXEC, mode);
  if (handle->fd < 0) {
    int code = -errno;
    free(handle);
    return code;
  }
  snprintf(handle->path, sizeof handle->path, "%s", path);
  info->fh = (uint64_t)(uintptr_t)handle;
  info->direct_io = !(flags & O_DIRECTORY);
  return 0;
}

static int faultfs_open(const char *path, struct fuse_file_info *info) {
  int code = meet_simply(ON_OPEN, path);
  return code ? code : open_as(path, info->flags, 0, info);
}

static int faultfs_create(const char *path, mode_t mode, struct fuse_file_info *info) {
  int code = meet_simply(ON_CREATE, path);
  return code ? code : open_as(path, info->flags | O_CREAT, mode, info);
}

static int faultfs_release(const char *path, struct fuse_file_info *info) {
  (void)path;
  close(handle_of(info)->fd);
  free(handle_of(info));
  return 0;
}

/* What a half-done transfer moves: half, in sectors, but something. */
static size_t half_of(size_t bytes) {
  size_t half = bytes / 2 / SECTOR_BYTES * SECTOR_BYTES;
  return half > 0 ? half : bytes;
}

/* Where in a transfer something is wrong. */
static size_t place_of(const struct fault *fault, size_t bytes, off_t offset) {
  uint64_t from_bytes = fault->from_bytes, begin_bytes = (uint64_t)offset;
  bool within = from_bytes > begin_bytes && from_bytes < begin_bytes + bytes;
  return within ? (size_t)(from_bytes - begin_bytes) : bytes / 2;
}

static int faultfs_read(const char *path, char *buffer, size_t bytes, off_t offset,
                        struct fuse_file_info *info) {
  (void)path;
  int code = 0;
  struct fault fault = meet(ON_READ, handle_of(info)->path, offset, bytes, &code);
  if (code) return code;
  if (fault.kind == FAULT_SHORT) bytes = half_of(bytes);
  ssize_t n = pread(handle_of(info)->fd, buffer, bytes, offset);
  if (n < 0) return -errno;
  if (fault.kind == FAULT_FLIP && n > 0) {
    size_t at = place_of(&fault, (size_t)n, offset);
    buffer[at] = (char)(buffer[at] ^ 4);
  }
  return (int)n;
}

/* Keeps the data with the bit at `at` wrong. */
static ssize_t write_flipped(int fd, const char *buffer, size_t bytes, off_t offset, size_t at) {
  char *wrong = malloc(bytes);
  if (!wrong) return -1;
  memcpy(wrong, buffer, bytes);
  wrong[at] = (char)(wrong[at] ^ 4);
  ssize_t n = pwrite(fd, wrong, bytes, offset);
  free(wrong);
  return n;
}

static int faultfs_write(const char *path, const char *buffer, size_t bytes, off_t offset,
                         struct fuse_file_info *info) {
  (void)path;
  int code = 0;
  int fd = handle_of(info)->fd;
  struct fault fault = meet(ON_WRITE, handle_of(info)->path, offset, bytes, &code);
  if (code) return code;
  ssize_t n;
  if (fault.kind == FAULT_FLIP)
    n = write_flipped(fd, buffer, bytes, offset, place_of(&fault, bytes, offset));
  else if (fault.kind == FAULT_SHORT)
    n = pwrite(fd, buffer, half_of(bytes), offset);
  else if (fault.kind == FAULT_TORN)
    n = pwrite(fd, buffer, place_of(&fault, bytes, offset), offset);
  else
    n = pwrite(fd, buffer, bytes, offset);
  if (n < 0) return -errno;
  return fault.kind == FAULT_TORN ? (int)bytes : (int)n;
}

static int faultfs_fsync(const char *path, int data_only, struct fuse_file_info *info) {
  (void)path;
  int code = meet_simply(ON_SYNC, handle_of(info)->path);
  if (code) return code;
  return result_of(data_only ? fdatasync(handle_of(info)->fd) : fsync(handle_of(info)->fd));
}

static int faultfs_fallocate(const char *path, int mode, off_t offset, off_t bytes,
                             struct fuse_file_info *info) {
  (void)path;
  int code = meet_simply(ON_ALLOCATE, handle_of(info)->path);
  return code ? code : result_of(fallocate(handle_of(info)->fd, mode, offset, bytes));
}

static int faultfs_truncate(const char *path, off_t bytes, struct fuse_file_info *info) {
  int code = meet_simply(ON_TRUNCATE, path ? path : handle_of(info)->path);
  if (code) return code;
  if (info) return result_of(ftruncate(handle_of(info)->fd, bytes));
  int fd = openat(self_of_call()->backing_fd, below(path), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return -errno;
  code = result_of(ftruncate(fd, bytes));
  close(fd);
  return code;
}

/* ---- names ---- */

static int faultfs_getattr(const char *path, struct stat *status, struct fuse_file_info *info) {
  if (info) return result_of(fstat(handle_of(info)->fd, status));
  return result_of(fstatat(self_of_call()->backing_fd, below(path), status, AT_SYMLINK_NOFOLLOW));
}

static int faultfs_opendir(const char *path, struct fuse_file_info *info) {
  return open_as(path, O_RDONLY | O_DIRECTORY, 0, info);
}

static int faultfs_readdir(const char *path, void *buffer, fuse_fill_dir_t fill, off_t offset,
                           struct fuse_file_info *info, enum fuse_readdir_flags flags) {
  (void)path, (void)offset, (void)flags;
  int fd = openat(handle_of(info)->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *stream = fd < 0 ? NULL : fdopendir(fd);
  if (!stream) return -errno;
  for (struct dirent *entry = readdir(stream); entry; entry = readdir(stream))
    fill(buffer, entry->d_name, NULL, 0, (enum fuse_fill_dir_flags)0);
  closedir(stream);
  return 0;
}

static int faultfs_link(const char *from, const char *to) {
  int code = meet_simply(ON_LINK, to);
  int directory = self_of_call()->backing_fd;
  return code ? code : result_of(linkat(directory, below(from), directory, below(to), 0));
}

static int faultfs_unlink(const char *path) {
  int code = meet_simply(ON_UNLINK, path);
  return code ? code : result_of(unlinkat(self_of_call()->backing_fd, below(path), 0));
}

/* ---- directories: nothing goes wrong with them, but for what they hold ---- */

static int faultfs_mkdir(const char *path, mode_t mode) {
  return result_of(mkdirat(self_of_call()->backing_fd, below(path), mode));
}

static int faultfs_rmdir(const char *path) {
  return result_of(unlinkat(self_of_call()->backing_fd, below(path), AT_REMOVEDIR));
}

static int faultfs_rename(const char *from, const char *to, unsigned flags) {
  int directory = self_of_call()->backing_fd;
  return flags ? -EINVAL : result_of(renameat(directory, below(from), directory, below(to)));
}

static int faultfs_statfs(const char *path, struct statvfs *status) {
  int code = meet_simply(ON_STATFS, path);
  return code ? code : result_of(fstatvfs(self_of_call()->backing_fd, status));
}

static void *faultfs_init(struct fuse_conn_info *connection, struct fuse_config *config) {
  (void)connection;
  config->use_ino = 1;     /* a name and an open file are compared by inode */
  config->hard_remove = 1; /* no .fuse_hidden files */
  config->nullpath_ok = 1;
  config->entry_timeout = config->attr_timeout = config->negative_timeout = 0;
  return self_of_call();
}

static const struct fuse_operations operations = {
    .init = faultfs_init,
    .getattr = faultfs_getattr,
    .opendir = faultfs_opendir,
    .readdir = faultfs_readdir,
    .releasedir = faultfs_release,
    .open = faultfs_open,
    .create = faultfs_create,
    .release = faultfs_release,
    .read = faultfs_read,
    .write = faultfs_write,
    .fsync = faultfs_fsync,
    .fallocate = faultfs_fallocate,
    .truncate = faultfs_truncate,
    .link = faultfs_link,
    .unlink = faultfs_unlink,
    .mkdir = faultfs_mkdir,
    .rmdir = faultfs_rmdir,
    .rename = faultfs_rename,
    .statfs = faultfs_statfs,
};

int main(int argc, char **argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: faultfs BACKING MOUNT CONTROL\n");
    return 2;
  }
  struct faultfs self = {.backing_fd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  struct error error = {0};
  if (self.backing_fd < 0) {
    fprintf(stderr, "faultfs: %s: %s\n", argv[1], strerror(errno));
    return 1;
  }
  /* Absolute: libfuse changes to the root directory. */
  char control[PATH_MAX];
  if (!realpath(argv[3], control)) {
    fprintf(stderr, "faultfs: %s: %s\n", argv[3], strerror(errno));
    return 1;
  }
  if (rules_open(&self.rules, control, &error)) {
    fprintf(stderr, "faultfs: %s\n", error.message);
    return 1;
  }
  char name[] = "faultfs", foreground[] = "-f";
  char options[] = "-ofsname=faultfs,subtype=faultfs,default_permissions" THREADS;
  char *arguments[] = {name, foreground, options, argv[2], NULL};
  int status = fuse_main(4, arguments, &operations, &self);
  rules_close(self.rules);
  close(self.backing_fd);
  return status;
}
