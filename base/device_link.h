/*
 * A device's PCIe link: how fast and wide it runs, and at most could.
 *
 * Read from sysfs, which needs no library of the device's maker and works in most containers;
 * what is not told there (a virtual machine without a link) stays unknown.
 */
#ifndef REFILL_BASE_DEVICE_LINK_H
#define REFILL_BASE_DEVICE_LINK_H

#include <stdbool.h>

/* As it is and at most; 0: unknown. A device that idles may run it slower. */
struct device_link {
  double gt_per_s, max_gt_per_s; /* transfers of each lane: 1e9/s */
  int width, max_width;          /* lanes */
};

#define DEVICE_LINK_BYTES 48 /* of device_link_text() */

/* The link of the PCI device at `address` ("0000:1b:00.0", in either case, domains of 4 digits or
 * more), below `root`: "/", or where a fake tree begins. Unknown is 0, never an error. */
void device_link_read(struct device_link *link, const char *root, const char *address);

/* The same of the PCI device whose directory this is. */
void device_link_read_at(struct device_link *link, const char *directory);

/* Whether it is known to run slower or narrower than it could. */
bool device_link_lesser(const struct device_link *link);

/* "16.0 GT/s x8 of 32.0 GT/s x16", "?" for what is unknown. Returns `text`. */
const char *device_link_text(const struct device_link *link, char text[DEVICE_LINK_BYTES]);

#endif
