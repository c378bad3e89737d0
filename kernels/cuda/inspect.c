/*
 * Looking at a GPU, its link and its libraries without running anything on it.
 */
#include "kernels/cuda/inspect.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "kernels/cuda/cudnn.h"
#include "kernels/cuda/launcher.h"
#include "kernels/cuda/lt.h"
#include "kernels/cuda/nvml.h"
#include "kernels/cuda/pinned.h"

#define TEXT_BYTES 400
#define MEMORY_LITTLE_BYTES ((size_t)4 << 30)
#define PINNED_PROBE_BYTES ((size_t)64 << 20)
#define PYTHON_HINT "or name its directory with --cuda-libdir"

struct inspection {
  const struct selftest *test;
  inspect_tell *tell;
  void *context;
  struct gpu gpu;
};

static void say(struct inspection *all, const char *name, enum inspect_verdict verdict,
                const char *advice, const char *format, ...) __attribute__((format(printf, 5, 6)));
static void say(struct inspection *all, const char *name, enum inspect_verdict verdict,
                const char *advice, const char *format, ...) {
  char text[TEXT_BYTES];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  all->tell(all->context, name, verdict, text, advice);
}

static void look_at_memory(struct inspection *all) {
  size_t free_bytes = 0, total_bytes = 0;
  struct error error = {0};
  if (gpu_memory(&all->gpu, &free_bytes, &total_bytes, &error)) {
    say(all, "GPU memory", INSPECT_BAD, "look at nvidia-smi", "%s", error.message);
    return;
  }
  const int little = free_bytes < MEMORY_LITTLE_BYTES, used = free_bytes < total_bytes / 10 * 9;
  say(all, "GPU memory", little || used ? INSPECT_WARN : INSPECT_GOOD,
      little || used ? "end what else uses the GPU (nvidia-smi lists it)" : "",
      "%.1f of %.1f GiB free", (double)free_bytes / (1 << 30), (double)total_bytes / (1 << 30));
}

/* How long a run will take to pin its buffers, or why it cannot. */
static void look_at_pinning(struct inspection *all) {
  struct pinned pinned;
  struct error error = {0};
  int failed = pinned_open(&pinned, &all->gpu, PINNED_PROBE_BYTES, 1, 4096, NULL, &error);
  if (!failed) pinned_register(&pinned);
  const double gib_s = pinned.registered_s * 0x1p30 / (double)PINNED_PROBE_BYTES;
  if (failed || !pinned.registered)
    say(all, "pinned memory", INSPECT_WARN, "ulimit -l unlimited, or copies at about half the rate",
        "%s", failed ? error.message : pinned.refused);
  else
    say(all, "pinned memory", INSPECT_GOOD, "", "works: %.0f MiB in %.1f ms, so %.2f s a GiB",
        (double)PINNED_PROBE_BYTES / 0x1p20, pinned.registered_s * 1e3, gib_s);
  pinned_close(&pinned);
}

static void look_at_kernels(struct inspection *all) {
  struct launcher launcher;
  struct error error = {0};
  if (launcher_open(&launcher, &all->gpu, &error))
    say(all, "kernels", INSPECT_BAD, "rebuild with nvcc, or update the driver", "%s",
        error.message);
  else
    say(all, "kernels", launcher.refused[0] ? INSPECT_WARN : INSPECT_GOOD,
        launcher.refused[0] ? "rebuild with an nvcc that fits the driver" : "", "%s%s%s",
        image_form_name(launcher.form), launcher.refused[0] ? "; refused: " : "", launcher.refused);
  launcher_close(&launcher);
}

static void look_at_lt(struct inspection *all) {
  struct lt lt = {0};
  struct error error = {0};
  if (lt_open(&lt, all->gpu.driver.version, all->test->directory, &error))
    say(all, "cuBLASLt", INSPECT_BAD,
        "pip install nvidia-cublas (nvidia-cublas-cu12 for a 12.x driver), " PYTHON_HINT, "%s",
        error.message);
  else
    say(all, "cuBLASLt", INSPECT_GOOD, "", "%d.%d.%d: %s", lt.major, lt.minor, lt.patch,
        lt.library.path);
  lt_close(&lt);
}

/* The device loads it in the same way before cuDNN asks for it. */
static void look_at_nvrtc(struct inspection *all, const struct cudnn *cudnn) {
  struct library library;
  struct error error = {0};
  if (cudnn_load_nvrtc(cudnn, all->gpu.driver.version, all->test->directory, &library, &error))
    say(all, "NVRTC", INSPECT_WARN,
        "pip install nvidia-cuda-nvrtc, or run with --attention builtin",
        "cuDNN needs it to compile attention: %.200s", error.message);
  else
    say(all, "NVRTC", INSPECT_GOOD, "", "%s", library.path);
}

static void look_at_cudnn(struct inspection *all) {
  struct cudnn cudnn = {0};
  struct error error = {0};
  int failed = cudnn_load(&cudnn, all->test->directory, &error);
  if (!failed) failed = cudnn_start(&cudnn, &error);
  if (failed)
    say(all, "cuDNN", INSPECT_WARN,
        "pip install nvidia-cudnn-cu13 (-cu12 for a 12.x driver), or live with builtin attention",
        "%s", error.message);
  else
    say(all, "cuDNN", INSPECT_GOOD, "", "%d.%d.%d: %s", cudnn.major, cudnn.minor, cudnn.patch,
        cudnn.library.path);
  cudnn_close(&cudnn);
  if (!failed) look_at_nvrtc(all, &cudnn);
}

static void look_at_link(struct inspection *all, const struct nvml *nvml) {
  struct device_link link;
  char text[DEVICE_LINK_BYTES];
  nvml_read_link(nvml, "/", &link);
  const bool lesser = device_link_lesser(&link);
  if (link.gt_per_s <= 0 && link.width == 0)
    say(all, "GPU link", INSPECT_GOOD, "", "neither NVML nor /sys/bus/pci tells of it");
  else
    say(all, "GPU link", lesser ? INSPECT_WARN : INSPECT_GOOD,
        lesser
            ? "an idle GPU slows it down: refill calibrate tells it under load; else look at seat, "
              "slot, riser and BIOS"
            : "",
        "%s", device_link_text(&link, text));
}

/* " 1980 MHz" or " ?" */
static const char *reading(char text[24], double value, const char *unit) {
  if (isnan(value))
    snprintf(text, 24, " ?");
  else
    snprintf(text, 24, " %.0f %s", value, unit);
  return text;
}

static void look_at_state(struct inspection *all, const struct nvml *nvml) {
  struct nvml_state state;
  char sm[24], memory[24], power[24], heat[24];
  nvml_read(nvml, &state);
  const char *reason = nvml_reason_name(state.reasons);
  const char *advice = "";
  if (!state.reasons_known) advice = "on a MIG slice, a vGPU or in a container the host may tell";
  if (*reason) advice = "let the GPU cool, or lift its limits, before measuring";
  say(all, "NVML", *advice ? INSPECT_WARN : INSPECT_GOOD, advice,
      "%s: SM%s, memory%s, power%s, heat%s%s%s", nvml->library.path,
      reading(sm, state.sm_hz * 1e-6, "MHz"), reading(memory, state.memory_hz * 1e-6, "MHz"),
      reading(power, state.power_w, "W"), reading(heat, state.temperature_c, "C"),
      *reason               ? ", held down: "
      : state.reasons_known ? ""
                            : ", what holds it down: ?",
      reason);
}

static void look_at_nvml(struct inspection *all) {
  struct nvml nvml = {0};
  struct error error = {0};
  if (nvml_open(&nvml, all->gpu.pci_bus_id, &error))
    say(all, "NVML", INSPECT_WARN, "install the driver's libnvidia-ml.so.1: clocks stay unknown",
        "%s", error.message);
  else
    look_at_state(all, &nvml);
  look_at_link(all, &nvml);
  nvml_close(&nvml);
}

void inspect(const struct selftest *test, inspect_tell *tell, void *context) {
  struct inspection all = {.test = test, .tell = tell, .context = context};
  struct error error = {0};
  const struct gpu *gpu = &all.gpu;
  /* The sentence of gpu_open() says what to do itself. */
  if (gpu_open(&all.gpu, test->index, NULL, &error)) {
    say(&all, "GPU", INSPECT_BAD, "see what was found; --device cpu works without", "%s",
        error.message);
    gpu_close(&all.gpu);
    return;
  }
  say(&all, "NVIDIA driver", INSPECT_GOOD, "", "for CUDA %d.%d: %s", gpu->driver.version / 1000,
      gpu->driver.version % 1000 / 10, gpu->driver.path);
  say(&all, "GPU", INSPECT_GOOD, "", "%s, compute capability %d.%d, %d SMs, PCIe %s", gpu->name,
      gpu->major, gpu->minor, gpu->multiprocessors, gpu->pci_bus_id);
  look_at_memory(&all);
  look_at_pinning(&all);
  look_at_kernels(&all);
  look_at_lt(&all);
  look_at_cudnn(&all);
  look_at_nvml(&all);
  gpu_close(&all.gpu);
}
