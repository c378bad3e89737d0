# faultfs, the filesystem that fails on command, and what runs for minutes over it.
# Without libfuse3 it is left out and its tests are skipped.

FAULTFS_LIBS := $(shell pkg-config --libs fuse3 2>/dev/null)
FAULTFS := $(if $(FAULTFS_LIBS),$(BUILD)/faultfs)
CFLAGS_tests/faultfs := $(shell pkg-config --cflags fuse3 2>/dev/null)

$(BUILD)/faultfs: $(call objects,$(wildcard tests/faultfs/*.c) $(BASE))
	@echo "  LINK  $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(FAULTFS_LIBS) $(LIBS_base)

test-programs: $(FAULTFS)

# The program that the soak runs: AddressSanitizer and LeakSanitizer in it.
SOAKED := $(BUILD)/address/refill

.PHONY: soaked
soaked: $(FAULTFS)
	@$(MAKE) $(SOAKED) SANITIZE=address BUILD=$(BUILD)/address

.PHONY: kill-test
kill-test: all
	@KILLS=200 BUILD='$(abspath $(BUILD))' REFILL='$(abspath $(BUILD))/refill' tests/e2e/kill.sh

.PHONY: soak
soak: all soaked
	@SOAK_S=600 BUILD='$(abspath $(BUILD))' REFILL='$(abspath $(SOAKED))' tests/e2e/soak.sh

.PHONY: gone-test
gone-test: all $(FAULTFS)
	@BUILD='$(abspath $(BUILD))' REFILL='$(abspath $(BUILD))/refill' tests/faultfs/gone.sh
