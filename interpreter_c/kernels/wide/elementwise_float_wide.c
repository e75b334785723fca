/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* affine_f32_{s1,s8,f32}, binary_{s1,s8,f32}, and the members of unary_f32 that need no series. */
#include "../../src/kernel.h"

#if DQNN_HAVE_AVX2 || DQNN_HAVE_NEON
#define DQNN_FLOAT_SUMS 1
#define DQNN_DIVIDES
#include "elementwise.inc.h"

/* ---- affine ---- */

static void run_affine(const dqnn_call *call) {
  layer l;
  read_affine(call, &l);
  const float *x = (const float *)call->in[0];
  for (uint32_t row = 0; row < l.rows; row++, x += l.last) {
    if (l.per_channel) {
      put(&l, x, row, 0, l.last);
      continue;
    }
    for (uint32_t first = 0; first < l.last; first += CHUNK) {
      put(&l, x + first, row, first, l.last - first < CHUNK ? l.last - first : CHUNK);
    }
  }
}

void WIDE(dqnn_run_affine_f32_s1)(const dqnn_call *call) {
  run_affine(call);
}
void WIDE(dqnn_run_affine_f32_s8)(const dqnn_call *call) {
  run_affine(call);
}
void WIDE(dqnn_run_affine_f32_f32)(const dqnn_call *call) {
  run_affine(call);
}

/* ---- binary ---- */

/* Real numbers. Returns where they are: in memory, or in `to`. */
static const float *read_chunk(const dqnn_operand *o, uint32_t row, uint32_t first, uint32_t count, float *to) {
  if (o->def->dtype == DQNN_F32) {
    return (const float *)o->data + row * o->last + first;
  }
  if (o->def->dtype == DQNN_S8) {
    const int8_t *from = (const int8_t *)o->data + row * o->last + first;
    int32_t zero_point = o->def->zero_point;
    float scale = o->def->scale;
    uint32_t i = 0;
    for (; i + LANES <= count; i += LANES) {
      store_float(to + i, to_float(load_s8(from + i) - zero_point) * scale);
    }
    for (; i < count; i++) {
      to[i] = (float)(from[i] - zero_point) * scale;
    }
    return to;
  }
  const uint32_t *from = (const uint32_t *)o->data + row * dqnn_words(o->last) + first / 32;
  for (uint32_t i = 0; i < count; i += LANES) {
    store_float(to + i, choose_float(from[i / 32] >> i % 32 & ALL_LANES, all_float(1.0f), all_float(-1.0f)));
  }
  return to;
}

static const float *read_operand(const dqnn_operand *o, uint32_t row, uint32_t first, uint32_t count, float *to) {
  if (!o->repeats) {
    return read_chunk(o, row, first, count, to);
  }
  float value = *read_chunk(o, row, 0, 1, to);
  for (uint32_t i = 0; i < count; i++) {
    to[i] = value;
  }
  return to;
}

DQNN_INLINE v_float combined(uint8_t kind, v_float a, v_float b) {
  switch (kind) {
    case DQNN_ADD:
      return a + b;
    case DQNN_SUB:
      return a - b;
    case DQNN_MUL:
      return a * b;
    case DQNN_MAXIMUM:
      return larger_float(a, b);
    default:
      return smaller_float(a, b);
  }
}

DQNN_INLINE void combine_as(uint8_t kind, const float *a, const float *b, uint32_t count, float *to) {
  uint32_t i = 0;
  for (; i + LANES <= count; i += LANES) {
    store_float(to + i, combined(kind, load_float(a + i), load_float(b + i)));
  }
  if (i < count) {
    float x[2][LANES] = {{0}};
    memcpy(x[0], a + i, 4 * (count - i));
    memcpy(x[1], b + i, 4 * (count - i));
    store_float(x[0], combined(kind, load_float(x[0]), load_float(x[1])));
    memcpy(to + i, x[0], 4 * (count - i));
  }
}

/* A loop per frequent kind, so that the kind is looked at once. */
static void combine(uint8_t kind, const float *a, const float *b, uint32_t count, float *to) {
  if (kind == DQNN_ADD) {
    combine_as(DQNN_ADD, a, b, count, to);
  } else if (kind == DQNN_MUL) {
    combine_as(DQNN_MUL, a, b, count, to);
  } else {
    combine_as(kind, a, b, count, to);
  }
}

static void read_binary(const dqnn_call *call, layer *l) {
  const dqnn_binary_params *p = (const dqnn_binary_params *)call->params;
  constant values[CONSTANTS] = {{.real = 1.0f}, {.real = -0.0f}, {0}}; /* r + -0.0 is r, also for r = -0.0 */
  int joined = !p->per_channel;
  for (uint32_t n = 0; n < 2; n++) {
    const dqnn_tensor_def *in = call->in_def[n];
    joined = joined && in->dtype != DQNN_S1 && dqnn_rows(in) == dqnn_rows(call->out_def) &&
             dqnn_last(in) == dqnn_last(call->out_def);
  }
  read_layer(call, joined, DQNN_REQUANT_AFFINE, p->act_min, p->act_max, l);
  if (call->out_def->dtype == DQNN_S1) {
    read_constants(call, p->per_channel, l);
    return;
  }
  if (call->out_def->dtype == DQNN_S8) {
    values[0] = *(const constant *)call->constants[0];
  }
  repeat_constants(l, values, 0);
}

static void run_row(const dqnn_call *call, layer *l, const dqnn_operand o[2], uint32_t row, const uint32_t *at) {
  uint32_t rows[2] = {dqnn_operand_row(o, at), dqnn_operand_row(o + 1, at)};
  float x[3][CHUNK];
  for (uint32_t first = 0; first < l->last; first += CHUNK) {
    uint32_t n = l->last - first < CHUNK ? l->last - first : CHUNK;
    const float *a = read_operand(o, rows[0], first, n, x[0]), *b = read_operand(o + 1, rows[1], first, n, x[1]);
    combine(((const dqnn_binary_params *)call->params)->kind, a, b, n, x[2]);
    put(l, x[2], row, first, n);
  }
}

static void run_binary(const dqnn_call *call) {
  layer l;
  dqnn_operand o[2] = {dqnn_operand_of(call, 0), dqnn_operand_of(call, 1)};
  uint32_t at[3] = {0, 0, 0};
  read_binary(call, &l);
  for (uint32_t row = 0; row < l.rows; row++) {
    run_row(call, &l, o, row, at);
    dqnn_next_row(call->out_def, at);
  }
}

void WIDE(dqnn_run_binary_s1)(const dqnn_call *call) {
  run_binary(call);
}
void WIDE(dqnn_run_binary_s8)(const dqnn_call *call) {
  run_binary(call);
}
void WIDE(dqnn_run_binary_f32)(const dqnn_call *call) {
  run_binary(call);
}

/* ---- unary ---- */

DQNN_INLINE v_float clipped(v_float x, float low, float high) {
  return smaller_float(larger_float(x, all_float(low)), all_float(high));
}

/* As dqnn_unary of numerics.c. */
DQNN_INLINE v_float unary(uint8_t kind, float alpha, v_float x) {
  uint32_t negative = less_float(x, all_float(0.0f));
  switch (kind) {
    case DQNN_RELU:
      return larger_float(x, all_float(0.0f));
    case DQNN_LEAKY_RELU:
      return choose_float(negative, x, alpha * x);
    case DQNN_HARD_SIGMOID:
      return clipped(0.2f * x + 0.5f, 0.0f, 1.0f);
    case DQNN_HARD_SWISH:
      return x * clipped(x + 3.0f, 0.0f, 6.0f) * 0.16666667f;
    default:
      return x * x;
  }
}

DQNN_INLINE void run_unary_as(const dqnn_call *call, uint8_t kind) {
  const dqnn_unary_params *p = (const dqnn_unary_params *)call->params;
  const float *in = (const float *)call->in[0];
  float *out = (float *)call->out;
  uint32_t i = 0, count = dqnn_rows(call->in_def[0]) * dqnn_last(call->in_def[0]);
  for (; i + LANES <= count; i += LANES) {
    store_float(out + i, unary(kind, p->alpha, load_float(in + i)));
  }
  for (; i < count; i++) {
    out[i] = dqnn_unary(p->kind, p->alpha, in[i]);
  }
}

void WIDE(dqnn_run_unary_f32)(const dqnn_call *call) {
  const dqnn_unary_params *p = (const dqnn_unary_params *)call->params;
  const float *in = (const float *)call->in[0];
  float *out = (float *)call->out;
  switch (p->kind) {
    case DQNN_RELU:
      run_unary_as(call, DQNN_RELU);
      return;
    case DQNN_LEAKY_RELU:
      run_unary_as(call, DQNN_LEAKY_RELU);
      return;
    case DQNN_HARD_SIGMOID:
      run_unary_as(call, DQNN_HARD_SIGMOID);
      return;
    case DQNN_HARD_SWISH:
      run_unary_as(call, DQNN_HARD_SWISH);
      return;
    case DQNN_SQUARE:
      run_unary_as(call, DQNN_SQUARE);
      return;
    default:
      break;
  }
  for (uint32_t i = 0, count = dqnn_rows(call->in_def[0]) * dqnn_last(call->in_def[0]); i < count; i++) {
    out[i] = dqnn_unary(p->kind, p->alpha, in[i]);
  }
}
#endif
