/*
 * The machine as a JSON object, for results. Unknown is null, so that a reader can tell it from
 * none and from zero.
 */
#include "bench/box/host.h"

static json_t *text_or_null(const char *text) {
  return text[0] != '\0' ? json_string(text) : json_null();
}

static json_t *count_or_null(int64_t count) {
  return count >= 0 ? json_integer(count) : json_null();
}

static json_t *bytes_or_null(uint64_t bytes) {
  return bytes > 0 ? json_integer((json_int_t)bytes) : json_null();
}

static json_t *load_to_json(const struct host *host) {
  if (host->load[0] < 0.0) return json_null();
  return json_pack("[f, f, f]", host->load[0], host->load[1], host->load[2]);
}

static json_t *memlock_to_json(const struct host *host) {
  if (host->memlock_bytes == INT64_MAX) return json_string("unlimited");
  return count_or_null(host->memlock_bytes);
}

/* [{"id": 0, "distances": [10, 21]}, ...] */
static json_t *nodes_to_json(const struct host *host) {
  json_t *nodes = json_array();
  for (int i = 0; i < host->n_nodes; i++) {
    json_t *distances = json_array();
    for (int j = 0; j < host->n_nodes; j++) {
      int distance = host->distances[i][j];
      json_array_append_new(distances, distance > 0 ? json_integer(distance) : json_null());
    }
    json_array_append_new(
        nodes, json_pack("{s: i, s: o}", "id", host->node_ids[i], "distances", distances));
  }
  return nodes;
}

static json_t *gpus_to_json(const struct host *host) {
  json_t *gpus = json_array();
  for (int i = 0; i < host->n_gpus; i++) {
    const struct host_gpu *gpu = &host->gpus[i];
    const struct device_link *link = &gpu->link;
    json_array_append_new(gpus, json_pack("{s: s, s: o, s: f, s: f, s: i, s: i}", "pci_address",
                                          gpu->address, "numa_node", count_or_null(gpu->numa_node),
                                          "link_gt_per_s", link->gt_per_s, "link_max_gt_per_s",
                                          link->max_gt_per_s, "link_width", link->width,
                                          "link_max_width", link->max_width));
  }
  return gpus;
}

json_t *host_to_json(const struct host *host) {
  const struct {
    const char *name;
    json_t *value;
  } fields[] = {
      {"cpu_model", text_or_null(host->cpu_model)},
      {"sockets", count_or_null(host->sockets)},
      {"cores", count_or_null(host->cores)},
      {"threads", count_or_null(host->threads)},
      {"hypervisor", json_boolean(host->hypervisor)},
      {"memory_bytes", bytes_or_null(host->memory_bytes)},
      {"memory_available_bytes", bytes_or_null(host->memory_available_bytes)},
      {"kernel", text_or_null(host->kernel)},
      {"os", text_or_null(host->os)},
      {"governor", text_or_null(host->governor)},
      {"turbo", text_or_null(host->turbo)},
      {"thp", text_or_null(host->thp)},
      {"load_average", load_to_json(host)},
      {"memlock_bytes", memlock_to_json(host)},
      {"io_uring_disabled", count_or_null(host->io_uring_disabled)},
      {"numa_nodes", nodes_to_json(host)},
      {"nvidia_devices", gpus_to_json(host)},
      {"nvidia_driver", json_boolean(host->nvidia_driver)},
  };
  json_t *object = json_object();
  for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
    json_t *value = fields[i].value != NULL ? fields[i].value : json_null(); /* not UTF-8 */
    json_object_set_new(object, fields[i].name, value); /* frees it where object is NULL */
  }
  return object;
}

json_t *host_to_json_here(void) {
  struct host host;
  host_read(&host, "/");
  return host_to_json(&host);
}
