/*
 * Reading, matching and logging the rules of a faultfs.
 */
#include "tests/faultfs/rules.h"

#include <errno.h>
#include <fnmatch.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define RULES_MAX 64
#define PATH_BYTES 512
#define LINE_BYTES 512

struct rule {
  enum fault_operation operation;
  struct fault fault;
  char path[128]; /* a glob over the last part of the name */
  uint64_t nth, every, times, from_bytes, to_bytes;
  uint64_t seen, fired;
};

struct rules {
  pthread_mutex_t mutex;
  char file[PATH_BYTES], log[PATH_BYTES];
  struct rule rules[RULES_MAX];
  int n_rules;
  uint64_t generation;
  dev_t device; /* which file the rules came from */
  ino_t inode;
  struct timespec changed;
};

static const char *const operations[] = {"open",   "create",   "read",     "write",
                                         "sync",   "allocate", "truncate", "link",
                                         "unlink", "statfs",   "any"};

static const struct {
  const char *name;
  enum fault_kind kind;
  int code;
} kinds[] = {{"eio", FAULT_ERRNO, -EIO},       {"enospc", FAULT_ERRNO, -ENOSPC},
             {"edquot", FAULT_ERRNO, -EDQUOT}, {"erofs", FAULT_ERRNO, -EROFS},
             {"enodev", FAULT_ERRNO, -ENODEV}, {"estale", FAULT_ERRNO, -ESTALE},
             {"eagain", FAULT_ERRNO, -EAGAIN}, {"eintr", FAULT_ERRNO, -EINTR},
             {"short", FAULT_SHORT, 0},        {"torn", FAULT_TORN, 0},
             {"flip", FAULT_FLIP, 0},          {"delay", FAULT_DELAY, 0},
             {"hang", FAULT_HANG, 0},          {"wedge", FAULT_WEDGE, 0}};

#define N_KINDS (sizeof kinds / sizeof *kinds)

/* ---- reading ---- */

static bool take_number(const char *text, uint64_t *value) {
  char *end = NULL;
  errno = 0;
  unsigned long long number = strtoull(text, &end, 10);
  if (errno || end == text || *end || *text == '-') return false;
  *value = number;
  return true;
}

/* "name=value" into the rule. */
static bool take_setting(struct rule *rule, const char *word) {
  const char *value = strchr(word, '=');
  if (!value) return false;
  size_t length = (size_t)(value++ - word);
  const struct {
    const char *name;
    uint64_t *into;
  } numbers[] = {{"nth", &rule->nth},
                 {"every", &rule->every},
                 {"times", &rule->times},
                 {"from", &rule->from_bytes},
                 {"to", &rule->to_bytes}};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    if (strlen(numbers[i].name) == length && strncmp(word, numbers[i].name, length) == 0)
      return take_number(value, numbers[i].into);
  }
  if (strncmp(word, "path=", 5) == 0)
    return snprintf(rule->path, sizeof rule->path, "%s", value) < (int)sizeof rule->path;
  if (strncmp(word, "seconds=", 8) != 0) return false;
  char *end = NULL;
  rule->fault.seconds = strtod(value, &end);
  return end != value && *end == '\0' && rule->fault.seconds >= 0;
}

static bool take_operation(struct rule *rule, const char *word) {
  for (int i = 0; word && i <= ON_ANY; i++) {
    rule->operation = (enum fault_operation)i;
    if (strcmp(word, operations[i]) == 0) return true;
  }
  return false;
}

static bool take_fault(struct rule *rule, const char *word) {
  for (size_t i = 0; word && i < N_KINDS; i++) {
    rule->fault = (struct fault){.kind = kinds[i].kind, .code = kinds[i].code};
    if (strcmp(word, kinds[i].name) == 0) return true;
  }
  return false;
}

static bool parse_line(struct rule *rule, char *line) {
  char *rest = NULL;
  *rule = (struct rule){.nth = 1, .every = 1, .to_bytes = UINT64_MAX, .path = "*"};
  if (!take_operation(rule, strtok_r(line, " \t\n", &rest))) return false;
  if (!take_fault(rule, strtok_r(NULL, " \t\n", &rest))) return false;
  for (char *word = strtok_r(NULL, " \t\n", &rest); word; word = strtok_r(NULL, " \t\n", &rest)) {
    if (!take_setting(rule, word)) return false;
  }
  return rule->nth > 0 && rule->every > 0;
}

/* Replaces all rules by the file's. */
static int load(struct rules *self, struct error *error) {
  self->n_rules = 0;
  self->generation++;
  FILE *file = fopen(self->file, "re");
  if (!file) return errno == ENOENT ? 0 : error_set(error, -errno, "%s cannot be read", self->file);
  char line[LINE_BYTES], copy[LINE_BYTES];
  int failed = 0;
  while (!failed && fgets(line, sizeof line, file)) {
    if (line[0] == '#' || line[strspn(line, " \t\n")] == '\0') continue;
    snprintf(copy, sizeof copy, "%s", line);
    if (self->n_rules < RULES_MAX && parse_line(&self->rules[self->n_rules], line))
      self->rules[self->n_rules++].fault.generation = self->generation;
    else
      failed = error_set(error, -EINVAL, "%s: not a rule: %s", self->file, copy);
  }
  fclose(file);
  return failed;
}

/* Loads the rules again where another file took the place of the one last read. A file that is no
 * rules must not pass for "nothing goes wrong": then everything fails with EINVAL. */
static void refresh(struct rules *self) {
  struct stat status = {0};
  if (stat(self->file, &status) == -1 && errno != ENOENT) return;
  if (status.st_dev == self->device && status.st_ino == self->inode &&
      status.st_mtim.tv_sec == self->changed.tv_sec &&
      status.st_mtim.tv_nsec == self->changed.tv_nsec)
    return;
  self->device = status.st_dev;
  self->inode = status.st_ino;
  self->changed = status.st_mtim;
  if (load(self, NULL) == 0) return;
  self->rules[0] = (struct rule){
      .operation = ON_ANY,
      .fault = {.kind = FAULT_ERRNO, .code = -EINVAL, .generation = self->generation},
      .path = "*",
      .nth = 1,
      .every = 1,
      .to_bytes = UINT64_MAX,
  };
  self->n_rules = 1;
}

int rules_open(struct rules **out, const char *control, struct error *error) {
  struct rules *self = calloc(1, sizeof *self);
  *out = NULL;
  if (!self) return error_set(error, -ENOMEM, "no memory for rules");
  pthread_mutex_init(&self->mutex, NULL);
  snprintf(self->file, sizeof self->file, "%s/rules", control);
  snprintf(self->log, sizeof self->log, "%s/log", control);
  int failed = load(self, error);
  if (failed) {
    rules_close(self);
    return failed;
  }
  *out = self;
  return 0;
}

void rules_close(struct rules *self) {
  if (!self) return;
  pthread_mutex_destroy(&self->mutex);
  free(self);
}

/* ---- matching ---- */

static bool fits(const struct rule *rule, enum fault_operation operation, const char *name,
                 uint64_t offset_bytes, size_t bytes) {
  if (rule->operation != ON_ANY && rule->operation != operation) return false;
  if (fnmatch(rule->path, name, 0) != 0) return false;
  uint64_t end_bytes = offset_bytes + (bytes > 0 ? bytes : 1);
  return offset_bytes < rule->to_bytes && end_bytes > rule->from_bytes;
}

static bool is_due(struct rule *rule) {
  rule->seen++;
  if (rule->seen < rule->nth || (rule->seen - rule->nth) % rule->every != 0) return false;
  if (rule->times > 0 && rule->fired >= rule->times) return false;
  rule->fired++;
  return true;
}

static const char *kind_name(const struct fault *fault) {
  for (size_t i = 0; i < N_KINDS; i++) {
    if (kinds[i].kind == fault->kind && kinds[i].code == fault->code) return kinds[i].name;
  }
  return "not-a-rule";
}

static void write_log(const struct rules *self, enum fault_operation operation,
                      const struct fault *fault, const char *name, uint64_t offset_bytes,
                      size_t bytes) {
  FILE *log = fopen(self->log, "ae");
  if (!log) return; /* the control directory is going away */
  fprintf(log, "%s %s %s %llu+%zu\n", operations[operation], kind_name(fault), name,
          (unsigned long long)offset_bytes, bytes);
  fclose(log);
}

struct fault rules_match(struct rules *self, enum fault_operation operation, const char *path,
                         uint64_t offset_bytes, size_t bytes) {
  const char *slash = strrchr(path, '/');
  const char *name = slash && slash[1] ? slash + 1 : path;
  struct fault fault = {.kind = FAULT_NONE};
  pthread_mutex_lock(&self->mutex);
  refresh(self);
  for (int i = 0; i < self->n_rules && fault.kind == FAULT_NONE; i++) {
    struct rule *rule = &self->rules[i];
    if (fits(rule, operation, name, offset_bytes, bytes) && is_due(rule)) fault = rule->fault;
    fault.from_bytes = rule->from_bytes;
  }
  if (fault.kind != FAULT_NONE) write_log(self, operation, &fault, name, offset_bytes, bytes);
  pthread_mutex_unlock(&self->mutex);
  return fault;
}

bool rules_changed(struct rules *self, const struct fault *fault) {
  pthread_mutex_lock(&self->mutex);
  refresh(self);
  bool changed = self->generation != fault->generation;
  pthread_mutex_unlock(&self->mutex);
  return changed;
}
