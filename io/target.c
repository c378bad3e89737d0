/*
 * What a directory stands on: its mount from mountinfo, its drive from /sys,
 * and whether direct I/O works, by doing it on an unnamed file.
 */
#include "io/target.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "io/direct.h"
#include "io/drive.h"
#include "io/mountinfo.h"

#define SYS_ROOT "/sys"
#define PROBE_BYTES 4096

/* ---- what cannot be a target -------------------------------------------------------------- */

const char *target_advice(int code) {
  switch (-code) {
  case ENOENT:
    return "mount its drive, or make the directory with mkdir -p";
  case ENOTDIR:
    return "name the directory that is to hold the KV (refill storage reads files and drives too)";
  case EACCES:
    return "run as a user who may use it, or name another --target";
  case EPERM:
    return "a container or the filesystem forbids it; name another --target";
  case EOPNOTSUPP:
    return "no files can be made there; name another --target";
  case EROFS:
    return "mount it for writing, or name another --target";
  case ENOSPC:
  case EDQUOT:
    return "free some, or name another --target";
  case EIO:
    return "its drive or filesystem fails, see dmesg";
  case ENXIO:
  case ENODEV:
  case ENOMEDIUM:
    return "no drive answers there, see lsblk";
  default:
    return "";
  }
}

int target_refuse(struct error *error, int code, const char *path) {
  const char *advice = target_advice(code);
  return error_set(error, code, "target %s: %s%s%s", path, strerror(-code), advice[0] ? "; " : "",
                   advice);
}

/* ---- the mount ---------------------------------------------------------------------------- */

/* All of /proc/self/mountinfo; the caller frees. NULL where there is no /proc. */
static char *read_mountinfo(void) {
  FILE *file = fopen("/proc/self/mountinfo", "re");
  if (file == NULL) return NULL;
  char *text = NULL;
  size_t room = 0;
  if (getdelim(&text, &room, '\0', file) < 0) {
    free(text);
    text = NULL;
  }
  fclose(file);
  return text;
}

static void cut(char *to, size_t to_bytes, const char *from) {
  snprintf(to, to_bytes, "%.*s", (int)to_bytes - 1, from);
}

/* The transport of filesystems that stand on no block device. */
static const char *transport_of_filesystem(const char *filesystem) {
  static const struct {
    const char *filesystem, *transport;
  } kinds[] = {{"tmpfs", "ram"},         {"ramfs", "ram"},       {"nfs", "network"},
               {"nfs4", "network"},      {"cifs", "network"},    {"smb3", "network"},
               {"ceph", "network"},      {"lustre", "network"},  {"9p", "network"},
               {"beegfs", "network"},    {"gpfs", "network"},    {"wekafs", "network"},
               {"glusterfs", "network"}, {"virtiofs", "virtio"}, {"fuse.sshfs", "network"}};
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    if (strcmp(filesystem, kinds[i].filesystem) == 0) return kinds[i].transport;
  }
  return "unknown";
}

/* The block device of a mount: its device number, or for filesystems with numbers of their own
 * (btrfs) the source's. */
static bool find_drive(const struct mount_entry *mount, char *name) {
  if (drive_of_device(SYS_ROOT, mount->major_number, mount->minor_number, name)) return true;
  struct stat status;
  return mount->source[0] == '/' && stat(mount->source, &status) == 0 && S_ISBLK(status.st_mode) &&
         drive_of_device(SYS_ROOT, major(status.st_rdev), minor(status.st_rdev), name);
}

static void describe_mount(struct target *target, const char *resolved) {
  char *text = read_mountinfo();
  struct mount_entry *mounts = calloc(2, sizeof *mounts);
  if (text == NULL || mounts == NULL || !mountinfo_find(text, resolved, &mounts[0])) goto out;
  cut(target->filesystem, sizeof target->filesystem, mounts[0].filesystem);
  cut(target->mount_options, sizeof target->mount_options, mounts[0].options);
  cut(target->source, sizeof target->source, mounts[0].source);
  /* An overlay writes to its upper directory: that one's drive counts, where we can see it. */
  char upper[PATH_MAX], upper_resolved[PATH_MAX];
  const struct mount_entry *below = &mounts[0];
  if (strcmp(target->filesystem, "overlay") == 0 &&
      mountinfo_option(mounts[0].options, "upperdir", upper, sizeof upper) &&
      realpath(upper, upper_resolved) != NULL && mountinfo_find(text, upper_resolved, &mounts[1]))
    below = &mounts[1];
  if (find_drive(below, target->drive))
    drive_describe(SYS_ROOT, target);
  else
    cut(target->transport, sizeof target->transport, transport_of_filesystem(below->filesystem));
  if (strcmp(target->transport, "virtio") == 0) target->virtual_drive = true;
out:
  free(text);
  free(mounts);
}

/* ---- direct I/O --------------------------------------------------------------------------- */

/* Removes the probes of runs that were killed before they could. One that lives needs its name no
 * more than these do. */
static void sweep_probes(const char *directory) {
  DIR *entries = opendir(directory);
  struct dirent *entry;
  while (entries && (entry = readdir(entries)) != NULL) {
    if (fnmatch("refill-probe-??????", entry->d_name, 0) == 0)
      unlinkat(dirfd(entries), entry->d_name, 0);
  }
  if (entries) closedir(entries);
}

/* Opens a file that will leave nothing behind; `flags` are added. fd or a negative errno. */
static int open_probe(const char *directory, int flags) {
  int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC | flags, 0600);
  if (fd >= 0) return fd;
  if (errno != EOPNOTSUPP && errno != EISDIR) return -errno;
  char path[PATH_MAX];
  int length = snprintf(path, sizeof path, "%s/refill-probe-XXXXXX", directory);
  if (length < 0 || (size_t)length >= sizeof path) return -ENAMETOOLONG;
  sweep_probes(directory);
  fd = mkostemp(path, O_CLOEXEC);
  if (fd < 0) return -errno;
  unlink(path);
  int now = fcntl(fd, F_GETFL);
  if (flags != 0 && fcntl(fd, F_SETFL, now | flags) < 0) {
    int code = -errno;
    close(fd);
    return code;
  }
  return fd;
}

/* Writes a block and reads it back, both directly. */
static bool moves_a_block(int fd) {
  char *block = aligned_alloc(PROBE_BYTES, PROBE_BYTES);
  if (block == NULL) return false;
  memset(block, 'x', PROBE_BYTES);
  bool ok = pwrite(fd, block, PROBE_BYTES, 0) == PROBE_BYTES;
  memset(block, 0, PROBE_BYTES);
  ok = ok && pread(fd, block, PROBE_BYTES, 0) == PROBE_BYTES && block[PROBE_BYTES - 1] == 'x';
  free(block);
  return ok;
}

static void note_alignment(struct target *target, int fd) {
  size_t alignment = direct_alignment_of_fd(fd);
  if (alignment == 0) alignment = target->logical_block_bytes;
  target->direct_alignment_bytes = (uint32_t)(alignment > 0 ? alignment : PROBE_BYTES);
}

static int probe_direct(struct target *target, const char *directory, struct error *error) {
  int fd = open_probe(directory, O_DIRECT);
  if (fd >= 0) {
    target->direct = moves_a_block(fd);
    note_alignment(target, fd);
    close(fd);
    return 0;
  }
  if (fd == -EINVAL) fd = open_probe(directory, 0); /* no O_DIRECT: can it be written at all? */
  if (fd == -ENOENT) fd = -EOPNOTSUPP; /* the directory is there: /proc takes no files */
  if (fd < 0) return target_refuse(error, fd, directory);
  target->direct_alignment_bytes = PROBE_BYTES;
  close(fd);
  return 0;
}

/* ---- the whole ---------------------------------------------------------------------------- */

static void begin(struct target *target, const char *path) {
  memset(target, 0, sizeof *target);
  target->numa_node = -1;
  cut(target->transport, sizeof target->transport, "unknown");
  cut(target->path, sizeof target->path, path);
}

int target_describe_file(struct target *target, const char *path, struct error *error) {
  assert(target != NULL && path != NULL);
  begin(target, path);
  char resolved[PATH_MAX];
  if (realpath(path, resolved) == NULL) return target_refuse(error, -errno, path);
  int fd = open(resolved, O_RDONLY | O_CLOEXEC | O_DIRECT);
  target->direct = fd >= 0;
  if (fd < 0 && errno == EINVAL) fd = open(resolved, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return target_refuse(error, -errno, path);
  struct statvfs space;
  if (fstatvfs(fd, &space) == 0) target->free_bytes = (uint64_t)space.f_bavail * space.f_frsize;
  describe_mount(target, resolved);
  note_alignment(target, fd);
  close(fd);
  return 0;
}

int target_describe(struct target *target, const char *directory, struct error *error) {
  assert(target != NULL && directory != NULL);
  begin(target, directory);
  char resolved[PATH_MAX];
  struct stat status;
  struct statvfs space;
  if (realpath(directory, resolved) == NULL || stat(resolved, &status) < 0)
    return target_refuse(error, -errno, directory);
  if (!S_ISDIR(status.st_mode)) return target_refuse(error, -ENOTDIR, directory);
  if (access(resolved, R_OK | W_OK | X_OK) < 0) return target_refuse(error, -errno, directory);
  if (statvfs(resolved, &space) == 0)
    target->free_bytes = (uint64_t)space.f_bavail * space.f_frsize;
  describe_mount(target, resolved);
  return probe_direct(target, resolved, error);
}

void target_counters_read(const struct target *target, struct target_counters *counters) {
  assert(target != NULL && counters != NULL);
  *counters = (struct target_counters){.known = target->drive[0] != '\0'};
  if (!counters->known) return;
  drive_add_counters(SYS_ROOT, target->drive, counters);
  if (!counters->known) *counters = (struct target_counters){.known = false};
}
