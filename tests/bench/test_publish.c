/*
 * Files published whole: nothing half, nothing left over, nobody else's file replaced.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/present/publish.h"
#include "bench_test.h"

#define RESULT "{\"schema\": \"refill/1\", \"command\": \"sweep\"}"

struct place {
  char directory[PATH_MAX];
  char path[PATH_MAX + 16]; /* directory/file */
};

static struct place make_place(void) {
  struct place place;
  make_directory(place.directory);
  snprintf(place.path, sizeof place.path, "%s/file", place.directory);
  return place;
}

/* Publishes `text` as a file of this kind; the code of whatever failed. */
static int publish_text(const char *path, enum publish_kind kind, const char *text,
                        struct error *error) {
  struct publish publish;
  int code = publish_begin(&publish, "-o", path, kind, error);
  if (code < 0) return code;
  fputs(text, publish.stream);
  return publish_commit(&publish, error);
}

Test(publish, a_new_file_appears_whole) {
  struct place place = make_place();
  struct error error = {0};
  struct publish publish;
  cr_assert_eq(publish_begin(&publish, "-o", place.path, PUBLISH_RESULT, &error), 0, "%s",
               error.message);
  fputs(RESULT, publish.stream);
  fflush(publish.stream);
  cr_assert_null(read_text(place.directory, "file"), "visible before it is whole");
  cr_assert_eq(publish_commit(&publish, &error), 0, "%s", error.message);
  char *text = read_text(place.directory, "file");
  cr_assert_str_eq(text, RESULT);
  free(text);
  cr_assert_eq(files_in(place.directory), 1);
  publish_cancel(&publish);
  cr_assert_eq(files_in(place.directory), 1, "cancelling after a commit removes nothing");
  remove_directory(place.directory);
}

Test(publish, what_is_cancelled_leaves_nothing) {
  struct place place = make_place();
  struct error error = {0};
  struct publish publish;
  cr_assert_eq(publish_begin(&publish, "-o", place.path, PUBLISH_RESULT, &error), 0);
  cr_assert_eq(files_in(place.directory), 1);
  publish_cancel(&publish);
  publish_cancel(&publish);
  cr_assert_eq(files_in(place.directory), 0);
  remove_directory(place.directory);
}

Test(publish, a_check_leaves_nothing) {
  struct place place = make_place();
  struct error error = {0};
  cr_assert_eq(publish_check("-o", place.path, PUBLISH_RESULT, &error), 0);
  cr_assert_eq(files_in(place.directory), 0);
  remove_directory(place.directory);
}

/* What stands there, of which kind the new file is, and whether it may be replaced. */
static const struct {
  const char *text;
  enum publish_kind kind;
  bool ours;
} existing[] = {
    {RESULT, PUBLISH_RESULT, true},
    {"{\"schema\": \"refill/2\"}", PUBLISH_RESULT, true},
    {"", PUBLISH_RESULT, true},
    {"", PUBLISH_CSV, true},
    {"{\"schema\": \"refill-profile/1\"}", PUBLISH_RESULT, false},
    {"{\"schema\": \"refill-profile/1\"}", PUBLISH_PROFILE, true},
    {RESULT, PUBLISH_PROFILE, false},
    {"{\"schema\": \"other\"}", PUBLISH_RESULT, false},
    {"{\"schema\": 1}", PUBLISH_RESULT, false},
    {"{\"name\": \"my model\"}", PUBLISH_RESULT, false},
    {"[]", PUBLISH_RESULT, false},
    {"my thesis", PUBLISH_RESULT, false},
    {"my thesis", PUBLISH_CSV, false},
    {"my thesis", PUBLISH_TRACE, false},
    {PUBLISH_TRACE_HEAD "1\"}", PUBLISH_TRACE, true},
    {RESULT, PUBLISH_TRACE, false},
    {"n_tokens,first_token_s\r\n4096,1\r\n", PUBLISH_CSV, true},
    {"Name,Price\r\nx,1\r\n", PUBLISH_CSV, false},
    {"n_tokens,first_token_s\n4096,1\n", PUBLISH_CSV, false},
};

Test(publish, only_a_file_of_ours_is_replaced) {
  struct place place = make_place();
  for (size_t i = 0; i < sizeof existing / sizeof existing[0]; i++) {
    write_file(place.directory, "file", existing[i].text);
    struct error error = {0};
    int code = publish_text(place.path, existing[i].kind, "new", &error);
    cr_assert_eq(code, existing[i].ours ? 0 : -EEXIST, "%s: %s", existing[i].text, error.message);
    char *text = read_text(place.directory, "file");
    cr_assert_str_eq(text, existing[i].ours ? "new" : existing[i].text);
    free(text);
    cr_assert_eq(files_in(place.directory), 1);
    if (!existing[i].ours) cr_assert(strstr(error.message, place.path), "%s", error.message);
  }
  remove_directory(place.directory);
}

Test(publish, places_that_cannot_be) {
  struct place place = make_place();
  write_file(place.directory, "plain", "x");
  char long_name[300];
  memset(long_name, 'x', sizeof long_name - 1);
  long_name[sizeof long_name - 1] = '\0';
  const struct {
    const char *tail;
    int code;
    const char *must;
  } cases[] = {
      {"/missing/file", -ENOENT, "mkdir -p"}, {"/plain/file", -ENOTDIR, "not a directory"},
      {"", -EISDIR, "a directory"},           {"/", -EISDIR, "a directory"},
      {"/.", -EISDIR, "a directory"},         {long_name, -ENAMETOOLONG, "too long"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char path[PATH_MAX + 512];
    const char *slash = cases[i].tail[0] == 'x' ? "/" : "";
    snprintf(path, sizeof path, "%s%s%s", place.directory, slash, cases[i].tail);
    struct error error = {0};
    cr_assert_eq(publish_check("--csv", path, PUBLISH_CSV, &error), cases[i].code, "%s: %s", path,
                 error.message);
    cr_assert(strstr(error.message, "--csv "), "%s", error.message);
    cr_assert(strstr(error.message, cases[i].must), "%s", error.message);
  }
  remove_directory(place.directory);
}

Test(publish, devices_and_protected_files_are_refused) {
  struct error error = {0};
  cr_assert_eq(publish_check("-o", "/dev/null", PUBLISH_RESULT, &error), -EEXIST);
  cr_assert(strstr(error.message, "not a regular file"), "%s", error.message);
  error_clear(&error);
  int code = publish_check("-o", "/sys/kernel/refill-test", PUBLISH_RESULT, &error);
  cr_assert(code == -EACCES || code == -EROFS || code == -EPERM || code == -ENOENT, "%d", code);
  cr_assert(strstr(error.message, "-o /sys/kernel/refill-test: "), "%s", error.message);

  if (geteuid() == 0) return; /* permissions do not bind root */
  struct place place = make_place();
  write_file(place.directory, "file", RESULT);
  cr_assert_eq(chmod(place.path, 0444), 0);
  error_clear(&error);
  cr_assert_eq(publish_check("-o", place.path, PUBLISH_RESULT, &error), -EACCES);
  remove_directory(place.directory);
}

/* A write that fails, as on a full disk: the old result stays, nothing is left beside it. */
Test(publish, a_failed_write_changes_nothing) {
  struct place place = make_place();
  write_file(place.directory, "file", RESULT);
  sigaction(SIGXFSZ, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
  struct publish publish;
  struct error error = {0};
  cr_assert_eq(publish_begin(&publish, "-o", place.path, PUBLISH_RESULT, &error), 0);
  const struct rlimit limit = {.rlim_cur = 1000, .rlim_max = RLIM_INFINITY};
  cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
  for (int i = 0; i < 10000; i++) fputs("0123456789", publish.stream);
  int code = publish_commit(&publish, &error);
  const struct rlimit unlimited = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
  setrlimit(RLIMIT_FSIZE, &unlimited);
  cr_assert_lt(code, 0);
  cr_assert(strstr(error.message, "cannot be written"), "%s", error.message);
  char *text = read_text(place.directory, "file");
  cr_assert_str_eq(text, RESULT);
  free(text);
  cr_assert_eq(files_in(place.directory), 1);
  remove_directory(place.directory);
}

Test(publish, a_link_stays_a_link) {
  struct place place = make_place();
  write_file(place.directory, "file", RESULT);
  char link[PATH_MAX + 16];
  snprintf(link, sizeof link, "%s/link", place.directory);
  cr_assert_eq(symlink("file", link), 0);
  struct error error = {0};
  cr_assert_eq(publish_text(link, PUBLISH_RESULT, "new", &error), 0, "%s", error.message);
  char *text = read_text(place.directory, "file");
  cr_assert_str_eq(text, "new");
  free(text);
  struct stat status;
  cr_assert_eq(lstat(link, &status), 0);
  cr_assert(S_ISLNK(status.st_mode));
  remove_directory(place.directory);
}

Test(publish, a_name_without_a_directory) {
  struct place place = make_place();
  cr_assert_eq(chdir(place.directory), 0);
  struct error error = {0};
  cr_assert_eq(publish_text("plain.json", PUBLISH_RESULT, "x", &error), 0, "%s", error.message);
  cr_assert_eq(files_in(place.directory), 1);
  cr_assert_eq(chdir("/"), 0);
  remove_directory(place.directory);
}
