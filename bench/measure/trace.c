/*
 * Spans to Chrome trace events ("X": complete, with start and duration).
 */
#include "bench/measure/trace.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const char *const TRACKS[] = {"read", "H2D", "compute", "D2H", "write"};
#define N_TRACKS 5

static struct pipeline_span span_of(const struct pipeline_layer *layer, int track) {
  const struct pipeline_span spans[N_TRACKS] = {layer->read, layer->h2d, layer->compute, layer->d2h,
                                                layer->write};
  return spans[track];
}

static void write_tracks(FILE *stream, const char *title) {
  json_t *name = json_string(title);
  char *text = json_dumps(name, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
  fprintf(stream, "{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":1,\"args\":{\"name\":%s}}",
          text ? text : "\"refill\"");
  free(text);
  json_decref(name);
  for (int track = 0; track < N_TRACKS; track++)
    fprintf(stream,
            ",\n{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":1,\"tid\":%d,\"args\":{\"name\":"
            "\"%s\"}},\n{\"name\":\"thread_sort_index\",\"ph\":\"M\",\"pid\":1,\"tid\":%d,"
            "\"args\":{\"sort_index\":%d}}",
            track + 1, TRACKS[track], track + 1, track);
}

void trace_write(FILE *stream, const struct pipeline_run *run, const char *title) {
  fprintf(stream,
          "%s1\",\"first_token_s\":%.9f,\"durable_s\":%.9f,\"clock_error_s\":%.9f},"
          "\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n",
          TRACE_HEAD, run->first_token_s, run->durable_s, run->clock_error_s);
  write_tracks(stream, title);
  for (int layer = 0; layer < run->n_layers; layer++)
    for (int track = 0; track < N_TRACKS; track++) {
      struct pipeline_span span = span_of(&run->layers[layer], track);
      if (span.end_s <= span.start_s) continue;
      fprintf(stream,
              ",\n{\"name\":\"layer %d\",\"cat\":\"%s\",\"ph\":\"X\",\"pid\":1,\"tid\":%d,"
              "\"ts\":%.3f,\"dur\":%.3f}",
              layer, TRACKS[track], track + 1, span.start_s * 1e6,
              (span.end_s - span.start_s) * 1e6);
    }
  fprintf(stream, "\n]}\n");
}
