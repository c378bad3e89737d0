/* Which form of the kernels each compute capability gets, best first. */
#include <criterion/criterion.h>

#include "kernels/cuda/images.h"

static void expect_forms(int major, int minor, int n, const enum image_form *want) {
  enum image_form forms[IMAGE_FORMS];
  cr_assert_eq(image_forms_for(major, minor, forms), n, "%d.%d", major, minor);
  for (int i = 0; i < n; i++)
    cr_expect_eq(forms[i], want[i], "%d.%d, place %d: %s", major, minor, i,
                 image_form_name(forms[i]));
}

Test(cuda_image_forms, best_first) {
  const enum image_form hopper[] = {IMAGE_SM_90A, IMAGE_COMPUTE_90A, IMAGE_COMPUTE_80};
  const enum image_form ampere[] = {IMAGE_SM_80, IMAGE_COMPUTE_80};
  const enum image_form later[] = {IMAGE_COMPUTE_80};
  expect_forms(9, 0, 3, hopper);
  expect_forms(8, 0, 2, ampere);
  expect_forms(8, 9, 2, ampere);
  expect_forms(10, 0, 1, later);
  expect_forms(12, 0, 1, later);
  expect_forms(7, 5, 0, NULL);
}
