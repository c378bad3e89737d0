/*
 * The cost model: vectors, the document's defaults and statements, and what
 * must hold whatever the sliders say.
 */
#include <criterion/criterion.h>
#include <math.h>

#include "base/prng.h"
#include "model/cost.h"
#include "vectors.h"

static void check_vector(const json_t *v) {
  struct cost_input in = cost_default_input();
  in.context_tokens = vectors_number(v, "context");
  in.concurrency = vectors_number(v, "concurrency");
  in.params = vectors_number(v, "params");
  in.weights_bytes = vectors_number(v, "weights_bytes");
  in.kv_bytes_per_token = vectors_number(v, "kv_bytes_per_token");
  struct cost_result r = cost_model(&in);
  const struct {
    const char *key;
    double value;
  } fields[] = {{"kv_per_request", r.kv_bytes_per_request},
                {"kv_total", r.kv_bytes_total},
                {"gpus_offload", r.gpus_offload},
                {"gpus_cp", r.gpus_cp},
                {"servers_offload", r.servers_offload},
                {"servers_cp", r.servers_cp},
                {"ttft_cp", r.ttft_cp_s},
                {"ttft_min", r.ttft_min_gpu_s},
                {"ttft_offload", r.ttft_offload_s},
                {"cost_cp", r.cost_cp_usd_per_hour},
                {"cost_offload", r.cost_offload_usd_per_hour},
                {"overflow_requests", r.overflow_requests}};
  for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
    expect_near(fields[i].value, vectors_number(v, fields[i].key), 1e-12, fields[i].key);
  }
}

Test(cost, matches_the_vectors) {
  json_t *section = vectors_section("cost");
  size_t i;
  json_t *v;
  json_array_foreach(section, i, v) {
    check_vector(v);
  }
  json_decref(section);
}

Test(cost, the_defaults_are_the_documents) {
  struct cost_input in = cost_default_input();
  struct cost_result r = cost_model(&in);
  expect_near(r.kv_bytes_per_request, 42e9, 0.002, "about 42 GB per conversation");
  expect_near(r.cost_ratio, 0.25, 1e-12, "28 against 112 dollars an hour");
  cr_expect_not(r.external);
  cr_expect_eq(r.local_nvme_bytes, 16e12);
  cr_expect_eq(r.cost_offload_external_usd_per_hour, 0.0);
}

static struct cost_input any(uint64_t seed) {
  struct cost_input in = cost_default_input();
  in.context_tokens = 1000 + (double)prng_below(seed, 0, 1000000);
  in.concurrency = 1 + (double)prng_below(seed, 1, 1000);
  in.hbm_bytes = prng_below(seed, 2, 2) ? 80e9 : 141e9;
  in.nvme_bytes = 1e12 + 30e12 * prng_unit(seed, 3);
  in.tp_base = 1 << prng_below(seed, 4, 4);
  return in;
}

Test(cost, context_parallelism_never_needs_fewer_gpus) {
  for (uint64_t seed = 0; seed < 1000; seed++) {
    struct cost_input in = any(seed);
    struct cost_result r = cost_model(&in);
    cr_expect_geq(r.gpus_cp, r.gpus_offload);
    cr_expect_leq(r.ttft_cp_s, r.ttft_min_gpu_s);
    cr_expect_eq(fmod(r.gpus_cp, in.tp_base), 0.0);
    cr_expect_geq(r.gpus_cp * in.hbm_bytes, in.weights_bytes + r.kv_bytes_total);
    cr_expect_lt((r.gpus_cp - in.tp_base) * in.hbm_bytes, in.weights_bytes + r.kv_bytes_total);
  }
}

Test(cost, overflow_begins_one_request_past_the_threshold) {
  for (uint64_t seed = 0; seed < 500; seed++) {
    struct cost_input in = any(seed);
    in.concurrency = cost_model(&in).overflow_requests;
    cr_expect_not(cost_model(&in).external);
    in.concurrency++;
    struct cost_result over = cost_model(&in);
    cr_expect(over.external);
    expect_near(over.ttft_offload_s, over.kv_bytes_per_request / in.external_bytes_per_s, 1e-12,
                "external reads");
    cr_expect_gt(over.cost_offload_usd_per_hour, over.cost_offload_gpu_usd_per_hour);
  }
}

Test(cost, offload_saves_from_the_first_request_that_does_not_fit) {
  for (uint64_t seed = 0; seed < 500; seed++) {
    struct cost_input in = any(seed);
    in.concurrency = cost_first_saving_concurrency(&in);
    cr_expect_gt(cost_model(&in).gpus_cp, cost_model(&in).gpus_offload);
    if (in.concurrency < 2) continue;
    in.concurrency--;
    cr_expect_eq(cost_model(&in).gpus_cp, cost_model(&in).gpus_offload);
  }
}

Test(cost, at_the_matching_bandwidth_the_ttfts_are_equal) {
  struct cost_input in = cost_default_input();
  in.nvme_bytes_per_s = cost_bandwidth_to_match_cp_bytes_per_s(&in);
  expect_near(cost_model(&in).ttft_offload_s, cost_model(&in).ttft_cp_s, 1e-12, "cp");
  in.nvme_bytes_per_s = cost_bandwidth_to_match_min_gpu_bytes_per_s(&in);
  expect_near(cost_model(&in).ttft_offload_s, cost_model(&in).ttft_min_gpu_s, 1e-12, "min GPU");
  expect_near(cost_ttft_offload_shared_s(&in, 4), 4 * cost_model(&in).ttft_offload_s, 1e-12,
              "shared");
}

Test(cost, sliders_change_what_the_document_says_they_change) {
  struct cost_input base = cost_default_input(), in = base;
  struct cost_result was = cost_model(&base);
  in.gpu_usd_per_hour = 7;
  expect_near(cost_model(&in).cost_ratio, was.cost_ratio, 1e-12, "GPU cost: not the ratio");
  in = base;
  in.flops_per_s *= 2;
  expect_near(cost_model(&in).ttft_cp_s, was.ttft_cp_s / 2, 1e-12, "TFLOPS: CP's TTFT");
  expect_near(cost_model(&in).ttft_offload_s, was.ttft_offload_s, 0, "but not offload's");
  in = base;
  in.context_tokens *= 2;
  expect_near(cost_model(&in).kv_bytes_per_request, 2 * was.kv_bytes_per_request, 1e-12, "linear");
  cr_expect_lt(cost_model(&in).overflow_requests, was.overflow_requests);
  in = base;
  in.hbm_bytes *= 2;
  cr_expect_lt(cost_model(&in).gpus_cp, was.gpus_cp);
  in = base;
  in.external_bytes_per_s /= 2;
  expect_near(cost_model(&in).ttft_offload_s, was.ttft_offload_s, 0, "external: only when used");
}
