/*
 * Identities: compared field by field, so that the message can name the first
 * that differs; hashed into the file's name, so that KV of different runs lies
 * side by side in one directory.
 */
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/prng.h"
#include "io/kv_header.h"

#define MODEL_NAME_CHARS 40 /* of the model in a file's name; the hash tells longer ones apart */

enum field_kind { FIELD_TEXT, FIELD_INT32, FIELD_INT64, FIELD_UINT64, FIELD_FLOAT };

struct field {
  const char *name;
  enum field_kind kind;
  size_t offset_bytes;
};

#define FIELD(member, kind)                                                                        \
  { #member, kind, offsetof(struct kv_identity, member) }

static const struct field FIELDS[] = {
    FIELD(model, FIELD_TEXT),
    FIELD(content, FIELD_TEXT),
    FIELD(layers, FIELD_INT32),
    FIELD(hidden, FIELD_INT32),
    FIELD(q_heads, FIELD_INT32),
    FIELD(kv_heads, FIELD_INT32),
    FIELD(head_dim, FIELD_INT32),
    FIELD(ffn, FIELD_INT32),
    FIELD(vocabulary, FIELD_INT32),
    FIELD(element, FIELD_INT32),
    FIELD(kv_element, FIELD_INT32),
    FIELD(layout, FIELD_INT32),
    FIELD(k_scale, FIELD_FLOAT),
    FIELD(v_scale, FIELD_FLOAT),
    FIELD(n_tokens, FIELD_INT64),
    FIELD(page_tokens, FIELD_INT64),
    FIELD(page_payload_bytes, FIELD_UINT64),
    FIELD(page_stride_bytes, FIELD_UINT64),
    FIELD(seed, FIELD_UINT64),
    FIELD(prefix_hash, FIELD_UINT64),
};

static size_t field_bytes(enum field_kind kind) {
  if (kind == FIELD_TEXT) return KV_FILE_TEXT_BYTES;
  return kind == FIELD_INT64 || kind == FIELD_UINT64 ? 8 : 4;
}

static void format_field(char *text, size_t text_bytes, const struct field *field,
                         const struct kv_identity *identity) {
  const char *at = (const char *)identity + field->offset_bytes;
  int32_t small;
  int64_t large;
  float real;
  switch (field->kind) {
  case FIELD_TEXT:
    snprintf(text, text_bytes, "'%.*s'", KV_FILE_TEXT_BYTES - 1, at);
    break;
  case FIELD_INT32:
    memcpy(&small, at, sizeof small);
    snprintf(text, text_bytes, "%d", small);
    break;
  case FIELD_FLOAT:
    memcpy(&real, at, sizeof real);
    snprintf(text, text_bytes, "%.9g", (double)real);
    break;
  case FIELD_INT64:
    memcpy(&large, at, sizeof large);
    snprintf(text, text_bytes, "%lld", (long long)large);
    break;
  case FIELD_UINT64:
    memcpy(&large, at, sizeof large);
    snprintf(text, text_bytes, "%llu", (unsigned long long)large);
    break;
  }
}

void kv_identity_normalise(struct kv_identity *to, const struct kv_identity *from) {
  struct kv_identity clean = *from;
  memset(clean.model, 0, sizeof clean.model);
  memset(clean.content, 0, sizeof clean.content);
  memcpy(clean.model, from->model, strnlen(from->model, sizeof from->model - 1));
  memcpy(clean.content, from->content, strnlen(from->content, sizeof from->content - 1));
  *to = clean;
}

int kv_identity_compare(const struct kv_identity *found, const struct kv_identity *wanted,
                        struct error *error) {
  assert(found != NULL && wanted != NULL);
  struct kv_identity a, b;
  kv_identity_normalise(&a, found);
  kv_identity_normalise(&b, wanted);
  for (size_t i = 0; i < sizeof FIELDS / sizeof FIELDS[0]; i++) {
    const struct field *field = &FIELDS[i];
    const char *left = (const char *)&a + field->offset_bytes;
    const char *right = (const char *)&b + field->offset_bytes;
    if (memcmp(left, right, field_bytes(field->kind)) == 0) continue;
    char texts[2][KV_FILE_TEXT_BYTES + 8];
    format_field(texts[0], sizeof texts[0], field, &a);
    format_field(texts[1], sizeof texts[1], field, &b);
    return error_set(error, -ESTALE, "KV file differs in %s: found %s, wanted %s", field->name,
                     texts[0], texts[1]);
  }
  return 0;
}

/* A 64-bit hash: the generator's mixing over (hash so far, next eight bytes). */
static uint64_t hash_bytes(uint64_t hash, const void *data, size_t bytes) {
  const unsigned char *at = data;
  for (size_t i = 0; i < bytes; i += 8) {
    uint64_t word = 0;
    memcpy(&word, at + i, bytes - i < 8 ? bytes - i : 8);
    hash = prng_bits(hash, word);
  }
  return prng_bits(hash, bytes); /* so that trailing zero bytes count */
}

uint64_t kv_prefix_hash(const int32_t *tokens, int64_t n_tokens) {
  assert(n_tokens >= 0 && (tokens != NULL || n_tokens == 0));
  return hash_bytes(0, tokens, (size_t)n_tokens * sizeof *tokens);
}

void kv_file_name(const struct kv_identity *identity, char *name) {
  struct kv_identity clean;
  kv_identity_normalise(&clean, identity);
  uint64_t hash = hash_bytes(0, &clean, sizeof clean);
  char model[MODEL_NAME_CHARS + 1];
  snprintf(model, sizeof model, "%.*s", MODEL_NAME_CHARS, clean.model);
  for (char *c = model; *c != '\0'; c++) {
    if (!isascii((unsigned char)*c) || (!isalnum((unsigned char)*c) && strchr("._-", *c) == NULL))
      *c = '_';
  }
  snprintf(name, KV_NAME_BYTES, "refill-%s-%016llx.kv", model, (unsigned long long)hash);
}

uint64_t kv_file_bytes(const struct kv_identity *identity) {
  struct kv_geometry geometry;
  return kv_geometry_of(&geometry, identity, NULL) < 0 ? 0 : geometry.file_bytes;
}
