/*
 * Thresholds of the host's warnings, and their details.
 */
#include "bench/present/host_warn.h"

#include <stdlib.h>
#include <string.h>

#include "bench/present/build.h"

#define LOAD_SHARE_MAX 0.3 /* of the threads that others may keep busy */

void host_warn(const struct host *host, struct warnings *warnings) {
  if (build_problem()) warnings_add(warnings, WARNING_DEBUG_BUILD, "%s", build_problem());
  if (host->threads > 0 && host->load[0] > LOAD_SHARE_MAX * host->threads)
    warnings_add(warnings, WARNING_LOAD, "load average %.2f on %d threads", host->load[0],
                 host->threads);
  if (host->governor[0] && strcmp(host->governor, "performance") != 0)
    warnings_add(warnings, WARNING_GOVERNOR, "%s", host->governor);
}

json_t *host_report(struct warnings *warnings) {
  struct host *host = malloc(sizeof *host);
  if (!host) return NULL;
  host_read(host, "/");
  host_warn(host, warnings);
  json_t *json = host_to_json(host);
  free(host);
  return json;
}
