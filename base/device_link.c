/*
 * Small files of a PCI device's directory in sysfs.
 */
#include "base/device_link.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#define WIDTH_MAX 32 /* of PCIe; a device without a link says 255 */

/* "32.0 GT/s PCIe", "16"; 0 where it is not told ("Unknown"). */
static double read_real(const char *directory, const char *attribute) {
  char path[PATH_MAX], line[64] = "";
  snprintf(path, sizeof path, "%s/%s", directory, attribute);
  FILE *file = fopen(path, "re");
  if (!file) return 0;
  const char *read = fgets(line, sizeof line, file);
  fclose(file);
  return read ? strtod(line, NULL) : 0;
}

static int read_width(const char *directory, const char *attribute) {
  const double width = read_real(directory, attribute);
  return width >= 1 && width <= WIDTH_MAX ? (int)width : 0;
}

void device_link_read_at(struct device_link *link, const char *directory) {
  *link = (struct device_link){
      .gt_per_s = read_real(directory, "current_link_speed"),
      .max_gt_per_s = read_real(directory, "max_link_speed"),
      .width = read_width(directory, "current_link_width"),
      .max_width = read_width(directory, "max_link_width"),
  };
}

void device_link_read(struct device_link *link, const char *root, const char *address) {
  char directory[PATH_MAX];
  int length = snprintf(directory, sizeof directory, "%s/sys/bus/pci/devices/", root);
  for (const char *at = address; *at && length < PATH_MAX - 1; at++)
    directory[length++] =
        (char)tolower((unsigned char)*at); /* drivers give "1B:00.0", sysfs "1b:00.0" */
  directory[length] = '\0';
  device_link_read_at(link, directory);
}

bool device_link_lesser(const struct device_link *link) {
  return (link->gt_per_s > 0 && link->gt_per_s < link->max_gt_per_s) ||
         (link->width > 0 && link->width < link->max_width);
}

static void half_text(char *text, size_t bytes, double gt_per_s, int width) {
  char lanes[12] = "?";
  if (width > 0) snprintf(lanes, sizeof lanes, "%d", width);
  if (gt_per_s > 0)
    snprintf(text, bytes, "%.1f GT/s x%s", gt_per_s, lanes);
  else
    snprintf(text, bytes, "? GT/s x%s", lanes);
}

const char *device_link_text(const struct device_link *link, char text[DEVICE_LINK_BYTES]) {
  char now[DEVICE_LINK_BYTES / 2 - 2], most[DEVICE_LINK_BYTES / 2 - 2];
  half_text(now, sizeof now, link->gt_per_s, link->width);
  half_text(most, sizeof most, link->max_gt_per_s, link->max_width);
  snprintf(text, DEVICE_LINK_BYTES, "%s of %s", now, most);
  return text;
}
