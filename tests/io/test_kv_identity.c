/* Identities: what differs is named, what is equal has one name. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "io/kv_header.h"
#include "tests/io/io_test.h"

/* Changes the i-th field and gives its name; NULL past the last. */
static const char *change_field(struct kv_identity *identity, int i) {
#define CHANGE(number, member, value)                                                              \
  case number:                                                                                     \
    identity->member = value;                                                                      \
    return #member
  switch (i) {
  case 0:
    identity->model[0] = 'X';
    return "model";
  case 1:
    identity->content[3] = 'X';
    return "content";
    CHANGE(2, layers, 2);
    CHANGE(3, hidden, 65);
    CHANGE(4, q_heads, 5);
    CHANGE(5, kv_heads, 1);
    CHANGE(6, head_dim, 32);
    CHANGE(7, ffn, 1);
    CHANGE(8, vocabulary, 7);
    CHANGE(9, element, 3);
    CHANGE(10, kv_element, 2);
    CHANGE(11, layout, 1);
    CHANGE(12, k_scale, 0.5F);
    CHANGE(13, v_scale, 2.0F);
    CHANGE(14, n_tokens, 11);
    CHANGE(15, page_tokens, 5);
    CHANGE(16, page_payload_bytes, 6001);
    CHANGE(17, page_stride_bytes, 12288);
    CHANGE(18, seed, 43);
    CHANGE(19, prefix_hash, 4712);
  default:
    return NULL;
  }
#undef CHANGE
}

Test(kv_identity, names_the_field_that_differs) {
  struct kv_identity found = io_test_identity();
  cr_expect_eq(kv_identity_compare(&found, &found, NULL), 0);
  int i = 0;
  for (;; i++) {
    struct kv_identity wanted = found;
    struct error error = {0};
    char said[64];
    const char *field = change_field(&wanted, i);
    if (field == NULL) break;
    cr_expect_eq(kv_identity_compare(&found, &wanted, &error), -ESTALE, "%s", field);
    snprintf(said, sizeof said, "differs in %s: found ", field);
    cr_expect_not_null(strstr(error.message, said), "%s: %s", field, error.message);
  }
  cr_expect_eq(i, 20);
}

Test(kv_identity, says_found_and_wanted) {
  struct kv_identity found = io_test_identity(), wanted = found;
  struct error error = {0};
  wanted.seed = UINT64_MAX;
  kv_identity_compare(&found, &wanted, &error);
  cr_expect_str_eq(error.message, "KV file differs in seed: found 42, wanted 18446744073709551615");
}

Test(kv_identity, each_field_changes_the_name) {
  struct kv_identity identity = io_test_identity();
  char name[KV_NAME_BYTES], other[KV_NAME_BYTES];
  kv_file_name(&identity, name);
  for (int i = 0;; i++) {
    struct kv_identity changed = identity;
    const char *field = change_field(&changed, i);
    if (field == NULL) break;
    kv_file_name(&changed, other);
    cr_expect_str_neq(name, other, "%s", field);
  }
}

Test(kv_identity, what_lies_behind_a_text_does_not_count) {
  struct kv_identity identity = io_test_identity(), dirty = identity;
  char name[KV_NAME_BYTES], other[KV_NAME_BYTES];
  memset(dirty.model + strlen(dirty.model) + 1, 'z', 10);
  kv_file_name(&identity, name);
  kv_file_name(&dirty, other);
  cr_expect_str_eq(name, other);
  cr_expect_eq(kv_identity_compare(&identity, &dirty, NULL), 0);
}

Test(kv_identity, names_are_plain_file_names) {
  struct kv_identity identity = io_test_identity();
  char name[KV_NAME_BYTES];
  snprintf(identity.model, sizeof identity.model, "../meta llama/\xc3\xa9 70B");
  kv_file_name(&identity, name);
  cr_expect_null(strchr(name, '/'));
  cr_expect_null(strchr(name, ' '));
  cr_expect_eq(strncmp(name, "refill-.._meta_llama___", 22), 0, "%s", name);
  memset(identity.model, 'm', sizeof identity.model); /* not even ended */
  kv_file_name(&identity, name);
  cr_expect_eq(strlen(name), strlen("refill-") + 40 + 1 + 16 + 3);
}

Test(kv_identity, prefixes_differ_in_hash) {
  const int32_t tokens[] = {1, 2, 3, 0, 0};
  cr_expect_eq(kv_prefix_hash(tokens, 3), kv_prefix_hash(tokens, 3));
  cr_expect_neq(kv_prefix_hash(tokens, 3), kv_prefix_hash(tokens, 2));
  cr_expect_neq(kv_prefix_hash(tokens, 3), kv_prefix_hash(tokens, 4), "a zero token counts");
  cr_expect_neq(kv_prefix_hash(tokens, 4), kv_prefix_hash(tokens, 5));
  const int32_t swapped[] = {2, 1, 3};
  cr_expect_neq(kv_prefix_hash(tokens, 3), kv_prefix_hash(swapped, 3));
  cr_expect_neq(kv_prefix_hash(NULL, 0), kv_prefix_hash(tokens, 1));
}
