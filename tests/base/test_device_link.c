/* base/device_link.c: sysfs as Linux writes it, and what it does not tell. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/device_link.h"

static char root[] = "/tmp/refill-link-XXXXXX";

static void make_root(void) {
  cr_assert_not_null(mkdtemp(root));
}

static void remove_root(void) {
  char command[96];
  snprintf(command, sizeof command, "rm -r %s", root);
  cr_expect_eq(system(command), 0);
}

TestSuite(device_link, .init = make_root, .fini = remove_root);

static void put(const char *attribute, const char *text) {
  char path[192];
  snprintf(path, sizeof path, "mkdir -p %s/sys/bus/pci/devices/0000:1b:00.0", root);
  cr_assert_eq(system(path), 0);
  snprintf(path, sizeof path, "%s/sys/bus/pci/devices/0000:1b:00.0/%s", root, attribute);
  FILE *file = fopen(path, "we");
  cr_assert_not_null(file);
  fputs(text, file);
  cr_assert_eq(fclose(file), 0);
}

static struct device_link read_at(const char *address) {
  struct device_link link;
  device_link_read(&link, root, address);
  return link;
}

static void expect_text(const struct device_link *link, const char *wanted) {
  char text[DEVICE_LINK_BYTES];
  cr_expect_str_eq(device_link_text(link, text), wanted);
}

Test(device_link, by_an_address_in_either_case) {
  put("current_link_speed", "16.0 GT/s PCIe\n");
  put("max_link_speed", "32.0 GT/s PCIe\n");
  put("current_link_width", "8\n");
  put("max_link_width", "16\n");
  const struct device_link link = read_at("0000:1B:00.0");
  expect_text(&link, "16.0 GT/s x8 of 32.0 GT/s x16");
  cr_expect(device_link_lesser(&link));
  const struct device_link same = read_at("0000:1b:00.0");
  expect_text(&same, "16.0 GT/s x8 of 32.0 GT/s x16");
}

Test(device_link, what_is_not_told_is_unknown_and_not_lesser) {
  put("current_link_speed", "Unknown\n");
  put("current_link_width", "255\n");
  put("max_link_width", "16\n");
  const struct device_link link = read_at("0000:1b:00.0"), none = read_at("0000:1c:00.0");
  expect_text(&link, "? GT/s x? of ? GT/s x16");
  cr_expect_not(device_link_lesser(&link));
  expect_text(&none, "? GT/s x? of ? GT/s x?");
  cr_expect_not(device_link_lesser(&none));
}

Test(device_link, slower_or_narrower_is_lesser) {
  const struct {
    struct device_link link;
    bool lesser;
  } cases[] = {{{32, 32, 16, 16}, false}, {{16, 32, 16, 16}, true}, {{32, 32, 8, 16}, true},
               {{32, 0, 16, 0}, false},   {{0, 32, 8, 16}, true},   {{16, 32, 0, 16}, true}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    cr_expect_eq(device_link_lesser(&cases[i].link), cases[i].lesser, "case %zu", i);
}
