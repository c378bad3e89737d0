/* Profiles written: read back as they were, or not at all. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernels/playback/profile.h"

static char directory[] = "/tmp/refill-write-XXXXXX";
static char path[64];

static void make_directory(void) {
  cr_assert_not_null(mkdtemp(directory));
  snprintf(path, sizeof path, "%s/p.json", directory);
}

/* What is in the directory, but for `path`. */
static int leftovers(void) {
  int n = 0;
  DIR *entries = opendir(directory);
  cr_assert_not_null(entries);
  for (const struct dirent *entry; (entry = readdir(entries)) != NULL;) {
    n += entry->d_name[0] != '.' && strcmp(entry->d_name, "p.json") != 0;
  }
  closedir(entries);
  return n;
}

static void remove_directory(void) {
  unlink(path);
  rmdir(directory);
}

TestSuite(playback_write, .init = make_directory, .fini = remove_directory);

static const int64_t n_new[] = {1, 64, 4096};
static const int64_t n_past[] = {0, 1024};
static const double layer_s[] = {0.001, 0.0020000001, 1.0 / 3.0, 0.04, 5e-9, 0.0};
static const double embedding_s[] = {1e-6, 2e-6, 3e-6};
static const double head_s = 0.00625;

static struct profile sample(void) {
  struct profile profile = {
      .about = "measured with \"quotes\" and \\ in it",
      .source = "this box",
      .device = "cpu",
      .shape = *shape_preset("llama-3.2-1b"),
      .element = ELEMENT_BF16,
      .kv_element = ELEMENT_FP8_E4M3,
      .layer_s = {.origin = PROFILE_MEASURED,
                  .how = "medians",
                  .n_rows = 3,
                  .n_columns = 2,
                  .n_new = n_new,
                  .n_past = n_past,
                  .seconds = layer_s},
      .embedding_s = {.origin = PROFILE_MEASURED,
                      .n_rows = 3,
                      .n_columns = 1,
                      .n_new = n_new,
                      .seconds = embedding_s},
      .head_s = {.origin = PROFILE_MEASURED, .n_rows = 1, .n_columns = 1, .seconds = &head_s},
      .peaks = {PROFILE_MEASURED, 1.5e12, 2e10},
  };
  return profile;
}

Test(playback_write, reads_back_as_written) {
  struct profile profile = sample(), *again = NULL;
  struct error error = {0};
  cr_assert_eq(profile_write(&profile, path, &error), 0, "%s", error.message);
  cr_assert_eq(profile_load(&again, path, &error), 0, "%s", error.message);
  cr_expect_str_eq(again->name, path);
  cr_expect_str_eq(again->about, profile.about);
  cr_expect_str_eq(again->layer_s.how, "medians");
  cr_expect_eq(again->kv_element, ELEMENT_FP8_E4M3);
  cr_expect_eq(
      profile_match(again, shape_preset("llama-3.2-1b"), ELEMENT_BF16, ELEMENT_FP8_E4M3, &error), 0,
      "%s", error.message);
  cr_assert_eq(again->layer_s.n_rows, 3);
  cr_assert_eq(again->layer_s.n_columns, 2);
  for (int i = 0; i < 6; i++) {
    cr_expect_float_eq(again->layer_s.seconds[i], layer_s[i], 1e-8 * layer_s[i], "cell %d", i);
  }
  for (int i = 0; i < 3; i++) {
    cr_expect_float_eq(profile_embedding_s(again, n_new[i]), embedding_s[i], 1e-14);
  }
  cr_expect_float_eq(profile_head_s(again), head_s, 1e-12);
  cr_expect_float_eq(again->peaks.hbm_bytes_per_s, 2e10, 1.0);
  struct stat status;
  cr_assert_eq(stat(path, &status), 0);
  cr_expect_eq(status.st_mode & 0777, 0644);
  profile_free(again);
}

Test(playback_write, what_cannot_be_read_is_not_written) {
  double bad_s[6];
  memcpy(bad_s, layer_s, sizeof bad_s);
  struct profile good = sample(), bad = sample();
  cr_assert_eq(profile_write(&good, path, NULL), 0);
  bad.layer_s.seconds = bad_s;
  const double values[] = {NAN, INFINITY, -1.0};
  for (int i = 0; i < 3; i++) {
    struct error error = {0};
    bad_s[3] = values[i];
    cr_expect_eq(profile_write(&bad, path, &error), -EINVAL);
    cr_expect_not_null(strstr(error.message, "layer_s.seconds[1][1] is "), "%s", error.message);
  }
  bad = sample();
  const int64_t twice[] = {1, 64, 64};
  bad.layer_s.n_new = twice;
  struct error error = {0};
  cr_expect_eq(profile_write(&bad, path, &error), -EINVAL);
  cr_expect_not_null(strstr(error.message, "layer_s.n_new[2] is 64"), "%s", error.message);
  bad = sample();
  bad.any_shape = true;
  cr_expect_eq(profile_write(&bad, path, NULL), -EINVAL);
  bad = sample();
  bad.layer_s.n_past = NULL;
  cr_expect_eq(profile_write(&bad, path, NULL), -EINVAL);
  bad = sample();
  bad.source[0] = '\0';
  cr_expect_eq(profile_write(&bad, path, NULL), -EINVAL);

  struct profile *again = NULL; /* what was there is there still */
  cr_assert_eq(profile_load(&again, path, NULL), 0);
  profile_free(again);
}

Test(playback_write, replaces_a_profile) {
  struct profile profile = sample(), *again = NULL;
  cr_assert_eq(profile_write(&profile, path, NULL), 0);
  snprintf(profile.device, sizeof profile.device, "another");
  cr_assert_eq(profile_write(&profile, path, NULL), 0);
  cr_assert_eq(profile_load(&again, path, NULL), 0);
  cr_expect_str_eq(again->device, "another");
  cr_expect_eq(leftovers(), 0);
  profile_free(again);
}

Test(playback_write, names_the_path_that_cannot_be_written) {
  struct profile profile = sample();
  struct error error = {0};
  cr_expect_eq(profile_write(&profile, "/nonexistent/directory/p.json", &error), -ENOENT);
  cr_expect_not_null(strstr(error.message, "/nonexistent/directory/p.json"), "%s", error.message);
  error_clear(&error);
  cr_assert_eq(mkdir(path, 0755), 0); /* a directory is in the way: rename fails */
  cr_expect_lt(profile_write(&profile, path, &error), 0);
  cr_expect_eq(leftovers(), 0, "the temporary file is removed");
  cr_expect_eq(rmdir(path), 0, "the temporary file went beside it, not into it");
}
