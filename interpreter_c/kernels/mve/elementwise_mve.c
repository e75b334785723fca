/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* affine_* and lut_s8: conversions, quantizers, batch norms of their own. 32 elements of a row are read as numbers,
 * then go through the output rules of epilogue_mve.h, as the sums of a convolution do; so they are read whole before
 * they are written, and the output may take the input's place as plan allows. */
#include "../../src/kernel.h"

#if DQNN_HAVE_MVE
#include "../../isa/mve_float.h"
#include "../map.h"
#include "epilogue_mve.h"

enum { CHUNK = 32, SHARED = 16 /* of a constant */, STEP = 16 };

typedef union {
  int32_t whole[CHUNK];
  float real[CHUNK];
  int8_t bytes[CHUNK];
} chunk;

typedef struct {
  const dqnn_call *call;
  dqnn_epilogue rule;            /* s8, f32 */
  const void *thresholds;        /* s1 */
  const uint32_t *flip;          /* likewise; NULL: none */
  uint32_t repeated[3 * SHARED]; /* constants that all channels share; thresholds of a chunk, and a word of flips */
  uint8_t per_channel, is_float; /* is_float: of the input */
} layer;

/* ---- reading ---- */

DQNN_INLINE void read_floats(const float *from, uint32_t count, float *to) {
  for (uint32_t i = 0; i < count; i += 4) {
    vst1q_f32(to + i, vld1q_z_f32(from + i, vctp32q(count - i)));
  }
}

DQNN_INLINE void read_bytes(const int8_t *from, uint32_t count, int32_t zero_point, int32_t *to) {
  for (uint32_t i = 0; i < count; i += 4) {
    vst1q_s32(to + i, vsubq_n_s32(vldrbq_z_s32(from + i, vctp32q(count - i)), zero_point));
  }
}

DQNN_INLINE void read_signs(uint32_t bits, uint32_t count, int32_t *to) {
  const int32x4_t places = vnegq_s32(vreinterpretq_s32_u32(vidupq_n_u32(0, 1)));
  for (uint32_t i = 0; i < count; i += 4, bits >>= 4) {
    const uint32x4_t bit = vandq_u32(vshlq_u32(vdupq_n_u32(bits), places), vdupq_n_u32(1));
    vst1q_s32(to + i, vsubq_s32(vdupq_n_s32(1), vreinterpretq_s32_u32(vaddq_u32(bit, bit))));
  }
}

static void read_chunk(const dqnn_call *call, uint32_t row, uint32_t last, uint32_t first, uint32_t count, chunk *to) {
  const dqnn_tensor_def *def = call->in_def[0];
  const void *data = call->in[0];
  if (def->dtype == DQNN_F32) {
    read_floats((const float *)data + row * last + first, count, to->real);
  } else if (def->dtype == DQNN_S8) {
    read_bytes((const int8_t *)data + row * last + first, count, def->zero_point, to->whole);
  } else {
    read_signs(((const uint32_t *)data)[row * dqnn_words(last) + first / 32], count, to->whole);
  }
}

/* ---- writing ---- */

static void write_signs(const layer *l, const chunk *x, uint32_t first, uint32_t count, uint32_t *row) {
  const uint32_t channel = l->per_channel ? first : 0;
  row += (first - channel) / 32;
  if (l->is_float) {
    dqnn_emit_float_s1_mve((const float *)l->thresholds, l->flip, x->real, channel, count, row);
  } else {
    dqnn_emit_s1_mve((const int32_t *)l->thresholds, l->flip, x->whole, channel, count, row);
  }
}

/* Quotients rounded; 0 if one is no number. */
DQNN_NOINLINE int round_quotients(const dqnn_epilogue *e, const float *x, uint32_t count, int8_t *out) {
  const int away = e->requant == DQNN_REQUANT_DIVIDE_AWAY;
  const int32x4_t least = vdupq_n_s32(e->least), most = vdupq_n_s32(e->most);
  mve_pred16_t bad = 0;
  for (uint32_t i = 0; i < count; i += 4) {
    const mve_pred16_t lanes = vctp32q(count - i);
    const float32x4_t y = vld1q_z_f32(x + i, lanes);
    bad |= vcmpneq_f32(y, y);
    int32x4_t whole = away ? vcvtaq_s32_f32(y) : vcvtnq_s32_f32(y); /* saturates */
    whole = vminq_s32(vmaxq_s32(whole, least), most);
    vstrbq_p_s32(out + i, vaddq_n_s32(whole, e->zero_point), lanes);
  }
  return bad == 0;
}

/* Where the rule divides, which vectors do not. */
static void write_quotients(const dqnn_epilogue *e, float *x, uint32_t channel, uint32_t count, int8_t *out) {
  for (uint32_t i = 0; i < count; i++) {
    x[i] = x[i] / e->scale[channel + i];
  }
  if (round_quotients(e, x, count, out)) {
    return;
  }
  for (uint32_t i = 0; i < count; i++) {
    const float y = dqnn_clamp(x[i], e->low, e->high);
    const int32_t whole = e->requant == DQNN_REQUANT_DIVIDE_AWAY ? dqnn_round_half_away(y) : dqnn_round_half_even(y);
    out[i] = (int8_t)(whole + e->zero_point);
  }
}

static void write_bytes(const layer *l, chunk *x, uint32_t at, uint32_t channel, uint32_t count, int8_t *out) {
  const dqnn_epilogue *e = &l->rule;
  if (!l->is_float) {
    dqnn_emit_s8_mve(e, x->whole + at, channel, count, out);
  } else if (e->requant != DQNN_REQUANT_AFFINE) {
    write_quotients(e, x->real + at, channel, count, out);
  } else {
    const uint32_t before = dqnn_forget_denormals(); /* a large scale makes them count */
    dqnn_emit_float_s8_mve(e, x->real + at, channel, count, out);
    if (dqnn_denormals_met(before)) {
      dqnn_emit_float_s8(e, x->real + at, channel, count, out);
    }
  }
}

static void write_floats(const layer *l, const chunk *x, uint32_t at, uint32_t channel, uint32_t count, float *out) {
  if (l->is_float) {
    dqnn_emit_float_f32_mve(&l->rule, x->real + at, channel, count, out);
  } else {
    dqnn_emit_f32_mve(&l->rule, x->whole + at, channel, count, out);
  }
}

/* Elements first to first + count - 1 of a row, which are x; `to`: where they go. */
static void write_chunk(const layer *l, chunk *x, uint32_t first, uint32_t count, void *to) {
  const uint32_t most = l->per_channel ? CHUNK : SHARED;
  for (uint32_t at = 0, n; at < count; at += n) {
    const uint32_t channel = l->per_channel ? first : 0;
    n = count - at < most ? count - at : most;
    if (l->call->out_def->dtype == DQNN_S8) {
      write_bytes(l, x, at, channel, n, (int8_t *)to + at);
    } else {
      write_floats(l, x, at, channel, n, (float *)to + at);
    }
  }
}

/* ---- whole chunks by the affine rule ---- */

/* Four numbers; type: of the input, a constant; bits: a word of s1. */
DQNN_INLINE float32x4_t read_four(uint8_t type, const void *from, uint32_t i, int32_t zero_point, uint32_t bits) {
  if (type == DQNN_F32) {
    return vld1q_f32((const float *)from + i);
  }
  if (type == DQNN_S8) {
    return vcvtq_f32_s32(vsubq_n_s32(vldrbq_s32((const int8_t *)from + i), zero_point));
  }
  int32_t four[4];
  read_signs(bits >> i, 4, four);
  return vcvtq_f32_s32(vld1q_s32(four));
}

DQNN_INLINE float32x4_t clamp_four(const dqnn_epilogue *e, float32x4_t y) {
  if (!e->clamps) {
    return y;
  }
  const float32x4_t low = vdupq_n_f32(e->low), high = vdupq_n_f32(e->high);
  y = vpselq_f32(low, y, vcmpltq_f32(y, low));
  return vpselq_f32(high, y, vcmpgtq_f32(y, high));
}

/* To bytes or to floats, `to` is not the output. Returns 0 if scalars have to do it. */
DQNN_INLINE int convert(const layer *l, uint8_t type, int bytes, const void *from, uint32_t bits, uint32_t channel,
                        chunk *to) {
  const dqnn_epilogue *e = &l->rule;
  const float *scale = e->scale + channel, *offset = e->offset + channel;
  const uint32_t period = l->per_channel ? CHUNK - 1 : SHARED - 1;
  const float32x4_t low = vdupq_n_f32(e->low), high = vdupq_n_f32(e->high);
  const int32_t zero_point = l->call->in_def[0]->zero_point;
  mve_pred16_t bad = 0;
  const uint32_t before = dqnn_forget_denormals();
  for (uint32_t i = 0; i < CHUNK; i += 4) {
    float32x4_t y = vmulq_f32(read_four(type, from, i, zero_point, bits), vld1q_f32(scale + (i & period)));
    y = vaddq_f32(y, vld1q_f32(offset + (i & period)));
    if (bytes) { /* what is no number gives the lower bound */
      y = vminnmq_f32(vmaxnmq_f32(y, low), high);
      vstrbq_s32(to->bytes + i, vaddq_n_s32(vcvtnq_s32_f32(y), e->zero_point));
      continue;
    }
    if (type == DQNN_F32) {
      bad |= vcmpneq_f32(y, y);
    }
    vst1q_f32(to->real + i, clamp_four(e, y));
  }
  return !dqnn_denormals_met(before) && !bad;
}

DQNN_NOINLINE int convert_to_bytes(const layer *l, const void *from, uint32_t bits, uint32_t channel, chunk *to) {
  const uint8_t type = l->call->in_def[0]->dtype;
  return type == DQNN_F32  ? convert(l, DQNN_F32, 1, from, bits, channel, to)
         : type == DQNN_S8 ? convert(l, DQNN_S8, 1, from, bits, channel, to)
                           : convert(l, DQNN_S1, 1, from, bits, channel, to);
}

DQNN_NOINLINE int convert_to_floats(const layer *l, const void *from, uint32_t bits, uint32_t channel, chunk *to) {
  const uint8_t type = l->call->in_def[0]->dtype;
  return type == DQNN_F32  ? convert(l, DQNN_F32, 0, from, bits, channel, to)
         : type == DQNN_S8 ? convert(l, DQNN_S8, 0, from, bits, channel, to)
                           : convert(l, DQNN_S1, 0, from, bits, channel, to);
}

DQNN_INLINE void copy_vectors(const int8_t *from, uint32_t count, int8_t *to) {
  for (uint32_t i = 0; i < count; i += STEP) {
    vst1q_s8(to + i, vld1q_s8(from + i));
  }
}

/* From element `first` of a row on, all of which is read before the output is written; x: room. Returns 0 for what goes
 * another way. */
static int write_whole(const layer *l, chunk *x, uint32_t row, uint32_t last, uint32_t first) {
  const dqnn_call *call = l->call;
  const uint32_t channel = l->per_channel ? first : 0, at = row * last + first;
  const void *from = (const int8_t *)call->in[0] + (l->is_float ? 4 * at : at);
  uint32_t bits = 0;
  if (call->in_def[0]->dtype == DQNN_S1) {
    bits = ((const uint32_t *)call->in[0])[row * dqnn_words(last) + first / 32];
  }
  if (call->out_def->dtype == DQNN_S8) {
    const int done = convert_to_bytes(l, from, bits, channel, x);
    if (done) {
      copy_vectors(x->bytes, CHUNK, (int8_t *)call->out + at);
    }
    return done;
  }
  const int done = convert_to_floats(l, from, bits, channel, x);
  if (done) {
    copy_vectors(x->bytes, 4 * CHUNK, (int8_t *)call->out + 4 * at);
  }
  return done;
}

/* ---- set-up ---- */

static void repeat(uint32_t word, uint32_t count, uint32_t *to) {
  for (uint32_t k = 0; k < count; k++) {
    to[k] = word;
  }
}

/* Constant i as channels find it. NULL: there is none. */
static const void *constant_of(layer *l, uint32_t i) {
  if (i >= l->call->constant_count) {
    return NULL;
  }
  if (l->per_channel) {
    return l->call->constants[i];
  }
  repeat(*(const uint32_t *)l->call->constants[i], SHARED, l->repeated + SHARED * i);
  return l->repeated + SHARED * i;
}

static void read_thresholds(layer *l) {
  const uint32_t *thresholds = (const uint32_t *)l->call->constants[0];
  l->flip = l->call->constant_count > 1 ? (const uint32_t *)l->call->constants[1] : NULL;
  if (!l->per_channel) {
    repeat(thresholds[0], CHUNK, l->repeated);
    thresholds = l->repeated;
    if (l->flip) {
      l->repeated[CHUNK] = 0u - (l->flip[0] & 1u);
      l->flip = l->repeated + CHUNK;
    }
  }
  l->thresholds = thresholds;
}

static void read_rule(layer *l) {
  const dqnn_channel_params *p = (const dqnn_channel_params *)l->call->params;
  const void *const constants[] = {constant_of(l, 0), constant_of(l, 1), constant_of(l, 2)};
  dqnn_set_epilogue(l->call->out_def, p->requant, p->act_min, p->act_max, constants, &l->rule);
}

/* Numbers of 64 bits that all channels share would want room of their own. */
static int is_wide(const dqnn_call *call) {
  const dqnn_channel_params *p = (const dqnn_channel_params *)call->params;
  return p->requant == DQNN_REQUANT_FIXED64 && !p->per_channel;
}

static void run_chunk(const layer *l, chunk *x, uint32_t row, uint32_t last, uint32_t first) {
  const dqnn_call *call = l->call;
  const uint8_t type = call->out_def->dtype;
  const uint32_t count = last - first < CHUNK ? last - first : CHUNK, bytes = type == DQNN_F32 ? 4 : 1;
  const int affine = type != DQNN_S1 && l->rule.requant == DQNN_REQUANT_AFFINE;
  if (affine && count == CHUNK && write_whole(l, x, row, last, first)) {
    return;
  }
  read_chunk(call, row, last, first, count, x);
  if (type == DQNN_S1) {
    write_signs(l, x, first, count, (uint32_t *)call->out + row * dqnn_words(last));
  } else {
    write_chunk(l, x, first, count, (int8_t *)call->out + (row * last + first) * bytes);
  }
}

/* ---- straight to the output, by the affine rule ----
 *
 * Where elements do not grow it may lie on the input: four are read before they are written. Only where it does not
 * matter that vectors take denormals for zero, as scalars could not compute again. */

typedef struct {
  const float *scale, *offset; /* of all elements, or of each of a row */
  float32x4_t low, high;
  int32_t zero_a, zero_point; /* of input and output */
} line;

/* Elements i to i + 3. from, to: types; each: every element of a row has a scale and an offset of its own; whole:
 * `lanes` are all. All four are constants. */
DQNN_ALWAYS_INLINE void put_four(const line *n, const void *in, void *out, uint32_t i, mve_pred16_t lanes, uint8_t from,
                                 uint8_t to, int each, int whole) {
  float32x4_t y;
  if (from == DQNN_F32) {
    const float *x = (const float *)in + i;
    y = whole ? vld1q_f32(x) : vld1q_z_f32(x, lanes);
  } else {
    const int8_t *x = (const int8_t *)in + i;
    y = vcvtq_f32_s32(vsubq_n_s32(whole ? vldrbq_s32(x) : vldrbq_z_s32(x, lanes), n->zero_a));
  }
  if (!each) {
    y = vaddq_n_f32(vmulq_n_f32(y, *n->scale), *n->offset);
  } else if (whole) {
    y = vaddq_f32(vmulq_f32(y, vld1q_f32(n->scale + i)), vld1q_f32(n->offset + i));
  } else {
    y = vaddq_f32(vmulq_f32(y, vld1q_z_f32(n->scale + i, lanes)), vld1q_z_f32(n->offset + i, lanes));
  }
  if (to == DQNN_F32) {
    vst1q_p_f32((float *)out + i, y, lanes);
    return;
  }
  y = vminnmq_f32(vmaxnmq_f32(y, n->low), n->high); /* what is no number gives the lower bound */
  const int32x4_t whole_y = vaddq_n_s32(vcvtnq_s32_f32(y), n->zero_point);
  whole ? vstrbq_s32((int8_t *)out + i, whole_y) : vstrbq_p_s32((int8_t *)out + i, whole_y, lanes);
}

DQNN_ALWAYS_INLINE void run_line(const line *given, const void *in, void *out, uint32_t count, uint8_t from, uint8_t to,
                                 int each) {
  const line n = *given; /* stores to out could change it */
  const float scale = *n.scale, offset = *n.offset;
  const line all = {&scale, &offset, n.low, n.high, n.zero_a, n.zero_point};
  uint32_t i = 0;
  for (uint32_t fours = count / 4; fours; fours--, i += 4) {
    put_four(each ? &n : &all, in, out, i, 0xffff, from, to, each, 1);
  }
  if (i < count) {
    put_four(each ? &n : &all, in, out, i, vctp32q(count - i), from, to, each, 0);
  }
}

typedef void (*line_runner)(const line *, const void *, void *, uint32_t);
#define LINE_RUNNER(name, from, to, each)                                             \
  DQNN_NOINLINE void name(const line *n, const void *in, void *out, uint32_t count) { \
    run_line(n, in, out, count, from, to, each);                                      \
  }
LINE_RUNNER(bytes_of_floats, DQNN_F32, DQNN_S8, 0)
LINE_RUNNER(bytes_of_floats_each, DQNN_F32, DQNN_S8, 1)
LINE_RUNNER(bytes_of_bytes, DQNN_S8, DQNN_S8, 0)
LINE_RUNNER(bytes_of_bytes_each, DQNN_S8, DQNN_S8, 1)
LINE_RUNNER(floats_of_bytes, DQNN_S8, DQNN_F32, 0)
LINE_RUNNER(floats_of_bytes_each, DQNN_S8, DQNN_F32, 1)

static line_runner runner_of(const dqnn_call *call, int each) {
  const int floats = call->in_def[0]->dtype == DQNN_F32;
  if (call->out_def->dtype == DQNN_F32) {
    return each ? floats_of_bytes_each : floats_of_bytes;
  }
  if (floats) {
    return each ? bytes_of_floats_each : bytes_of_floats;
  }
  return each ? bytes_of_bytes_each : bytes_of_bytes;
}

/* Are all of them 0, or between both bounds? */
static int lie_between(const float *x, uint32_t count, float least, float most) {
  mve_pred16_t bad = 0;
  for (uint32_t i = 0; i < count; i += 4) {
    const mve_pred16_t lanes = vctp32q(count - i);
    const float32x4_t size = vabsq_f32(vld1q_z_f32(x + i, lanes));
    bad |= vcmpgtq_m_n_f32(size, 0.0f, lanes) & ~(vcmpgeq_n_f32(size, least) & vcmpleq_n_f32(size, most));
  }
  return bad == 0;
}

/* A byte cannot tell whether a denormal was taken for zero, unless a large scale makes it count, or it is the scale of
 * large numbers. Sums of products of integers are multiples of a number that is none. */
static int is_direct(const layer *l, uint32_t channels) {
  const dqnn_epilogue *e = &l->rule;
  const uint8_t from = l->call->in_def[0]->dtype, to = l->call->out_def->dtype;
  if (e->requant != DQNN_REQUANT_AFFINE || from == DQNN_S1 || (to == DQNN_F32 && (from == DQNN_F32 || e->clamps))) {
    return 0;
  }
  const float least = to == DQNN_F32 ? 0x1p-100f : 0x1p-125f, most = 0x1p90f;
  return lie_between(e->scale, channels, least, most) &&
         (to == DQNN_S8 || lie_between(e->offset, channels, least, most));
}

/* Returns 0 for what goes another way. */
static int run_direct(const layer *l) {
  const dqnn_call *call = l->call;
  const dqnn_epilogue *e = &l->rule;
  const uint32_t rows = dqnn_rows(call->in_def[0]), last = dqnn_last(call->in_def[0]);
  if (!is_direct(l, l->per_channel ? last : 1)) {
    return 0;
  }
  const line n = {e->scale,     e->offset, vdupq_n_f32(e->low), vdupq_n_f32(e->high), call->in_def[0]->zero_point,
                  e->zero_point};
  const line_runner run = runner_of(call, l->per_channel);
  const uint32_t count = l->per_channel ? last : rows * last, from = l->is_float ? 4 * count : count,
                 to = call->out_def->dtype == DQNN_F32 ? 4 * count : count;
  const int8_t *in = (const int8_t *)call->in[0];
  int8_t *out = (int8_t *)call->out;
  for (uint32_t left = l->per_channel ? rows : 1; left; left--, in += from, out += to) {
    run(&n, in, out, count);
  }
  return 1;
}

DQNN_NOINLINE void run_chunks(const dqnn_call *call) {
  const dqnn_tensor_def *in = call->in_def[0];
  layer l;
  chunk x;
  l.call = call;
  l.per_channel = ((const dqnn_channel_params *)call->params)->per_channel;
  l.is_float = in->dtype == DQNN_F32;
  if (call->out_def->dtype == DQNN_S1) {
    read_thresholds(&l);
  } else {
    read_rule(&l);
    if (run_direct(&l)) {
      return;
    }
  }
  uint32_t rows = dqnn_rows(in), last = dqnn_last(in);
  if (!l.per_channel && in->dtype != DQNN_S1 && call->out_def->dtype != DQNN_S1) { /* all are one row */
    last *= rows;
    rows = 1;
  }
  for (uint32_t row = 0; row < rows; row++) {
    for (uint32_t first = 0; first < last; first += CHUNK) {
      run_chunk(&l, &x, row, last, first);
    }
  }
}

static void run(const dqnn_call *call, dqnn_run_fn reference) {
  if (is_wide(call)) {
    reference(call);
  } else {
    run_chunks(call);
  }
}

void dqnn_run_affine_s1_s1_mve(const dqnn_call *call) {
  run_chunks(call);
}
void dqnn_run_affine_s1_s8_mve(const dqnn_call *call) {
  run(call, dqnn_run_affine_s1_s8_ref);
}
void dqnn_run_affine_s1_f32_mve(const dqnn_call *call) {
  run_chunks(call);
}
void dqnn_run_affine_s8_s1_mve(const dqnn_call *call) {
  run_chunks(call);
}
void dqnn_run_affine_s8_s8_mve(const dqnn_call *call) {
  run(call, dqnn_run_affine_s8_s8_ref);
}
void dqnn_run_affine_s8_f32_mve(const dqnn_call *call) {
  run_chunks(call);
}
void dqnn_run_affine_f32_s1_mve(const dqnn_call *call) {
  run_chunks(call);
}
void dqnn_run_affine_f32_s8_mve(const dqnn_call *call) {
  run_chunks(call);
}
void dqnn_run_affine_f32_f32_mve(const dqnn_call *call) {
  run_chunks(call);
}

/* ---- lut ---- */

void dqnn_run_lut_s8_mve(const dqnn_call *call) {
  const uint8_t *in = (const uint8_t *)call->in[0], *table = (const uint8_t *)call->constants[0];
  uint8_t *out = (uint8_t *)call->out;
  const uint8x16_t first = vdupq_n_u8(0x80); /* the table begins with -128 */
  int32_t left = (int32_t)(dqnn_rows(call->in_def[0]) * dqnn_last(call->in_def[0]));
  for (; left > 0; left -= STEP, in += STEP, out += STEP) {
    const mve_pred16_t lanes = vctp8q((uint32_t)left);
    const uint8x16_t at = veorq_u8(vld1q_z_u8(in, lanes), first);
    vst1q_p_u8(out, vldrbq_gather_offset_z_u8(table, at, lanes), lanes);
  }
}
#endif
