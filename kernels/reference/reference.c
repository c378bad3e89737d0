/*
 * The operations of a decoder layer in plain float C: the oracle. Sums run in
 * double, so that the order of summation of a device is not mistaken for its error.
 */
#include "kernels/reference/reference.h"

#include <assert.h>
#include <math.h>
#include <string.h>

void reference_embedding(int64_t n_tokens, int64_t d, const int32_t *tokens, const float *table,
                         float *out) {
  for (int64_t i = 0; i < n_tokens; i++) {
    assert(tokens[i] >= 0);
    memcpy(out + i * d, table + tokens[i] * d, (size_t)d * sizeof *out);
  }
}

void reference_rmsnorm(int64_t n_tokens, int64_t d, double eps, const float *x, const float *weight,
                       float *out) {
  for (int64_t i = 0; i < n_tokens; i++) {
    double squares = 0.0;
    for (int64_t j = 0; j < d; j++) squares += (double)x[i * d + j] * (double)x[i * d + j];
    const double inverse = 1.0 / sqrt(squares / (double)d + eps);
    for (int64_t j = 0; j < d; j++)
      out[i * d + j] = (float)((double)x[i * d + j] * inverse * (double)weight[j]);
  }
}

void reference_linear(int64_t n_tokens, int64_t n_in, int64_t n_out, int accumulate, const float *x,
                      const float *w, float *y) {
  for (int64_t i = 0; i < n_tokens; i++) {
    for (int64_t o = 0; o < n_out; o++) {
      double sum = accumulate ? (double)y[i * n_out + o] : 0.0;
      for (int64_t j = 0; j < n_in; j++) sum += (double)x[i * n_in + j] * (double)w[o * n_in + j];
      y[i * n_out + o] = (float)sum;
    }
  }
}

void reference_rope(int64_t n_tokens, int heads, int head_dim, int64_t row_stride, double theta,
                    int64_t first_position, float *x) {
  const int half = head_dim / 2;
  for (int64_t i = 0; i < n_tokens; i++) {
    for (int j = 0; j < half; j++) {
      const double angle = (double)(first_position + i) * pow(theta, -2.0 * j / head_dim);
      for (int h = 0; h < heads; h++) {
        float *head = x + i * row_stride + (int64_t)h * head_dim;
        const double a = (double)head[j], b = (double)head[j + half];
        head[j] = (float)(a * cos(angle) - b * sin(angle));
        head[j + half] = (float)(b * cos(angle) + a * sin(angle));
      }
    }
  }
}

static double dot(int n, const float *a, const float *b) {
  double sum = 0.0;
  for (int i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
  return sum;
}

/* One query over keys [0, n_keys): the running form of softmax, so that no row of scores is
 * stored: `largest` is the maximum so far, and what was summed under an older one is rescaled. */
static void attend(int64_t n_keys, int head_dim, int64_t row, const float *q, const float *k,
                   const float *v, float *out) {
  double largest = -INFINITY, total = 0.0;
  double sums[1024] = {0.0};
  assert(head_dim <= 1024);
  for (int64_t t = 0; t < n_keys; t++) {
    const double score = dot(head_dim, q, k + t * row) / sqrt((double)head_dim);
    const double rescale = score > largest ? exp(largest - score) : 1.0;
    if (score > largest) largest = score;
    const double weight = exp(score - largest);
    total = total * rescale + weight;
    for (int j = 0; j < head_dim; j++)
      sums[j] = sums[j] * rescale + weight * (double)v[t * row + j];
  }
  for (int j = 0; j < head_dim; j++) out[j] = (float)(sums[j] / total);
}

void reference_attention(int64_t n_new, int64_t n_past, int q_heads, int kv_heads, int head_dim,
                         const float *q, const float *k, const float *v, float *out) {
  const int group = q_heads / kv_heads;
  for (int64_t i = 0; i < n_new; i++) {
    for (int h = 0; h < q_heads; h++) {
      const int64_t at = (i * q_heads + h) * head_dim;
      const int64_t kv_at = (int64_t)(h / group) * head_dim;
      attend(n_past + i + 1, head_dim, (int64_t)kv_heads * head_dim, q + at, k + kv_at, v + kv_at,
             out + at);
    }
  }
}

void reference_swiglu(int64_t n_tokens, int64_t ffn, const float *gate_up, float *out) {
  for (int64_t i = 0; i < n_tokens; i++) {
    const float *gate = gate_up + i * 2 * ffn, *up = gate + ffn;
    for (int64_t j = 0; j < ffn; j++)
      out[i * ffn + j] = (float)((double)gate[j] / (1.0 + exp(-(double)gate[j])) * (double)up[j]);
  }
}

int32_t reference_argmax(int64_t n, const float *logits) {
  int64_t best = 0;
  for (int64_t i = 1; i < n; i++)
    if (logits[i] > logits[best]) best = i;
  return (int32_t)best;
}
