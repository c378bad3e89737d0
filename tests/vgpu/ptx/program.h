/*
 * What the parser, the decoder and the executor share: a kernel as an array of decoded
 * instructions over a register file of lane arrays.
 *
 * Each register is an array of 32 lanes of its width, at a byte offset (a "place") in the warp's
 * register file; a predicate is one 32-bit mask. Immediates are lane arrays too, in the kernel's
 * pool of constants, so that an operation is a plain loop over 32 lanes, whatever its operands are.
 */
#ifndef REFILL_TESTS_VGPU_PTX_PROGRAM_H
#define REFILL_TESTS_VGPU_PTX_PROGRAM_H

#include <stdint.h>

#include "tests/vgpu/ptx/ptx.h"
#include "tests/vgpu/ptx/scan.h"

#define LANES 32
#define ALL_LANES 0xffffffffU
#define PLACE_CONSTANT 0x40000000 /* in a place: from the pool of constants */
#define OPERANDS_MAX 20
#define GROUPS_MAX 8

/* Generic addresses of shared and of local memory: outside of what a process can map, and with
 * bits below 2^32, so that a generic address cut to 32 bits is not by luck the right one. */
#define WINDOW_SHARED UINT64_C(0x0100000055000000)
#define WINDOW_LOCAL UINT64_C(0x02000000aa000000)
#define WINDOW_BYTES UINT64_C(0x01000000)

/* Lanes are read and written as what an operation takes them for. */
typedef uint8_t lane8 __attribute__((may_alias));
typedef uint16_t lane16 __attribute__((may_alias));
typedef uint32_t lane32 __attribute__((may_alias));
typedef uint64_t lane64 __attribute__((may_alias));
typedef int32_t lane_s32 __attribute__((may_alias));
typedef int64_t lane_s64 __attribute__((may_alias));
typedef float lane_f32 __attribute__((may_alias));
typedef double lane_f64 __attribute__((may_alias));

/* Instructions that move lanes between groups: warp.c carries them out, `run` is not called. */
enum control { CONTROL_NONE, CONTROL_BRANCH, CONTROL_RETURN };

enum width { WIDTH_PREDICATE = 0, WIDTH_16 = 2, WIDTH_32 = 4, WIDTH_64 = 8 };

enum space { SPACE_GENERIC, SPACE_GLOBAL, SPACE_SHARED, SPACE_LOCAL, SPACE_CONST, SPACE_PARAM };

struct symbol {
  const char *name;
  int name_length;
  enum space space;
  uint64_t address; /* in its space; of an unsized shared array known when the body ends */
  size_t bytes;
  bool unsized;
  size_t align;
};

enum item_kind { ITEM_REGISTER, ITEM_IMMEDIATE, ITEM_SYMBOL, ITEM_LABEL, ITEM_SINK };

struct item {
  enum item_kind kind;
  int width;     /* of a register */
  int32_t place; /* of a register */
  uint64_t value;
  bool is_float;
  const struct symbol *symbol;
  struct token label;
  bool negated; /* !%p */
};

/* An operand: one item, a vector {a, b}, a pair a|b, or an address [item + offset]. */
struct group {
  int first, count;
  bool address, pair;
  int64_t offset;
};

struct statement {
  struct token opcode;
  int scope;         /* labels are looked up from here */
  int32_t predicate; /* place, or -1 */
  bool negated;
  int n_groups, n_items;
  struct group groups[GROUPS_MAX];
  struct item items[OPERANDS_MAX];
};

struct warp;
struct insn;

/* What executing an instruction says of its warp. */
enum outcome { OUTCOME_GO_ON, OUTCOME_WAITS, OUTCOME_ENDED, OUTCOME_FAULT };

typedef enum outcome (*run_fn)(struct warp *warp, const struct insn *insn, uint32_t mask);
typedef void (*alu_fn)(void *restrict out, const void *const *in);
typedef uint32_t (*test_fn)(const void *a, const void *b);

struct insn {
  run_fn run;
  union {
    alu_fn alu;
    test_fn test;
  } by;
  int32_t predicate; /* place, or -1 */
  bool negated, aligned, branches;
  uint8_t control;    /* enum control */
  uint8_t width;      /* of the result, or of one element in memory */
  uint8_t n_elements; /* of a memory access */
  uint8_t n_inputs;
  uint8_t kind, kind2, space; /* what else the family wants to know */
  bool sign, address_wide, address_wide2;
  int32_t d[8];            /* places of results */
  int32_t dw[2];           /* their widths where they may differ */
  int32_t s[12];           /* places of inputs */
  int64_t offset, offset2; /* of the address, of the second one */
  int32_t target;          /* of a branch */
  int line;
  const char *text; /* in the module's text, from opcode to semicolon */
  int text_length;
};

struct label {
  struct token name;
  int scope;
  int32_t target;
};

struct ptx_kernel {
  struct ptx_kernel_info info;
  char name[128];
  struct insn *code;
  int n_code;
  size_t file_bytes;        /* of a warp's registers */
  unsigned char *constants; /* immediates, as lane arrays */
  size_t constants_bytes, constants_room;
};

struct ptx_module {
  char *text; /* a copy: instructions point into it */
  struct arena *arena;
  struct ptx_kernel **kernels;
  size_t n_kernels;
  struct symbol *symbols; /* of the module: never moves once a body refers to it */
  size_t n_symbols;
};

/* Places of the special registers, filled when a warp starts. */
enum special {
  SPECIAL_TID_X,
  SPECIAL_TID_Y,
  SPECIAL_TID_Z,
  SPECIAL_NTID_X,
  SPECIAL_NTID_Y,
  SPECIAL_NTID_Z,
  SPECIAL_CTAID_X,
  SPECIAL_CTAID_Y,
  SPECIAL_CTAID_Z,
  SPECIAL_NCTAID_X,
  SPECIAL_NCTAID_Y,
  SPECIAL_NCTAID_Z,
  SPECIAL_LANEID,
  SPECIAL_WARPID,
  SPECIAL_SMID,
  SPECIAL_CLOCK,
  SPECIAL_LT,
  SPECIAL_LE,
  SPECIAL_GT,
  SPECIAL_GE,
  SPECIAL_DYNAMIC_BYTES,
  SPECIAL_TOTAL_BYTES,
  SPECIAL_COUNT
};
#define SPECIAL_PLACE(which) ((int32_t)(which)*128)
#define SPECIAL_CLOCK64_PLACE (SPECIAL_COUNT * 128)
#define SINK_PLACE (SPECIAL_CLOCK64_PLACE + 256) /* results that nobody wants */
#define FIRST_PLACE (SINK_PLACE + 256)

#define SYMBOLS_MAX 1024

static inline size_t place_bytes(int width) {
  return width == WIDTH_PREDICATE ? 64 : (size_t)width * LANES;
}

/* body.c: from '{' to '}' of a kernel whose parameters are known. */
int body_parse(struct scanner *scanner, struct ptx_module *module, struct ptx_kernel *kernel,
               const struct symbol *parameters, int n_parameters);

/* decode.c: one statement to one instruction. 0 or -EINVAL. */
int decode(struct ptx_kernel *kernel, const struct statement *statement, struct insn *insn,
           struct error *error);

/* module.c: a variable "[.align N] .type name[count] [= {...}]" after its space. */
struct variable {
  struct token name;
  size_t align, bytes;
  bool unsized;
  unsigned char *initial; /* `bytes` of them, or NULL; the caller frees */
};
int variable_parse(struct scanner *scanner, struct variable *variable);

#endif
