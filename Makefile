# Every command a person types. `make help` lists them.
#
# Variables: V=1 shows commands, WERROR=1 makes warnings errors (CI), SANITIZE=address|undefined|
# thread builds into build/SANITIZE, BUILD=DIR builds elsewhere, CC, CFLAGS, PREFIX, DESTDIR.
# As many jobs as there are cores run at once; -jN changes that.

ifeq ($(MAKELEVEL),0)
MAKEFLAGS += --jobs=$(shell nproc) --no-print-directory
endif

ifeq ($(origin CC),default)
CC := gcc
endif
BUILD := build$(if $(SANITIZE),/$(SANITIZE))
Q := $(if $(V),,@)

# Under a sanitizer tests/plain serves the same test sources: it says why.
HARNESS ?= $(if $(SANITIZE),plain,criterion)

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
            $(if $(WERROR),-Werror)
CFLAGS ?= -O2 -g
ALL_CFLAGS := -std=c11 -D_GNU_SOURCE -I. -I$(BUILD) $(if $(filter plain,$(HARNESS)),-Itests/plain) \
              $(WARNINGS) $(CFLAGS) -MMD -MP -pthread \
              $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all \
                -fno-omit-frame-pointer)
LDFLAGS += -pthread $(if $(SANITIZE),-fsanitize=$(SANITIZE))
PREFIX ?= /usr/local

# Which folder may use which library (the include rule of scripts/check-includes.sh).
CFLAGS_kernels/cpu := -fopenmp
LIBS_base    := -lm
LIBS_model   := -lm
LIBS_io      := -luring -lm
LIBS_kernels := -ldnnl -ljansson -fopenmp -lm
LIBS_bench   := -luring -ldnnl -ljansson -lhwloc -fopenmp -lm

sources = $(sort $(foreach dir,$(1),$(wildcard $(dir)/*.c)))
objects = $(patsubst %.c,$(BUILD)/%.o,$(1))

BASE    := $(call sources,base)
MODEL   := $(call sources,model)
IO      := $(call sources,io)
KERNELS := $(call sources,kernels kernels/reference kernels/cpu kernels/playback) kernels/cuda/loader.c
BENCH   := $(filter-out bench/main.c,$(call sources,bench bench/commands bench/measure bench/plan bench/present bench/box))

LIBRARY := $(call objects,$(BASE) $(MODEL) $(IO) $(KERNELS) $(BENCH))
ALL_SOURCES := $(BASE) $(MODEL) $(IO) $(KERNELS) $(BENCH) bench/main.c

.DEFAULT_GOAL := all

##> all       build build/refill (the default)
.PHONY: all
all: $(BUILD)/refill cuda-plugin

$(BUILD)/refill: $(LIBRARY) $(BUILD)/bench/main.o
	@echo "  LINK  $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_bench)

# Rewritten when the compiler or its flags change, so that everything is built again.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(ALL_CFLAGS)' | cmp -s - $@ || echo '$(CC) $(ALL_CFLAGS)' > $@

# Touched only when its content changes; bench/ embeds it in results.
$(BUILD)/version.h: FORCE
	@mkdir -p $(@D)
	@scripts/version.sh $@ '$(CC)' '$(strip $(CFLAGS) $(if $(SANITIZE),-fsanitize=$(SANITIZE)))'

.PHONY: FORCE

$(BUILD)/%.o: %.c $(BUILD)/flags | $(BUILD)/version.h
	@mkdir -p $(@D)
	@echo "  CC    $<"
	$(Q)$(CC) $(ALL_CFLAGS) $(CFLAGS_$(patsubst %/,%,$(dir $<))) -c -o $@ $<

# Profiles that builtin.c takes in with .incbin, which the compiler does not report.
$(BUILD)/kernels/playback/builtin.o: $(wildcard kernels/playback/profiles/*.json)

# ---- the report's page: style, scripts, Chart.js and model/ as WebAssembly in one file -----
$(BUILD)/report/page.html: $(wildcard scripts/report/*) $(MODEL) $(wildcard model/*.h)
	@echo "  PAGE  $@"
	$(Q)scripts/report/build.sh $(@D)
$(BUILD)/bench/present/report_page.o: $(BUILD)/report/page.html
# -----------------------------------------------------------------------------------------

include kernels/cuda/cuda.mk
include tests/vgpu/vgpu.mk

# ---- tests: one Criterion program per part, mirroring the sources -----------------------

HARNESS_OBJECTS := $(if $(filter plain,$(HARNESS)),\
                      $(BUILD)/tests/plain/plain.o $(BUILD)/tests/plain/redirect.o)
HARNESS_LIB     := $(if $(filter criterion,$(HARNESS)),-lcriterion)

PARTS := base model io kernels bench
parts_base    := $(BASE)
parts_model   := $(BASE) $(MODEL)
parts_io      := $(BASE) $(IO)
parts_kernels := $(BASE) $(MODEL) $(KERNELS) $(CUDA_TESTED)
parts_bench   := $(BASE) $(MODEL) $(IO) $(KERNELS) $(BENCH)

define test_program
$(BUILD)/tests/test_$(1): $$(call objects,$$(wildcard tests/$(1)/*.c) $$(parts_$(1))) $(HARNESS_OBJECTS)
	@echo "  LINK  $$@"
	$$(Q)$$(CC) $$(LDFLAGS) -o $$@ $$^ $$(LIBS_$(1)) -ljansson $(HARNESS_LIB)
endef
$(foreach part,$(PARTS),$(eval $(call test_program,$(part))))

.PHONY: $(PARTS:%=test-%)
$(PARTS:%=test-%): test-%: $(BUILD)/tests/test_%
	$<

# What fuzz targets may call. replay_NAME runs one over files, without a fuzzer.
FUZZ_TARGETS := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_SOURCES := $(BASE) $(MODEL) $(IO)
REPLAYS      := $(FUZZ_TARGETS:%=$(BUILD)/tests/replay_%)

$(REPLAYS): $(BUILD)/tests/replay_%: $(BUILD)/tests/fuzz/fuzz_%.o $(BUILD)/tests/fuzz/replay.o \
                                     $(call objects,$(FUZZ_SOURCES))
	@echo "  LINK  $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_io)

# Parts that have tests yet.
TESTED       := $(foreach part,$(PARTS),$(if $(wildcard tests/$(part)/test_*.c),$(part)))
PROGRAMS     := $(TESTED:%=$(BUILD)/tests/test_%)
CHECKS       := scripts/check-style.sh scripts/check-includes.sh
SCRIPT_TESTS := $(sort $(wildcard tests/scripts/*.sh))
E2E_TESTS    := $(sort $(wildcard tests/e2e/*.sh))

# Scripts find what was built by these.
RUN_TESTS := BUILD='$(abspath $(BUILD))' REFILL='$(abspath $(BUILD))/refill' scripts/run-tests.sh

##> demo      install what is missing, build, run the main job here, leave a report
.PHONY: demo
demo:
	@scripts/setup.sh demo
	@$(MAKE) all
	@BUILD='$(abspath $(BUILD))' REFILL='$(abspath $(BUILD))/refill' scripts/demo.sh

##> check-gpu is this box's GPU right? steps of rising risk, under 3 minutes; TARGET=DIR, OUT=FILE
OUT ?= check-gpu.json
.PHONY: check-gpu
check-gpu: all
	$(BUILD)/refill verify --device cuda --all $(if $(TARGET),--target $(TARGET)) -o $(OUT)

##> test      install what is missing, build, run every test
.PHONY: test
test:
	@scripts/setup.sh test
	@$(MAKE) all test-programs vgpu-build
	@$(RUN_TESTS) $(CHECKS) $(PROGRAMS) $(SCRIPT_TESTS) $(VGPU_CHECKS) $(E2E_TESTS)

##> check     style, include rule, warnings, unit tests: before each commit
.PHONY: check
check:
	@$(MAKE) WERROR=1 all test-programs
	@$(RUN_TESTS) $(CHECKS) $(PROGRAMS)

##> test-PART build and run the unit tests of base, model, io, kernels or bench
.PHONY: test-programs
test-programs: $(PROGRAMS) $(REPLAYS)

# ---- sanitizers --------------------------------------------------------------------------

##> asan      unit tests under AddressSanitizer and LeakSanitizer
##> ubsan     unit tests under UndefinedBehaviorSanitizer
##> tsan      unit tests under ThreadSanitizer
.PHONY: asan ubsan tsan sanitized
asan:
	@$(MAKE) sanitized SANITIZE=address BUILD=$(BUILD)/address
ubsan:
	@$(MAKE) sanitized SANITIZE=undefined BUILD=$(BUILD)/undefined
tsan:
	@$(MAKE) sanitized SANITIZE=thread BUILD=$(BUILD)/thread
# hwloc's plugins leak in libraries that are gone when the leak is told; OpenMP's own barriers are
# not instrumented, so that ThreadSanitizer would take each of its threads for a race.
sanitized: test-programs
	@HWLOC_PLUGINS_PATH=/nonexistent $(if $(filter thread,$(SANITIZE)),OMP_NUM_THREADS=1) \
	  $(RUN_TESTS) $(PROGRAMS) tests/scripts/test_fuzz_corpora.sh

# ---- faults: tests/faultfs ----------------------------------------------------------------

##> kill-test 200 SIGKILLs at random moments of writing: a file is whole, or it is not there
##> gone-test a block device that stops answering, below ext4; root, an idle box
##> soak      10 minutes of faults and signals, under AddressSanitizer
include tests/faultfs/faultfs.mk

##> fio-targets the storage lab against fio: 12 minutes of an idle box; DISK=DIR, results/storage
DISK ?= /var/tmp
.PHONY: fio-targets
fio-targets: all
	REFILL='$(abspath $(BUILD))/refill' tests/perf/fio-targets.sh -d $(DISK)

# ---- fuzzing -----------------------------------------------------------------------------

FUZZ_S     ?= 30
FUZZ_CC    ?= clang
FUZZ_FLAGS := -std=c11 -D_GNU_SOURCE -I. -O1 -g -pthread -fno-sanitize-recover=all

$(BUILD)/fuzz/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(FUZZ_CC) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link,address,undefined -MMD -MP -c -o $@ $<

$(BUILD)/fuzz/fuzz_%: $(BUILD)/fuzz/tests/fuzz/fuzz_%.o \
                      $(patsubst %.c,$(BUILD)/fuzz/%.o,$(FUZZ_SOURCES))
	$(Q)$(FUZZ_CC) -pthread -fsanitize=fuzzer,address,undefined -o $@ $^ $(LIBS_io)

.SECONDARY: # objects of targets that were only run once stay too

# What a run finds stays in build/fuzz/corpus; the checked-in corpus is read only.
.PHONY: $(FUZZ_TARGETS:%=fuzz-%)
$(FUZZ_TARGETS:%=fuzz-%): fuzz-%: $(BUILD)/fuzz/fuzz_%
	@mkdir -p $(BUILD)/fuzz/corpus/$*
	$< -max_total_time=$(FUZZ_S) -max_len=65536 -timeout=10 -print_final_stats=1 \
	  -artifact_prefix=$(BUILD)/fuzz/$*- $(BUILD)/fuzz/corpus/$* tests/fuzz/corpus/$*

##> fuzz      each fuzz target for FUZZ_S (30) seconds, with clang
.PHONY: fuzz
fuzz:
	@command -v $(FUZZ_CC) >/dev/null || { echo "no $(FUZZ_CC): scripts/setup.sh develop"; exit 1; }
	@$(MAKE) --jobs=1 $(FUZZ_TARGETS:%=fuzz-%)

# ---- house-keeping -----------------------------------------------------------------------

C_FILES := $(shell git ls-files '*.c' '*.h' '*.cu' '*.cuh' 2>/dev/null)

##> format    lay sources out by .clang-format
.PHONY: format
format:
	clang-format -i $(C_FILES)

##> lint      clang-tidy and cppcheck: worth reading, not a gate
.PHONY: lint
lint:
	-clang-tidy --quiet $(ALL_SOURCES) -- -std=c11 -D_GNU_SOURCE -I. -I$(BUILD) -fopenmp
	-cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
	  --suppress=missingIncludeSystem -D__x86_64__ -I. $(ALL_SOURCES)

##> install   into PREFIX (/usr/local), under DESTDIR
.PHONY: install
install: all
	install -D -m 755 $(BUILD)/refill $(DESTDIR)$(PREFIX)/bin/refill

##> clean     remove build/
.PHONY: clean
clean:
	rm -rf $(BUILD)

##> help      this list
.PHONY: help
help:
	@sed -n 's/^##> /make /p' $(firstword $(MAKEFILE_LIST))

-include $(patsubst %.o,%.d,$(LIBRARY) $(BUILD)/bench/main.o \
           $(call objects,$(wildcard tests/*/*.c) $(CUDA_TESTED)) \
           $(patsubst %.c,$(BUILD)/fuzz/%.o,$(FUZZ_SOURCES) $(wildcard tests/fuzz/fuzz_*.c)))
