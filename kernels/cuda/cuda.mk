# The CUDA device: refill_cuda.so, which the program loads where a driver answers. It is made
# wherever nvcc is found; elsewhere that is said, and the program is complete without it.
#
# Each kernels/cuda/X.cu becomes four images, all embedded:
#   X.sm_90a.cubin   an H100's, made by ptxas from X.compute_90a.ptx
#   X.compute_90a.ptx
#   X.sm_80.cubin    for 8.x, made by ptxas from X.compute_80.ptx
#   X.compute_80.ptx for everything else; labelled with the lowest ISA version that holds it

NVCC ?= $(firstword $(wildcard /usr/local/cuda/bin/nvcc) $(shell command -v nvcc 2>/dev/null))
PTXAS = $(dir $(NVCC))ptxas
CUDA_INCLUDE := $(firstword $(wildcard /usr/local/cuda/include))

CUDA_MODULES := weights tokens norm rope swiglu fp8 pages attention
CUDA_IMAGES_DIR := $(BUILD)/cuda
CUDA_IMAGES := $(foreach module,$(CUDA_MODULES),$(addprefix $(CUDA_IMAGES_DIR)/$(module).,\
               sm_90a.cubin compute_90a.ptx sm_80.cubin compute_80.ptx))
CUDA_HEADERS := $(wildcard kernels/cuda/*.cuh) kernels/cuda/kernels.h
NVCC_FLAGS := -I. -std=c++17 -O3 -Werror all-warnings
PTXAS_FLAGS := -O3 -v -warn-spills -Werror

# What the plugin is made of: its own host code, and what it needs of ours, hidden inside it.
CUDA_PLUGIN_SOURCES := $(filter-out kernels/cuda/loader.c,$(wildcard kernels/cuda/*.c)) \
                       kernels/weights.c model/shape.c $(wildcard base/*.c) \
                       $(wildcard kernels/reference/*.c)
CUDA_PLUGIN_OBJECTS := $(patsubst %.c,$(BUILD)/cuda/objects/%.o,$(CUDA_PLUGIN_SOURCES))
# Host code that tests link without a GPU or nvcc.
CUDA_TESTED := $(addprefix kernels/cuda/,driver.c gpu.c image_forms.c libraries.c lt.c lt_rules.c \
               memory_plan.c crc_plan.c chunk_bytes.c page_copies.c pinned.c cudnn.c sdpa_graph.c \
               nvml.c)

.PHONY: cuda-plugin
ifneq ($(NVCC),)
cuda-plugin: $(BUILD)/refill_cuda.so
else
cuda-plugin:
	@echo "SKIPPED: no nvcc here: refill_cuda.so is not built, so there is no --device cuda" >&2
endif

$(CUDA_IMAGES_DIR)/%.compute_90a.raw.ptx: kernels/cuda/%.cu $(CUDA_HEADERS)
	@mkdir -p $(@D)
	@echo "  NVCC  $< compute_90a"
	$(Q)$(NVCC) $(NVCC_FLAGS) -arch=compute_90a -ptx -o $@ $<

$(CUDA_IMAGES_DIR)/%.compute_80.raw.ptx: kernels/cuda/%.cu $(CUDA_HEADERS)
	@mkdir -p $(@D)
	@echo "  NVCC  $< compute_80"
	$(Q)$(NVCC) $(NVCC_FLAGS) -arch=compute_80 -ptx -o $@ $<

$(CUDA_IMAGES_DIR)/%.ptx: $(CUDA_IMAGES_DIR)/%.raw.ptx scripts/relabel-ptx.sh
	$(Q)scripts/relabel-ptx.sh $(PTXAS) $< $@

# The log of registers and shared memory is what scripts/check-kernels.sh reads.
$(CUDA_IMAGES_DIR)/%.sm_90a.cubin: $(CUDA_IMAGES_DIR)/%.compute_90a.ptx
	$(Q)$(PTXAS) $(PTXAS_FLAGS) -arch=sm_90a -o $@ $< >$@.log 2>&1 || { cat $@.log; rm -f $@; exit 1; }

$(CUDA_IMAGES_DIR)/%.sm_80.cubin: $(CUDA_IMAGES_DIR)/%.compute_80.ptx
	$(Q)$(PTXAS) $(PTXAS_FLAGS) -arch=sm_80 -o $@ $< >$@.log 2>&1 || { cat $@.log; rm -f $@; exit 1; }

$(BUILD)/cuda/objects/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC    $< (plugin)"
	$(Q)$(CC) $(ALL_CFLAGS) -fPIC -fvisibility=hidden $(addprefix -isystem ,$(CUDA_INCLUDE)) \
	  -DCUDA_IMAGES_DIR='"$(CUDA_IMAGES_DIR)"' -c -o $@ $<

$(BUILD)/cuda/objects/kernels/cuda/images.o: $(CUDA_IMAGES)

$(BUILD)/refill_cuda.so: $(CUDA_PLUGIN_OBJECTS)
	@echo "  LINK  $@"
	$(Q)$(CC) $(LDFLAGS) -shared $(if $(SANITIZE),,-Wl,-z,defs) -o $@ $^ -ldl -lm

-include $(CUDA_PLUGIN_OBJECTS:.o=.d)
