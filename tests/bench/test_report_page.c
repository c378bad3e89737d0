/*
 * The report's data and page: what is refused, that no text can end its element, and that a page
 * stays within its size. How it looks and runs is tested in a browser (tests/e2e/report.sh).
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/present/report_page.h"

#define TRACE                                                                                      \
  "{\"traceEvents\":[{\"ph\":\"X\",\"cat\":\"read\",\"name\":\"layer 0\",\"ts\":1.5,\"dur\":2},"   \
  "{\"ph\":\"X\",\"cat\":7},3,{\"ph\":\"M\",\"name\":\"process_name\",\"args\":{\"name\":\"t\"}}]" \
  "}"

static char directory[] = "/tmp/refill-report-XXXXXX";

static void set_up(void) {
  cr_assert(mkdtemp(directory));
  cr_assert_eq(chdir(directory), 0);
}

static void tear_down(void) {
  static const char *const names[] = {"a.json", "b.json", "t.json", "page.html"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) unlink(names[i]);
  cr_assert_eq(rmdir(directory), 0);
}

TestSuite(report_page, .init = set_up, .fini = tear_down);

static void put(const char *name, const char *content) {
  FILE *stream = fopen(name, "w");
  cr_assert(stream);
  fputs(content, stream);
  cr_assert_eq(fclose(stream), 0);
}

static char *get(const char *name) {
  FILE *stream = fopen(name, "r");
  cr_assert(stream);
  char *content = calloc(1, REPORT_PAGE_BYTES_MAX + 2);
  cr_assert(content);
  size_t n = fread(content, 1, REPORT_PAGE_BYTES_MAX + 1, stream);
  content[n] = '\0';
  fclose(stream);
  return content;
}

static const char result[] = "{\"schema\":\"refill/1\",\"command\":\"sweep\",\"samples\":[1,2]}";

Test(report_page, trace_goes_to_the_result_before_it) {
  put("a.json", result);
  put("b.json", result);
  put("t.json", TRACE);
  const char *paths[] = {"a.json", "t.json", "b.json"};
  struct error error = {0};
  json_t *report = report_read(paths, 3, &error);
  cr_assert(report, "%s", error.message);
  int n_traces;
  cr_assert_eq(report_count(report, &n_traces), 2);
  cr_assert_eq(n_traces, 1);
  json_t *first = json_array_get(json_object_get(report, "results"), 0);
  json_t *trace = json_object_get(first, "trace");
  cr_assert_str_eq(json_string_value(json_object_get(trace, "title")), "t");
  json_t *spans = json_object_get(trace, "spans");
  cr_assert_eq(json_array_size(spans), 1, "what is no span is left out");
  cr_assert_eq(json_number_value(json_array_get(json_array_get(spans, 0), 2)), 1.5);
  json_decref(report);
}

Test(report_page, refuses_by_name) {
  put("t.json", TRACE);
  put("a.json", "{\"schema\":\"refill/2\",\"command\":\"sweep\"}");
  put("b.json", "[NaN]");
  static const struct {
    const char *path, *says;
  } cases[] = {{"t.json", "name its result first"},
               {"a.json", "refill/2"},
               {"b.json", "not JSON"},
               {"none.json", "none.json"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct error error = {0};
    cr_assert_null(report_read(&cases[i].path, 1, &error), "%s", cases[i].path);
    cr_assert(strstr(error.message, cases[i].says), "%s: %s", cases[i].path, error.message);
  }
}

Test(report_page, no_text_ends_its_element) {
  put("a.json", "{\"schema\":\"refill/1\",\"command\":\"sweep\",\"answer\":"
                "\"</script><script>owned()</script> @@NONCE@@ \\u2028\"}");
  const char *path = "a.json";
  struct error error = {0};
  json_t *report = report_read(&path, 1, &error);
  cr_assert(report);
  size_t bytes = 0;
  cr_assert_eq(report_publish(report, "page.html", &bytes, &error), 0, "%s", error.message);
  char *page = get("page.html");
  cr_assert_null(strstr(page, "owned()</script>"));
  cr_assert(strstr(page, "\\u003c/script>\\u003cscript>owned()\\u003c/script> @@NONCE@@ \\u2028"),
            "escaped, and not taken for a mark of the template");
  cr_assert_null(strstr(page, "nonce=\"@@NONCE@@\""));
  const char *policy = strstr(page, "script-src 'nonce-");
  cr_assert(policy);
  char tag[128];
  snprintf(tag, sizeof tag, "<script nonce=\"%.32s\">", policy + strlen("script-src 'nonce-"));
  cr_assert(strstr(page, tag), "scripts carry the number that the policy asks for");
  cr_assert_eq(report_publish(report, "page.html", NULL, &error), 0, "its own page is replaced");
  char *again = get("page.html");
  cr_assert_neq(strcmp(page, again), 0, "the number is drawn anew for each page");
  free(page);
  free(again);
  json_decref(report);
}

/* {"results": [{"result": {field: n numbers}}]} */
static json_t *large(const char *field, int n) {
  json_t *numbers = json_array();
  for (int i = 0; i < n; i++) json_array_append_new(numbers, json_real(0.123456789));
  return json_pack("{s:[{s:{s:{s:o}}}]}", "results", "result", "inner", field, numbers);
}

Test(report_page, samples_go_where_a_page_would_be_too_large) {
  struct error error = {0};
  size_t bytes = 0;
  json_t *report = large("samples", 300000);
  cr_assert_eq(report_publish(report, "page.html", &bytes, &error), 0, "%s", error.message);
  cr_assert_lt(bytes, REPORT_PAGE_BYTES_MAX);
  cr_assert(json_is_true(json_object_get(report, "samples_left_out")));
  json_decref(report);
  report = large("points", 300000);
  cr_assert_eq(report_publish(report, "page.html", &bytes, &error), -EFBIG);
  cr_assert(strstr(error.message, "fewer results"), "%s", error.message);
  json_decref(report);
}
