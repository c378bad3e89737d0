/*
 * Which PTX an image stands for.
 *
 * An H100 loads machine code, which only it can run. The build says which PTX ptxas made each cubin
 * from (a manifest: cubin, PTX, ptxas' log, a line each); a cubin that is none of these, byte for
 * byte, is refused, so that what is interpreted is what the program embeds. Registers a thread,
 * which limit what can be launched, are in ptxas' log.
 */
#include "tests/vgpu/libcuda/image.h"

#include <elf.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/vgpu/libcuda/state.h"

static char *read_file(const char *path, size_t *bytes) {
  FILE *file = fopen(path, "rbe");
  if (!file) return NULL;
  char *data = NULL;
  if (fseek(file, 0, SEEK_END) == 0) {
    long size = ftell(file);
    rewind(file);
    data = size >= 0 ? malloc((size_t)size + 1) : NULL;
    if (data && fread(data, 1, (size_t)size, file) == (size_t)size) {
      data[size] = '\0';
      *bytes = (size_t)size;
    } else {
      free(data);
      data = NULL;
    }
  }
  fclose(file);
  return data;
}

/* Bytes of an ELF file in memory: to the end of whatever lies last. */
static size_t elf_bytes(const unsigned char *data) {
  Elf64_Ehdr header;
  memcpy(&header, data, sizeof header);
  size_t end = header.e_shoff + (size_t)header.e_shnum * header.e_shentsize;
  size_t segments = header.e_phoff + (size_t)header.e_phnum * header.e_phentsize;
  if (segments > end) end = segments;
  for (unsigned i = 0; i < header.e_shnum; i++) {
    Elf64_Shdr section;
    memcpy(&section, data + header.e_shoff + (size_t)i * header.e_shentsize, sizeof section);
    size_t last = section.sh_type == SHT_NOBITS ? 0 : section.sh_offset + section.sh_size;
    if (last > end) end = last;
  }
  return end;
}

static bool same_file(const char *path, const void *data, size_t bytes_max) {
  size_t bytes;
  char *file = read_file(path, &bytes);
  bool same = file && bytes <= bytes_max && memcmp(file, data, bytes) == 0;
  free(file);
  return same;
}

/* "ptxas info : Compiling entry function 'NAME' for ..." ... "Used N registers". */
static void read_registers(struct loaded_image *image, const char *log_path) {
  FILE *file = fopen(log_path, "re");
  if (!file) return;
  char line[512];
  while (fgets(line, sizeof line, file)) {
    const char *entry = strstr(line, "Compiling entry function '"), *used = strstr(line, "Used ");
    if (entry && image->n_kernels < IMAGE_KERNELS_MAX)
      sscanf(entry, "Compiling entry function '%95[^']'", image->kernels[image->n_kernels++].name);
    if (used && image->n_kernels > 0)
      sscanf(used, "Used %d registers", &image->kernels[image->n_kernels - 1].registers);
  }
  fclose(file);
}

static void read_target(struct loaded_image *image) {
  const char *target = strstr(image->ptx, ".target sm_");
  if (!target) return;
  char *end = NULL;
  image->binary_version = (int)strtol(target + strlen(".target sm_"), &end, 10);
  image->exact = *end == 'a';
}

/* The line of the manifest whose `column` (0 cubin, 1 PTX) is this image; its PTX and registers. */
static bool find_in_manifest(struct loaded_image *image, const void *data, size_t bytes_max,
                             int column) {
  const char *path = vgpu()->settings.manifest;
  FILE *file = path ? fopen(path, "re") : NULL;
  if (!file) return false;
  char line[1600], names[3][512];
  bool found = false;
  while (!found && fgets(line, sizeof line, file)) {
    if (sscanf(line, "%511s %511s %511s", names[0], names[1], names[2]) != 3) continue;
    if (!same_file(names[column], data, bytes_max)) continue;
    size_t bytes;
    if (!image->ptx) image->ptx = read_file(names[1], &bytes);
    read_registers(image, names[2]);
    found = image->ptx != NULL;
  }
  fclose(file);
  return found;
}

static driver_result open_cubin(struct loaded_image *image, const void *data, char *log,
                                size_t log_bytes) {
  const struct settings *settings = &vgpu()->settings;
  if (settings->refuse_cubins) {
    snprintf(log, log_bytes, "cubins are refused, as VGPU_REFUSE_CUBINS asks");
    return RESULT_NO_BINARY_FOR_GPU;
  }
  if (!find_in_manifest(image, data, elf_bytes(data), 0)) {
    vgpu_finding("a cubin is loaded that is not in VGPU_MANIFEST (%s)",
                 settings->manifest ? settings->manifest : "not set");
    return RESULT_INVALID_IMAGE;
  }
  read_target(image);
  int device = settings->major * 10 + settings->minor;
  bool fits = image->exact ? image->binary_version == device
                           : image->binary_version / 10 == settings->major &&
                                 image->binary_version <= device;
  return fits ? RESULT_OK : RESULT_NO_BINARY_FOR_GPU;
}

/* The PTX version that a driver takes: 8.0 with CUDA 12.0, up by .1 with each, 9.0 with 13.0. */
static int ptx_version_max(int driver_version) {
  int major = driver_version / 1000, minor = driver_version % 1000 / 10;
  if (major == 12) return 80 + minor;
  return major > 12 ? 90 + minor : 78;
}

static driver_result open_ptx(struct loaded_image *image, const char *text, char *log,
                              size_t log_bytes) {
  const struct settings *settings = &vgpu()->settings;
  image->ptx = strdup(text);
  if (!image->ptx) return RESULT_OUT_OF_MEMORY;
  find_in_manifest(image, text, strlen(text) + 1, 1);
  read_target(image);
  int major = 0, minor = 0;
  const char *version = strstr(text, ".version ");
  if (version) sscanf(version, ".version %d.%d", &major, &minor);
  if (major * 10 + minor > ptx_version_max(settings->driver_version)) {
    snprintf(log, log_bytes, "Unsupported .version %d.%d", major, minor);
    return RESULT_UNSUPPORTED_PTX_VERSION;
  }
  int device = settings->major * 10 + settings->minor;
  if (image->exact ? image->binary_version != device : image->binary_version > device)
    return RESULT_NO_BINARY_FOR_GPU;
  return RESULT_OK;
}

driver_result image_open(struct loaded_image *image, const void *data, char *log,
                         size_t log_bytes) {
  char nowhere[1];
  *image = (struct loaded_image){0};
  if (!log) {
    log = nowhere;
    log_bytes = sizeof nowhere;
  }
  driver_result result;
  if (memcmp(data, ELFMAG, SELFMAG) == 0)
    result = open_cubin(image, data, log, log_bytes);
  else
    result = open_ptx(image, data, log, log_bytes);
  if (result != RESULT_OK) {
    free(image->ptx);
    image->ptx = NULL;
  }
  return result;
}
