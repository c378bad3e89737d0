/* Where things are, on machines that are not here: synthetic ones, and the XML of a server with two
 * sockets, a GPU and three drives. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "bench/box/host.h"
#include "bench/box/topology.h"

static const char two_sockets[] = "tests/bench/data/two-socket.xml";

static struct topology *synthetic(const char *description) {
  struct topology *topology = NULL;
  struct error error = {0};
  int code = topology_load_synthetic(&topology, description, &error);
  cr_assert_eq(code, 0, "%s", error.message);
  return topology;
}

static struct topology *server(void) {
  struct topology *topology = NULL;
  struct error error = {0};
  cr_assert_eq(topology_load_xml(&topology, two_sockets, &error), 0, "%s", error.message);
  return topology;
}

static bool is_anywhere(const struct placement *placement) {
  for (int i = 0; i < PLACEMENT_CPU_WORDS; i++) {
    if (placement->cpus[i] != 0) return false;
  }
  return placement->node == -1;
}

Test(box_topology, nodes_and_their_cpus) {
  struct topology *topology = server();
  cr_expect_eq(topology_nodes(topology), 2);
  cr_expect_eq(topology_node_at(topology, 0), 0);
  cr_expect_eq(topology_node_at(topology, 1), 1);
  cr_expect_eq(topology_node_at(topology, 2), -1);
  cr_expect_eq(topology_node_at(topology, -1), -1);
  struct placement placement;
  cr_assert_eq(topology_node_placement(topology, 0, &placement, NULL), 0);
  cr_expect_eq(placement.node, 0);
  cr_expect_eq(placement.cpus[0], 0x0f0f); /* both threads of its four cores */
  cr_expect_eq(placement.cpus[1], 0);
  cr_assert_eq(topology_node_placement(topology, 1, &placement, NULL), 0);
  cr_expect_eq(placement.cpus[0], 0xf0f0);
  topology_free(topology);
}

Test(box_topology, cpus_beyond_64_are_in_their_words) {
  struct topology *topology = synthetic("pack:2 [numa] core:48 pu:2");
  struct placement placement;
  cr_assert_eq(topology_node_placement(topology, 1, &placement, NULL), 0);
  cr_expect_eq(placement.cpus[0], 0);
  cr_expect_eq(placement.cpus[1], UINT64_C(0xffffffff00000000));
  cr_expect_eq(placement.cpus[2], UINT64_MAX);
  cr_expect_eq(placement.cpus[3], 0);
  topology_free(topology);
}

Test(box_topology, devices_hang_on_nodes) {
  struct topology *topology = server();
  cr_expect_eq(topology_node_of_block(topology, "nvme0n1"), 0);
  cr_expect_eq(topology_node_of_block(topology, "nvme1n1"), 1);
  cr_expect_eq(topology_node_of_block(topology, "nvme2n1"), -1, "it hangs on no single node");
  cr_expect_eq(topology_node_of_block(topology, "nvme9n1"), -1);
  cr_expect_eq(topology_node_of_block(topology, "eth0"), -1, "not a drive");
  cr_expect_eq(topology_node_of_pci(topology, "0000:17:00.0"), 0);
  cr_expect_eq(topology_node_of_pci(topology, "0000:81:00.0"), 1);
  cr_expect_eq(topology_node_of_pci(topology, "0000:99:00.0"), -1);
  cr_expect_eq(topology_node_of_pci(topology, "nonsense"), -1);
  topology_free(topology);
}

#define SETS                                                                                       \
  "cpuset=\"0x%08x\" complete_cpuset=\"0x%08x\" nodeset=\"0x%08x\" complete_nodeset=\"0x%08x\""

/* One socket of the server below: a core, four GPUs and four drives, each pair behind a bridge. */
static void write_socket(FILE *file, int node) {
  static const char *const types[] = {"Package", "NUMANode", "Core", "PU"};
  unsigned bit = 1U << node;
  for (int i = 0; i < 4; i++)
    fprintf(file, "<object type=\"%s\" os_index=\"%d\" gp_index=\"%d\" " SETS "%s>", types[i], node,
            10 * i + 10 + node, bit, bit, bit, bit, i % 2 ? "/" : "");
  fprintf(file, "</object>");
  for (int i = 4 * node; i < 4 * node + 4; i++)
    fprintf(file,
            "<object type=\"Bridge\" gp_index=\"%d\" bridge_type=\"0-1\" depth=\"0\" "
            "bridge_pci=\"%04x:[00-1f]\">"
            "<object type=\"PCIDev\" gp_index=\"%d\" pci_busid=\"%04x:17:00.0\" "
            "pci_type=\"0302 [10de:2330] [10de:2330] a1\" pci_link_speed=\"15.75\"></object>"
            "<object type=\"PCIDev\" gp_index=\"%d\" pci_busid=\"%04x:18:00.0\" "
            "pci_type=\"0108 [144d:a824] [144d:a824] a1\" pci_link_speed=\"15.75\">"
            "<object type=\"OSDev\" gp_index=\"%d\" name=\"nvme%dn1\" osdev_type=\"0\"/>"
            "</object></object>\n",
            100 + i, (unsigned)i, 200 + i, (unsigned)i, 300 + i, (unsigned)i, 400 + i, i);
  fprintf(file, "</object>\n");
}

/* Two sockets, eight GPUs, eight drives, each pair on a PCI domain of its own. */
static struct topology *big_server(void) {
  char path[] = "/tmp/refill-topology-XXXXXX";
  int fd = mkstemp(path);
  cr_assert_geq(fd, 0);
  FILE *file = fdopen(fd, "w");
  fprintf(file,
          "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE topology SYSTEM \"hwloc2.dtd\">\n"
          "<topology version=\"2.0\">\n<object type=\"Machine\" os_index=\"0\" gp_index=\"1\" " SETS
          " allowed_cpuset=\"0x3\" allowed_nodeset=\"0x3\">\n",
          3U, 3U, 3U, 3U);
  write_socket(file, 0);
  write_socket(file, 1);
  fprintf(file, "</object>\n</topology>\n");
  fclose(file);
  struct topology *topology = NULL;
  struct error error = {0};
  int code = topology_load_xml(&topology, path, &error);
  unlink(path);
  cr_assert_eq(code, 0, "%s", error.message);
  return topology;
}

Test(box_topology, eight_gpus_and_eight_drives) {
  struct topology *topology = big_server();
  for (int i = 0; i < 8; i++) {
    char gpu[32], drive[32];
    snprintf(gpu, sizeof gpu, "%04x:17:00.0", (unsigned)i);
    snprintf(drive, sizeof drive, "nvme%dn1", i);
    int near[2] = {topology_node_of_pci(topology, gpu), topology_node_of_block(topology, drive)};
    cr_expect_eq(near[0], i / 4, "GPU %d", i);
    cr_expect_eq(near[1], i / 4, "drive %d", i);
    struct placement placement;
    cr_assert_eq(topology_place(topology, "auto", near, 2, &placement, NULL, NULL), 0);
    cr_expect_eq(placement.node, i / 4);
    cr_expect_eq(placement.cpus[0], UINT64_C(1) << i / 4);
    near[1] = topology_node_of_block(topology, i < 4 ? "nvme7n1" : "nvme0n1");
    cr_assert_eq(topology_place(topology, "auto", near, 2, &placement, NULL, NULL), 0);
    cr_expect(is_anywhere(&placement), "a drive of the other socket");
  }
  topology_free(topology);
}

Test(box_topology, auto_goes_where_the_devices_agree) {
  struct topology *topology = server();
  const struct {
    int near[3], n_near, node;
  } cases
      [] =
          {
              {{1}, 1, 1},    {{0}, 1, 0},     {{-1}, 1, -1},       {{0}, 0, -1},
              {{1, 1}, 2, 1}, {{0, 1}, 2, -1}, {{-1, 1, -1}, 3, 1}, {{1, -1, 0}, 3, -1},
              {{7}, 1, -1}, /* a node that is not there: anywhere rather than an error */
          };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct placement placement;
    char why[TOPOLOGY_TEXT_BYTES] = "";
    struct error error = {0};
    int code =
        topology_place(topology, "auto", cases[i].near, cases[i].n_near, &placement, why, &error);
    cr_expect_eq(code, 0, "case %zu: %s", i, error.message);
    cr_expect_eq(placement.node, cases[i].node, "case %zu: node %d", i, placement.node);
    cr_expect_eq(is_anywhere(&placement), cases[i].node == -1, "case %zu", i);
    cr_expect_gt(strlen(why), 0);
  }
  topology_free(topology);
}

/* Two sockets of four cores, a GPU on each: threads and buffers go to the GPU that computes, and to
 * the drive where none does. */
Test(box_topology, a_gpu_draws_threads_and_buffers_to_its_socket) {
  struct topology *topology = synthetic("pack:2 [numa] core:4 pu:1");
  const struct host host = {.n_gpus = 2,
                            .gpus = {{.address = "0000:17:00.0", .numa_node = 0},
                                     {.address = "0000:81:00.0", .numa_node = 1}}};
  const struct {
    const char *device;
    int drive_node, node;
  } cases[] = {{"cuda:0", 0, 0},  {"cuda:1", 1, 1}, {"cuda:1", 0, 1}, {"cuda:0", 1, 0},
               {"cuda:1", -1, 1}, {"cpu", 1, 1},    {"cpu", -1, -1}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct placement placement;
    const int gpu_node = host_gpu_node(&host, cases[i].device, NULL);
    const int near = topology_near(cases[i].drive_node, gpu_node);
    cr_assert_eq(topology_place(topology, "auto", &near, 1, &placement, NULL, NULL), 0);
    cr_expect_eq(placement.node, cases[i].node, "case %zu", i);
    cr_expect_eq(placement.cpus[0], cases[i].node < 0 ? 0U : 0x0fU << 4 * cases[i].node);
  }
  topology_free(topology);
}

Test(box_topology, auto_binds_nothing_on_one_node) {
  struct topology *topology = synthetic("pack:1 [numa] core:4 pu:1");
  struct placement placement;
  char why[TOPOLOGY_TEXT_BYTES];
  const int near = 0;
  cr_assert_eq(topology_place(topology, "auto", &near, 1, &placement, why, NULL), 0);
  cr_expect(is_anywhere(&placement));
  cr_expect_str_eq(why, "anywhere: there is one NUMA node");
  topology_free(topology);
}

Test(box_topology, a_number_or_none_is_obeyed) {
  struct topology *topology = server();
  struct placement placement;
  char why[TOPOLOGY_TEXT_BYTES];
  const int near = 0;
  cr_assert_eq(topology_place(topology, "1", &near, 1, &placement, why, NULL), 0);
  cr_expect_eq(placement.node, 1);
  cr_expect_str_eq(why, "node 1, as asked");
  cr_assert_eq(topology_place(topology, "none", &near, 1, &placement, why, NULL), 0);
  cr_expect(is_anywhere(&placement));
  cr_expect_str_eq(why, "anywhere: as asked");
  cr_assert_eq(topology_place(topology, "none", &near, 1, &placement, NULL, NULL), 0);
  topology_free(topology);
}

Test(box_topology, bad_binds_are_named) {
  struct topology *topology = server();
  const struct {
    const char *bind;
    int code;
    const char *named;
  } cases[] = {
      {"2", -EINVAL, "--bind 2: no such NUMA node; this machine has 2"},
      {"-1", -EINVAL, "--bind -1"},
      {"1x", -EINVAL, "--bind 1x"},
      {"", -EINVAL, "--bind "},
      {"Auto", -EINVAL, "auto, none or a NUMA node's number"},
      {"99999999999999999999", -EINVAL, "--bind 9999"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct placement placement;
    struct error error = {0};
    int code = topology_place(topology, cases[i].bind, NULL, 0, &placement, NULL, &error);
    cr_expect_eq(code, cases[i].code, "%s: %d", cases[i].bind, code);
    cr_expect_not_null(strstr(error.message, cases[i].named), "%s", error.message);
    cr_expect(is_anywhere(&placement), "what is refused binds nothing");
  }
  topology_free(topology);
}

/* hwloc is told of a node that the kernel does not have: memory cannot be bound there, as in a
 * container that forbids it. */
Test(box_topology, auto_binds_only_where_memory_can_be_bound) {
  struct placement placement;
  struct memory memory = {0};
  const int near = 900;
  setenv("HWLOC_SYNTHETIC", "pack:2 [numa(indexes=0,900)] pu:1", 1);
  struct topology *topology = NULL;
  cr_assert_eq(topology_load(&topology, NULL), 0);
  bool has_node = topology_place(topology, "900", NULL, 0, &placement, NULL, NULL) == 0;
  topology_free(topology);
  cr_assert(has_node);
  cr_assert_lt(memory_map(&memory, 1, &placement, 0, NULL), 0);
  cr_assert_eq(topology_placement_near("auto", &near, 1, &placement, NULL), 0);
  cr_expect(is_anywhere(&placement));
  cr_expect_eq(topology_placement_near("900", &near, 1, &placement, NULL), 0, "as asked");
  cr_expect_eq(placement.node, 900);
}

Test(box_topology, unreadable_descriptions_are_errors) {
  struct topology *topology = NULL;
  struct error error = {0};
  cr_expect_lt(topology_load_synthetic(&topology, "pack:nonsense", &error), 0);
  cr_expect_null(topology);
  error_clear(&error);
  cr_expect_lt(topology_load_xml(&topology, "/nonexistent.xml", &error), 0);
  cr_expect_not_null(strstr(error.message, "/nonexistent.xml"), "%s", error.message);
  topology_free(NULL);
}

Test(box_topology, this_machine_can_be_placed_on) {
  struct placement placement;
  struct error error = {0};
  cr_expect_eq(topology_placement("none", 0, &placement, &error), 0);
  cr_expect(is_anywhere(&placement));
  cr_assert_eq(topology_placement("auto", -1, &placement, &error), 0, "%s", error.message);
  cr_expect(is_anywhere(&placement), "no drive is known");
  cr_expect_eq(topology_placement("1000", 0, &placement, &error), -EINVAL);
  struct topology *topology = NULL;
  cr_assert_eq(topology_load(&topology, NULL), 0);
  int node = topology_node_at(topology, 0);
  cr_assert_geq(node, 0);
  cr_expect_eq(topology_node_placement(topology, node, &placement, NULL), 0);
  cr_expect_eq(placement_bind_thread(&placement), 0);
  topology_free(topology);
}
