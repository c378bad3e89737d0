/*
 * What this machine is: what a result must hold to be judged later, and what `doctor`
 * looks at. Nothing that names the machine or its owner: no hostname, addresses or
 * serial numbers.
 *
 * All of it is read from /proc, /sys, /etc and /dev below a root directory, "/" or, in tests, a
 * fake tree. What cannot be read is unknown, never guessed and never an error.
 */
#ifndef REFILL_BENCH_BOX_HOST_H
#define REFILL_BENCH_BOX_HOST_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "kernels/device.h"

#define HOST_TEXT_BYTES 128
#define HOST_WORD_BYTES 32
#define HOST_NODES_MAX 32
#define HOST_GPUS_MAX 16

/* An NVIDIA display or 3D controller on the PCI bus. */
struct host_gpu {
  char address[HOST_WORD_BYTES]; /* "0000:17:00.0" */
  int numa_node;                 /* -1 unknown */
  struct device_link link;       /* as it was then: an idle one is slow */
};

/* Texts are "" and numbers -1 where unknown, but where said otherwise. */
struct host {
  char cpu_model[HOST_TEXT_BYTES];
  int sockets, cores, threads;     /* online */
  bool hypervisor;                 /* the CPU says that it is virtual */
  uint64_t memory_bytes;           /* MemTotal; 0 unknown */
  uint64_t memory_available_bytes; /* MemAvailable; 0 unknown */
  char kernel[HOST_TEXT_BYTES];    /* "6.1.0-18-amd64" */
  char os[HOST_TEXT_BYTES];        /* "Debian GNU/Linux 12 (bookworm)" */
  char governor[HOST_WORD_BYTES];  /* of all CPUs, or "mixed" */
  char turbo[HOST_WORD_BYTES];     /* "on", "off" */
  char thp[HOST_WORD_BYTES];       /* transparent huge pages: "always", "madvise", "never" */
  double load[3];                  /* load average of 1, 5 and 15 minutes */
  int64_t memlock_bytes;           /* RLIMIT_MEMLOCK, soft; INT64_MAX: unlimited */
  int io_uring_disabled;           /* /proc/sys/kernel/io_uring_disabled: 0, 1, 2 */
  int n_nodes;                     /* NUMA nodes, at most HOST_NODES_MAX; 0 unknown */
  int node_ids[HOST_NODES_MAX];    /* (n_nodes) ascending */
  int distances[HOST_NODES_MAX][HOST_NODES_MAX]; /* (n_nodes, n_nodes); 0 unknown, 10 = local */
  int n_gpus;                                    /* at most HOST_GPUS_MAX */
  struct host_gpu gpus[HOST_GPUS_MAX];           /* by address */
  bool nvidia_driver; /* /dev/nvidia0 and the like: a driver has made device files */
};

/* Reads all of it. `root` is "/" or the directory that a fake tree begins in. */
void host_read(struct host *host, const char *root);

/* True where --device auto must not choose the CPU: an NVIDIA device is on the PCI bus, or
 * there are device files of its driver (a container may show only these). */
bool host_has_nvidia(const char *root);

/* The NUMA node of the GPU that --device names ("cuda", "cuda:1"), counted by address as CUDA
 * counts equal ones. -1 where that is no GPU, or not known: its node is not, or
 * CUDA_VISIBLE_DEVICES (may be NULL) counts otherwise; unless all GPUs are on one node. */
int host_gpu_node(const struct host *host, const char *device, const char *visible_devices);

/* An object with the fields above, null where unknown; the caller's. NULL: no memory. */
json_t *host_to_json(const struct host *host);

/* host_read("/") and host_to_json(). */
json_t *host_to_json_here(void);

#endif
