/*
 * What a reader of the numbers must know: a closed set of warnings, each with its cause and the
 * next command to type. Collected during the run (the same one twice is merged and counted),
 * printed to stderr under the table, and kept in the result.
 */
#ifndef REFILL_BENCH_PRESENT_WARNINGS_H
#define REFILL_BENCH_PRESENT_WARNINGS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

enum warning {
  /* what was measured is not what one would think */
  WARNING_INTERRUPTED,         /* partial: Ctrl-C or SIGTERM */
  WARNING_PLAYED_BACK,         /* the device plays a profile back */
  WARNING_DEGRADED,            /* a part of the device works in a lesser way than asked for */
  WARNING_EMULATED_DRIVE,      /* the engine pretends to be a drive */
  WARNING_LAYERS_FEWER,        /* --layers below the model's */
  WARNING_WEIGHTS_CYCLED,      /* fewer weight sets than layers */
  WARNING_COLD_NOT_PROVEN,     /* reads may have come from a cache */
  WARNING_DRIVE_VIRTUAL,       /* a guest's drive: caches below cannot be seen */
  WARNING_NO_DIRECT,           /* O_DIRECT unavailable on the target */
  WARNING_ALPHA_ROUNDED,       /* whole pages moved alpha far from what was asked */
  WARNING_NO_DATASHEET,        /* a GPU of which no peak is known: no MFU */
  WARNING_KV_NOT_RESIDENT,     /* KV checked in-line, inside the timed region */
  WARNING_NOT_VERIFIED,        /* nothing is known of what a file or device should hold */
  WARNING_WORKING_SET_SMALL,   /* caches of drive or controller may hold it */
  WARNING_WORKING_SET_REDUCED, /* less than asked for, for want of space */
  WARNING_AMPLIFIED,           /* reads move more than is needed */
  WARNING_ROW_REFUSED,         /* an engine or target cannot do what a row asks */
  WARNING_FIO_SMALL_PAGES,     /* fio's buffers lie on small pages, ours on huge ones */
  WARNING_LINK_DEGRADED,       /* a drive's PCIe link is below its maximum */
  WARNING_GPU_LINK,            /* a GPU's PCIe link is below its maximum, while it is busy */
  WARNING_NODE_MISMATCH,       /* drive and GPU hang on different NUMA nodes */
  WARNING_SCHEDULER,           /* an I/O scheduler stands before an NVMe drive */
  WARNING_FAKE_DIRECT,         /* the filesystem takes O_DIRECT and buffers all the same */
  WARNING_LOOP_CACHED,         /* a loop device over the page cache */
  WARNING_DISCARD,             /* the mount discards freed blocks while we write */
  /* the box disturbs the measurement */
  WARNING_DEBUG_BUILD,  /* sanitizer or unoptimised build */
  WARNING_HELD_DOWN,    /* a GPU's clocks were held down */
  WARNING_LOAD,         /* load average high at the start */
  WARNING_GOVERNOR,     /* cpufreq governor is not performance */
  WARNING_UNREGISTERED, /* buffers not registered with the engine */
  /* the numbers are less sure than asked */
  WARNING_OUTLIERS,         /* samples far from the median */
  WARNING_NOT_WARM,         /* calibrate's budget ended with its first look */
  WARNING_INTERVAL,         /* interval not narrow at the cap or budget */
  WARNING_ERROR_SPREAD,     /* a model's error exceeds the spread of the samples */
  WARNING_NO_IO_BOUND,      /* no point of the sweep was I/O-bound */
  WARNING_NO_COMPUTE_BOUND, /* no point of the sweep was compute-bound */
  /* what a run costs */
  WARNING_WEAR, /* large writes to a drive */
  WARNING_COUNT
};

#define WARNINGS_DETAILS_MAX 4 /* details kept of one warning; more are counted */
#define WARNINGS_DETAIL_BYTES 160

struct warnings {
  struct {
    int count;     /* times added */
    int n_details; /* kept, without duplicates */
    int n_lost;    /* not kept */
    char details[WARNINGS_DETAILS_MAX][WARNINGS_DETAIL_BYTES];
    bool printed; /* already told by warnings_tell() */
  } entries[WARNING_COUNT];
};

/* Adds a warning with what it is about (a value, a name; "" for none). A zeroed struct is
 * empty. */
void warnings_add(struct warnings *warnings, enum warning warning, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Adds and prints it at once: for what must be known before the run goes on (wear). */
void warnings_tell(struct warnings *warnings, enum warning warning, FILE *stream,
                   const char *format, ...) __attribute__((format(printf, 4, 5)));

bool warnings_has(const struct warnings *warnings, enum warning warning);

/* The stable name, "cold-not-proven". */
const char *warning_name(enum warning warning);

/* Prints each that was not told yet, most consequential first, as one line. Those that an earlier
 * run of the same script told (told.h) are only named, in a last line. */
void warnings_print(const struct warnings *warnings, FILE *stream);

/* [{"name", "text": "cause (details): next", "details": [...], "count"}]; the caller owns it. */
json_t *warnings_to_json(const struct warnings *warnings);

#endif
