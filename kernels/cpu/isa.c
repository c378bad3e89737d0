/*
 * Finds the vector instructions of this CPU. AMX needs three things: the CPU
 * (CPUID leaf 7), the kernel's switch (XCR0, implied by Linux's answer) and
 * leave for this process, since the tile state is 8 KiB a thread to save.
 */
#include "kernels/cpu/isa.h"

#include <cpuid.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ARCH_REQ_XCOMP_PERM 0x1023
#define XFEATURE_XTILEDATA 18
#define CPUID_7_EDX_AMX_BF16 (1U << 22)
#define CPUID_7_EDX_AMX_TILE (1U << 24)

static bool amx_usable(void) {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) return false;
  const unsigned needed = CPUID_7_EDX_AMX_BF16 | CPUID_7_EDX_AMX_TILE;
  if ((edx & needed) != needed) return false;
  return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

enum isa isa_best(void) {
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512bf16");
  if (!avx2) return ISA_PLAIN;
  if (!avx512) return ISA_AVX2;
  return amx_usable() ? ISA_AMX : ISA_AVX512;
}

const char *isa_name(enum isa isa) {
  static const char *const names[] = {"plain C", "AVX2", "AVX-512 BF16", "AMX"};
  return names[isa];
}
