# The virtual GPU: libraries with the real names, put before the loader's path in tests, and the
# tests that use them. tests/vgpu/README.md says what it checks.

VGPU_LIB := $(BUILD)/vgpu/lib
VGPU_CFLAGS := -O3 -march=native -ffp-contract=off -fPIC -fvisibility=hidden
VGPU_PTX := $(wildcard tests/vgpu/ptx/*.c tests/vgpu/memory/*.c) base/error.c
VGPU_DRIVER := $(VGPU_PTX) $(wildcard tests/vgpu/libcuda/*.c) base/clock.c
VGPU_LT := $(wildcard tests/vgpu/cublaslt/*.c) tests/vgpu/ptx/number.c
vgpu_objects = $(patsubst %.c,$(BUILD)/vgpu/objects/%.o,$(1))
VGPU_DNN := $(wildcard tests/vgpu/cudnn/*.c) tests/vgpu/ptx/number.c
VGPU_NVML := $(addprefix $(BUILD)/vgpu/,nvml/libnvidia-ml.so.1 nvml-old/libnvidia-ml.so.1)
VGPU_CUFILE := $(wildcard tests/vgpu/cufile/*.c)
VGPU_LIBRARIES := $(addprefix $(VGPU_LIB)/,libcuda.so.1 libcublasLt.so.13 libcudnn.so.9 \
                    libcufile.so.0) \
                  $(VGPU_NVML)

$(BUILD)/vgpu/objects/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC    $< (virtual GPU)"
	$(Q)$(CC) $(ALL_CFLAGS) $(VGPU_CFLAGS) -c -o $@ $<

# Products of halves are exact in float: fusing them changes nothing but the time.
$(BUILD)/vgpu/objects/tests/vgpu/ptx/matrix.o: VGPU_CFLAGS += -ffp-contract=fast

$(VGPU_LIB)/libcuda.so.1: $(call vgpu_objects,$(VGPU_DRIVER))
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	$(Q)$(CC) $(LDFLAGS) -shared -Wl,-z,defs -Wl,-soname,libcuda.so.1 -o $@ $^ -lm

$(VGPU_LIB)/libcublasLt.so.13: $(call vgpu_objects,$(VGPU_LT)) $(VGPU_LIB)/libcuda.so.1
$(VGPU_LIB)/libcudnn.so.9: $(call vgpu_objects,$(VGPU_DNN)) $(VGPU_LIB)/libcuda.so.1
$(VGPU_LIB)/libcufile.so.0: $(call vgpu_objects,$(VGPU_CUFILE)) $(VGPU_LIB)/libcuda.so.1
$(VGPU_LIB)/libcufile.so.0 $(VGPU_LIB)/libcublasLt.so.13 $(VGPU_LIB)/libcudnn.so.9:
	@echo "  LINK  $@"
	$(Q)$(CC) $(LDFLAGS) -shared -Wl,-z,defs -Wl,-soname,$(@F) -Wl,-rpath,'$$ORIGIN' -o $@ $^ -lm

# In folders of their own: most tests, like many boxes, have no NVML; the old one lacks a function.
$(VGPU_NVML): tests/vgpu/nvml/nvml.c kernels/cuda/nvml.h
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	$(Q)$(CC) $(filter-out -MMD -MP,$(ALL_CFLAGS)) $(VGPU_CFLAGS) $(LDFLAGS) -shared \
	  -Wl,-z,defs -Wl,-soname,$(@F) -o $@ $<

$(BUILD)/vgpu/nvml-old/%: VGPU_CFLAGS += -DNVML_WITHOUT_REASONS

# Which PTX each cubin was made from, and ptxas' log with its registers.
$(BUILD)/vgpu/manifest: $(CUDA_IMAGES)
	@mkdir -p $(@D)
	$(Q)for module in $(CUDA_MODULES); do for pair in sm_90a:compute_90a sm_80:compute_80; do \
	  stem=$(abspath $(CUDA_IMAGES_DIR))/$$module; \
	  echo $$stem.$${pair%:*}.cubin $$stem.$${pair#*:}.ptx $$stem.$${pair%:*}.cubin.log; \
	done; done >$@

# The interpreter's and the driver's own tests, and each kernel against the reference.
VGPU_TESTS := $(filter-out tests/vgpu/test_devices.c,$(wildcard tests/vgpu/*.c))
VGPU_TESTED := $(VGPU_PTX) $(wildcard kernels/reference/*.c) kernels/weights.c \
               $(addprefix kernels/cuda/,crc_plan.c driver.c gpu.c) \
               base/prng.c base/crc32c.c base/units.c $(MODEL)
$(BUILD)/vgpu/test_vgpu: $(call vgpu_objects,$(VGPU_TESTS) $(sort $(VGPU_TESTED))) | \
                         $(VGPU_LIB)/libcuda.so.1
	@echo "  LINK  $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -ldl -lcriterion -lm

$(call vgpu_objects,$(VGPU_TESTS)): ALL_CFLAGS += \
  -DVGPU_IMAGES_DIR='"$(abspath $(CUDA_IMAGES_DIR))"' -DVGPU_DATA_DIR='"$(abspath tests/vgpu)"' \
  -DVGPU_LIBCUDA='"$(abspath $(VGPU_LIB))/libcuda.so.1"'

# The devices themselves: the program's own objects, the plugin loaded as the program does; and what
# each device promises, asked of cuda.
VGPU_CONTRACT := $(call vgpu_objects,tests/kernels/test_device_contract.c)
$(VGPU_CONTRACT): ALL_CFLAGS += -DCONTRACT_DEVICES='{{"cuda", ""}}'
$(BUILD)/vgpu/test_devices: $(call objects,tests/vgpu/test_devices.c $(BASE) $(MODEL) $(KERNELS)) \
                            $(VGPU_CONTRACT)
	@echo "  LINK  $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_kernels) -ldl -lcriterion

# The real cuDNN before a driver that has no device.
VGPU_AOT := $(BUILD)/vgpu/aot/libcuda.so.1
$(VGPU_AOT): tests/vgpu/aot/driver.c
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	$(Q)$(CC) $(filter-out -MMD -MP,$(ALL_CFLAGS)) -fPIC $(LDFLAGS) -shared -Wl,-z,defs \
	  -Wl,-soname,$(@F) -o $@ $<

VGPU_AOT_TESTED := tests/vgpu/aot/test_aot.c $(MODEL) base/error.c \
                   $(addprefix kernels/cuda/,sdpa_graph.c cudnn.c libraries.c)
$(BUILD)/vgpu/test_aot: $(call vgpu_objects,$(VGPU_AOT_TESTED)) | $(VGPU_AOT)
	@echo "  LINK  $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -ldl -lcriterion -lm

$(call vgpu_objects,tests/vgpu/aot/test_aot.c): ALL_CFLAGS += \
  -DVGPU_AOT_DRIVER='"$(abspath $(VGPU_AOT))"'

# What the program and the plugin are linked from, for those who link them with one file changed.
# shellcheck reads it as a script: at, program_objects, plugin, libraries.
$(BUILD)/vgpu/linked: FORCE
	@mkdir -p $(@D)
	@{ echo "at='$(abspath $(BUILD))'"; \
	   echo "program_objects=' $(abspath $(LIBRARY) $(BUILD)/bench/main.o)'"; \
	   echo "plugin=' $(abspath $(CUDA_PLUGIN_OBJECTS))'"; \
	   echo "libraries='$(LIBS_bench)'"; } >$@

# Program and plugin with ThreadSanitizer, for the order of streams (mutants/order.sh). The virtual
# GPU's libraries stay as they are, and so do the kernels.
VGPU_THREAD := $(BUILD)/vgpu/thread
.PHONY: vgpu-thread
vgpu-thread: $(CUDA_IMAGES) tests/vgpu/order/clocked.c $(BUILD)/report/page.html
	@mkdir -p $(VGPU_THREAD)/report && cp -p $(BUILD)/report/page.html $(VGPU_THREAD)/report/
	@$(MAKE) SANITIZE=thread BUILD=$(VGPU_THREAD) CUDA_IMAGES_DIR=$(abspath $(CUDA_IMAGES_DIR)) \
	  $(addprefix $(VGPU_THREAD)/,refill refill_cuda.so vgpu/linked clocked.so)
$(BUILD)/clocked.so: tests/vgpu/order/clocked.c
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE $(WARNINGS) -O2 -fPIC -shared -o $@ $<

.PHONY: vgpu-libraries vgpu-build vgpu vgpu-tsan vgpu-full
vgpu-libraries: $(VGPU_LIBRARIES)

vgpu-build: all $(VGPU_LIBRARIES) $(BUILD)/vgpu/test_vgpu $(BUILD)/vgpu/test_devices \
            $(BUILD)/vgpu/test_aot $(if $(NVCC),$(BUILD)/refill_cuda.so $(BUILD)/vgpu/manifest \
            $(BUILD)/vgpu/linked vgpu-thread)

# What `make test` runs of it, beside tests/e2e/check-gpu-vgpu.sh. Without nvcc the kernels' cases
# and the scripts say that they are skipped.
VGPU_CHECKS := $(BUILD)/vgpu/test_vgpu $(BUILD)/vgpu/test_aot tests/vgpu/devices.sh \
               $(addprefix tests/vgpu/,e2e.sh nvml.sh trace.sh slots.sh gemm.sh pinned.sh link.sh) \
               $(addprefix tests/vgpu/mutants/,kernels.sh host.sh order.sh pinned.sh)

##> vgpu      the CUDA path on the virtual GPU: instructions, kernels, devices, the program, mutants
vgpu: vgpu-build
	@$(RUN_TESTS) $(VGPU_CHECKS) tests/e2e/check-gpu-vgpu.sh tests/scripts/test_check_kernels.sh

##> vgpu-tsan the order of streams and buffers alone, by ThreadSanitizer
vgpu-tsan: vgpu-build
	@$(RUN_TESTS) tests/vgpu/mutants/order.sh

##> vgpu-full the same as vgpu, with more calls failing and more orders
vgpu-full: vgpu
	@VGPU_FULL=1 $(RUN_TESTS) tests/vgpu/e2e.sh $(BUILD)/vgpu/test_aot
	@for schedule in reverse random; do for lazy in 0 1; do \
	  VGPU_SCHEDULE=$$schedule VGPU_LAZY_COPIES=$$lazy VGPU_SEED=$$RANDOM \
	    ATTENTION=builtin $(RUN_TESTS) tests/vgpu/devices.sh || exit 1; \
	done; done

-include $(patsubst %.o,%.d,$(call vgpu_objects,\
  $(VGPU_DRIVER) $(VGPU_LT) $(VGPU_DNN) $(VGPU_TESTS) $(VGPU_AOT_TESTED)))
