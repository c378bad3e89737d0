/*
 * NUMA nodes, and NVIDIA devices: found on the PCI bus, since a device whose
 * driver does not work must be seen too, and by device files, since a container may hide the bus.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "bench/box/host_internal.h"
#include "bench/box/pseudo.h"

static const int64_t vendor_nvidia = 0x10de;
static const int64_t class_display = 0x03; /* VGA, 3D and display controllers; not NVSwitch */

/* True for `prefix` and then digits only; *number is what they say. */
static bool numbered(const char *name, const char *prefix, int *number) {
  size_t n = strlen(prefix);
  if (strncmp(name, prefix, n) != 0 || !isdigit((unsigned char)name[n])) return false;
  char *end;
  long value = strtol(name + n, &end, 10);
  if (*end != '\0' || value > 65535) return false;
  *number = (int)value;
  return true;
}

static int compare_ints(const void *a, const void *b) {
  int x = *(const int *)a, y = *(const int *)b;
  return (x > y) - (x < y);
}

static void read_distances(struct host *host, const char *root, int row) {
  char path[PSEUDO_PATH_BYTES], line[HOST_NODES_MAX * 8];
  snprintf(path, sizeof path, "/sys/devices/system/node/node%d/distance", host->node_ids[row]);
  if (!pseudo_line(root, path, line, sizeof line)) return;
  char *at = line;
  for (int column = 0; column < host->n_nodes; column++) {
    host->distances[row][column] = (int)strtol(at, &at, 10);
  }
}

void host_read_nodes(struct host *host, const char *root) {
  DIR *directory = pseudo_open_directory(root, "/sys/devices/system/node");
  if (directory == NULL) return;
  const struct dirent *entry;
  int node;
  while ((entry = readdir(directory)) != NULL && host->n_nodes < HOST_NODES_MAX) {
    if (numbered(entry->d_name, "node", &node)) host->node_ids[host->n_nodes++] = node;
  }
  closedir(directory);
  qsort(host->node_ids, (size_t)host->n_nodes, sizeof host->node_ids[0], compare_ints);
  for (int row = 0; row < host->n_nodes; row++) read_distances(host, root, row);
}

/* Reads PCI device `address` when it is an NVIDIA one. */
static bool read_gpu(struct host_gpu *gpu, const char *root, const char *address) {
  char path[PSEUDO_PATH_BYTES];
  int64_t vendor = 0, class = 0, node = -1;
  if (strlen(address) >= sizeof gpu->address) return false;
  snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/vendor", address);
  if (!pseudo_number(root, path, &vendor) || vendor != vendor_nvidia) return false;
  snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/class", address);
  if (!pseudo_number(root, path, &class) || class >> 16 != class_display) return false;
  snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/numa_node", address);
  if (!pseudo_number(root, path, &node)) node = -1;
  *gpu = (struct host_gpu){.numa_node = (int)node};
  device_link_read(&gpu->link, root, address);
  snprintf(gpu->address, sizeof gpu->address, "%s", address);
  return true;
}

static int compare_gpus(const void *a, const void *b) {
  return strcmp(((const struct host_gpu *)a)->address, ((const struct host_gpu *)b)->address);
}

static bool has_device_files(const char *root) {
  DIR *directory = pseudo_open_directory(root, "/dev");
  if (directory == NULL) return false;
  const struct dirent *entry;
  int number;
  bool found = false;
  while (!found && (entry = readdir(directory)) != NULL) {
    found = numbered(entry->d_name, "nvidia", &number); /* not nvidiactl, nvidia-uvm */
  }
  closedir(directory);
  return found;
}

void host_read_gpus(struct host *host, const char *root) {
  host->nvidia_driver = has_device_files(root);
  DIR *directory = pseudo_open_directory(root, "/sys/bus/pci/devices");
  if (directory == NULL) return;
  const struct dirent *entry;
  while ((entry = readdir(directory)) != NULL && host->n_gpus < HOST_GPUS_MAX) {
    if (entry->d_name[0] == '.') continue;
    if (read_gpu(&host->gpus[host->n_gpus], root, entry->d_name)) host->n_gpus++;
  }
  closedir(directory);
  qsort(host->gpus, (size_t)host->n_gpus, sizeof host->gpus[0], compare_gpus);
}

bool host_has_nvidia(const char *root) {
  struct host host = {0};
  host_read_gpus(&host, root);
  return host.n_gpus > 0 || host.nvidia_driver;
}

int host_gpu_node(const struct host *host, const char *device, const char *visible_devices) {
  int index = 0;
  if (host->n_gpus == 0 || strncmp(device, "cuda", 4) != 0) return -1;
  if (strcmp(device, "cuda") != 0 && !numbered(device, "cuda:", &index)) return -1;
  bool alike = true;
  for (int i = 1; i < host->n_gpus; i++)
    alike = alike && host->gpus[i].numa_node == host->gpus[0].numa_node;
  if (alike) return host->gpus[0].numa_node;
  return visible_devices == NULL && index < host->n_gpus ? host->gpus[index].numa_node : -1;
}
