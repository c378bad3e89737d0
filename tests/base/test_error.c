/* base/error.c: the first failure stays, contexts go in front, nothing overflows. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "base/error.h"

Test(error, set_records_code_and_sentence) {
  struct error error = {0};
  cr_assert_eq(error_set(&error, -EIO, "read %s: %d", "a", 7), -EIO);
  cr_assert_eq(error.code, -EIO);
  cr_assert_str_eq(error.message, "read a: 7");
}

Test(error, first_stays) {
  struct error error = {0};
  error_set(&error, -EIO, "first");
  cr_assert_eq(error_set(&error, -ENOMEM, "second"), -ENOMEM);
  cr_assert_eq(error.code, -EIO);
  cr_assert_str_eq(error.message, "first");
}

Test(error, prefix_goes_in_front) {
  struct error error = {0};
  error_set(&error, -ENOENT, "no such file");
  cr_assert_eq(error_prefix(&error, "layer %d", 3), -ENOENT);
  cr_assert_str_eq(error.message, "layer 3: no such file");
}

Test(error, null_is_allowed) {
  cr_assert_eq(error_set(NULL, -EIO, "x"), -EIO);
  cr_assert_eq(error_prefix(NULL, "x"), -EIO);
  error_clear(NULL);
}

Test(error, clear_lets_the_next_in) {
  struct error error = {0};
  error_set(&error, -EIO, "first");
  error_clear(&error);
  cr_assert_eq(error.code, 0);
  cr_assert_str_empty(error.message);
  error_set(&error, -ENOMEM, "second");
  cr_assert_str_eq(error.message, "second");
}

Test(error, stays_on_one_line) {
  struct error error = {0};
  error_set(&error, -EIO, "a\nb\tc\r");
  cr_assert_str_eq(error.message, "a b c ");
  error_prefix(&error, "x\ny");
  cr_assert_str_eq(error.message, "x y: a b c ");
}

Test(error, long_text_is_cut_and_terminated) {
  char text[2000];
  memset(text, 'm', sizeof(text) - 1);
  text[sizeof(text) - 1] = '\0';
  struct error error = {0};
  error_set(&error, -EIO, "%s", text);
  cr_assert_eq(strlen(error.message), sizeof(error.message) - 1);
  error_prefix(&error, "context");
  cr_assert_eq(strlen(error.message), sizeof(error.message) - 1);
  cr_assert_eq(strncmp(error.message, "context: mmm", 12), 0);
  error_prefix(&error, "%s", text);
  cr_assert_eq(strlen(error.message), sizeof(error.message) - 1);
}
