/*
 * The storage lab: its histogram, its data and what finds damage in it, passes over a directory
 * and a stripe, fio's command and JSON.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/measure/lab_compute.h"
#include "bench/measure/lab_fio.h"
#include "bench/measure/lab_pass.h"
#include "bench/measure/latency.h"
#include "bench/options_table.h"
#include "tests/bench/bench_test.h"

#define WORKING_SET ((uint64_t)4 << 20)

static struct latency latency; /* too large for a stack frame */

Test(latency, quantiles_are_known_to_three_percent) {
  memset(&latency, 0, sizeof latency);
  cr_expect(isnan(latency_quantile_s(&latency, 0.5)));
  for (int i = 1; i <= 100000; i++) latency_add(&latency, i * 1e-7);
  cr_expect_float_eq(latency_quantile_s(&latency, 0.5), 5e-3, 0.03 * 5e-3);
  cr_expect_float_eq(latency_quantile_s(&latency, 0.99), 9.9e-3, 0.03 * 9.9e-3);
  cr_expect_float_eq(latency_quantile_s(&latency, 0), 1e-7, 0.05e-7);
  latency_add(&latency, 1e9); /* beyond the last part: held there */
  cr_expect_gt(latency_quantile_s(&latency, 1), 1000);
}

Test(latency, merges) {
  static struct latency other;
  memset(&latency, 0, sizeof latency);
  memset(&other, 0, sizeof other);
  latency_add(&latency, 1e-3);
  latency_add(&other, 3e-3);
  latency_merge(&latency, &other);
  cr_expect_eq(latency.count, 2);
  cr_expect_float_eq(latency_quantile_s(&latency, 1), 3e-3, 1e-4);
}

/* ---- targets and passes ---- */

static struct lab_bench bench;
static struct lab_pass_result result;

static void open_lab(struct lab_target *target, const char *name, int n_outputs) {
  struct lab_target_config config = {
      .name = name, .working_set_bytes = WORKING_SET, .n_outputs = n_outputs};
  struct error error = {0};
  cr_assert_eq(lab_target_open(target, &config, &error), 0, "%s", error.message);
}

static struct lab_setting setting_of(enum lab_rw rw) {
  return (struct lab_setting){.engine = "pread",
                              .payload_bytes = 65536,
                              .page_tokens = 16,
                              .layers = 4,
                              .queue_depth = 4,
                              .rw = rw,
                              .pages_per_layer = 3,
                              .seed = 1,
                              .io_timeout_s = 20};
}

static void run_pass(struct lab_target *target, const struct lab_setting *setting, double time_s,
                     bool verify) {
  struct error error = {0};
  cr_assert_eq(lab_bench_open(&bench, target, setting, &error), 0, "%s", error.message);
  enum lab_check check = verify ? LAB_CHECK_ALL : LAB_CHECK_LAST;
  cr_assert_eq(lab_bench_pass(&bench, time_s, check, 1, &result, &error), 0, "%s", error.message);
  cr_assert_eq(lab_bench_read_back(&bench, &result, &error), 0, "%s", error.message);
  lab_bench_close(&bench);
}

Test(storage_lab, data_is_made_once_and_read_right) {
  char path[PATH_MAX];
  make_directory(path);
  static struct lab_target target;
  open_lab(&target, path, 0);
  cr_expect_gt(target.members[0].made_s, 0);
  lab_target_close(&target);
  open_lab(&target, path, 0);
  cr_expect_eq(target.members[0].made_s, 0, "made again");
  struct lab_setting setting = setting_of(LAB_READ);
  run_pass(&target, &setting, 0.05, true);
  cr_expect_gt(result.read_bytes, 0);
  cr_expect_eq(result.checked_blocks * LAB_BLOCK_BYTES, (int64_t)result.read_bytes);
  cr_expect_eq(result.wrong_blocks, 0);
  cr_expect_eq(result.read_latency.count, result.read_bytes / setting.payload_bytes);
  lab_target_close(&target);
  cr_expect_eq(files_in(path), 1);
  remove_directory(path);
}

static int open_bytes(struct lab_target *target, const char *name, uint64_t bytes) {
  struct lab_target_config config = {.name = name, .working_set_bytes = bytes};
  struct error error = {0};
  return lab_target_open(target, &config, &error);
}

/* A larger file serves a smaller working set; one that is too small goes, unless a run holds it. */
Test(storage_lab, data_files_do_not_pile_up) {
  char path[PATH_MAX];
  make_directory(path);
  static struct lab_target target, other;
  open_lab(&target, path, 0);
  lab_target_close(&target);
  cr_assert_eq(open_bytes(&target, path, WORKING_SET / 2), 0);
  cr_expect_eq(target.members[0].made_s, 0, "made again");
  cr_expect_eq(target.members[0].bytes, WORKING_SET / 2);
  cr_assert_eq(open_bytes(&other, path, WORKING_SET * 2), 0);
  cr_expect_gt(other.members[0].made_s, 0);
  cr_expect_eq(files_in(path), 2, "the smaller one is in use");
  lab_target_close(&target);
  lab_target_close(&other);
  cr_assert_eq(open_bytes(&other, path, WORKING_SET), 0);
  cr_expect_eq(other.members[0].bytes, WORKING_SET);
  cr_expect_eq(files_in(path), 1, "the smaller one is gone");
  lab_target_close(&other);
  remove_directory(path);
}

/* One byte of the file differs: the pass that walks over all of it finds one wrong block. */
Test(storage_lab, a_damaged_byte_is_found) {
  char path[PATH_MAX];
  make_directory(path);
  static struct lab_target target;
  open_lab(&target, path, 0);
  int fd = open(target.members[0].data_path, O_WRONLY);
  char byte = 0;
  off_t at = (off_t)target.members[0].offset_bytes + 5 * 65536 + 4096 + 17;
  cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
  fsync(fd);
  close(fd);
  struct lab_setting setting = setting_of(LAB_READ);
  setting.streams = 1; /* ends when each page was read once */
  setting.pages_per_layer = (int64_t)(WORKING_SET / 65536 / 4);
  run_pass(&target, &setting, 0, true);
  cr_expect_eq(result.read_bytes, WORKING_SET);
  cr_expect_eq(result.wrong_blocks, 1);
  lab_target_close(&target);
  remove_directory(path);
}

Test(storage_lab, token_major_reads_shares_of_pages) {
  char path[PATH_MAX];
  make_directory(path);
  static struct lab_target target;
  open_lab(&target, path, 0);
  struct lab_setting setting = setting_of(LAB_READ);
  setting.layout = LAB_TOKEN_MAJOR;
  setting.payload_bytes = 6000; /* no whole blocks */
  setting.streams = 1;
  setting.pages_per_layer = 7;
  run_pass(&target, &setting, 0, true);
  cr_expect_eq(result.useful_read_bytes, 7 * 4 * 6000);
  cr_expect_gt(result.read_bytes, result.useful_read_bytes);
  cr_expect_eq(result.wrong_blocks, 0);
  lab_target_close(&target);
  remove_directory(path);
}

Test(storage_lab, writes_land_where_they_belong) {
  char path[PATH_MAX];
  make_directory(path);
  static struct lab_target target;
  open_lab(&target, path, 2);
  for (int fresh = 0; fresh < 2; fresh++) {
    for (int sync = 0; sync < 3; sync++) {
      struct lab_setting setting = setting_of(LAB_WRITE);
      setting.fresh = fresh;
      setting.preallocate = sync != 0;
      setting.sync = (enum lab_sync)sync;
      run_pass(&target, &setting, 0.03, false);
      cr_expect_gt(result.write_bytes, 0);
      if (fresh) cr_expect_leq(result.write_bytes, WORKING_SET, "a fresh file is written once");
      cr_expect_gt(result.checked_blocks, 0);
      cr_expect_eq(result.wrong_blocks, 0);
    }
  }
  lab_target_close(&target);
  cr_expect_eq(files_in(path), 1, "new pages leave nothing behind");
  remove_directory(path);
}

Test(storage_lab, stripes_streams_and_mixed) {
  char a[PATH_MAX], b[PATH_MAX], both[2 * PATH_MAX + 1];
  make_directory(a);
  make_directory(b);
  snprintf(both, sizeof both, "%s,%s", a, b);
  static struct lab_target target;
  open_lab(&target, both, 1);
  cr_expect_eq(target.n_members, 2);
  cr_expect_eq(target.working_set_bytes, WORKING_SET);
  struct lab_setting setting = setting_of(LAB_READ);
  setting.streams = 3;
  for (int try = 0; try < 40; try++) { /* a thread may be kept waiting: the order is of the queue */
    run_pass(&target, &setting, 0, false);
    if (result.stream_s[0] <= result.stream_s[2]) break;
  }
  cr_expect_eq(result.read_bytes, 3 * 3 * 4 * 65536);
  for (int i = 0; i < 3; i++) {
    cr_expect_gt(result.stream_s[i], 0);
    cr_expect_leq(result.stream_s[i], result.seconds + 1e-9);
  }
  cr_expect_leq(result.stream_s[0], result.stream_s[2], "first come, first served");
  setting = setting_of(LAB_MIXED);
  setting.write_bytes_per_s = 20e6;
  run_pass(&target, &setting, 0.2, false);
  cr_expect_gt(result.read_bytes, 0);
  cr_expect_gt(result.write_bytes, 0);
  cr_expect_leq((double)result.write_bytes, 20e6 * result.seconds + 65536, "writes are paced");
  cr_expect_eq(result.wrong_blocks, 0);
  lab_target_close(&target);
  remove_directory(a);
  remove_directory(b);
}

Test(storage_lab, a_plain_file_is_read_and_not_judged) {
  char path[PATH_MAX], name[PATH_MAX + 8];
  make_directory(path);
  static char text[70000];
  memset(text, 'x', sizeof text - 1);
  write_file(path, "plain", text);
  snprintf(name, sizeof name, "%s/plain", path);
  static struct lab_target target;
  open_lab(&target, name, 1);
  cr_expect(!target.writable);
  struct lab_setting setting = setting_of(LAB_READ);
  run_pass(&target, &setting, 0.01, true);
  cr_expect_eq(result.checked_blocks, 0);
  cr_expect_gt(result.read_bytes, 0);
  lab_target_close(&target);
  remove_directory(path);
}

/* ---- lists, fio, compute ---- */

Test(storage_lab, engines_are_parted_where_a_name_follows) {
  const char *list = "uring:nofixed,sqpoll,null:read=2GB/s,write=1GB/s,pread";
  char item[64];
  cr_expect(options_engine_item(list, 0, item, sizeof item));
  cr_expect_str_eq(item, "uring:nofixed,sqpoll");
  cr_expect(options_engine_item(list, 1, item, sizeof item));
  cr_expect_str_eq(item, "null:read=2GB/s,write=1GB/s");
  cr_expect(options_engine_item(list, 2, item, sizeof item));
  cr_expect_str_eq(item, "pread");
  cr_expect(!options_engine_item(list, 3, item, sizeof item));
}

Test(storage_lab, fio_is_told_the_same) {
  static struct lab_target target = {
      .n_members = 1,
      .members = {{.data_path = "/mnt/a b:c/x.kv", .offset_bytes = 8192, .bytes = 1 << 20}}};
  static struct lab_row row;
  row.setting = setting_of(LAB_READ);
  snprintf(row.setting.engine, sizeof row.setting.engine, "uring:sqpoll");
  row.geometry.slot_bytes = 65536;
  static struct lab_fio fio;
  static char line[FIO_TEXT_BYTES];
  cr_assert(lab_fio_command(&fio, &target, &row, 2, false));
  lab_fio_line(&fio, line, sizeof line);
  cr_expect_not_null(strstr(line, "'--filename=/mnt/a b\\:c/x.kv'"), "%s", line);
  cr_expect_not_null(strstr(line, "--bs=65536 --rw=randread"), "%s", line);
  cr_expect_not_null(strstr(line, "--iodepth=4"), "%s", line);
  cr_expect_not_null(strstr(line, "--sqthread_poll=1"), "%s", line);
  cr_expect_not_null(strstr(line, "--offset=8192"), "%s", line);
  cr_expect_not_null(strstr(line, "--readonly"), "%s", line);
  cr_expect_eq(fio.huge_pages, 2, "4 requests of 64 KiB, and one to align them");
  cr_expect_eq(fio.small_pages, strstr(line, "--mem=mmaphuge") == NULL, "%s", line);
  row.setting.rw = LAB_MIXED;
  cr_expect(!lab_fio_command(&fio, &target, &row, 2, false));
  row.setting.rw = LAB_READ;
  row.setting.layout = LAB_FILE_PER_PAGE;
  cr_expect(!lab_fio_command(&fio, &target, &row, 2, false));
}

/* Of a stripe: a job for each drive, each as deep as our ring for it. */
Test(storage_lab, fio_has_a_job_for_each_member) {
  static struct lab_target target = {.n_members = LAB_MEMBERS_MAX};
  static struct lab_row row;
  static struct lab_fio fio;
  static char line[FIO_TEXT_BYTES];
  for (int i = 0; i < LAB_MEMBERS_MAX; i++)
    snprintf(target.members[i].data_path, PATH_MAX, "/mnt/%d/x.kv", i);
  row.setting = setting_of(LAB_READ);
  snprintf(row.setting.engine, sizeof row.setting.engine, "uring");
  row.geometry = (struct lab_geometry){.slot_bytes = 65536, .unit_bytes = 65536, .n_units = 9};
  cr_assert(lab_fio_command(&fio, &target, &row, 2, true));
  lab_fio_line(&fio, line, sizeof line);
  cr_expect_eq(strncmp(line, "fio --name=global --ioengine=io_uring --iodepth=4 ", 50), 0);
  const char *at =
      strstr(line, " --name=refill-0 --filename=/mnt/0/x.kv --offset=0 --size=589824 ");
  cr_expect_not_null(at, "%s", line);
  cr_expect_not_null(strstr(line, " --name=refill-15 --filename=/mnt/15/x.kv "), "%s", line);
}

Test(storage_lab, fio_s_answer_is_read) {
  struct lab_fio_rate rate;
  const char *text = "fio: a note\n{\"jobs\": [{\"job_runtime\": 2000, \"usr_cpu\": 5.0, "
                     "\"sys_cpu\": 15.0, \"read\": {\"io_bytes\": 4000000000, \"bw_bytes\": "
                     "2000000000}, \"write\": {\"io_bytes\": 0, \"bw_bytes\": 0}}]}";
  cr_assert(lab_fio_parse(text, &rate));
  cr_expect_float_eq(rate.bytes_per_s, 2e9, 1);
  cr_expect_float_eq(rate.cpu_s_per_gb, 0.1, 1e-9);
  cr_expect(!lab_fio_parse("fio: failed", &rate));
  cr_expect(!lab_fio_parse("{}", &rate));
}

Test(storage_lab, compute_times_come_from_profiles_and_calibrations) {
  static struct lab_compute compute;
  struct error error = {0};
  cr_assert_eq(lab_compute_load(&compute, "playback:h100-sxm-llama-3-70b", &error), 0, "%s",
               error.message);
  cr_expect_eq(compute.layers, 80);
  cr_expect_gt(lab_compute_s(&compute, 4096, 0), lab_compute_s(&compute, 2048, 0));
  lab_compute_free(&compute);
  char path[PATH_MAX], name[PATH_MAX + 16];
  make_directory(path);
  write_file(path, "c.json",
             "{\"rig\": {\"model\": \"mha-125m\", \"layers_run\": 2, \"device\": {}}, "
             "\"compute\": [{\"n_new\": 100, \"n_past\": 0, \"compute_s\": {\"median\": 1}}, "
             "{\"n_new\": 300, \"n_past\": 0, \"compute_s\": {\"median\": 3}}]}");
  snprintf(name, sizeof name, "%s/c.json", path);
  cr_assert_eq(lab_compute_load(&compute, name, &error), 0, "%s", error.message);
  cr_expect_eq(compute.layers, 2);
  cr_expect_float_eq(lab_compute_s(&compute, 200, 0), 2, 1e-9);
  write_file(path, "c.json", "{\"rig\": {\"model\": \"mha-125m\"}}");
  cr_expect_lt(lab_compute_load(&compute, name, &error), 0);
  remove_directory(path);
}
