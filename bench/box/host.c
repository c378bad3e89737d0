/*
 * Reading what this machine is; see host.h. One small function for each thing.
 */
#include "bench/box/host.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "bench/box/host_internal.h"
#include "bench/box/pseudo.h"

enum { LINE_BYTES = 4096, CORES_MAX = 4096 };

/* ---- processors ---- */

struct cpu_count {
  int threads, cores, sockets;
  int core_keys[CORES_MAX]; /* socket << 16 | core of each core seen */
};

static void count_cpu(struct cpu_count *count, int socket, int core) {
  bool new_socket = true, new_core = true;
  int key = (socket & 0x7fff) << 16 | (core & 0xffff);
  for (int i = 0; i < count->cores; i++) {
    new_socket = new_socket && count->core_keys[i] >> 16 != key >> 16;
    new_core = new_core && count->core_keys[i] != key;
  }
  count->sockets += new_socket;
  if (new_core && count->cores < CORES_MAX) count->core_keys[count->cores++] = key;
}

static void read_cpus(struct host *host, const char *root) {
  FILE *file = pseudo_open(root, "/proc/cpuinfo");
  if (file == NULL) return;
  struct cpu_count count = {0};
  char line[LINE_BYTES];
  const char *value;
  int socket = 0;
  while (fgets(line, sizeof line, file) != NULL) {
    if (pseudo_value(line, "processor", ':') != NULL) count.threads++;
    if ((value = pseudo_value(line, "physical id", ':')) != NULL) {
      socket = (int)strtol(value, NULL, 10);
    }
    if ((value = pseudo_value(line, "core id", ':')) != NULL) {
      count_cpu(&count, socket, (int)strtol(value, NULL, 10));
    }
    if ((value = pseudo_value(line, "model name", ':')) != NULL && host->cpu_model[0] == '\0') {
      snprintf(host->cpu_model, sizeof host->cpu_model, "%s", value);
    }
    if (strncmp(line, "flags", 5) == 0 && strstr(line, " hypervisor") != NULL) {
      host->hypervisor = true;
    }
  }
  fclose(file);
  if (count.threads > 0) host->threads = count.threads;
  if (count.cores > 0) host->cores = count.cores;
  if (count.sockets > 0) host->sockets = count.sockets;
}

static void read_governor(struct host *host, const char *root) {
  DIR *directory = pseudo_open_directory(root, "/sys/devices/system/cpu/cpufreq");
  if (directory == NULL) return;
  const struct dirent *entry;
  while ((entry = readdir(directory)) != NULL) {
    char path[PSEUDO_PATH_BYTES], governor[HOST_WORD_BYTES];
    if (strncmp(entry->d_name, "policy", 6) != 0) continue;
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpufreq/%s/scaling_governor",
             entry->d_name);
    if (!pseudo_line(root, path, governor, sizeof governor)) continue;
    bool first = host->governor[0] == '\0';
    bool same = strcmp(host->governor, governor) == 0;
    snprintf(host->governor, sizeof host->governor, "%s", first || same ? governor : "mixed");
  }
  closedir(directory);
}

static void read_turbo(struct host *host, const char *root) {
  int64_t value;
  if (pseudo_number(root, "/sys/devices/system/cpu/intel_pstate/no_turbo", &value)) {
    snprintf(host->turbo, sizeof host->turbo, "%s", value == 0 ? "on" : "off");
  } else if (pseudo_number(root, "/sys/devices/system/cpu/cpufreq/boost", &value)) {
    snprintf(host->turbo, sizeof host->turbo, "%s", value != 0 ? "on" : "off");
  }
}

/* ---- memory and kernel ---- */

static uint64_t meminfo_bytes(const char *root, const char *name) {
  char value[HOST_WORD_BYTES], *end;
  if (!pseudo_field(root, "/proc/meminfo", name, ':', value, sizeof value)) return 0;
  unsigned long long kib = strtoull(value, &end, 10);
  return strcmp(end, " kB") == 0 ? (uint64_t)kib * 1024 : 0;
}

/* The word in brackets of "always [madvise] never". */
static void read_thp(struct host *host, const char *root) {
  char line[HOST_TEXT_BYTES];
  pseudo_line(root, "/sys/kernel/mm/transparent_hugepage/enabled", line, sizeof line);
  const char *open = strchr(line, '['), *close = strchr(line, ']');
  if (open == NULL || close == NULL || close < open) return;
  snprintf(host->thp, sizeof host->thp, "%.*s", (int)(close - open - 1), open + 1);
}

static void read_kernel(struct host *host, const char *root) {
  char value[HOST_TEXT_BYTES];
  int64_t number;
  pseudo_line(root, "/proc/sys/kernel/osrelease", host->kernel, sizeof host->kernel);
  if (pseudo_field(root, "/etc/os-release", "PRETTY_NAME", '=', value, sizeof value)) {
    size_t n = strlen(value);
    bool quoted = n >= 2 && value[0] == '"' && value[n - 1] == '"';
    snprintf(host->os, sizeof host->os, "%.*s", (int)(quoted ? n - 2 : n), value + quoted);
  }
  if (pseudo_line(root, "/proc/loadavg", value, sizeof value)) {
    char *at = value;
    for (int i = 0; i < 3; i++) host->load[i] = strtod(at, &at);
  }
  if (pseudo_number(root, "/proc/sys/kernel/io_uring_disabled", &number)) {
    host->io_uring_disabled = (int)number;
  }
}

/* "Max locked memory       8388608              8388608              bytes": this process's. */
static void read_memlock(struct host *host, const char *root) {
  FILE *file = pseudo_open(root, "/proc/self/limits");
  if (file == NULL) return;
  static const char name[] = "Max locked memory";
  char line[HOST_TEXT_BYTES * 2];
  while (fgets(line, sizeof line, file) != NULL) {
    if (strncmp(line, name, sizeof name - 1) != 0) continue;
    const char *soft = line + sizeof name - 1;
    while (isblank((unsigned char)*soft)) soft++;
    if (strncmp(soft, "unlimited", 9) == 0) host->memlock_bytes = INT64_MAX;
    if (isdigit((unsigned char)*soft)) host->memlock_bytes = strtoll(soft, NULL, 10);
  }
  fclose(file);
}

void host_read(struct host *host, const char *root) {
  *host = (struct host){.sockets = -1,
                        .cores = -1,
                        .threads = -1,
                        .load = {-1.0, -1.0, -1.0},
                        .memlock_bytes = -1,
                        .io_uring_disabled = -1};
  read_cpus(host, root);
  read_governor(host, root);
  read_turbo(host, root);
  host->memory_bytes = meminfo_bytes(root, "MemTotal");
  host->memory_available_bytes = meminfo_bytes(root, "MemAvailable");
  read_thp(host, root);
  read_kernel(host, root);
  read_memlock(host, root);
  host_read_nodes(host, root);
  host_read_gpus(host, root);
}
