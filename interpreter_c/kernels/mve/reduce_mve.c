/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* reduce_s8. Where the last axis stays, sixteen of its elements over all rows that go; where it goes, vectors of it are
 * added up. Offsets of 64 bits are left to scalars. */
#include "../map.h"

#if DQNN_HAVE_MVE
#include <arm_mve.h>

#include "../opt/epilogue.h"
#include "byte_sums.h"

enum { LEADING = 3 /* dimensions before the last */, STEP = DQNN_BYTE_SUMS };

/* The dimensions before the last, as two nests of three loops: the outer ones over those that stay, the inner ones over
 * those that go; 1 where a dimension belongs to the other nest. */
typedef struct {
  uint32_t stay[LEADING], go[LEADING], pitch[LEADING];
  uint32_t last;       /* of a row */
  uint8_t kind, whole; /* whole: the last axis goes */
  /* of a sum: */
  dqnn_epilogue rule;
  int32_t begin; /* what zero points and bias come to */
} nest;

static void read_nest(const dqnn_call *call, nest *n) {
  const dqnn_reduce_params *p = (const dqnn_reduce_params *)call->params;
  const dqnn_tensor_def *in = call->in_def[0];
  uint32_t pitch = dqnn_last(in), cells = 1;
  n->last = pitch;
  n->kind = p->kind;
  n->whole = p->axes >> (in->rank - 1u) & 1u;
  for (uint32_t i = 0; i < LEADING; i++) {
    n->stay[i] = n->go[i] = 1;
    n->pitch[i] = 0;
  }
  uint32_t i = LEADING;
  for (uint32_t k = in->rank - 1u; k-- > 0; pitch *= in->dims[k]) {
    const uint32_t goes = p->axes >> k & 1u;
    *(goes ? &n->go[--i] : &n->stay[--i]) = in->dims[k];
    n->pitch[i] = pitch;
    cells *= n->go[i];
  }
  if (p->kind == DQNN_ADD) {
    dqnn_set_epilogue(call->out_def, p->requant, p->act_min, p->act_max, call->constants, &n->rule);
    n->begin = -(int32_t)(n->whole ? cells * n->last : cells) * in->zero_point;
    n->begin = dqnn_wrap_add(n->begin, p->requant == DQNN_REQUANT_FIXED_POINT ? *n->rule.bias : 0);
  }
}

/* Walks a nest: `statement` sees `row`, which begins at `start`, and has `left` of them, pitch[2] apart. */
#define EACH_RUN(n, loops, start, statement)                               \
  do {                                                                     \
    const int8_t *first_ = (start);                                        \
    for (uint32_t i_ = (n)->loops[0]; i_; i_--, first_ += (n)->pitch[0]) { \
      const int8_t *row = first_;                                          \
      for (uint32_t j_ = (n)->loops[1]; j_; j_--, row += (n)->pitch[1]) {  \
        uint32_t left = (n)->loops[2];                                     \
        statement                                                          \
      }                                                                    \
    }                                                                      \
  } while (0)

/* ---- columns: the last axis stays ---- */

/* Of stored values, up to sixteen columns. */
static void sum_columns(const nest *n, const int8_t *start, uint32_t count, int32_t sums[STEP]) {
  const uint32_t pitch = n->pitch[LEADING - 1];
  uint32_t room = DQNN_BYTE_CELLS;
  dqnn_byte_sums s = dqnn_no_bytes();
  for (uint32_t i = 0; i < STEP; i += 4) {
    vst1q_s32(sums + i, vdupq_n_s32(n->begin));
  }
  EACH_RUN(
      n, go, start, for (const int8_t *cell = row; left;) {
        if (!room) {
          dqnn_join_byte_sums(s, sums);
          s = dqnn_no_bytes();
          room = DQNN_BYTE_CELLS;
        }
        const uint32_t cells = left < room ? left : room;
        s = dqnn_add_bytes_of(s, cell, pitch, cells, count);
        cell += cells * pitch;
        room -= cells;
        left -= cells;
      });
  dqnn_join_byte_sums(s, sums);
}

DQNN_ALWAYS_INLINE int8x16_t either(int8x16_t a, int8x16_t b, int largest) {
  return largest ? vmaxq_s8(a, b) : vminq_s8(a, b);
}

DQNN_ALWAYS_INLINE int8x16_t nothing(int largest) {
  return vdupq_n_s8(largest ? INT8_MIN : INT8_MAX);
}

DQNN_ALWAYS_INLINE int8x16_t extreme_column(const nest *n, const int8_t *start, mve_pred16_t lanes, int largest) {
  int8x16_t found = nothing(largest);
  EACH_RUN(
      n, go, start, for (const int8_t *cell = row; left; left--, cell += n->pitch[LEADING - 1]) {
        found = either(found, vld1q_z_s8(cell, lanes), largest);
      });
  return found;
}

/* ---- rows: the last axis goes ---- */

static int32_t sum_rows(const nest *n, const int8_t *start) {
  int32_t sum = n->begin;
  EACH_RUN(
      n, go, start, for (const int8_t *x = row; left; left--, x += n->pitch[LEADING - 1]) {
        const int8_t *at = x;
        for (uint32_t steps = n->last / STEP; steps; steps--, at += STEP) {
          sum = vaddvaq_s8(sum, vld1q_s8(at));
        }
        if (n->last % STEP) {
          sum = vaddvaq_s8(sum, vld1q_z_s8(at, vctp8q(n->last % STEP)));
        }
      });
  return sum;
}

DQNN_ALWAYS_INLINE int8_t extreme_row(const nest *n, const int8_t *start, int largest) {
  int8x16_t found = nothing(largest);
  EACH_RUN(
      n, go, start, for (const int8_t *x = row; left; left--, x += n->pitch[LEADING - 1]) {
        const int8_t *at = x;
        for (uint32_t steps = n->last / STEP; steps; steps--, at += STEP) {
          found = either(found, vld1q_s8(at), largest);
        }
        if (n->last % STEP) {
          const mve_pred16_t lanes = vctp8q(n->last % STEP);
          found = vpselq_s8(either(found, vld1q_z_s8(at, lanes), largest), found, lanes);
        }
      });
  return (int8_t)(largest ? vmaxvq_s8(INT8_MIN, found) : vminvq_s8(INT8_MAX, found));
}

/* ---- outputs ---- */

/* `count` sums, begun with n->begin, to codes. */
DQNN_NOINLINE void put_sums(const nest *n, const int32_t *sums, uint32_t count, int8_t *out) {
  const dqnn_epilogue *e = &n->rule;
  if (e->requant == DQNN_REQUANT_FIXED64) {
    for (uint32_t i = 0; i < count; i++) {
      const int32_t x = dqnn_scale_fixed64(sums[i], *e->multiplier, *e->offset64, *e->shift, e->least, e->most);
      out[i] = (int8_t)(x + e->zero_point);
    }
    return;
  }
  const int32_t shift = *e->shift, left = shift > 0 ? shift : 0, right = shift < 0 ? shift : 0;
  const int32x4_t least = vdupq_n_s32(e->least), most = vdupq_n_s32(e->most);
  for (uint32_t i = 0; i < count; i += 4) {
    int32x4_t x = vqrdmulhq_n_s32(vshlq_r_s32(vld1q_s32(sums + i), left), *e->multiplier);
    if (right) { /* ties go away from zero: a negative number is made one less */
      x = vrshlq_n_s32(vqaddq_s32(x, vshrq_n_s32(x, 31)), right);
    }
    x = vaddq_n_s32(vminq_s32(vmaxq_s32(x, least), most), e->zero_point);
    vstrbq_p_s32(out + i, x, vctp32q(count - i));
  }
}

/* Sums of rows wait for others. */
static void put_rows(const nest *n, const int8_t *in, int8_t *out) {
  int32_t sums[STEP];
  uint32_t have = 0;
  EACH_RUN(
      n, stay, in, for (const int8_t *x = row; left; left--, x += n->pitch[LEADING - 1]) {
        if (n->kind != DQNN_ADD) {
          *out++ = n->kind == DQNN_MAXIMUM ? extreme_row(n, x, 1) : extreme_row(n, x, 0);
          continue;
        }
        sums[have++] = sum_rows(n, x);
        if (have == STEP) {
          put_sums(n, sums, STEP, out);
          out += STEP;
          have = 0;
        }
      });
  if (have) {
    put_sums(n, sums, have, out);
  }
}

static void put_columns(const nest *n, const int8_t *start, int8_t *out) {
  for (uint32_t first = 0; first < n->last; first += STEP) {
    const uint32_t count = n->last - first < STEP ? n->last - first : STEP;
    if (n->kind == DQNN_ADD) {
      int32_t sums[STEP];
      sum_columns(n, start + first, count, sums);
      put_sums(n, sums, count, out + first);
      continue;
    }
    const mve_pred16_t lanes = vctp8q(count);
    const int8x16_t found = n->kind == DQNN_MAXIMUM ? extreme_column(n, start + first, lanes, 1)
                                                    : extreme_column(n, start + first, lanes, 0);
    vstrbq_p_s8(out + first, found, lanes);
  }
}

void dqnn_run_reduce_s8_mve(const dqnn_call *call) {
  const int8_t *in = (const int8_t *)call->in[0];
  int8_t *out = (int8_t *)call->out;
  nest n;
  read_nest(call, &n);
  if (n.whole) {
    put_rows(&n, in, out);
    return;
  }
  EACH_RUN(
      &n, stay, in,
      for (const int8_t *x = row; left; left--, x += n.pitch[LEADING - 1], out += n.last) { put_columns(&n, x, out); });
}
#endif
