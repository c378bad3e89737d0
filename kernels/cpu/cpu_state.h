/*
 * What the files of the cpu device share: its state, and who does what.
 *
 *   device_cpu.c  open and close, the table of operations
 *   budget.c      what fits: weight sets, KV slots
 *   layers.c      weights: made, packed, given back
 *   kv_cache.c    pages: addresses, the new tokens' KV, poison, checksums
 *   run.c         begin, forward_layer, head, output
 *   tickets.c     finished work and its spans
 *   probe.c       rates of single parts
 */
#ifndef REFILL_KERNELS_CPU_CPU_STATE_H
#define REFILL_KERNELS_CPU_CPU_STATE_H

#include <stdatomic.h>

#include "base/memory.h"
#include "kernels/cpu/attention.h"
#include "kernels/cpu/gemm.h"
#include "kernels/cpu/pointwise.h"
#include "kernels/device.h"
#include "kernels/weights.h"

enum { LINEAR_QKV, LINEAR_OUT, LINEAR_GATE_UP, LINEAR_DOWN, LINEARS }; /* = WEIGHT_QKV ... */

/* Weights of one layer. */
struct layer_weights {
  struct gemm_packed *packed[LINEARS];
  float *norm_attention; /* (d) */
  float *norm_ffn;       /* (d) */
};

/* Spans of finished work. A ticket is a number in [first, next); work is finished before its
 * ticket is given out, and other threads ask only for tickets that they were given. */
struct tickets {
  _Atomic uint64_t first, next;
  struct device_span *spans; /* (capacity), of ticket t at t % capacity */
  uint64_t capacity;
};

/* Views into one map; m rows of the chunk. Wide buffers are shared by parts of a layer that are
 * not alive together, which also keeps them warm in the caches. */
struct activations {
  bf16 *hidden;      /* (tokens_max, d) the residual stream */
  bf16 *normed;      /* (m, d) */
  bf16 *qkv;         /* (m, (Hq + 2 Hkv) D); shares with gate_up */
  bf16 *heads;       /* (m, Hq D); shares with act */
  bf16 *gate_up;     /* (m, 2, F) */
  bf16 *act;         /* (m, F) */
  float *cosines;    /* (tokens_max, D / 2) */
  float *sines;      /* (tokens_max, D / 2) */
  float *last;       /* (d) the last token after the final norm */
  float *norm_final; /* (d) */
};

struct cpu_device {
  struct device device; /* first: what the vtable's callers hold */
  struct device_config config;
  struct placement placement;
  enum isa isa;
  int threads_before; /* OpenMP's number before open(), restored by close() */
  int64_t chunk_rows; /* rows of a full chunk: chunk_tokens, or fewer where tokens_max is */

  const struct pointwise *pointwise;
  struct attention attention;
  struct gemm *gemm;
  struct gemm_linear *linears[LINEARS];

  struct layer_weights *sets; /* (info.weight_sets) */
  struct memory weights;      /* all sets, packed */
  struct memory tables;       /* embedding, head */
  const bf16 *embedding;      /* (V, d) */
  const bf16 *head;           /* (V, d) */
  struct memory buffers;      /* what `activations` points into */
  struct activations activations;

  struct memory kv;    /* (kv_slots, pages_max) pages */
  struct memory plain; /* an FP8 cache only: one layer as attention reads it, (pages_max) bf16 */
  bf16 worth[256];     /* of a code of E4M3 */
  int64_t pages_max;   /* pages of one layer */
  size_t page_payload_bytes;

  struct tickets tickets;
  struct device_sequence sequence; /* of this run */
  bool begun;
  int layers_done; /* forward_layer() calls of this run */
  bool head_done;
  int32_t token; /* argmax of the last head() */
};

static inline struct cpu_device *cpu_device_of(struct device *device) {
  return (struct cpu_device *)device;
}

static inline int64_t pages_of(int64_t tokens, int64_t page_tokens) {
  return (tokens + page_tokens - 1) / page_tokens;
}

/* ---- budget.c --------------------------------------------------------------------------- */

/* Decides info.weight_sets, info.kv_slots and info.kv_resident; packed sizes are known by now.
 * Returns 0 or -ENOMEM with what would fit. */
int cpu_budget(struct cpu_device *cpu, struct error *error);

/* Bytes of one weight set, and of the activations and tables beside them. */
size_t cpu_set_bytes(const struct cpu_device *cpu);
size_t cpu_buffers_bytes(const struct cpu_device *cpu);
size_t cpu_tables_bytes(const struct cpu_device *cpu);

/* ---- layers.c --------------------------------------------------------------------------- */

/* Opens the four linear layers, prepared for chunk_rows. */
int cpu_linears_open(struct cpu_device *cpu, struct error *error);

/* Makes all weights, packed. */
int cpu_weights_open(struct cpu_device *cpu, struct error *error);
void cpu_weights_close(struct cpu_device *cpu);

/* ---- kv_cache.c ------------------------------------------------------------------------- */

int cpu_kv_open(struct cpu_device *cpu, struct error *error);
struct attention_view cpu_kv_view(const struct cpu_device *cpu, int layer);

/* Rotates the chunk's queries in place and puts its keys (rotated) and values into the pages. */
void cpu_kv_store(struct cpu_device *cpu, int layer, int64_t first, int64_t n_tokens,
                  bf16 *qkv); /* (n_tokens, (Hq + 2 Hkv) D) */

/* An FP8 cache: the layer's first n_past tokens as attention reads them. Nothing to do else. */
void cpu_kv_load(struct cpu_device *cpu, int layer, int64_t n_past);

/* Bytes of `plain`. */
size_t cpu_kv_plain_bytes(const struct cpu_device *cpu);

/* Overwrites a few bytes of every 512 of the past pages. */
void cpu_kv_poison(struct cpu_device *cpu, int64_t n_past);

void *cpu_buffer(struct device *device, int layer, enum device_side side);
int cpu_kv_in(struct device *device, int layer, int64_t first_page, int64_t n_pages,
              device_ticket *ticket, struct error *error);
int cpu_kv_out(struct device *device, int layer, int64_t n_pages, device_ticket after,
               device_ticket *ticket, struct error *error);
int cpu_kv_crc(struct device *device, int layer, int64_t first_page, int64_t n_pages,
               uint32_t *crcs, struct error *error);

/* ---- tickets.c -------------------------------------------------------------------------- */

int tickets_open(struct tickets *tickets, int layers, struct error *error);
void tickets_close(struct tickets *tickets);
void tickets_forget(struct tickets *tickets);
/* Gives out a ticket for finished work; -ENOSPC when more were asked for than a run needs. */
int tickets_add(struct tickets *tickets, struct device_span span, device_ticket *ticket,
                struct error *error);
/* 0 with the span, or -EINVAL for a ticket that was not given out in this run. */
int tickets_find(struct tickets *tickets, device_ticket ticket, struct device_span *span,
                 struct error *error);

/* ---- run.c ------------------------------------------------------------------------------ */

/* First position after the chunk that holds `position`, at most `end`: chunks end at absolute
 * multiples of chunk_tokens, so that a reload repeats the shapes of a recompute. */
int64_t cpu_chunk_end(const struct cpu_device *cpu, int64_t position, int64_t end);

/* Prepares GEMMs for every chunk of [n_past, n_past + n_new). */
int cpu_prepare(struct cpu_device *cpu, int64_t n_past, int64_t n_new, struct error *error);

int cpu_begin(struct device *device, const struct device_sequence *seqs, int n_seqs,
              struct error *error);
int cpu_forward_layer(struct device *device, int layer, const struct device_sequence *seqs,
                      int n_seqs, const device_ticket *after, int n_after, device_ticket *ticket,
                      struct error *error);
int cpu_head(struct device *device, const struct device_sequence *seqs, int n_seqs,
             device_ticket *ticket, struct error *error);
int cpu_wait(struct device *device, device_ticket ticket, double timeout_s,
             struct device_span *span, struct error *error);
int cpu_output(struct device *device, struct device_output *output, struct error *error);

/* ---- probe.c ---------------------------------------------------------------------------- */

int cpu_probe(struct device *device, enum device_probe what, int64_t n_new, int64_t n_past,
              struct device_rate *rate, struct error *error);

#endif
