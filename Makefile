# Every command a person types. `make help` lists them.
#
#   make            builds build/refill
#   make demo       installs what is missing, builds, runs the main job here, leaves a report
#   make test       installs what is missing, builds, runs every test
#   make check      style, include rule, warnings, unit tests: before each commit
#
# Variables: V=1 shows commands, WERROR=1 makes warnings errors (CI), SANITIZE=address|undefined|thread
# builds into build/SANITIZE, CC, CFLAGS.

CC ?= gcc
BUILD := build$(if $(SANITIZE),/$(SANITIZE))
Q := $(if $(V),,@)

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
            $(if $(WERROR),-Werror)
CFLAGS ?= -O2 -g
ALL_CFLAGS := -std=c11 -D_GNU_SOURCE -I. -I$(BUILD) $(WARNINGS) $(CFLAGS) -MMD -MP -pthread \
              $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer)
LDFLAGS += -pthread $(if $(SANITIZE),-fsanitize=$(SANITIZE))

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
KERNELS := $(call sources,kernels kernels/reference kernels/cpu kernels/playback)
BENCH   := $(filter-out bench/main.c,$(call sources,bench bench/commands bench/measure bench/present bench/box))

LIBRARY := $(call objects,$(BASE) $(MODEL) $(IO) $(KERNELS) $(BENCH))
ALL_SOURCES := $(BASE) $(MODEL) $(IO) $(KERNELS) $(BENCH) bench/main.c

.PHONY: all
all: $(BUILD)/refill

$(BUILD)/refill: $(LIBRARY) $(BUILD)/bench/main.o
	@echo "  LINK  $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_bench)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC    $<"
	$(Q)$(CC) $(ALL_CFLAGS) $(CFLAGS_$(patsubst %/,%,$(dir $<))) -c -o $@ $<

# Profiles that builtin.c takes in with .incbin, which the compiler does not report.
$(BUILD)/kernels/playback/builtin.o: $(wildcard kernels/playback/profiles/*.json)

# ---- tests: one Criterion program per part, mirroring the sources -----------------------

PARTS := base model io kernels bench
parts_base    := $(BASE)
parts_model   := $(BASE) $(MODEL)
parts_io      := $(BASE) $(IO)
parts_kernels := $(BASE) $(MODEL) $(KERNELS)
parts_bench   := $(BASE) $(MODEL) $(IO) $(KERNELS) $(BENCH)

define test_program
$(BUILD)/tests/test_$(1): $$(call objects,$$(wildcard tests/$(1)/*.c) $$(parts_$(1)))
	@echo "  LINK  $$@"
	$$(Q)$$(CC) $$(LDFLAGS) -o $$@ $$^ $$(LIBS_$(1)) -ljansson -lcriterion
endef
$(foreach part,$(PARTS),$(eval $(call test_program,$(part))))

.PHONY: $(PARTS:%=test-%)
$(PARTS:%=test-%): test-%: $(BUILD)/tests/test_%
	$<

.PHONY: clean
clean:
	rm -rf build

-include $(patsubst %.o,%.d,$(LIBRARY) $(BUILD)/bench/main.o \
           $(call objects,$(wildcard tests/*/*.c)))
