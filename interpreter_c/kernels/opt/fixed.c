/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* lut_s8_channels, binary_s8_fixed and reduce_s8: integers only, a row of the last axis at a time. */
#include "../map.h"
#include "epilogue.h"
#include "sums.h"

#if DQNN_HAVE_PORTABLE

enum { LEADING = 3 /* dimensions before the last */, CHUNK = 32 };

/* ---- tables ---- */

void dqnn_run_lut_s8_channels_portable(const dqnn_call *call) {
  const uint8_t *in = (const uint8_t *)call->in[0];
  uint8_t *out = (uint8_t *)call->out;
  uint32_t last = dqnn_last(call->in_def[0]);
  for (uint32_t row = dqnn_rows(call->in_def[0]); row; row--) {
    const uint8_t *table = (const uint8_t *)call->constants[0];
    for (uint32_t c = last; c; c--, table += 256) {
      *out++ = table[*in++ ^ 0x80u]; /* a table begins with -128 */
    }
  }
}

/* ---- two inputs ---- */

typedef struct {
  const dqnn_fixed_binary_params *params;
  uint32_t count, step_a, step_b; /* elements of a row; steps along it */
  int32_t zero_a, zero_b, zero_point, least, most;
} layer;

/* A loop per rule: `result` sees the numbers a and b. */
#define EACH_ELEMENT(l, a_row, b_row, out, result)                                             \
  do {                                                                                         \
    const int8_t *a_ = (a_row), *b_ = (b_row);                                                 \
    const uint32_t step_a_ = (l)->step_a, step_b_ = (l)->step_b;                               \
    const int32_t zero_a_ = (l)->zero_a, zero_b_ = (l)->zero_b, zero_point_ = (l)->zero_point; \
    for (uint32_t i_ = (l)->count; i_; i_--, a_ += step_a_, b_ += step_b_) {                   \
      int32_t a = *a_ - zero_a_, b = *b_ - zero_b_;                                            \
      *(out)++ = (int8_t)((result) + zero_point_);                                             \
    }                                                                                          \
  } while (0)

DQNN_INLINE int32_t clamped(const layer *l, int32_t x) {
  return dqnn_clamp_int(x, l->least, l->most);
}

/* TFLite's sum; `sign` is -1 for a difference, else 0. */
static void sum_row(const layer *l, const int8_t *a_row, const int8_t *b_row, int8_t *out, int32_t sign) {
  const dqnn_fixed_binary_params p = *l->params; /* stores to out could change it */
  EACH_ELEMENT(
      l, a_row, b_row, out,
      clamped(l, dqnn_scale_fixed(
                     dqnn_wrap_add(
                         dqnn_scale_fixed((int32_t)((uint32_t)a << p.left), p.multiplier_a, p.shift_a),
                         (dqnn_scale_fixed((int32_t)((uint32_t)b << p.left), p.multiplier_b, p.shift_b) ^ sign) - sign),
                     p.multiplier, p.shift)));
}

static void product_row(const layer *l, const int8_t *a_row, const int8_t *b_row, int8_t *out) {
  const int32_t multiplier = l->params->multiplier, shift = l->params->shift;
  EACH_ELEMENT(l, a_row, b_row, out, clamped(l, dqnn_scale_fixed(a * b, multiplier, shift)));
}

/* Rounded once. */
static void single_row(const layer *l, const int8_t *a_row, const int8_t *b_row, int8_t *out) {
  const dqnn_fixed_binary_params p = *l->params;
  const int64_t half = INT64_C(1) << (p.shift - 1);
  if (p.kind == DQNN_MUL) {
    EACH_ELEMENT(l, a_row, b_row, out, dqnn_scale_fixed64(a * b, p.multiplier, half, p.shift, l->least, l->most));
  } else {
    EACH_ELEMENT(l, a_row, b_row, out,
                 dqnn_scale_fixed64(a, p.multiplier_a, (int64_t)b * p.multiplier_b + half, p.shift, l->least, l->most));
  }
}

static void larger_row(const layer *l, const int8_t *a_row, const int8_t *b_row, int8_t *out) {
  const int least = l->params->kind == DQNN_MINIMUM;
  EACH_ELEMENT(l, a_row, b_row, out, clamped(l, (a < b) == least ? a : b));
}

static void binary_row(const layer *l, const int8_t *a, const int8_t *b, int8_t *out) {
  const dqnn_fixed_binary_params *p = l->params;
  if (p->kind == DQNN_MAXIMUM || p->kind == DQNN_MINIMUM) {
    larger_row(l, a, b, out);
  } else if (p->single) {
    single_row(l, a, b, out);
  } else if (p->kind == DQNN_MUL) {
    product_row(l, a, b, out);
  } else {
    sum_row(l, a, b, out, p->kind == DQNN_SUB ? -1 : 0);
  }
}

/* Apart, so that its frame does not lie below that of the sums. */
DQNN_NOINLINE void run_rows(const dqnn_call *call) {
  const dqnn_fixed_binary_params *p = (const dqnn_fixed_binary_params *)call->params;
  const dqnn_operand a = dqnn_operand_of(call, 0), b = dqnn_operand_of(call, 1);
  const int32_t zero_point = call->out_def->zero_point;
  const layer l = {p,          dqnn_last(call->out_def), !a.repeats,
                   !b.repeats, a.def->zero_point,        b.def->zero_point,
                   zero_point, p->act_min - zero_point,  p->act_max - zero_point};
  int8_t *out = (int8_t *)call->out;
  uint32_t at[LEADING] = {0, 0, 0};
  for (uint32_t row = dqnn_rows(call->out_def); row; row--, out += l.count) {
    binary_row(&l, (const int8_t *)a.data + dqnn_operand_row(&a, at) * a.last,
               (const int8_t *)b.data + dqnn_operand_row(&b, at) * b.last, out);
    dqnn_next_row(call->out_def, at);
  }
}

void dqnn_run_binary_s8_fixed_portable(const dqnn_call *call) {
#if DQNN_HAS_SUMS || DQNN_STEP_SUMS
  if (dqnn_run_fixed_sums(call)) {
    return;
  }
#endif
  run_rows(call);
}

/* ---- reductions ---- */

/* The dimensions before the last, as two nests of three loops: the outer ones over those that stay, the inner ones over
 * those that go; 1 where a dimension belongs to the other nest. */
typedef struct {
  uint32_t stay[LEADING], go[LEADING], pitch[LEADING];
  uint32_t last; /* of a row */
  uint8_t kind;
} nest;

static nest nest_of(const dqnn_call *call) {
  const dqnn_reduce_params *p = (const dqnn_reduce_params *)call->params;
  const dqnn_tensor_def *in = call->in_def[0];
  uint32_t pitch = dqnn_last(in);
  nest n = {{1, 1, 1}, {1, 1, 1}, {0, 0, 0}, pitch, p->kind};
  for (uint32_t k = in->rank - 1u; k-- > 0; pitch *= in->dims[k]) {
    uint32_t *loops = p->axes >> k & 1u ? n.go : n.stay;
    loops[k] = in->dims[k];
    n.pitch[k] = pitch;
  }
  return n;
}

/* Walks a nest: `statement` sees `row`, which begins at `start`. */
#define EACH_ROW(n, loops, start, statement)                                  \
  do {                                                                        \
    const int8_t *first_ = (start);                                           \
    for (uint32_t i_ = 0; i_ < (n)->loops[0]; i_++) {                         \
      for (uint32_t j_ = 0; j_ < (n)->loops[1]; j_++) {                       \
        const int8_t *row = first_ + i_ * (n)->pitch[0] + j_ * (n)->pitch[1]; \
        for (uint32_t k_ = (n)->loops[2]; k_; k_--, row += (n)->pitch[2]) {   \
          statement                                                           \
        }                                                                     \
      }                                                                       \
    }                                                                         \
  } while (0)

DQNN_INLINE int32_t joined(uint8_t kind, int32_t a, int32_t b) {
  return kind == DQNN_ADD ? a + b : (kind == DQNN_MAXIMUM) == (a < b) ? b : a;
}

DQNN_INLINE int32_t nothing(uint8_t kind) {
  return kind == DQNN_ADD ? 0 : kind == DQNN_MAXIMUM ? INT8_MIN : INT8_MAX;
}

/* Of stored values: `count` columns from `start` on, over the rows that go. */
static void reduce_columns(const nest *n, const int8_t *start, uint32_t count, int32_t *result) {
  for (uint32_t i = 0; i < count; i++) {
    result[i] = nothing(n->kind);
  }
  EACH_ROW(
      n, go, start, for (uint32_t i = 0; i < count; i++) { result[i] = joined(n->kind, result[i], row[i]); });
}

/* The same over whole rows. */
static int32_t reduce_rows(const nest *n, const int8_t *start) {
  int32_t result = nothing(n->kind);
  EACH_ROW(
      n, go, start, for (uint32_t i = 0; i < n->last; i++) { result = joined(n->kind, result, row[i]); });
  return result;
}

/* Sums of stored values to codes; of maxima and minima nothing is left to do. */
typedef struct {
  dqnn_epilogue rule;
  int32_t stored; /* what the zero points of a sum come to */
  uint8_t sums;
} ending;

static ending ending_of(const dqnn_call *call, const nest *n) {
  const dqnn_reduce_params *p = (const dqnn_reduce_params *)call->params;
  ending e = {.sums = n->kind == DQNN_ADD};
  uint32_t cells = p->axes >> (call->in_def[0]->rank - 1u) & 1u ? n->last : 1;
  e.stored = (int32_t)(cells * n->go[0] * n->go[1] * n->go[2]) * call->in_def[0]->zero_point;
  e.rule.zero_point = call->out_def->zero_point;
  e.rule.least = (int32_t)p->act_min - e.rule.zero_point;
  e.rule.most = (int32_t)p->act_max - e.rule.zero_point;
  e.rule.requant = p->requant;
  e.rule.bias = (const int32_t *)call->constants[0];
  e.rule.offset64 = (const int64_t *)call->constants[0];
  e.rule.multiplier = (const int32_t *)call->constants[1];
  e.rule.shift = (const int32_t *)call->constants[2];
  return e;
}

static int8_t code_of(const ending *e, int32_t x) {
  const dqnn_epilogue *r = &e->rule;
  if (!e->sums) {
    return (int8_t)x;
  }
  x -= e->stored;
  if (r->requant == DQNN_REQUANT_FIXED64) {
    x = dqnn_scale_fixed64(x, *r->multiplier, *r->offset64, *r->shift, r->least, r->most);
  } else {
    x = dqnn_clamp_int(dqnn_scale_fixed(dqnn_wrap_add(x, *r->bias), *r->multiplier, *r->shift), r->least, r->most);
  }
  return (int8_t)(x + r->zero_point);
}

void dqnn_run_reduce_s8_portable(const dqnn_call *call) {
  const nest n = nest_of(call);
  const ending e = ending_of(call, &n);
  const uint32_t whole = ((const dqnn_reduce_params *)call->params)->axes >> (call->in_def[0]->rank - 1u) & 1u;
  const int8_t *in = (const int8_t *)call->in[0];
  int8_t *out = (int8_t *)call->out;
  int32_t result[CHUNK];
  if (whole) {
    EACH_ROW(&n, stay, in, *out++ = code_of(&e, reduce_rows(&n, row)););
    return;
  }
  EACH_ROW(
      &n, stay, in, for (uint32_t first = 0, count; first < n.last; first += count) {
        count = n.last - first < CHUNK ? n.last - first : CHUNK;
        reduce_columns(&n, row + first, count, result);
        for (uint32_t i = 0; i < count; i++) {
          *out++ = code_of(&e, result[i]);
        }
      });
}
#endif
