/*
 * KV in and out of the GPU as tickets: what each waits for, on which stream it runs, and which slot
 * of the cache it takes. page_copies.c has the copies themselves.
 */
#include <assert.h>
#include <errno.h>

#include "kernels/cuda/cuda_device.h"
#include "kernels/cuda/ranges.h"

void *cuda_buffer(struct device *device, int layer, enum device_side side) {
  const struct cuda *cuda = cuda_of(device);
  const struct pinned *pinned = side == DEVICE_LANDING ? &cuda->landing : &cuda->leaving;
  assert(layer >= 0 && layer < cuda->config.layers);
  return pinned_at(pinned, layer % pinned->n_buffers);
}

static int check_pages(const struct cuda *cuda, int layer, int64_t first_page, int64_t n_pages,
                       int64_t end_page, struct error *error) {
  int failed = cuda_check_layer(cuda, layer, error);
  if (failed) return failed;
  if (first_page >= 0 && n_pages >= 0 && n_pages <= end_page - first_page) return 0;
  return error_set(error, -EINVAL, "no pages %lld to %lld of layer %d: this run has %lld",
                   (long long)first_page, (long long)(first_page + n_pages - 1), layer,
                   (long long)end_page);
}

/* The layer that had this slot before must have been computed and have left; whatever of that is
 * enqueued is waited for on the stream. What is not is found out by forward_layer. */
static int await_slot(struct cuda *cuda, int layer, struct error *error) {
  const int before = layer - cuda->plan.kv_slots;
  if (before < 0) return 0;
  int failed = ticket_order(&cuda->tickets, cuda->in, atomic_load(&cuda->computed[before]), error);
  if (!failed)
    failed = ticket_order(&cuda->tickets, cuda->in, atomic_load(&cuda->left[before]), error);
  return failed;
}

int cuda_kv_in(struct device *device, int layer, int64_t first_page, int64_t n_pages,
               device_ticket *ticket, struct error *error) {
  struct cuda *cuda = cuda_of(device);
  *ticket = 0;
  int failed = check_pages(cuda, layer, first_page, n_pages, cuda->first_new_page, error);
  if (failed || n_pages == 0) return failed;
  failed = gpu_enter(&cuda->gpu, error);
  if (!failed) failed = await_slot(cuda, layer, error);
  if (!failed) atomic_store(&cuda->owners[layer % cuda->plan.kv_slots], layer);
  device_ticket mine = 0;
  if (!failed) failed = ticket_start(&cuda->tickets, cuda->in, &mine, error);
  range_begin("KV in, layer", layer);
  if (!failed)
    failed = cuda_copy_pages(cuda, CUDA_TO_DEVICE, &cuda->landing, layer % cuda->landing.n_buffers,
                             first_page, cuda_slot(cuda, layer), first_page, n_pages, cuda->in,
                             error);
  range_end();
  if (!failed) failed = ticket_end(&cuda->tickets, cuda->in, mine, error);
  if (!failed) *ticket = mine;
  return failed;
}

int cuda_kv_out(struct device *device, int layer, int64_t n_pages, device_ticket after,
                device_ticket *ticket, struct error *error) {
  struct cuda *cuda = cuda_of(device);
  const int64_t n_new_pages = cuda->end_page - cuda->first_new_page;
  *ticket = 0;
  int failed = check_pages(cuda, layer, 0, n_pages, n_new_pages, error);
  if (failed || n_pages == 0) return failed;
  failed = gpu_enter(&cuda->gpu, error);
  if (!failed) failed = ticket_order(&cuda->tickets, cuda->out, after, error);
  device_ticket mine = 0;
  if (!failed) failed = ticket_start(&cuda->tickets, cuda->out, &mine, error);
  range_begin("KV out, layer", layer);
  if (!failed)
    failed = cuda_copy_pages(cuda, CUDA_TO_HOST, &cuda->leaving, layer % cuda->leaving.n_buffers, 0,
                             cuda_slot(cuda, layer), cuda->first_new_page, n_pages, cuda->out,
                             error);
  range_end();
  if (!failed) failed = ticket_end(&cuda->tickets, cuda->out, mine, error);
  if (failed) return failed;
  atomic_store(&cuda->left[layer], mine);
  *ticket = mine;
  return 0;
}
