/*
 * The state, and what every call begins with.
 */
#include "tests/vgpu/libcuda/state.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

static struct vgpu *instance(void) {
  static struct vgpu only = {.lock = PTHREAD_MUTEX_INITIALIZER};
  return &only;
}

static void start(void) {
  settings_read(&instance()->settings);
}

struct vgpu *vgpu(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, start);
  return instance();
}

struct CUctx_st **vgpu_current(void) {
  static _Thread_local struct CUctx_st *current;
  return &current;
}

void vgpu_pause(int microseconds) {
  if (microseconds > 0) clock_sleep_until_s(clock_now_s() + microseconds * 1e-6);
}

bool vgpu_has_context(void) {
  return *vgpu_current() == &vgpu()->primary && vgpu()->primary.references > 0;
}

void vgpu_stick(int result) {
  int none = 0;
  __atomic_compare_exchange_n(&vgpu()->sticky, &none, result, false, __ATOMIC_ACQ_REL,
                              __ATOMIC_ACQUIRE);
}

void vgpu_finding(const char *format, ...) {
  char text[600];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  fprintf(stderr, "vgpu: %s\n", text);
  if (!vgpu()->settings.findings_warn) vgpu_stick(RESULT_LAUNCH_FAILED);
}

/* ---- failing on request ----------------------------------------------------------------- */

/* "name:N", "name:N+" (that call and all after it), with ":code", ":crash" or ":hang" behind it:
 * whether `call` of `name` is meant. Does not come back from the last two. */
static bool fail_matches(const char *name, uint64_t call, int *code) {
  const char *text = vgpu()->settings.fail;
  size_t length = strlen(name);
  if (!text || strncmp(text, name, length) != 0 || text[length] != ':') return false;
  char *end = NULL;
  const uint64_t nth = strtoull(text + length + 1, &end, 10);
  const bool later = *end == '+';
  if (call != nth && !(later && call > nth)) return false;
  end += later;
  if (strcmp(end, ":crash") == 0) raise(SIGSEGV);
  while (strcmp(end, ":hang") == 0) vgpu_pause(1000000);
  if (*end == ':') *code = (int)strtol(end + 1, NULL, 10);
  return true;
}

bool vgpu_fails(const char *name, int *code) {
  const char *text = vgpu()->settings.fail;
  size_t length = strlen(name);
  if (!text || strncmp(text, name, length) != 0 || text[length] != ':') return false;
  uint64_t call = __atomic_add_fetch(&vgpu()->other_calls, 1, __ATOMIC_RELAXED);
  if (!fail_matches(name, call, code)) return false;
  fprintf(stderr, "vgpu: %s fails as asked for with %d\n", name, *code);
  return true;
}

static const char *entry_name(enum entry entry) {
  static const char *const names[] = {
#define ENTRY_NAME(member, symbol, abi, parameters) #symbol,
      DRIVER_TABLE(ENTRY_NAME)
#undef ENTRY_NAME
  };
  return names[entry];
}

driver_result vgpu_enter(enum entry entry, enum needs needs) {
  struct vgpu *state = vgpu();
  if (state->settings.stub) return RESULT_STUB_LIBRARY;
  uint64_t call = __atomic_add_fetch(&state->calls[entry], 1, __ATOMIC_RELAXED);
  int code = RESULT_OUT_OF_MEMORY;
  if (fail_matches(entry_name(entry), call, &code)) {
    fprintf(stderr, "vgpu: %s, call %llu, fails as asked for with %d\n", entry_name(entry),
            (unsigned long long)call, code);
    if (code >= RESULT_ILLEGAL_ADDRESS && code != RESULT_HOST_MEMORY_ALREADY_REGISTERED)
      vgpu_stick(code);
    return (driver_result)code;
  }
  if (needs == NEEDS_NOTHING) return RESULT_OK;
  if (!state->started) return RESULT_NOT_INITIALIZED;
  if (needs == NEEDS_INIT) return RESULT_OK;
  if (!vgpu_has_context()) {
    fprintf(stderr, "vgpu: %s from a thread without the context\n", entry_name(entry));
    return RESULT_INVALID_CONTEXT;
  }
  int sticky = __atomic_load_n(&state->sticky, __ATOMIC_ACQUIRE);
  /* Work ends with the context: whoever is told of the error may unmap what copies went to. */
  if (sticky) streams_drain();
  return (driver_result)sticky;
}

/* ---- what the stand-ins use -------------------------------------------------------------- */

bool vgpu_is_device(uint64_t address, size_t bytes) {
  struct arena_range range;
  return vgpu()->arena && arena_find(vgpu()->arena, address, &range) &&
         bytes <= range.end - address;
}

bool vgpu_is_stream(driver_stream stream) {
  return stream_alive(stream);
}

bool vgpu_is_capturing(driver_stream stream) {
  return stream_alive(stream) && stream_capture(stream);
}

const void *vgpu_read(uint64_t address, size_t bytes) {
  if (!vgpu_is_device(address, bytes)) {
    vgpu_finding("a library reads %zu bytes at 0x%llx: not device memory", bytes,
                 (unsigned long long)address);
    return NULL;
  }
  if (!vgpu()->settings.any_memory && !arena_written(vgpu()->arena, address, bytes)) {
    vgpu_finding("a library reads %zu bytes at 0x%llx that nobody wrote", bytes,
                 (unsigned long long)address);
    return NULL;
  }
  return arena_data(vgpu()->arena, address);
}

void *vgpu_write(uint64_t address, size_t bytes) {
  if (!vgpu_is_device(address, bytes)) {
    vgpu_finding("a library writes %zu bytes at 0x%llx: not device memory", bytes,
                 (unsigned long long)address);
    return NULL;
  }
  arena_mark(vgpu()->arena, address, bytes);
  return arena_data(vgpu()->arena, address);
}

bool vgpu_written(uint64_t address, size_t bytes) {
  return vgpu()->settings.any_memory || arena_written(vgpu()->arena, address, bytes);
}

void *vgpu_bytes(uint64_t address) {
  return arena_data(vgpu()->arena, address);
}

void vgpu_mark(uint64_t address, size_t bytes, bool written) {
  (written ? arena_mark : arena_unmark)(vgpu()->arena, address, bytes);
}

bool vgpu_is_broken(void) {
  return __atomic_load_n(&vgpu()->sticky, __ATOMIC_ACQUIRE) != 0;
}

int vgpu_enqueue(driver_stream stream, void (*run)(void *argument), const void *argument,
                 size_t bytes) {
  return (int)stream_enqueue(stream, run, argument, bytes);
}

struct part {
  int64_t first, last;
  void (*body)(int64_t first, int64_t last, void *argument);
  void *argument;
};

static void *run_part(void *part_given) {
  const struct part *part = part_given;
  part->body(part->first, part->last, part->argument);
  return NULL;
}

void vgpu_parallel(int64_t n, void (*body)(int64_t first, int64_t last, void *argument),
                   void *argument) {
  enum { MOST = 16 };
  int64_t parts = vgpu()->settings.threads;
  if (parts > MOST) parts = MOST;
  if (parts > n) parts = n;
  if (parts < 1) parts = 1;
  pthread_t threads[MOST];
  struct part each[MOST];
  for (int64_t i = 0; i < parts; i++)
    each[i] = (struct part){n * i / parts, n * (i + 1) / parts, body, argument};
  int64_t started = 1;
  while (started < parts && pthread_create(&threads[started], NULL, run_part, &each[started]) == 0)
    started++;
  run_part(&each[0]);
  for (int64_t i = started; i < parts; i++) run_part(&each[i]);
  for (int64_t i = 1; i < started; i++) pthread_join(threads[i], NULL);
}
