/*
 * Recompute once, reload in several ways, compare.
 */
#include "bench/measure/equality.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/measure/verification.h"

double equality_difference(const float *a, const float *b, int n) {
  double largest = 0;
  double difference = 0;
  for (int i = 0; i < n; i++) {
    if (!isfinite(a[i]) || !isfinite(b[i])) return INFINITY;
    largest = fmax(largest, fabs((double)a[i]));
    difference = fmax(difference, fabs((double)a[i] - (double)b[i]));
  }
  return difference == 0 ? 0 : difference / largest;
}

int equality_reference_make(struct group *group, int64_t n_tokens,
                            struct equality_reference *reference, struct error *error) {
  struct device *device = group->rig->device;
  struct point point = {.n_tokens = n_tokens, .n_new = n_tokens, .policy = POLICY_RECOMPUTE};
  *reference = (struct equality_reference){.n_tokens = n_tokens};
  int failed = group_leg(group, &point, LEG_COMPUTE, error);
  struct device_output output = {0};
  if (!failed) failed = device->ops->output(device, &output, error);
  if (failed) return failed;
  reference->token = output.token;
  if (!output.hidden) return 0;
  size_t n = (size_t)group->rig->shape.hidden;
  reference->hidden = malloc(n * sizeof *reference->hidden);
  if (!reference->hidden) return error_set(error, -ENOMEM, "no memory for %zu values", n);
  memcpy(reference->hidden, output.hidden, n * sizeof *reference->hidden);
  reference->n_hidden = (int)n;
  return 0;
}

void equality_reference_free(struct equality_reference *reference) {
  free(reference->hidden);
  *reference = (struct equality_reference){0};
}

static void judge(struct equality *equality, const struct equality_reference *reference,
                  const struct device_output *output) {
  equality->token_equal = output->token == reference->token;
  equality->difference = NAN;
  equality->pass = equality->wrong_pages == 0 && equality->checked_pages > 0;
  if (!equality->computed) return;
  equality->difference =
      equality_difference(reference->hidden, output->hidden, reference->n_hidden);
  if (equality->bitwise)
    equality->pass = equality->pass && equality->difference == 0 && equality->token_equal;
  else /* near ties may turn the argmax: the state decides */
    equality->pass = equality->pass && equality->difference <= EQUALITY_TOLERANCE;
}

int equality_check(struct group *group, const struct equality_reference *reference, int64_t n_past,
                   enum policy policy, struct equality *equality, struct error *error) {
  struct rig *rig = group->rig;
  struct device *device = rig->device;
  int64_t chunk_tokens = device->info.chunk_tokens;
  struct point point = {.n_tokens = reference->n_tokens,
                        .n_past = n_past,
                        .n_new = reference->n_tokens - n_past,
                        .policy = policy};
  *equality = (struct equality){
      .n_past = n_past, .n_new = point.n_new, .policy = policy, .computed = reference->hidden};
  equality->bitwise = equality->computed && chunk_tokens > 0 && n_past % chunk_tokens == 0;
  unsigned legs = LEG_READ | LEG_COMPUTE | (rig->config.options->store ? LEG_WRITE : 0);
  int failed = group_leg(group, &point, legs, error);
  struct device_output output = {0};
  if (!failed) failed = device->ops->output(device, &output, error);
  if (failed) return failed;
  if (rig->sink && device->info.kv_resident) {
    int64_t pages = pipeline_pages(point.n_new, rig->page_tokens);
    point.checked_pages += pages * rig->layers;
    failed = verify_written(device, rig->sink, rig->layers, n_past / rig->page_tokens, pages,
                            rig->config.options->io_timeout_s, &point.wrong_pages, error);
    if (failed) return failed;
  }
  equality->wrong_pages = point.wrong_pages;
  equality->checked_pages = point.checked_pages;
  judge(equality, reference, &output);
  return 0;
}
