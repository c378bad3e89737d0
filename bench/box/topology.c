/*
 * hwloc, as far as Refill needs it; see topology.h.
 */
#include "bench/box/topology.h"

#include <errno.h>
#include <hwloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

struct topology {
  hwloc_topology_t hwloc;
};

/* ---- loading ---- */

/* How a machine is described to hwloc: this one, a synthetic one, or XML. */
enum source { SOURCE_HERE, SOURCE_SYNTHETIC, SOURCE_XML };

static int describe(hwloc_topology_t hwloc, enum source source, const char *text) {
  if (source == SOURCE_SYNTHETIC) return hwloc_topology_set_synthetic(hwloc, text);
  if (source == SOURCE_XML) return hwloc_topology_set_xml(hwloc, text);
  return 0;
}

static int load(struct topology **topology, enum source source, const char *text,
                struct error *error) {
  *topology = NULL;
  struct topology *made = calloc(1, sizeof *made);
  if (made == NULL || hwloc_topology_init(&made->hwloc) != 0) {
    free(made);
    return error_set(error, -ENOMEM, "topology: no memory");
  }
  /* PCI devices, drives and GPUs are left out unless asked for. */
  hwloc_topology_set_io_types_filter(made->hwloc, HWLOC_TYPE_FILTER_KEEP_IMPORTANT);
  errno = 0;
  if (describe(made->hwloc, source, text) != 0 || hwloc_topology_load(made->hwloc) != 0) {
    int code = errno != 0 ? -errno : -EIO;
    topology_free(made);
    return error_set(error, code, "topology: hwloc cannot read %s: %s",
                     text != NULL ? text : "this machine", strerror(-code));
  }
  *topology = made;
  return 0;
}

int topology_load(struct topology **topology, struct error *error) {
  return load(topology, SOURCE_HERE, NULL, error);
}

int topology_load_synthetic(struct topology **topology, const char *description,
                            struct error *error) {
  return load(topology, SOURCE_SYNTHETIC, description, error);
}

int topology_load_xml(struct topology **topology, const char *path, struct error *error) {
  return load(topology, SOURCE_XML, path, error);
}

void topology_free(struct topology *topology) {
  if (topology == NULL) return;
  hwloc_topology_destroy(topology->hwloc);
  free(topology);
}

/* ---- nodes ---- */

int topology_nodes(const struct topology *topology) {
  int n = hwloc_get_nbobjs_by_type(topology->hwloc, HWLOC_OBJ_NUMANODE);
  return n > 0 ? n : 1;
}

int topology_node_at(const struct topology *topology, int index) {
  if (index < 0) return -1;
  hwloc_obj_t node = hwloc_get_obj_by_type(topology->hwloc, HWLOC_OBJ_NUMANODE, (unsigned)index);
  return node != NULL ? (int)node->os_index : -1;
}

int topology_near(int drive_node, int gpu_node) {
  return gpu_node >= 0 ? gpu_node : drive_node;
}

/* The one node of the part of the machine that an I/O object hangs on. */
static int node_of_object(const struct topology *topology, hwloc_obj_t object) {
  hwloc_obj_t place = hwloc_get_non_io_ancestor_obj(topology->hwloc, object);
  if (place == NULL || place->nodeset == NULL) return -1;
  return hwloc_bitmap_weight(place->nodeset) == 1 ? hwloc_bitmap_first(place->nodeset) : -1;
}

int topology_node_of_pci(const struct topology *topology, const char *address) {
  hwloc_obj_t device = hwloc_get_pcidev_by_busidstring(topology->hwloc, address);
  return device != NULL ? node_of_object(topology, device) : -1;
}

int topology_node_of_block(const struct topology *topology, const char *name) {
  hwloc_obj_t device = NULL;
  while ((device = hwloc_get_next_osdev(topology->hwloc, device)) != NULL) {
    if (device->attr->osdev.type != HWLOC_OBJ_OSDEV_BLOCK) continue;
    if (device->name != NULL && strcmp(device->name, name) == 0) {
      return node_of_object(topology, device);
    }
  }
  return -1;
}

int topology_node_placement(const struct topology *topology, int node, struct placement *placement,
                            struct error *error) {
  hwloc_obj_t object =
      node >= 0 ? hwloc_get_numanode_obj_by_os_index(topology->hwloc, (unsigned)node) : NULL;
  if (object == NULL) {
    return error_set(error, -EINVAL, "--bind %d: no such NUMA node; this machine has %d, from %d",
                     node, topology_nodes(topology), topology_node_at(topology, 0));
  }
  *placement = PLACEMENT_ANY;
  placement->node = node;
  int cpus = 0;
  int cpu = hwloc_bitmap_first(object->cpuset);
  for (; cpu >= 0 && cpu < PLACEMENT_CPU_WORDS * 64; cpu = hwloc_bitmap_next(object->cpuset, cpu)) {
    placement->cpus[cpu / 64] |= UINT64_C(1) << (cpu % 64);
    cpus++;
  }
  if (cpus > 0) return 0;
  *placement = PLACEMENT_ANY;
  return error_set(error, -ENODEV, "--bind %d: this NUMA node has memory but no CPUs", node);
}

/* ---- --bind ---- */

/* The node that all the known ones agree on; -1 where none is known or they differ. */
static int common_node(const int *near, int n_near) {
  int node = -1;
  for (int i = 0; i < n_near; i++) {
    if (near[i] < 0) continue;
    if (node >= 0 && node != near[i]) return -1;
    node = near[i];
  }
  return node;
}

static void say(char *why, const char *text, int node) {
  if (why == NULL) return;
  if (node >= 0) {
    snprintf(why, TOPOLOGY_TEXT_BYTES, "node %d, %s", node, text);
  } else {
    snprintf(why, TOPOLOGY_TEXT_BYTES, "anywhere: %s", text);
  }
}

static int place_auto(const struct topology *topology, const int *near, int n_near,
                      struct placement *placement, char *why) {
  *placement = PLACEMENT_ANY;
  if (topology_nodes(topology) == 1) {
    say(why, "there is one NUMA node", -1);
    return 0;
  }
  int node = common_node(near, n_near);
  if (node < 0) {
    say(why, "the devices' nodes are not known or differ", -1);
    return 0;
  }
  if (topology_node_placement(topology, node, placement, NULL) != 0) {
    say(why, "the devices' node has no CPUs", -1);
    return 0;
  }
  say(why, "where the devices are", node);
  return 0;
}

int topology_place(const struct topology *topology, const char *bind, const int *near, int n_near,
                   struct placement *placement, char *why, struct error *error) {
  *placement = PLACEMENT_ANY;
  if (strcmp(bind, "auto") == 0) return place_auto(topology, near, n_near, placement, why);
  if (strcmp(bind, "none") == 0) {
    say(why, "as asked", -1);
    return 0;
  }
  char *end;
  errno = 0;
  long node = strtol(bind, &end, 10);
  if (errno != 0 || end == bind || *end != '\0' || node < 0 || node > 65535) {
    return error_set(error, -EINVAL, "--bind %s: it is auto, none or a NUMA node's number", bind);
  }
  int code = topology_node_placement(topology, (int)node, placement, error);
  if (code == 0) say(why, "as asked", (int)node);
  return code;
}

/* True where memory may be bound as that says: a container may hide a node's memory, or (Docker's
 * filter of system calls) the call. */
static bool can_bind(const struct placement *placement) {
  struct memory page = {0};
  bool can = placement->node < 0 || memory_map(&page, 1, placement, 1, NULL) == 0;
  memory_unmap(&page);
  return can;
}

int topology_placement_near(const char *bind, const int *near, int n_near,
                            struct placement *placement, struct error *error) {
  *placement = PLACEMENT_ANY;
  if (strcmp(bind, "none") == 0) return 0; /* without looking, which takes milliseconds */
  bool automatic = strcmp(bind, "auto") == 0;
  struct topology *topology = NULL;
  int code = topology_load(&topology, automatic ? NULL : error);
  if (code != 0) return automatic ? 0 : code;
  code = topology_place(topology, bind, near, n_near, placement, NULL, error);
  topology_free(topology);
  if (code == 0 && automatic && !can_bind(placement)) *placement = PLACEMENT_ANY;
  return code;
}

int topology_placement(const char *bind, int drive_node, struct placement *placement,
                       struct error *error) {
  return topology_placement_near(bind, &drive_node, 1, placement, error);
}
