/*
 * atom and red. Blocks of one launch may run on several threads: one lock makes a warp's whole
 * operation atomic, lane after lane, in the order of the lanes.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "tests/vgpu/ptx/decode.h"
#include "tests/vgpu/ptx/execute.h"
#include "tests/vgpu/ptx/number.h"

static pthread_mutex_t *atomic_lock(void) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  return &lock;
}

static const char *const operations[] = {"add", "min",  "max", "and", "or",
                                         "xor", "exch", "cas", "inc", "dec"};
enum operation { OP_ADD, OP_MIN, OP_MAX, OP_AND, OP_OR, OP_XOR, OP_EXCH, OP_CAS, OP_INC, OP_DEC };

static uint64_t less_of(uint64_t a, uint64_t b, const struct insn *insn, bool smaller) {
  bool less = a < b;
  if (insn->sign) less = insn->width == 4 ? (int32_t)a < (int32_t)b : (int64_t)a < (int64_t)b;
  return less == smaller ? a : b;
}

static uint64_t float_sum(uint64_t a, uint64_t b, int width) {
  if (width == 4) return bits_of_float(float_of_bits((uint32_t)a) + float_of_bits((uint32_t)b));
  double x, y;
  memcpy(&x, &a, 8);
  memcpy(&y, &b, 8);
  x += y;
  memcpy(&a, &x, 8);
  return a;
}

static uint64_t operate(const struct insn *insn, uint64_t old, uint64_t b, uint64_t c) {
  switch ((enum operation)insn->kind) {
  case OP_ADD:
    return insn->kind2 == 'f' ? float_sum(old, b, insn->width) : old + b;
  case OP_MIN:
    return less_of(old, b, insn, true);
  case OP_MAX:
    return less_of(old, b, insn, false);
  case OP_AND:
    return old & b;
  case OP_OR:
    return old | b;
  case OP_XOR:
    return old ^ b;
  case OP_EXCH:
    return b;
  case OP_CAS:
    return old == b ? c : old;
  case OP_INC:
    return old >= b ? 0 : old + 1;
  case OP_DEC:
    return old == 0 || old > b ? b : old - 1;
  }
  return old;
}

static unsigned char *locate(struct warp *warp, const struct insn *insn, int lane) {
  uint64_t address = lane_address(warp, insn, lane);
  bool shared = insn->space == SPACE_SHARED;
  if (insn->space == SPACE_GENERIC && address >> 56 == 1) {
    shared = true;
    address &= WINDOW_BYTES - 1;
  }
  /* Reading first finds what was never written; atomics of two warps are no race, so that only
   * the write is recorded in shared memory. */
  if (!shared && !global_bytes(warp, insn, lane, address, insn->width, false)) return NULL;
  return shared ? shared_bytes(warp, insn, lane, address, insn->width, true)
                : global_bytes(warp, insn, lane, address, insn->width, true);
}

static enum outcome run_atomic(struct warp *warp, const struct insn *insn, uint32_t mask) {
  enum outcome outcome = OUTCOME_GO_ON;
  pthread_mutex_lock(atomic_lock());
  for (int lane = 0; lane < LANES && outcome == OUTCOME_GO_ON; lane++) {
    if (!(mask >> lane & 1)) continue;
    unsigned char *bytes = locate(warp, insn, lane);
    if (!bytes) {
      outcome = OUTCOME_FAULT;
      break;
    }
    uint64_t old = 0, b = lane_value(place_at(warp, insn->s[1]), insn->width, lane), c = 0;
    if (insn->kind == OP_CAS) c = lane_value(place_at(warp, insn->s[2]), insn->width, lane);
    memcpy(&old, bytes, insn->width);
    uint64_t changed = operate(insn, old, b, c);
    memcpy(bytes, &changed, insn->width);
    if (insn->n_elements) lane_set(place_at(warp, insn->d[0]), insn->width, lane, old);
  }
  pthread_mutex_unlock(atomic_lock());
  return outcome;
}

int decode_atomic(struct decoder *decoder) {
  bool returns = opcode_is(decoder, "atom");
  if (!returns && !opcode_is(decoder, "red")) return 0;
  struct insn *insn = decoder->insn;
  char kind;
  int bits, operation = -1;
  if (take_type(decoder, &kind, &bits) < 0) return -EINVAL;
  for (int i = 0; i < 10; i++)
    if (take(decoder, operations[i])) operation = i;
  bool shared = take(decoder, "shared") || take(decoder, "shared::cta");
  insn->space = shared ? SPACE_SHARED : take(decoder, "global") ? SPACE_GLOBAL : SPACE_GENERIC;
  static const char *orders[] = {"relaxed", "acquire", "release", "acq_rel", "cta", "gpu", "sys"};
  for (int i = 0; i < 7; i++) take(decoder, orders[i]);
  if (operation < 0 || bits < 32 || (kind == 'f' && operation != OP_ADD))
    return refuse(decoder, "operation not supported");
  insn->run = run_atomic;
  insn->kind = (uint8_t)operation;
  insn->kind2 = (uint8_t)kind;
  insn->sign = kind == 's';
  insn->width = (uint8_t)(bits / 8);
  insn->n_elements = returns;
  int next = returns ? 2 : 1, inputs = operation == OP_CAS ? 2 : 1;
  if (decoder->statement->n_groups != next + inputs)
    return refuse(decoder, "wrong number of operands");
  int code = returns ? result(decoder, single(decoder, 0), insn->width, &insn->d[0]) : 0;
  if (code == 0) code = address(decoder, next - 1);
  for (int i = 0; code == 0 && i < inputs; i++)
    code = input(decoder, single(decoder, next + i), insn->width, &insn->s[i + 1]);
  return code < 0 ? code : all_taken(decoder);
}
