/*
 * The few places where oneDNN 2.x (Debian 12) and 3.x (newer distributions)
 * differ, so that gemm.c reads the same for both: memory descriptors became
 * pointers with owners, operation descriptors went, append_sum() grew.
 */
#ifndef REFILL_KERNELS_CPU_ONEDNN_COMPAT_H
#define REFILL_KERNELS_CPU_ONEDNN_COMPAT_H

#include <dnnl.h>
#include <stddef.h>
#include <stdint.h>

#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t onednn_md_in; /* as functions take it and queries give it */
static inline onednn_md_in onednn_md_at(const dnnl_memory_desc_t *md) {
  return *md;
}
#else
typedef const dnnl_memory_desc_t *onednn_md_in;
static inline onednn_md_in onednn_md_at(const dnnl_memory_desc_t *md) {
  return md;
}
#endif

/* A (rows, columns) bf16 matrix in `tag` order; onednn_md_free() it. */
static inline dnnl_status_t onednn_md_make(dnnl_memory_desc_t *md, int64_t rows, int64_t columns,
                                           dnnl_format_tag_t tag) {
  const dnnl_dims_t dims = {rows, columns};
#if DNNL_VERSION_MAJOR >= 3
  return dnnl_memory_desc_create_with_tag(md, 2, dims, dnnl_bf16, tag);
#else
  return dnnl_memory_desc_init_by_tag(md, 2, dims, dnnl_bf16, tag);
#endif
}

/* An own copy of `source`. */
static inline dnnl_status_t onednn_md_copy(dnnl_memory_desc_t *md, onednn_md_in source) {
#if DNNL_VERSION_MAJOR >= 3
  return dnnl_memory_desc_clone(md, source);
#else
  *md = *source;
  return dnnl_success;
#endif
}

static inline void onednn_md_free(dnnl_memory_desc_t *md) {
#if DNNL_VERSION_MAJOR >= 3
  if (*md) (void)dnnl_memory_desc_destroy(*md);
  *md = NULL;
#else
  (void)md;
#endif
}

/* dst (m, n) = src (m, k) * weights (k, n), all bf16, float accumulation. */
static inline dnnl_status_t onednn_matmul_make(dnnl_primitive_desc_t *matmul, dnnl_engine_t engine,
                                               onednn_md_in src, onednn_md_in weights,
                                               onednn_md_in dst, const_dnnl_primitive_attr_t attr) {
#if DNNL_VERSION_MAJOR >= 3
  return dnnl_matmul_primitive_desc_create(matmul, engine, src, weights, NULL, dst, attr);
#else
  dnnl_matmul_desc_t desc;
  const dnnl_status_t status = dnnl_matmul_desc_init(&desc, src, weights, NULL, dst);
  if (status != dnnl_success) return status;
  return dnnl_primitive_desc_create(matmul, &desc, attr, engine, NULL);
#endif
}

/* What dst held before is added to it. */
static inline dnnl_status_t onednn_append_sum(dnnl_post_ops_t post_ops) {
#if DNNL_VERSION_MAJOR >= 3
  return dnnl_post_ops_append_sum(post_ops, 1.0F, 0, dnnl_data_type_undef);
#else
  return dnnl_post_ops_append_sum(post_ops, 1.0F);
#endif
}

#endif
