/*
 * The report's page: the embedded template with results put into it. See report_page.h.
 */
#include "bench/present/report_page.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "bench/present/publish.h"

/* Made by scripts/report/build.sh and taken in by the assembler; found by -I of the build folder.
 * The Makefile names it as a prerequisite, since the compiler does not see it. */
__asm__(".pushsection .rodata\n"
        "report_template_begin:\n"
        ".incbin \"report/page.html\"\n"
        "report_template_end:\n"
        ".popsection\n");
extern const char report_template_begin[], report_template_end[];

/* Where the template leaves room. */
#define MARK_NONCE "@@NONCE@@"
#define MARK_RESULTS "@@RESULTS@@"

#define NONCE_BYTES 16
struct nonce {
  char hex[2 * NONCE_BYTES + 1];
};

static struct nonce nonce_draw(void) {
  struct nonce nonce;
  unsigned char bytes[NONCE_BYTES] = {0};
  /* Where the kernel has no entropy yet, zeros: the escaping below is what holds, this is a belt.
   */
  if (getrandom(bytes, sizeof bytes, GRND_NONBLOCK) < 0) bytes[0] = 1;
  for (int i = 0; i < NONCE_BYTES; i++) snprintf(nonce.hex + 2 * i, 3, "%02x", bytes[i]);
  return nonce;
}

/* Of a number so many digits: more than any measurement has, and half of a page. */
#define DIGITS 10

/* Compact JSON of ASCII only in which no '<' is left, so that no text can close the element. */
static char *escaped(const json_t *report) {
  char *text = json_dumps(report, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(DIGITS));
  if (!text) return NULL;
  size_t n = strlen(text), n_open = 0;
  for (size_t i = 0; i < n; i++) n_open += text[i] == '<';
  char *safe = malloc(n + 5 * n_open + 1);
  char *to = safe;
  for (size_t i = 0; safe && i < n; i++) {
    if (text[i] == '<') {
      memcpy(to, "\\u003c", 6);
      to += 6;
    } else {
      *to++ = text[i];
    }
  }
  if (safe) *to = '\0';
  free(text);
  return safe;
}

/* Copies the template with its marks replaced. */
static void write_page(FILE *stream, const char *data, const struct nonce *nonce) {
  const char *at = report_template_begin, *end = report_template_end;
  while (at < end) {
    const char *mark = memmem(at, (size_t)(end - at), "@@", 2);
    if (!mark) mark = end;
    fwrite(at, 1, (size_t)(mark - at), stream);
    at = mark;
    size_t left = (size_t)(end - at);
    if (left >= strlen(MARK_NONCE) && memcmp(at, MARK_NONCE, strlen(MARK_NONCE)) == 0) {
      fputs(nonce->hex, stream);
      at += strlen(MARK_NONCE);
    } else if (left >= strlen(MARK_RESULTS) &&
               memcmp(at, MARK_RESULTS, strlen(MARK_RESULTS)) == 0) {
      fputs(data, stream);
      at += strlen(MARK_RESULTS);
    } else if (left > 0) {
      fputc(*at++, stream);
    }
  }
}

int report_publish(json_t *report, const char *path, size_t *bytes, struct error *error) {
  size_t template_bytes = (size_t)(report_template_end - report_template_begin);
  char *data = escaped(report);
  if (data && template_bytes + strlen(data) > REPORT_PAGE_BYTES_MAX) {
    free(data);
    report_drop_samples(report);
    data = escaped(report);
  }
  if (!data) return error_set(error, -ENOMEM, "-o %s: no memory for the page", path);
  size_t page_bytes = template_bytes + strlen(data);
  struct publish publish = {0};
  int code = 0;
  if (page_bytes > REPORT_PAGE_BYTES_MAX)
    code = error_set(error, -EFBIG,
                     "-o %s: the page would have %zu bytes, %d at most; give fewer results", path,
                     page_bytes, REPORT_PAGE_BYTES_MAX);
  if (code == 0) code = publish_begin(&publish, "-o", path, PUBLISH_REPORT, error);
  if (code == 0) {
    struct nonce nonce = nonce_draw();
    write_page(publish.stream, data, &nonce);
    code = publish_commit(&publish, error);
  }
  if (bytes) *bytes = page_bytes;
  free(data);
  return code;
}
