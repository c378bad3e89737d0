/*
 * A compute device: what the pipeline needs from a CPU, a GPU or a played-back
 * profile, and nothing more.
 *
 * Everything that takes time is enqueued and returns a ticket; a device may
 * finish the work before it returns (the CPU does), so that one pipeline
 * drives both kinds. Layers of one run are computed in order; forward_layer(l)
 * implies that forward_layer(l-1) of the same run was enqueued before it.
 *
 * KV pages. One page holds page_tokens tokens of one layer: all their K rows,
 * then all their V rows, a row being kv_heads * head_dim elements, padded
 * with zero bytes to page_stride_bytes. Page p of a sequence holds tokens
 * [p * page_tokens, (p+1) * page_tokens). n_past is a multiple of page_tokens, so
 * stored and fresh tokens never share a page; the last page may be partial
 * (its unused rows zero).
 *
 * Threads: the pipeline calls kv_in from the reader's thread, kv_out from the
 * writer's and the rest from the thread that opened the device; wait() and
 * buffer() from any of them.
 *
 * A new device is one new file and one line in device.c's table;
 * kernels/device_skeleton.c is compiled, documents each member, and is there to be copied.
 */
#ifndef REFILL_KERNELS_DEVICE_H
#define REFILL_KERNELS_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/device_link.h"
#include "base/error.h"
#include "base/placement.h"
#include "kernels/element.h"
#include "model/shape.h"

#define DEVICE_TEXT_BYTES 160
#define DEVICE_REGIONS_MAX 8
#define DEVICE_DEGRADED_MAX 6

struct device;

/* What computes attention, where a device has a choice (--attention). */
enum device_attention { DEVICE_ATTENTION_AUTO, DEVICE_ATTENTION_CUDNN, DEVICE_ATTENTION_BUILTIN };

/* Whether layers are launched as CUDA graphs (--cuda-graphs); auto: where that pays. */
enum device_graphs { DEVICE_GRAPHS_AUTO, DEVICE_GRAPHS_ON, DEVICE_GRAPHS_OFF };

typedef uint64_t device_ticket; /* names enqueued work; 0: nothing, complete by definition */

struct device_config {
  struct shape shape;       /* validated by shape_problem() */
  int layers;               /* layers to run, 1..shape.layers */
  int64_t tokens_max;       /* longest n_past + n_new of one run */
  int64_t page_tokens;      /* tokens of one page */
  size_t page_stride_bytes; /* distance between pages in buffers: payload rounded up to the
                               alignment that storage needs; equals the file's stride */
  int64_t chunk_tokens;     /* tokens that one pass of a layer takes at most; 0: device's choice */
  enum element element;     /* weights and activations */
  enum element kv_element;  /* KV as stored and as attention reads it */
  int window;               /* layers that storage may be ahead of compute, >= 1 */
  int write_window;         /* leaving buffers, >= 1 */
  int weight_sets;          /* layers whose weights are resident, cycled; 0: as many as fit */
  bool direct_buffers;      /* what storage reads into and writes from is the device's own memory,
                               for engines that reach it (GPUDirect Storage) */
  uint64_t seed;            /* of the synthetic weights */
  const char *argument;     /* what follows "NAME:" in --device, or NULL (profile, index) */
  const struct placement *placement; /* or NULL */
  /* Choices that not every device has; zero is the default. See device_check_choices(). */
  enum device_attention attention;
  enum device_graphs graphs;
  bool gemm_untimed;             /* GEMMs: the library's first proposal, not the fastest of several
                                  */
  const char *library_directory; /* where the device's libraries are, and nowhere else; or NULL */
};

/* What was obtained; filled by open(), constant afterwards but for what pin() obtains (told in
 * `description`, pinned_bytes, pinned_s and the windows) and `degraded`, to which pin() and begin()
 * may add. */
struct device_info {
  char name[64];        /* of the hardware, as it gives it: "NVIDIA H100 80GB HBM3"; "" unknown */
  int multiprocessors;  /* of a GPU, 0 elsewhere */
  enum element element; /* of weights and activations: bf16 where FP8 was asked for and is not to be
                           had, which `degraded` then tells */
  char description[DEVICE_TEXT_BYTES]; /* "Intel Xeon, 2 threads, oneDNN 2.6.3" */
  char gemm[DEVICE_TEXT_BYTES];        /* what computes GEMMs: "oneDNN 2.6.3, bf16, AMX" */
  char attention[DEVICE_TEXT_BYTES];   /* what computes attention: "AMX tiles, bf16" */
  bool played_back; /* no arithmetic: layer times come from a profile; label every figure */
  bool staged;      /* pages land in staging buffers and are copied into the KV cache */
  bool kv_resident; /* the KV cache holds every layer until the next begin() */
  int kv_slots;     /* layers that it holds: layer l is in slot l % kv_slots */
  int weight_sets;  /* layers with weights of their own: layer l uses set l % weight_sets */
  int threads;      /* compute threads of a CPU, 0 elsewhere */
  int64_t chunk_tokens;
  size_t memory_bytes;      /* all that was allocated on the device */
  size_t pinned_bytes;      /* host memory that is pinned for the device's copies; see pin() */
  double pinned_s;          /* that pinning it took */
  int window, write_window; /* layers that landing and leaving buffers hold, where memory for fewer
                               than asked for could be pinned; 0: as asked for */
  int n_degraded; /* what works in a lesser way than was asked for, and why, one a sentence */
  char degraded[DEVICE_DEGRADED_MAX][DEVICE_TEXT_BYTES];
};

/* What storage does with a region: it need not register what it only does the other with. */
enum device_region_use { DEVICE_REGION_BOTH, DEVICE_REGION_LANDING, DEVICE_REGION_LEAVING };

/* Memory that storage reads into and writes from, to be registered with it. */
struct device_region {
  void *address; /* page-aligned */
  size_t bytes;
  bool on_device; /* the device's own memory (direct_buffers): the host must not touch it */
  enum device_region_use use;
};

/* What every device's own struct begins with. */
struct device {
  const struct device_ops *ops;
  struct device_info info;
  struct device_region regions[DEVICE_REGIONS_MAX];
  int n_regions;
};

/* One sequence of a run. */
struct device_sequence {
  int64_t n_past;        /* tokens whose KV comes from storage; a multiple of page_tokens */
  int64_t n_new;         /* tokens to compute, >= 1 */
  const int32_t *tokens; /* (n_new) ids in [0, vocabulary) */
};

/* Start and end of a ticket's work on the device, on clock_now_s()'s scale. */
struct device_span {
  double start_s, end_s;
};

/* How a device stands at a moment: what may explain a slow sample. Each reading stands alone: a
 * container or a slice of a GPU may refuse some and not others. */
struct device_condition {
  double clock_error_s; /* of this run's spans on the host's clock, at most; 0: none */
  bool graphs;          /* this run's layers are launched as CUDA graphs */
  double sm_hz, memory_hz, power_w, temperature_c; /* NaN: not told */
  bool held_down_known;                            /* the next is told */
  char held_down[32];      /* what keeps its clocks down: "heat", "power cap"; "" nothing does */
  struct device_link link; /* to the host */
};

/* What a run ends with. */
struct device_output {
  int32_t token;       /* argmax of the logits of the last token */
  const float *hidden; /* (hidden) the last token's state after the final norm; the device's,
                          valid until the next begin(); NULL where nothing is computed */
};

/* Which side of a layer's pages buffer() names. */
enum device_side {
  DEVICE_LANDING, /* pages that storage reads into: page 0 of the past first */
  DEVICE_LEAVING, /* pages of new KV for storage to write: the first new page first */
};

/* Things that calibrate times apart from the pipeline. */
enum device_probe {
  PROBE_LAYER_GEMMS, /* a layer's four GEMMs over n_new tokens, back to back, nothing else */
  PROBE_ATTENTION,   /* one layer's attention of n_new over n_past + n_new */
  PROBE_PEAK,        /* the best large square GEMM in the config's element: the machine's peak */
  PROBE_MEMORY_COPY, /* device memory to device memory */
  PROBE_H2D,         /* staged devices only, like the next two */
  PROBE_D2H,
  PROBE_BOTH_WAYS, /* H2D and D2H at once: bytes of both over the time until both are through */
  PROBE_LAYER,     /* whole layers back to back */
  PROBE_QKV,       /* one GEMM of a layer, over n_new tokens */
  PROBE_OUT,
  PROBE_GATE_UP,
  PROBE_DOWN,
  PROBE_NORM, /* one elementwise kernel, over n_new tokens */
  PROBE_ROPE,
  PROBE_SWIGLU,
  PROBE_QUANTISE,   /* attention's output for an FP8 GEMM */
  PROBE_DEQUANTISE, /* the n_past tokens of an FP8 cache */
  PROBE_EMBED,
  PROBE_HEAD /* final norm, LM head, argmax */
};

struct device_rate {
  double seconds; /* of one execution, median of several; weights are other ones each time */
  double cold_s;  /* of one whose operands the L2 cache does not hold; 0: not told */
  double flops;   /* of one execution (formulas of model/shape.h); 0 for copies */
  double bytes;   /* moved by one execution (copies: read + written) */
};

struct device_ops {
  const char *name; /* as in --device; "NAME:argument" selects it with an argument */

  /* Required. Makes the device, its weights, KV cache and plans: everything that later calls need,
   * so that they allocate nothing. Returns 0, -ENOTSUP where this box cannot (message says why),
   * -ENOMEM (message says what would fit), or another negative errno. */
  int (*open)(struct device **device, const struct device_config *config, struct error *error);

  /* Required. Ends all work and frees everything. NULL is allowed. */
  void (*close)(struct device *device);

  /* Optional (NULL: nothing is to be pinned). Pins the host memory of `regions` for the device's
   * own copies, or gives it back. Called with true when storage has registered `regions` for itself
   * (or never will), before the first begin() or probe(); with false before storage gives them up.
   * That is the order which every kernel accepts: mapped, registered with storage, pinned by the
   * device, and undone in reverse. Pins nothing twice; close() gives back what still is pinned.
   * Takes seconds for many GB. A refusal is no error. Where some of the memory is refused, fewer
   * layers' buffers may be used from here on (`regions` then say so to the next engines): whoever
   * runs ahead of compute keeps to info.window and info.write_window. Where all of it is, copies go
   * through buffers of the driver, slower and synchronous, as for who never calls this; `info`
   * tells. */
  void (*pin)(struct device *device, bool pinned);

  /* Required. Starts a run over `seqs` (today n_seqs == 1): forgets earlier tickets, and overwrites
   * a few bytes of every 512 of the past pages in the KV cache and landing buffers with a
   * finite pattern, so that a page that storage fails to deliver cannot pass for delivered. */
  int (*begin)(struct device *device, const struct device_sequence *seqs, int n_seqs,
               struct error *error);

  /* Required. Address of a layer's pages on one side, consecutive at page_stride_bytes, in one of
   * `regions`. Which layers share a buffer follows from window, write_window and kv_slots; the
   * pipeline's bounds make that safe. With direct_buffers an address of device memory. */
  void *(*buffer)(struct device *device, int layer, enum device_side side);

  /* Required. Pages [first_page, first_page + n_pages) of `layer` have landed: take them into the
   * KV cache. A no-op (ticket 0) where they land in place. */
  int (*kv_in)(struct device *device, int layer, int64_t first_page, int64_t n_pages,
               device_ticket *ticket, struct error *error);

  /* Required. One layer over all new tokens (layer 0 with the embedding before it), after the
   * tickets of after[n_after] are complete. Leaves the new tokens' KV in the KV cache. */
  int (*forward_layer)(struct device *device, int layer, const struct device_sequence *seqs,
                       int n_seqs, const device_ticket *after, int n_after, device_ticket *ticket,
                       struct error *error);

  /* Required. Brings the layer's n_pages new pages to its leaving buffer, last page zero-padded.
   * A no-op (ticket 0) where that is the KV cache itself. */
  int (*kv_out)(struct device *device, int layer, int64_t n_pages, device_ticket after,
                device_ticket *ticket, struct error *error);

  /* Required. Final norm, LM head and argmax of each sequence's last token. */
  int (*head)(struct device *device, const struct device_sequence *seqs, int n_seqs,
              device_ticket *ticket, struct error *error);

  /* Required. Waits until the ticket's work is complete, at most timeout_s (0: polls). Returns 0
   * with the span (may be NULL) filled, -EAGAIN when not yet, -EINVAL for a ticket never enqueued
   * in this run, or the work's own error. */
  int (*wait)(struct device *device, device_ticket ticket, double timeout_s,
              struct device_span *span, struct error *error);

  /* Required. Continues crcs[i] (CRC32C) over the payload of page first_page + i of `layer` as it
   * stands in the KV cache (page numbers count from the sequence's start). Outside timed regions,
   * after wait(). */
  int (*kv_crc)(struct device *device, int layer, int64_t first_page, int64_t n_pages,
                uint32_t *crcs, struct error *error);

  /* Required. The result of the last head(), after its ticket is complete. */
  int (*output)(struct device *device, struct device_output *output, struct error *error);

  /* Optional (NULL: nothing can be probed). Times one thing apart; may disturb the KV cache.
   * Returns -ENOTSUP for what this device does not have. */
  int (*probe)(struct device *device, enum device_probe what, int64_t n_new, int64_t n_past,
               struct device_rate *rate, struct error *error);

  /* Optional (NULL: nothing is known). How the device stands now; some 50 us. Between runs, from
   * the thread that opened it. */
  void (*condition)(struct device *device, struct device_condition *condition);
};

/* The device called `name` ("cpu", "playback"), or NULL. */
const struct device_ops *device_find(const char *name);

/* The i-th device, NULL past the last. */
const struct device_ops *device_at(int index);

/* Payload bytes of one page: page_tokens rows of K and of V. */
size_t device_page_payload_bytes(const struct shape *shape, int64_t page_tokens,
                                 enum element kv_element);

/* For devices that have none of the choices at the end of device_config: 0 where they are at their
 * defaults, else -EINVAL with a sentence that names the option. */
int device_check_choices(const struct device_config *config, const char *name, struct error *error);

/* KV-cache layers: all of them where `available_bytes` allows, else the fewest that the windows
 * need (window + write_window; see the pipeline); what the devices share of that decision. */
int device_kv_slots(const struct device_config *config, size_t available_bytes);

#endif
