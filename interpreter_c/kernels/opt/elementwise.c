/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* binary_{s1,s8,f32}, lut_s8 and the affine_* kernels with a float on either side, 32 elements of a row at a time.
 *
 * A chunk of each input is read as floats, combined, and written by the rule of the output; types are looked at once
 * per chunk, never per element, and an address is computed once per row. A chunk is read whole before it is written, so
 * that the output may take the place of input 0 as plan allows. */
#include "../../isa/isa.h"
#include "../../src/numerics.h"
#include "../map.h"
#include "sums.h"

#if DQNN_HAVE_PORTABLE

enum { CHUNK = 32 };

typedef struct {
  float value[CHUNK];
} chunk;

/* How values go to the output: constants of one value or one per channel. */
typedef struct {
  const float *scale, *offset; /* f32 and s8: NULL for 1 and 0 */
  const float *threshold;      /* s1 */
  const uint32_t *flip;        /* s1, NULL: none */
  float low, high;
  int32_t zero_point;
  uint32_t per_channel;
  uint8_t type, requant; /* requant: affine, or what divides */
} rule;

/* ---- reading ---- */

/* `count` real numbers (raw: stored - zero_point, scale not applied) from element `first` of row `row` on. */
static void read_chunk(const dqnn_tensor_def *def, const void *data, uint32_t row, uint32_t first, uint32_t count,
                       float scale, chunk *to) {
  uint32_t last = dqnn_last(def);
  if (def->dtype == DQNN_F32) {
    memcpy(to->value, (const float *)data + row * last + first, 4 * count);
    return;
  }
  if (def->dtype == DQNN_S8) {
    const int8_t *from = (const int8_t *)data + row * last + first;
    for (uint32_t i = 0; i < count; i++) {
      to->value[i] = (float)(from[i] - def->zero_point) * scale;
    }
    return;
  }
  uint32_t bits = dqnn_read_bits((const uint32_t *)data + row * dqnn_words(last), first, count);
  for (uint32_t i = 0; i < count; i++, bits >>= 1) {
    to->value[i] = bits & 1u ? -1.0f : 1.0f;
  }
}

/* ---- writing ---- */

static void divide_chunk(const rule *r, uint32_t first, uint32_t count, chunk *x) {
  const float *scale = r->scale + (r->per_channel ? first : 0);
  for (uint32_t i = 0; i < count; i++) {
    x->value[i] = x->value[i] / scale[r->per_channel ? i : 0];
  }
}

static void scale_chunk(const rule *r, uint32_t first, uint32_t count, chunk *x) {
  if (!r->scale) {
    return;
  }
  if (r->requant != DQNN_REQUANT_AFFINE) {
    divide_chunk(r, first, count, x);
    return;
  }
  const float *scale = r->scale + (r->per_channel ? first : 0), *offset = r->offset + (r->per_channel ? first : 0);
  for (uint32_t i = 0; i < count; i++) {
    uint32_t c = r->per_channel ? i : 0;
    float y = x->value[i] * scale[c];
    x->value[i] = y + offset[c];
  }
}

static uint32_t signs_of(const rule *r, uint32_t first, uint32_t count, const chunk *x) {
  uint32_t bits = 0;
  for (uint32_t i = 0; i < count; i++) {
    bits |= (uint32_t)(x->value[i] < r->threshold[r->per_channel ? first + i : 0]) << i;
  }
  if (!r->flip) {
    return bits;
  }
  return bits ^
         (r->per_channel ? dqnn_read_bits(r->flip, first, count) : (0u - (r->flip[0] & 1u)) & dqnn_low_bits(count));
}

static void write_chunk(const rule *r, const dqnn_tensor_def *def, void *data, uint32_t row, uint32_t first,
                        uint32_t count, chunk *x) {
  uint32_t last = dqnn_last(def);
  if (r->type == DQNN_S1) {
    ((uint32_t *)data)[row * dqnn_words(last) + first / CHUNK] = signs_of(r, first, count, x);
    return;
  }
  scale_chunk(r, first, count, x);
  if (r->type == DQNN_S8) {
    int8_t *to = (int8_t *)data + row * last + first;
    int away = r->requant == DQNN_REQUANT_DIVIDE_AWAY;
    for (uint32_t i = 0; i < count; i++) {
      float y = dqnn_clamp(x->value[i], r->low, r->high);
      to[i] = (int8_t)((away ? dqnn_round_half_away(y) : dqnn_round_half_even(y)) + r->zero_point);
    }
    return;
  }
  float *to = (float *)data + row * last + first;
  for (uint32_t i = 0; i < count; i++) {
    float y = x->value[i];
    to[i] = y < r->low ? r->low : y > r->high ? r->high : y;
  }
}

static rule make_rule(const dqnn_call *call, float act_min, float act_max, uint32_t per_channel) {
  const dqnn_tensor_def *out = call->out_def;
  float zero_point = out->dtype == DQNN_S8 ? (float)out->zero_point : 0.0f;
  rule r = {NULL,
            NULL,
            NULL,
            NULL,
            act_min - zero_point,
            act_max - zero_point,
            out->zero_point,
            per_channel,
            out->dtype,
            DQNN_REQUANT_AFFINE};
  if (out->dtype == DQNN_S1) {
    r.threshold = (const float *)call->constants[0];
    r.flip = call->constant_count > 1 ? (const uint32_t *)call->constants[1] : NULL;
  }
  return r;
}

/* ---- affine ---- */

static void run_affine(const dqnn_call *call) {
  const dqnn_channel_params *p = (const dqnn_channel_params *)call->params;
  const dqnn_tensor_def *in = call->in_def[0];
  uint32_t rows = dqnn_rows(in), last = dqnn_last(in);
  rule r = make_rule(call, p->act_min, p->act_max, p->per_channel);
  chunk x;
  r.requant = p->requant;
  if (r.type != DQNN_S1) {
    r.scale = (const float *)call->constants[0];
    r.offset = (const float *)call->constants[call->constant_count - 1]; /* what divides has none */
  }
  for (uint32_t row = 0; row < rows; row++) {
    for (uint32_t first = 0; first < last; first += CHUNK) {
      uint32_t count = last - first < CHUNK ? last - first : CHUNK;
      read_chunk(in, call->in[0], row, first, count, 1.0f, &x);
      write_chunk(&r, call->out_def, call->out, row, first, count, &x);
    }
  }
}

void dqnn_run_affine_f32_s1_portable(const dqnn_call *call) {
  run_affine(call);
}
DQNN_SAME_RUN(dqnn_run_affine_f32_s8_portable, dqnn_run_affine_f32_s1_portable)
DQNN_SAME_RUN(dqnn_run_affine_f32_f32_portable, dqnn_run_affine_f32_s1_portable)
DQNN_SAME_RUN(dqnn_run_affine_s8_f32_portable, dqnn_run_affine_f32_s1_portable)
DQNN_SAME_RUN(dqnn_run_affine_s1_f32_portable, dqnn_run_affine_f32_s1_portable)

/* ---- binary ---- */

static void read_operand(const dqnn_operand *o, uint32_t row, uint32_t first, uint32_t count, chunk *to) {
  if (!o->repeats) {
    read_chunk(o->def, o->data, row, first, count, o->def->scale, to);
    return;
  }
  read_chunk(o->def, o->data, row, 0, 1, o->def->scale, to);
  for (uint32_t i = 1; i < count; i++) {
    to->value[i] = to->value[0];
  }
}

DQNN_INLINE float combine_one(uint8_t kind, float a, float b) {
  switch (kind) {
    case DQNN_ADD:
      return a + b;
    case DQNN_SUB:
      return a - b;
    case DQNN_MUL:
      return a * b;
    case DQNN_MAXIMUM:
      return a < b ? b : a;
    default:
      return b < a ? b : a;
  }
}

DQNN_INLINE void combine_all(uint8_t kind, uint32_t count, float *x, const float *y) {
  for (uint32_t i = 0; i < count; i++) {
    x[i] = combine_one(kind, x[i], y[i]);
  }
}

/* a = a op b; a loop per frequent kind, so that the kind is looked at once. */
static void combine(uint8_t kind, uint32_t count, chunk *a, const chunk *b) {
  if (kind == DQNN_ADD) {
    combine_all(DQNN_ADD, count, a->value, b->value);
  } else if (kind == DQNN_MUL) {
    combine_all(DQNN_MUL, count, a->value, b->value);
  } else {
    combine_all(kind, count, a->value, b->value);
  }
}

static void run_row(const dqnn_call *call, const rule *r, const dqnn_operand *a, const dqnn_operand *b, uint32_t row,
                    const uint32_t *at) {
  uint32_t last = dqnn_last(call->out_def), row_a = dqnn_operand_row(a, at), row_b = dqnn_operand_row(b, at);
  chunk x, y;
  for (uint32_t first = 0; first < last; first += CHUNK) {
    uint32_t count = last - first < CHUNK ? last - first : CHUNK;
    read_operand(a, row_a, first, count, &x);
    read_operand(b, row_b, first, count, &y);
    combine(((const dqnn_binary_params *)call->params)->kind, count, &x, &y);
    write_chunk(r, call->out_def, call->out, row, first, count, &x);
  }
}

static void run_binary(const dqnn_call *call) {
  static const float nothing = -0.0f; /* r + -0.0 is r, also for r = -0.0 */
  const dqnn_binary_params *p = (const dqnn_binary_params *)call->params;
  dqnn_operand a = dqnn_operand_of(call, 0), b = dqnn_operand_of(call, 1);
  rule r = make_rule(call, p->act_min, p->act_max, p->per_channel);
  uint32_t at[3] = {0, 0, 0}, rows = dqnn_rows(call->out_def);
  if (r.type == DQNN_S8) {
    r.scale = (const float *)call->constants[0];
    r.offset = &nothing;
  }
  for (uint32_t row = 0; row < rows; row++) {
    run_row(call, &r, &a, &b, row, at);
    dqnn_next_row(call->out_def, at);
  }
}

void dqnn_run_binary_s1_portable(const dqnn_call *call) {
  run_binary(call);
}
void dqnn_run_binary_s8_portable(const dqnn_call *call) {
#if DQNN_HAS_SUMS
  if (dqnn_run_float_sums(call)) {
    return;
  }
#endif
  run_binary(call);
}
DQNN_SAME_RUN(dqnn_run_binary_f32_portable, dqnn_run_binary_s1_portable)

/* ---- lut ---- */

/* A word is read before it is stored, so that the output may lie on the input. */
void dqnn_run_lut_s8_portable(const dqnn_call *call) {
  const uint8_t *in = (const uint8_t *)call->in[0];
  const uint8_t *table = (const uint8_t *)call->constants[0];
  uint8_t *out = (uint8_t *)call->out;
  uint32_t count = dqnn_rows(call->in_def[0]) * dqnn_last(call->in_def[0]), word;
  for (; count >= 4; count -= 4, in += 4, out += 4) {
    memcpy(&word, in, 4);
    word ^= 0x80808080u; /* the table begins with -128 */
    word = (uint32_t)table[word & 0xffu] | (uint32_t)table[word >> 8 & 0xffu] << 8 |
           (uint32_t)table[word >> 16 & 0xffu] << 16 | (uint32_t)table[word >> 24] << 24;
    memcpy(out, &word, 4);
  }
  for (; count; count--) {
    *out++ = table[*in++ ^ 0x80u];
  }
}
#endif
