/*
 * The virtual driver's state: one per process, as the real one's.
 */
#ifndef REFILL_TESTS_VGPU_STATE_H
#define REFILL_TESTS_VGPU_STATE_H

#include <pthread.h>
#include <stdbool.h>

#include "kernels/cuda/driver.h"
#include "tests/vgpu/libcuda/hooks.h"
#include "tests/vgpu/memory/arena.h"
#include "tests/vgpu/ptx/ptx.h"

/* CUresult values that this driver gives. */
enum {
  RESULT_OK = 0,
  RESULT_INVALID_VALUE = 1,
  RESULT_OUT_OF_MEMORY = 2,
  RESULT_NOT_INITIALIZED = 3,
  RESULT_STUB_LIBRARY = 34,
  RESULT_NO_DEVICE = 100,
  RESULT_INVALID_DEVICE = 101,
  RESULT_INVALID_IMAGE = 200,
  RESULT_INVALID_CONTEXT = 201,
  RESULT_NO_BINARY_FOR_GPU = 209,
  RESULT_INVALID_PTX = 218,
  RESULT_UNSUPPORTED_PTX_VERSION = 222,
  RESULT_INVALID_HANDLE = 400,
  RESULT_NOT_FOUND = 500,
  RESULT_NOT_READY = 600,
  RESULT_ILLEGAL_ADDRESS = 700,
  RESULT_LAUNCH_OUT_OF_RESOURCES = 701,
  RESULT_HOST_MEMORY_ALREADY_REGISTERED = 712,
  RESULT_HOST_MEMORY_NOT_REGISTERED = 713,
  RESULT_LAUNCH_FAILED = 719,
  RESULT_CAPTURE_UNSUPPORTED = 900
};

enum entry {
#define ENTRY_ENUM(member, symbol, abi, parameters) ENTRY_##member,
  DRIVER_TABLE(ENTRY_ENUM)
#undef ENTRY_ENUM
      ENTRIES
};

enum needs { NEEDS_NOTHING, NEEDS_INIT, NEEDS_CONTEXT };

/* VGPU_* of the environment; README.md documents each. */
struct settings {
  bool stub;
  int driver_version, n_devices, major, minor, multiprocessors;
  const char *name; /* of the device */
  size_t memory_bytes, l2_bytes;
  const char *manifest; /* of cubins and their PTX */
  bool refuse_cubins, findings_warn, pageable_is_finding, any_memory, leaks;
  enum ptx_schedule schedule;
  bool lazy_copies;
  uint64_t seed;
  int threads, jitter_us, slow_copies_us, slow_kernels_us;
  const char *fail; /* "name:N" or "name:N:code" */
};

struct CUctx_st {
  int references;
};

#define ALIVE_STREAM 0x5354524dU
#define ALIVE_EVENT 0x45564e54U
#define ALIVE_MODULE 0x4d4f4455U
#define ALIVE_FUNCTION 0x46554e43U

struct vgpu {
  struct settings settings;
  bool started; /* cuInit was called */
  struct arena *arena;
  struct CUctx_st primary;
  int sticky;              /* atomic: asynchronous error that every later call returns */
  uint64_t calls[ENTRIES]; /* atomic */
  uint64_t other_calls;    /* atomic: of the stand-ins, those that VGPU_FAIL names */
  struct host_range *host;
  size_t n_host, host_room;
  pthread_mutex_t lock; /* of the tables here; never taken by work that runs on a stream */
  struct CUstream_st *streams;
  long n_events, n_modules, n_graphs; /* atomic */
};

/* Whether an io_uring of this process has an address in its registered buffers. */
enum ring { RING_UNKNOWN, RING_WITHOUT, RING_HOLDS };

struct host_range {
  uintptr_t start, end;
  enum ring ring; /* when the range was registered here */
  bool used;      /* by a strided copy: storage must have registered it by then, or never does */
};

/* The one of this process, made at the first call. */
struct vgpu *vgpu(void);

/* Sleeps so many microseconds; 0 or less: not at all. */
void vgpu_pause(int microseconds);

/* settings.c */
void settings_read(struct settings *settings);

/* Counts the call, and says whether it fails: the stub, VGPU_FAIL, not started, no context on this
 * thread, or the sticky error. */
driver_result vgpu_enter(enum entry entry, enum needs needs);

/* Whether the thread has the context: set by cuCtxSetCurrent. */
struct CUctx_st **vgpu_current(void);

/* Makes an asynchronous error sticky; the first stays. */
void vgpu_stick(int result);

#define ENTER(member, needs)                                                                       \
  do {                                                                                             \
    driver_result entered_ = vgpu_enter(ENTRY_##member, needs);                                    \
    if (entered_ != RESULT_OK) return entered_;                                                    \
  } while (0)

/* Every entry point of the table, as enter_<member>. */
#define ENTRY_PROTOTYPE(member, symbol, abi, parameters) driver_result enter_##member parameters;
DRIVER_TABLE(ENTRY_PROTOTYPE)
#undef ENTRY_PROTOTYPE

/* stream.c: work in stream order. `argument` is copied. */
driver_result stream_enqueue(driver_stream stream, void (*run)(void *argument),
                             const void *argument, size_t bytes);
bool stream_alive(driver_stream stream);
bool streams_capture(void);                              /* whether any of them is in a capture */
struct CUgraph_st *stream_capture(driver_stream stream); /* that its work goes into; NULL: none */
void stream_set_capture(driver_stream stream, struct CUgraph_st *graph);
void streams_drain(void); /* waits for all work of all streams */

/* graph.c: keeps a copy of the work; -1 without memory. */
int graph_add(struct CUgraph_st *graph, void (*run)(void *argument), const void *argument,
              size_t bytes);

/* ring.c: by the kernel's account of each ring (/proc/self/fdinfo); some 0.1 ms. Unknown where a
 * ring is busy, or the kernel does not tell. */
enum ring ring_of(uintptr_t address);

/* memory.c */
bool host_is_pinned(const void *address, size_t bytes, bool *partly);

#endif
