/*
 * `refill doctor`: is this box fit to measure? One line a check: what was found, whether that is
 * well, and what to do where it is not.
 */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/memory.h"
#include "base/units.h"
#include "bench/box/host.h"
#include "bench/commands/table.h"
#include "bench/present/build.h"
#include "bench/present/host_warn.h"
#include "bench/present/leave.h"
#include "bench/present/result.h"
#include "bench/present/rig_report.h"
#include "io/engine.h"
#include "io/target.h"
#include "kernels/cuda/loader.h"
#include "kernels/device.h"

#define FOUND_BYTES 400
#define DRIVE_BYTES 800
#define LINK_BYTES 64
#define PROBE_BYTES                                                                                \
  ((size_t)64 << 20) /* registered to see whether the limit on locked memory allows it */
#define MEMLOCK_WANTED_BYTES ((int64_t)1 << 30)
#define CLOCK_COARSE_S 1e-6

enum verdict { GOOD, WARN, BAD };

struct doctor {
  const struct options *options;
  struct table *table;
  json_t *checks;
  struct host host;
  struct warnings warnings;
  int n_bad;
};

static const struct table_column columns[] = {
    {.title = "check", .name = "check", .kind = TABLE_TEXT},
    {.title = "verdict", .name = "verdict", .kind = TABLE_TEXT},
    {.title = "found", .name = "found", .kind = TABLE_TEXT},
    {.title = "what to do", .name = "advice", .kind = TABLE_TEXT},
};

/* Adds one line; `advice` may be "". */
static void check(struct doctor *doctor, const char *name, enum verdict verdict, const char *advice,
                  const char *format, ...) __attribute__((format(printf, 5, 6)));
static void check(struct doctor *doctor, const char *name, enum verdict verdict, const char *advice,
                  const char *format, ...) {
  static const char *const texts[] = {[GOOD] = "ok", [WARN] = "warn", [BAD] = "BAD"};
  char found[FOUND_BYTES];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(found, sizeof found, format, arguments);
  va_end(arguments);
  table_row(doctor->table);
  table_text(doctor->table, name);
  table_text(doctor->table, texts[verdict]);
  table_text(doctor->table, found);
  table_text(doctor->table, advice);
  json_array_append_new(doctor->checks,
                        json_pack("{s:s, s:s, s:s, s:s}", "check", name, "verdict", texts[verdict],
                                  "found", found, "advice", advice));
  doctor->n_bad += verdict == BAD;
}

/* ---- the machine ---- */

static void check_host(struct doctor *doctor) {
  const struct host *host = &doctor->host;
  char memory[UNITS_TEXT_BYTES];
  units_format_bytes(memory, (double)host->memory_available_bytes);
  check(doctor, "system", GOOD, "", "%s, Linux %s%s", host->os, host->kernel,
        host->hypervisor ? ", virtual machine" : "");
  check(doctor, "processor", GOOD, "", "%s, %d threads on %d NUMA nodes", host->cpu_model,
        host->threads, host->n_nodes);
  check(doctor, "memory", host->memory_available_bytes < (4ULL << 30) ? WARN : GOOD,
        host->memory_available_bytes < (4ULL << 30) ? "free some, or use fewer --tokens" : "",
        "%s available", memory);
  bool pages = strcmp(host->thp, "never") != 0;
  check(doctor, "huge pages", pages ? GOOD : WARN,
        pages ? "" : "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
        "transparent: %s", host->thp[0] ? host->thp : "unknown");
  bool steady = !host->governor[0] || strcmp(host->governor, "performance") == 0;
  check(doctor, "clocks", steady ? GOOD : WARN,
        steady ? "" : "cpupower frequency-set -g performance", "governor %s, turbo %s",
        host->governor[0] ? host->governor : "not visible",
        host->turbo[0] ? host->turbo : "not visible");
  bool idle = host->load[0] <= 0.3 * host->threads;
  check(doctor, "other work", idle ? GOOD : WARN, idle ? "" : "stop what else runs",
        "load average %.2f", host->load[0]);
}

static void check_build(struct doctor *doctor) {
  check(doctor, "build", build_problem() ? WARN : GOOD,
        build_problem() ? "build without SANITIZE, with -O2" : "", "%s, %s%s%s", build_version(),
        build_compiler(), build_problem() ? ", " : "", build_problem() ? build_problem() : "");
  double resolution_s = clock_resolution_s();
  char text[UNITS_TEXT_BYTES];
  check(doctor, "clock", resolution_s < CLOCK_COARSE_S ? GOOD : WARN,
        resolution_s < CLOCK_COARSE_S ? "" : "boot with a better clocksource (tsc)",
        "resolution %s, CRC32C by %s", units_format_seconds(text, resolution_s), crc32c_name());
}

/* ---- devices ---- */

/* ", link 32.0 GT/s x16 of 32.0 GT/s x16"; "" unknown. */
static const char *describe_link(const struct device_link *link, char text[LINK_BYTES]) {
  text[0] = '\0';
  if (link->width > 0)
    snprintf(text, LINK_BYTES, ", link %.1f GT/s x%d of %.1f GT/s x%d", link->gt_per_s, link->width,
             link->max_gt_per_s, link->max_width);
  return text;
}

static void check_devices(struct doctor *doctor) {
  char names[FOUND_BYTES] = "";
  for (size_t i = 0, used = 0; device_at((int)i) && used < sizeof names; i++)
    used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "",
                             device_at((int)i)->name);
  check(doctor, "devices", GOOD, "", "this build can drive %s", names);
  const struct host *host = &doctor->host;
  char link[LINK_BYTES];
  bool drivable = device_find("cuda") != NULL;
  for (int i = 0; i < host->n_gpus; i++)
    check(doctor, "NVIDIA device", drivable ? GOOD : WARN,
          drivable ? "" : "this build cannot drive it: --device cpu or playback:PROFILE",
          "%s, NUMA node %d%s%s", host->gpus[i].address, host->gpus[i].numa_node,
          describe_link(&host->gpus[i].link, link),
          host->nvidia_driver ? "" : ", no driver loaded");
  if (host->n_gpus == 0) check(doctor, "NVIDIA device", GOOD, "", "none: --device auto is the CPU");
}

static void tell_of_gpu(void *context, const char *name, enum inspect_verdict verdict,
                        const char *found, const char *advice) {
  static const enum verdict verdicts[] = {
      [INSPECT_GOOD] = GOOD, [INSPECT_WARN] = WARN, [INSPECT_BAD] = BAD};
  check(context, name, verdicts[verdict], advice, "%s", found);
}

/* Everything that --device cuda would refuse, told now. Without an NVIDIA device nobody asks, but
 * by --device cuda. */
static void check_cuda(struct doctor *doctor) {
  const char *asked = doctor->options->device;
  if (doctor->host.n_gpus == 0 && strncmp(asked, "cuda", 4) != 0) return;
  const char *colon = strchr(asked, ':');
  const struct selftest test = {.index = colon ? colon + 1 : NULL,
                                .directory = doctor->options->cuda_libdir};
  struct error error = {0};
  if (loader_inspect(&test, tell_of_gpu, doctor, &error))
    check(doctor, "cuda plugin", BAD, "build it where nvcc is (make cuda-plugin), or --device cpu",
          "%s", error.message);
}

/* ---- storage ---- */

/* Opens the engine as a run would, with some memory to register. */
static void check_engine(struct doctor *doctor) {
  struct memory memory = {0};
  struct error error = {0};
  struct io_engine *engine = NULL;
  if (memory_map(&memory, PROBE_BYTES, NULL, 0, &error)) return;
  struct io_buffer buffer = {.address = memory.address, .bytes = memory.bytes};
  struct io_engine_config config = {.queue_depth = 32, .buffers = &buffer, .n_buffers = 1};
  int failed = io_engine_open(&engine, doctor->options->engine, &config, &error);
  if (failed) {
    check(doctor, "engine", BAD, "sysctl kernel.io_uring_disabled=0, or --engine pread", "%s",
          error.message);
  } else {
    bool plain = strstr(engine->info.description, "buffers not registered") != NULL;
    check(doctor, "engine", plain ? WARN : GOOD, plain ? "ulimit -l unlimited" : "", "%s",
          engine->info.description);
    engine->ops->close(engine);
  }
  memory_unmap(&memory);
}

static void check_limits(struct doctor *doctor) {
  const struct host *host = &doctor->host;
  char limit[UNITS_TEXT_BYTES];
  units_format_bytes(limit, (double)host->memlock_bytes);
  bool enough = host->memlock_bytes >= MEMLOCK_WANTED_BYTES;
  bool binds = !enough && geteuid() != 0;
  check(doctor, "locked memory", binds ? WARN : GOOD, binds ? "ulimit -l unlimited" : "",
        "limit %s%s", host->memlock_bytes == INT64_MAX ? "none" : limit,
        enough || binds ? "" : " (does not bind root)");
  bool open = host->io_uring_disabled <= 0;
  check(doctor, "io_uring", open ? GOOD : WARN, open ? "" : "sysctl kernel.io_uring_disabled=0",
        "io_uring_disabled %d", host->io_uring_disabled);
}

/* "md0 (md of nvme0n1, nvme1n1), KIOXIA CM7 1.2.3, blocks 512/4096, ...": what is known of it. */
static const char *describe_drive(const struct target *target, char text[DRIVE_BYTES]) {
  char node[32] = "";
  char link[LINK_BYTES];
  const char *model = target->model, *firmware = target->firmware;
  if (target->numa_node >= 0) snprintf(node, sizeof node, ", NUMA node %d", target->numa_node);
  describe_link(&target->link, link);
  snprintf(text, DRIVE_BYTES, "%s (%s%s%s)%s%s%s%s, blocks %u/%u, scheduler %s%s%s%s%s%s",
           target->drive[0] ? target->drive : "unknown", target->transport,
           target->members[0] ? " of " : "", target->members, model[0] ? ", " : "", model,
           firmware[0] ? " " : "", firmware, target->logical_block_bytes,
           target->physical_block_bytes, target->scheduler[0] ? target->scheduler : "unknown",
           target->write_cache[0] ? ", cache " : "", target->write_cache,
           target->rotational ? ", rotational" : "", link, node);
  return text;
}

static void check_target(struct doctor *doctor, const char *directory) {
  struct target target;
  struct error error = {0};
  int failed = target_describe(&target, directory, &error);
  if (failed) {
    check(doctor, "target", BAD, target_advice(failed), "%s: %s", directory, strerror(-failed));
    return;
  }
  target_warn(&target, "", &doctor->warnings);
  target_warn_node(&target, &doctor->host, &doctor->warnings);
  char space[UNITS_TEXT_BYTES];
  units_format_bytes(space, (double)target.free_bytes);
  check(doctor, "target", GOOD, "", "%s: %s on %s, %s free, %s", target.path, target.filesystem,
        target.source, space, target.mount_options);
  check(doctor, "O_DIRECT", target.direct ? GOOD : BAD,
        target.direct ? "" : "reads come from the page cache here: use another filesystem",
        target.direct ? "works, alignment %u bytes" : "refused (alignment %u bytes)",
        target.direct_alignment_bytes);
  char drive[DRIVE_BYTES];
  bool known = target.drive[0] != '\0';
  check(doctor, "drive", known && !target.virtual_drive ? GOOD : WARN,
        !known                 ? "no block device is seen: cold reads cannot be proven"
        : target.virtual_drive ? "caches below a guest cannot be seen: compare on bare metal"
                               : "",
        "%s", describe_drive(&target, drive));
  bool nvme = strcmp(target.transport, "nvme") == 0;
  if (nvme && strcmp(target.scheduler, "none") != 0)
    check(doctor, "scheduler", WARN, "echo none > /sys/block/DRIVE/queue/scheduler",
          "%s on an NVMe drive", target.scheduler);
}

/* Each directory of "A,B", a stripe set as `refill storage` takes it. */
static void check_members(struct doctor *doctor, const char *target) {
  char member[PATH_MAX];
  for (const char *at = target; at;) {
    const char *comma = strchr(at, ',');
    size_t length = comma ? (size_t)(comma - at) : strlen(at);
    snprintf(member, sizeof member, "%.*s", (int)length, at);
    check_target(doctor, member);
    at = comma ? comma + 1 : NULL;
  }
}

static int doctor_run(const struct options *options, struct error *error) {
  if (leave_check(options, error) < 0) return EXIT_USAGE;
  struct doctor *doctor = calloc(1, sizeof *doctor);
  if (!doctor) return command_exit_code(error_set(error, -ENOMEM, "no memory for the checks"));
  doctor->options = options;
  doctor->table = table_new(columns, sizeof columns / sizeof *columns);
  doctor->checks = json_array();
  host_read(&doctor->host, "/");
  check_host(doctor);
  check_build(doctor);
  check_devices(doctor);
  check_cuda(doctor);
  check_limits(doctor);
  check_engine(doctor);
  for (int i = 0; i < options->n_targets || i == 0; i++)
    check_members(doctor, options->n_targets ? options->targets[i] : ".");
  json_t *result = result_new(options, host_to_json(&doctor->host));
  json_object_set_new(result, "checks", doctor->checks);
  json_object_set_new(result, "bad", json_integer(doctor->n_bad));
  const struct table *const tables[] = {doctor->table};
  int failed = leave(options, result, tables, 1, &doctor->warnings, error);
  if (!failed && doctor->n_bad > 0)
    failed = error_set(error, -EIO, "%d of the checks are BAD: measurements here would not hold",
                       doctor->n_bad);
  json_decref(result);
  table_free(doctor->table);
  free(doctor);
  return command_exit_code(failed);
}

const struct command command_doctor = {
    .name = "doctor",
    .summary = "is this box fit to measure: devices, io_uring, O_DIRECT, drive, clocks",
    .examples = "  refill doctor\n"
                "  refill doctor --target /mnt/nvme0 --target /mnt/nvme1\n"
                "  refill doctor --json",
    .run = doctor_run,
};
