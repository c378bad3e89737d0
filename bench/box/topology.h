/*
 * Where things are: which NUMA node a drive or a GPU hangs on, which CPUs
 * belong to a node, and from that where threads and memory should go. The one place where hwloc is
 * used; what it decides is handed down as a plain struct placement.
 */
#ifndef REFILL_BENCH_BOX_TOPOLOGY_H
#define REFILL_BENCH_BOX_TOPOLOGY_H

#include "base/error.h"
#include "base/placement.h"

#define TOPOLOGY_TEXT_BYTES 96

struct topology;

/* Looks at this machine; or at one described by hwloc's synthetic notation or by its
 * XML (lstopo file.xml), which need not exist. To be freed. 0 or a negative errno. */
int topology_load(struct topology **topology, struct error *error);
int topology_load_synthetic(struct topology **topology, const char *description,
                            struct error *error);
int topology_load_xml(struct topology **topology, const char *path, struct error *error);

/* NULL is allowed. */
void topology_free(struct topology *topology);

/* NUMA nodes, >= 1; the operating system's number of the i-th, -1 past the last. */
int topology_nodes(const struct topology *topology);
int topology_node_at(const struct topology *topology, int index);

/* The node that a PCI device ("0000:17:00.0") or a block device ("nvme0n1") hangs on, by the
 * operating system's number; -1 where it is not found or belongs to no single node. */
int topology_node_of_pci(const struct topology *topology, const char *address);
int topology_node_of_block(const struct topology *topology, const char *name);

/* Placement on a node: its memory, and its CPUs. -EINVAL where there is no such node, -ENODEV where
 * it has no CPUs (memory alone). */
int topology_node_placement(const struct topology *topology, int node, struct placement *placement,
                            struct error *error);

/* The node near which threads and buffers between a drive and a GPU go (-1: not known): the GPU's,
 * since its link is the faster one and what crosses sockets is slower; else the drive's. */
int topology_near(int drive_node, int gpu_node);

/* What --bind means on this topology. "none": anywhere. A node's number: there. "auto": on the
 * node that all of near[n_near] agree on (nodes of drives and GPUs; -1: unknown), where it is
 * known and the machine has several nodes; else anywhere. `why` (TOPOLOGY_TEXT_BYTES, may be
 * NULL) says what was decided: "node 1, where the devices are". */
int topology_place(const struct topology *topology, const char *bind, const int *near, int n_near,
                   struct placement *placement, char *why, struct error *error);

/* topology_place() on this machine. Where hwloc cannot look at it, or memory cannot be bound to the
 * node (as in containers), "auto" means anywhere; "none" always does. */
int topology_placement_near(const char *bind, const int *near, int n_near,
                            struct placement *placement, struct error *error);

/* The same near one drive's node (-1 unknown). */
int topology_placement(const char *bind, int drive_node, struct placement *placement,
                       struct error *error);

#endif
