/* What is read of a machine: from trees of made-up /proc, /sys, /etc and /dev. */
#include <criterion/criterion.h>
#include <ftw.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/box/host.h"

static char root[] = "/tmp/refill-host-XXXXXX";

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where) {
  (void)status, (void)type, (void)where;
  return remove(path);
}

static void make_root(void) {
  cr_assert_not_null(mkdtemp(root));
}
static void remove_root(void) {
  nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

TestSuite(box_host, .init = make_root, .fini = remove_root);

/* Writes root + path, making its directories. */
static void put(const char *path, const char *text) {
  char joined[512];
  snprintf(joined, sizeof joined, "%s%s", root, path);
  for (char *at = joined + strlen(root) + 1; (at = strchr(at, '/')) != NULL; at++) {
    *at = '\0';
    mkdir(joined, 0755);
    *at = '/';
  }
  FILE *file = fopen(joined, "w");
  cr_assert_not_null(file, "%s", joined);
  fputs(text, file);
  fclose(file);
}

static void put_cpu(char *text, size_t room, int cpu, int socket, int core, const char *flags) {
  size_t used = strlen(text);
  snprintf(text + used, room - used,
           "processor\t: %d\nmodel name\t: Test CPU 9000 \nphysical id\t: %d\n"
           "core id\t\t: %d\nflags\t\t: fpu vme %s sse2\n\n",
           cpu, socket, core, flags);
}

/* Two sockets of two cores of two threads; core numbers repeat on the second socket. */
static void put_server(void) {
  char text[8192] = "";
  for (int cpu = 0; cpu < 8; cpu++) {
    put_cpu(text, sizeof text, cpu, cpu / 2 % 2, cpu % 2, cpu == 99 ? "hypervisor" : "mmx");
  }
  put("/proc/cpuinfo", text);
  put("/proc/meminfo", "MemTotal:       1056784372 kB\nMemFree:  1 kB\nMemAvailable: 1000 kB\n");
  put("/proc/sys/kernel/osrelease", "6.1.0-18-amd64\n");
  put("/proc/sys/kernel/io_uring_disabled", "2\n");
  put("/proc/loadavg", "0.50 1.25 2.00 1/234 5678\n");
  put("/proc/self/limits",
      "Limit                     Soft Limit           Hard Limit           Units     \n"
      "Max locked memory         8388608              unlimited            bytes     \n");
  put("/etc/os-release", "NAME=\"Test\"\nPRETTY_NAME=\"Test GNU/Linux 1\"\n");
  put("/sys/devices/system/cpu/cpufreq/policy0/scaling_governor", "performance\n");
  put("/sys/devices/system/cpu/cpufreq/policy4/scaling_governor", "performance\n");
  put("/sys/devices/system/cpu/intel_pstate/no_turbo", "0\n");
  put("/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
  put("/sys/devices/system/node/node0/distance", "10 21\n");
  put("/sys/devices/system/node/node1/distance", "21 10\n");
  put("/sys/devices/system/node/online", "0-1\n");
  put("/etc/hostname", "secret-name\n");
}

static void put_pci(const char *address, const char *vendor, const char *class, const char *node) {
  char path[256];
  snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/vendor", address);
  put(path, vendor);
  snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/class", address);
  put(path, class);
  if (node == NULL) return;
  snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/numa_node", address);
  put(path, node);
}

Test(box_host, reads_a_server) {
  put_server();
  struct host host;
  host_read(&host, root);
  cr_expect_str_eq(host.cpu_model, "Test CPU 9000");
  cr_expect_eq(host.threads, 8);
  cr_expect_eq(host.cores, 4);
  cr_expect_eq(host.sockets, 2);
  cr_expect_not(host.hypervisor);
  cr_expect_eq(host.memory_bytes, UINT64_C(1056784372) * 1024);
  cr_expect_eq(host.memory_available_bytes, 1024000);
  cr_expect_str_eq(host.kernel, "6.1.0-18-amd64");
  cr_expect_str_eq(host.os, "Test GNU/Linux 1");
  cr_expect_str_eq(host.governor, "performance");
  cr_expect_str_eq(host.turbo, "on");
  cr_expect_str_eq(host.thp, "madvise");
  cr_expect_float_eq(host.load[1], 1.25, 1e-9);
  cr_expect_eq(host.memlock_bytes, 8388608);
  cr_expect_eq(host.io_uring_disabled, 2);
  cr_assert_eq(host.n_nodes, 2);
  cr_expect_eq(host.node_ids[1], 1);
  cr_expect_eq(host.distances[0][1], 21);
  cr_expect_eq(host.distances[1][1], 10);
  cr_expect_eq(host.n_gpus, 0);
  cr_expect_not(host.nvidia_driver);
}

Test(box_host, an_empty_tree_is_unknown_throughout) {
  struct host host;
  host_read(&host, root);
  cr_expect_str_eq(host.cpu_model, "");
  cr_expect_eq(host.cores, -1);
  cr_expect_eq(host.threads, -1);
  cr_expect_eq(host.memory_bytes, 0);
  cr_expect_str_eq(host.governor, "");
  cr_expect_str_eq(host.turbo, "");
  cr_expect_str_eq(host.thp, "");
  cr_expect_eq(host.memlock_bytes, -1);
  cr_expect_eq(host.io_uring_disabled, -1);
  cr_expect_eq(host.n_nodes, 0);
  json_t *json = host_to_json(&host);
  cr_expect(json_is_null(json_object_get(json, "cores")));
  cr_expect(json_is_null(json_object_get(json, "governor")));
  cr_expect(json_is_null(json_object_get(json, "memory_bytes")));
  cr_expect(json_is_null(json_object_get(json, "load_average")));
  cr_expect(json_is_null(json_object_get(json, "io_uring_disabled")));
  json_decref(json);
}

Test(box_host, odd_contents_are_unknown_not_wrong) {
  put("/proc/cpuinfo", "processor\t: 0\nBogoMIPS\t: 50.00\n\nprocessor\t: 1\n"); /* an ARM */
  put("/proc/meminfo", "MemTotal: lots\n");
  put("/proc/sys/kernel/io_uring_disabled", "maybe\n");
  put("/sys/kernel/mm/transparent_hugepage/enabled", "]broken[\n");
  put("/sys/devices/system/cpu/intel_pstate/no_turbo", "");
  put("/sys/devices/system/node/nodeX/distance", "10\n");
  put("/sys/devices/system/node/node7/distance", "");
  struct host host;
  host_read(&host, root);
  cr_expect_eq(host.threads, 2);
  cr_expect_eq(host.cores, -1);
  cr_expect_eq(host.memory_bytes, 0);
  cr_expect_eq(host.io_uring_disabled, -1);
  cr_expect_str_eq(host.thp, "");
  cr_expect_str_eq(host.turbo, "");
  cr_assert_eq(host.n_nodes, 1);
  cr_expect_eq(host.node_ids[0], 7);
  cr_expect_eq(host.distances[0][0], 0);
}

Test(box_host, sees_mixed_governors_boost_and_a_guest) {
  put_server();
  char text[1024] = "";
  put_cpu(text, sizeof text, 0, 0, 0, "hypervisor");
  put("/proc/cpuinfo", text);
  put("/sys/devices/system/cpu/cpufreq/policy4/scaling_governor", "powersave\n");
  put("/sys/devices/system/cpu/intel_pstate/no_turbo", "1\n");
  put("/proc/self/limits", "Max locked memory         unlimited            unlimited  bytes\n");
  struct host host;
  host_read(&host, root);
  cr_expect_str_eq(host.governor, "mixed");
  cr_expect_str_eq(host.turbo, "off");
  cr_expect(host.hypervisor);
  cr_expect_eq(host.memlock_bytes, INT64_MAX);
}

Test(box_host, finds_amd_boost) {
  put("/sys/devices/system/cpu/cpufreq/boost", "1\n");
  struct host host;
  host_read(&host, root);
  cr_expect_str_eq(host.turbo, "on");
}

Test(box_host, finds_nvidia_devices_on_the_bus) {
  put_pci("0000:c1:00.0", "0x10de\n", "0x030200\n", "1\n");
  put_pci("0000:17:00.0", "0x10de\n", "0x030000\n", "-1\n");
  put_pci("0000:18:00.0", "0x10de\n", "0x068000\n", "0\n"); /* an NVSwitch */
  put_pci("0000:19:00.0", "0x8086\n", "0x030000\n", "0\n"); /* another's display */
  put_pci("0000:1a:00.0", "0x10de\n", "0x040300\n", NULL);  /* its audio function */
  struct host host;
  host_read(&host, root);
  cr_assert_eq(host.n_gpus, 2);
  cr_expect_str_eq(host.gpus[0].address, "0000:17:00.0");
  cr_expect_eq(host.gpus[0].numa_node, -1);
  cr_expect_str_eq(host.gpus[1].address, "0000:c1:00.0");
  cr_expect_eq(host.gpus[1].numa_node, 1);
  cr_expect_not(host.nvidia_driver);
  cr_expect(host_has_nvidia(root));
}

Test(box_host, reads_a_gpus_link) {
  put_pci("0000:17:00.0", "0x10de\n", "0x030200\n", "1\n");
  put("/sys/bus/pci/devices/0000:17:00.0/current_link_speed", "16.0 GT/s PCIe\n");
  put("/sys/bus/pci/devices/0000:17:00.0/max_link_speed", "32.0 GT/s PCIe\n");
  put("/sys/bus/pci/devices/0000:17:00.0/current_link_width", "8\n");
  put("/sys/bus/pci/devices/0000:17:00.0/max_link_width", "16\n");
  put_pci("0000:18:00.0", "0x10de\n", "0x030200\n", "1\n");
  put("/sys/bus/pci/devices/0000:18:00.0/current_link_speed", "Unknown\n");
  put("/sys/bus/pci/devices/0000:18:00.0/current_link_width", "255\n");
  struct host host;
  host_read(&host, root);
  cr_assert_eq(host.n_gpus, 2);
  const struct device_link *link = &host.gpus[0].link;
  cr_expect_eq(link->gt_per_s, 16);
  cr_expect_eq(link->max_gt_per_s, 32);
  cr_expect_eq(link->width, 8);
  cr_expect_eq(link->max_width, 16);
  cr_expect_eq(host.gpus[1].link.gt_per_s, 0);
  cr_expect_eq(host.gpus[1].link.width, 0);
}

Test(box_host, an_nvswitch_alone_is_no_gpu) {
  put_pci("0000:18:00.0", "0x10de\n", "0x068000\n", "0\n");
  cr_expect_not(host_has_nvidia(root));
  put("/dev/nvidiactl", "");
  put("/dev/nvidia-uvm", "");
  put("/dev/nvidia", "");
  cr_expect_not(host_has_nvidia(root));
}

Test(box_host, device_files_alone_are_enough) {
  put("/dev/nvidia3", "");
  cr_expect(host_has_nvidia(root));
}

Test(box_host, json_has_every_field_and_no_name) {
  put_server();
  put_pci("0000:17:00.0", "0x10de\n", "0x030200\n", "1\n");
  struct host host;
  host_read(&host, root);
  json_t *json = host_to_json(&host);
  cr_assert_not_null(json);
  cr_expect_eq(json_integer_value(json_object_get(json, "cores")), 4);
  cr_expect_eq(json_integer_value(json_object_get(json, "memory_bytes")), 1056784372 * 1024LL);
  cr_expect_str_eq(json_string_value(json_object_get(json, "thp")), "madvise");
  cr_expect(json_is_false(json_object_get(json, "hypervisor")));
  const json_t *nodes = json_object_get(json, "numa_nodes");
  cr_assert_eq(json_array_size(nodes), 2);
  const json_t *distances = json_object_get(json_array_get(nodes, 0), "distances");
  cr_expect_eq(json_integer_value(json_array_get(distances, 1)), 21);
  const json_t *gpu = json_array_get(json_object_get(json, "nvidia_devices"), 0);
  cr_expect_eq(json_integer_value(json_object_get(gpu, "numa_node")), 1);
  char *text = json_dumps(json, 0);
  cr_expect_null(strstr(text, "secret-name"));
  free(text);
  json_decref(json);
}

Test(box_host, this_machine_is_known) {
  struct host host;
  host_read(&host, "/");
  cr_expect_eq(host.threads, (int)sysconf(_SC_NPROCESSORS_ONLN));
  cr_expect_gt(host.memory_bytes, 0);
  cr_expect_neq(host.kernel[0], '\0');
  cr_expect_neq(host.memlock_bytes, -1);
  char name[256] = "", *text;
  json_t *json = host_to_json_here();
  cr_assert_eq(gethostname(name, sizeof name - 1), 0);
  cr_assert_not_null(text = json_dumps(json, 0));
  if (strlen(name) > 4) cr_expect_null(strstr(text, name), "the host's name is in %s", text);
  free(text);
  json_decref(json);
}

Test(box_host, the_gpu_of_a_device_name_has_a_node) {
  struct host host;
  put_server();
  for (int i = 0; i < 8; i++) {
    char address[32];
    snprintf(address, sizeof address, "0000:%02x:00.0", 0x10 + 0x10 * i);
    put_pci(address, "0x10de\n", "0x030200\n", i < 4 ? "0\n" : "1\n");
  }
  host_read(&host, root);
  cr_assert_eq(host.n_gpus, 8);
  cr_expect_eq(host_gpu_node(&host, "cuda", NULL), 0);
  cr_expect_eq(host_gpu_node(&host, "cuda:3", NULL), 0);
  cr_expect_eq(host_gpu_node(&host, "cuda:4", NULL), 1);
  cr_expect_eq(host_gpu_node(&host, "cuda:8", NULL), -1);
  cr_expect_eq(host_gpu_node(&host, "cuda:4", "7"), -1, "numbered otherwise");
  cr_expect_eq(host_gpu_node(&host, "cpu", NULL), -1);
  cr_expect_eq(host_gpu_node(&host, "playback:h100", NULL), -1);
  for (int i = 0; i < 8; i++) host.gpus[i].numa_node = 1;
  cr_expect_eq(host_gpu_node(&host, "cuda:4", "7"), 1, "all are there");
}
