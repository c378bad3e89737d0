/*
 * Which vector instructions the device uses, found once when it opens. Kernels
 * exist for each level and are compiled with per-function targets, so that one
 * binary runs anywhere; tests ask for each level that the CPU has.
 */
#ifndef REFILL_KERNELS_CPU_ISA_H
#define REFILL_KERNELS_CPU_ISA_H

enum isa {
  ISA_PLAIN,  /* what the compiler makes of C for any x86-64 */
  ISA_AVX2,   /* AVX2 and FMA */
  ISA_AVX512, /* AVX-512 F, BW, DQ, VL and BF16 */
  ISA_AMX     /* the same and AMX bf16 tiles, which the kernel lets us use */
};

/* The best level of this CPU and kernel. Asks Linux once per process for leave to use the AMX
 * tile registers, which threads made later inherit. */
enum isa isa_best(void);

/* "plain C", "AVX2", "AVX-512 BF16", "AMX". */
const char *isa_name(enum isa isa);

/* The targets of the levels, for __attribute__((target(...))). */
#define ISA_TARGET_AVX2 "avx2,fma"
#define ISA_TARGET_AVX512 "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16"
#define ISA_TARGET_AMX ISA_TARGET_AVX512 ",amx-tile,amx-bf16"

#endif
