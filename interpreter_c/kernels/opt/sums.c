/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Sums of two s8 maps, a row of the output at a time, or all of it where nothing is repeated. */
#include "sums.h"

#include <string.h>

#include "../../isa/halves.h"
#include "../../isa/requantize.h"
#include "../../isa/sums.h"
#include "../map.h"

#if DQNN_HAVE_PORTABLE && DQNN_WALKS_SUMS

int dqnn_walk_sums(const dqnn_call *call, uint32_t first, dqnn_sum_row row, void *rule) {
  const dqnn_tensor_def *def = call->out_def;
  const dqnn_operand a = dqnn_operand_of(call, first), b = dqnn_operand_of(call, 1 - first);
  int8_t *out = (int8_t *)call->out;
  uint32_t at[3] = {0, 0, 0}, rows = dqnn_rows(def), count = dqnn_last(def);
  if (a.repeats || b.repeats) {
    return 0;
  }
  if (dqnn_rows(a.def) == rows && dqnn_rows(b.def) == rows) {
    count *= rows;
    rows = 1;
  }
  for (; rows; rows--, out += count) {
    row(rule, (const int8_t *)a.data + dqnn_operand_row(&a, at) * a.last,
        (const int8_t *)b.data + dqnn_operand_row(&b, at) * b.last, out, count);
    dqnn_next_row(def, at);
  }
  return 1;
}

#if DQNN_HAS_SUMS

enum { STEP = 8 };

typedef struct {
  union {
    dqnn_sum_rows rows; /* begins each rule */
    dqnn_float_sums floats;
    dqnn_fixed_sums fixed;
  } of;
  void (*run)(const dqnn_sum_rows *); /* of isa/sums.h */
  int8_t last[3][STEP];               /* elements of both inputs and the output behind whole steps */
} sums;

static void set_range(sums *s, int32_t least, int32_t most) {
  s->of.rows.base = dqnn_every_byte(most - 255);
  s->of.rows.room = dqnn_every_byte(255 - (most - least));
}

static void sum(sums *s, const int8_t *a, const int8_t *b, int8_t *out, uint32_t count) {
  s->of.rows.a = a;
  s->of.rows.b = b;
  s->of.rows.end = a + count;
  s->of.rows.distance = (uint32_t)(uintptr_t)out - (uint32_t)(uintptr_t)a - 4u;
  s->run(&s->of.rows);
}

/* The last elements of a row go through copies. */
static void sum_row(void *rule, const int8_t *a, const int8_t *b, int8_t *out, uint32_t count) {
  sums *s = (sums *)rule;
  uint32_t whole = count & ~(STEP - 1u), rest = count - whole;
  if (whole) {
    sum(s, a, b, out, whole);
  }
  if (rest) {
    memcpy(s->last[0], a + whole, rest);
    memcpy(s->last[1], b + whole, rest);
    sum(s, s->last[0], s->last[1], s->last[2], STEP);
    memcpy(out + whole, s->last[2], rest);
  }
}

/* Results must fit 16 bits before they are clamped, and terms floats: the difference of two infinities is no number. */
int dqnn_run_float_sums(const dqnn_call *call) {
  const dqnn_binary_params *p = (const dqnn_binary_params *)call->params;
  const dqnn_tensor_def *a = call->in_def[0], *b = call->in_def[1];
  float inverse = *(const float *)call->constants[0], scales = a->scale + b->scale;
  sums s = {.run = dqnn_sum_floats};
  if (p->kind > DQNN_SUB || a->dtype != DQNN_S8 || b->dtype != DQNN_S8 || !(scales * inverse < 126.0f) ||
      scales > 0x1p100f) {
    return 0;
  }
  set_range(&s, (int32_t)p->act_min, (int32_t)p->act_max);
  s.of.floats.scale_a = a->scale;
  s.of.floats.scale_b = p->kind == DQNN_ADD ? b->scale : -b->scale;
  s.of.floats.inverse = inverse;
  s.of.floats.lift = dqnn_both_halves(call->out_def->zero_point - (int32_t)p->act_min);
  s.of.floats.zero_a = dqnn_both_halves(-a->zero_point);
  s.of.floats.zero_b = dqnn_both_halves(-b->zero_point);
  return dqnn_walk_sums(call, 0, sum_row, &s);
}

/* Where is the operand of the larger scale, whose multiplier is 1/2? 2: nowhere. */
static uint32_t half_of(const dqnn_fixed_binary_params *p) {
  const int32_t half = 1 << 30;
  return p->multiplier_a == half && p->shift_a == 0 ? 0 : p->multiplier_b == half && p->shift_b == 0 ? 1 : 2;
}

/* Negated the multiplier rounds alike if no product lies in the middle: eight bits cannot reach that if it ends in less
 * than 3 zeros or more than 10. */
static int set_second(dqnn_fixed_sums *f, int32_t multiplier, int32_t shift, int negated) {
  dqnn_avoid_half(&multiplier, &shift);
  if (shift >= 0 || (negated && !(multiplier & 7) && (multiplier & 2047))) {
    return 0;
  }
  f->multiplier_b = negated ? -multiplier : multiplier;
  f->factor_b = 0u - (1u << (32 + shift));
  return 1;
}

/* Sums have less than 28 bits, results 16 before they are clamped. */
int dqnn_run_fixed_sums(const dqnn_call *call) {
  const dqnn_fixed_binary_params *p = (const dqnn_fixed_binary_params *)call->params;
  uint32_t n = half_of(p), difference = p->kind == DQNN_SUB;
  sums s = {.run = dqnn_sum_fixed};
  dqnn_fixed_sums *f = &s.of.fixed;
  if (p->kind > DQNN_SUB || p->single || p->left != 20 || n + difference > 1 || p->shift > -17 ||
      p->multiplier < 1 << 30 ||
      !set_second(f, n ? p->multiplier_a : p->multiplier_b, n ? p->shift_a : p->shift_b, (int)difference)) {
    return 0;
  }
  set_range(&s, p->act_min, p->act_max);
  f->bias = 0x8000u + ((uint32_t)(call->out_def->zero_point - p->act_min) << 16);
  f->zero_a = 0u - ((uint32_t)call->in_def[n]->zero_point << 19);
  f->zero_b = (uint32_t)call->in_def[1 - n]->zero_point << 21;
  f->multiplier = (int32_t)(2u * (uint32_t)p->multiplier);
  f->factor = 0u - (1u << (48 + p->shift));
  return dqnn_walk_sums(call, n == 1, sum_row, &s);
}
#endif

#if DQNN_STEP_SUMS
/* A sum in units of 2^-20 of an output from two products of 32 bits: the rule's three roundings move it by less than a
 * margin, and who is further from where outputs change is decided. The others go by the rule. */
enum { BITS = 20, LEAST_SHIFT = 8, MOST_FACTOR = 1 << 22, FACTORS = 260 /* units: their own roundings */ };

typedef struct {
  const dqnn_fixed_binary_params *p;
  int32_t zero_a, zero_b, zero_point;
  int32_t factor_a, factor_b, begin;
  uint32_t unsure; /* twice the margin, as high as a word reaches */
} steps;

DQNN_NOINLINE int32_t sum_exactly(const steps *s, int32_t a, int32_t b) {
  const dqnn_fixed_binary_params *p = s->p;
  a = dqnn_scale_fixed((int32_t)((uint32_t)(a - s->zero_a) << p->left), p->multiplier_a, p->shift_a);
  b = dqnn_scale_fixed((int32_t)((uint32_t)(b - s->zero_b) << p->left), p->multiplier_b, p->shift_b);
  return dqnn_scale_fixed(p->kind == DQNN_SUB ? a - b : a + b, p->multiplier, p->shift) + s->zero_point;
}

static void sum_by_steps(void *rule, const int8_t *a, const int8_t *b, int8_t *out, uint32_t count) {
  const steps s = *(const steps *)rule; /* stores to out could change it */
  const int32_t least = s.p->act_min, most = s.p->act_max;
  for (const int8_t *end = a + count; a < end; a++, b++, out++) {
    const int32_t units = *a * s.factor_a + *b * s.factor_b + s.begin;
    int32_t y = units >> BITS;
    if (y < least || y > most) {
      y = y < least ? least : most;
    } else if ((uint32_t)units << (32 - BITS) < s.unsure) {
      y = sum_exactly(&s, *a, *b);
      y = y < least ? least : y > most ? most : y;
    }
    *out = (int8_t)y;
  }
}

/* Of an operand, rounded; 0: it has none of use. */
static int32_t factor_of(const dqnn_fixed_binary_params *p, int32_t multiplier, int32_t shift) {
  const int32_t right = 62 - BITS - p->left - shift - p->shift;
  if (shift > 0 || right < 1 || right > 62) {
    return 0;
  }
  const int64_t factor = (((int64_t)multiplier * p->multiplier >> (right - 1)) + 1) >> 1;
  return factor > MOST_FACTOR ? 0 : (int32_t)factor;
}

/* Operands are below 2^28 and shift to the right, so that nothing wraps; three roundings by 1, 1 and 1/2, then the last
 * shift. */
int dqnn_run_fixed_sums(const dqnn_call *call) {
  const dqnn_fixed_binary_params *p = (const dqnn_fixed_binary_params *)call->params;
  const int32_t a = factor_of(p, p->multiplier_a, p->shift_a), b = factor_of(p, p->multiplier_b, p->shift_b);
  if (p->kind > DQNN_SUB || p->single || p->left > BITS || p->shift > -LEAST_SHIFT || a == 0 || b == 0 ||
      a + b > MOST_FACTOR) {
    return 0;
  }
  const int32_t shift = -p->shift, margin = (3 << BITS >> shift) + FACTORS;
  steps s = {p, call->in_def[0]->zero_point, call->in_def[1]->zero_point, call->out_def->zero_point, a, b, 0, 0};
  s.factor_b = p->kind == DQNN_SUB ? -b : b;
  s.begin = s.zero_point * (1 << BITS) + (1 << (BITS - 1)) + margin - s.zero_a * s.factor_a - s.zero_b * s.factor_b;
  s.unsure = (uint32_t)margin << (33 - BITS);
  return dqnn_walk_sums(call, 0, sum_by_steps, &s);
}
#endif
#endif
