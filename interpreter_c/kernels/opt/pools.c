/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* maxpool_{s1,s8,f32}, avgpool_{s8,f32}_{s8,f32} and avgpool_s8_raw: a few neighbouring channels of all cells of a
 * window at a time. Each block of channels is read whole before it is written, so that the output may lie on the input
 * as plan allows. */
#include "../pool.h"

#include "../../isa/affine.h"
#include "../../isa/halves.h"
#include "../../src/numerics.h"

#if DQNN_HAVE_PORTABLE

enum { BLOCK = 4 };

/* Walks the cells of a window: `statement` sees `cell`, the first byte of the block in it. */
#define EACH_CELL(w, begin, statement)                                      \
  do {                                                                      \
    const uint8_t *row_ = (begin);                                          \
    for (uint32_t y_ = (w)->rows; y_; y_--, row_ += (w)->row_bytes) {       \
      const uint8_t *cell = row_;                                           \
      for (uint32_t x_ = (w)->columns; x_; x_--, cell += (w)->cell_bytes) { \
        statement                                                           \
      }                                                                     \
    }                                                                       \
  } while (0)

/* ---- maximum ---- */

/* +1 is a 0: the maximum is -1 where all are. */
static void max_s1(const dqnn_call *call, const dqnn_window *w, uint32_t units, uint8_t *out) {
  (void)call;
  for (uint32_t at = 0; at < 4 * units; at += 4) {
    uint32_t all = ~0u;
    EACH_CELL(w, w->first + at, all &= dqnn_word_at(cell););
    memcpy(out + at, &all, 4);
  }
}

static void max_s8(const dqnn_call *call, const dqnn_window *w, uint32_t units, uint8_t *out) {
  uint32_t c = 0;
  (void)call;
  for (; c + 2 * BLOCK <= units; c += 2 * BLOCK) {
    const uint8_t *begin = w->first + c;
    uint32_t most = dqnn_word_at(begin), more = dqnn_word_at(begin + 4);
    EACH_CELL(w, begin, most = dqnn_max_bytes(most, dqnn_word_at(cell));
              more = dqnn_max_bytes(more, dqnn_word_at(cell + 4)););
    memcpy(out + c, &most, 4);
    memcpy(out + c + 4, &more, 4);
  }
  for (; c < units; c++) {
    int8_t most = INT8_MIN;
    EACH_CELL(w, w->first + c, most = most < *(const int8_t *)cell ? *(const int8_t *)cell : most;);
    out[c] = (uint8_t)most;
  }
}

DQNN_INLINE float larger(float a, float b) {
  return a < b ? b : a;
}

static void max_f32(const dqnn_call *call, const dqnn_window *w, uint32_t units, uint8_t *out) {
  float *to = (float *)(void *)out;
  uint32_t c = 0;
  (void)call;
  for (; c + BLOCK <= units; c += BLOCK) {
    const uint8_t *begin = w->first + 4 * c;
    const float *x = (const float *)(const void *)begin;
    float m0 = x[0], m1 = x[1], m2 = x[2], m3 = x[3];
    EACH_CELL(w, begin, x = (const float *)(const void *)cell; m0 = larger(m0, x[0]); m1 = larger(m1, x[1]);
              m2 = larger(m2, x[2]); m3 = larger(m3, x[3]););
    to[c] = m0;
    to[c + 1] = m1;
    to[c + 2] = m2;
    to[c + 3] = m3;
  }
  for (; c < units; c++) {
    const uint8_t *begin = w->first + 4 * c;
    float most = *(const float *)(const void *)begin;
    EACH_CELL(w, begin, most = larger(most, *(const float *)(const void *)cell););
    to[c] = most;
  }
}

void dqnn_run_maxpool_s1_portable(const dqnn_call *call) {
  dqnn_run_pool(call, max_s1, 4, 4, 1);
}
void dqnn_run_maxpool_s8_portable(const dqnn_call *call) {
  dqnn_run_pool(call, max_s8, 1, 1, 0);
}
void dqnn_run_maxpool_f32_portable(const dqnn_call *call) {
  dqnn_run_pool(call, max_f32, 4, 4, 0);
}

/* ---- average ---- */

/* Four channels of stored s8 values; windows of at most 256 cells fit halfwords. */
static void sum_four_s8(const dqnn_window *w, const uint8_t *begin, int32_t sums[BLOCK]) {
  if (!DQNN_BYTES_AS_HALVES) {
    int32_t a = 0, b = 0, c = 0, d = 0;
    EACH_CELL(w, begin, const int8_t *x = (const int8_t *)cell; a += x[0]; b += x[1]; c += x[2]; d += x[3];);
    sums[0] = a;
    sums[1] = b;
    sums[2] = c;
    sums[3] = d;
    return;
  }
  uint32_t even = 0, odd = 0;
  EACH_CELL(w, begin, uint32_t word = dqnn_word_at(cell); even = dqnn_add_even_bytes(even, word);
            odd = dqnn_add_odd_bytes(odd, word););
  sums[0] = dqnn_half(even, 0);
  sums[1] = dqnn_half(odd, 0);
  sums[2] = dqnn_half(even, 1);
  sums[3] = dqnn_half(odd, 1);
}

/* Of stored values: n (at most BLOCK) channels from c on. */
static void sum_stored(const dqnn_window *w, uint32_t c, uint32_t n, int32_t sums[BLOCK]) {
  const uint8_t *begin = w->first + c;
  if (n == BLOCK && w->rows * w->columns <= 256) {
    sum_four_s8(w, begin, sums);
    return;
  }
  for (uint32_t i = 0; i < n; i++) {
    int32_t sum = 0;
    EACH_CELL(w, begin + i, sum += *(const int8_t *)cell;);
    sums[i] = sum;
  }
}

/* The same, zero point removed. */
static void sum_s8(const dqnn_call *call, const dqnn_window *w, uint32_t c, uint32_t n, float result[BLOCK]) {
  int32_t cells = (int32_t)(w->rows * w->columns), sums[BLOCK];
  sum_stored(w, c, n, sums);
  for (uint32_t i = 0; i < n; i++) {
    result[i] = (float)(sums[i] - cells * call->in_def[0]->zero_point);
  }
}

/* In the order of the cells, each addition rounded. */
static void sum_f32(const dqnn_window *w, uint32_t c, uint32_t n, float result[BLOCK]) {
  const uint8_t *begin = w->first + 4 * c;
  if (n == BLOCK) {
    float a = 0.0f, b = 0.0f, d = 0.0f, e = 0.0f;
    EACH_CELL(w, begin, const float *x = (const float *)(const void *)cell; a += x[0]; b += x[1]; d += x[2];
              e += x[3];);
    result[0] = a;
    result[1] = b;
    result[2] = d;
    result[3] = e;
    return;
  }
  for (uint32_t i = 0; i < n; i++) {
    float sum = 0.0f;
    EACH_CELL(w, begin + 4 * i, sum += *(const float *)(const void *)cell;);
    result[i] = sum;
  }
}

static void put_mean(const dqnn_call *call, float mean, uint32_t c, uint8_t *out) {
  const dqnn_tensor_def *def = call->out_def;
  if (def->dtype == DQNN_F32) {
    memcpy(out + 4 * c, &mean, 4);
    return;
  }
  float zero_point = (float)def->zero_point, scaled = mean * *(const float *)call->constants[0];
  int32_t rounded = dqnn_round_half_even(dqnn_clamp(scaled, -128.0f - zero_point, 127.0f - zero_point));
  out[c] = (uint8_t)(rounded + def->zero_point);
}

static void average(const dqnn_call *call, const dqnn_window *w, uint32_t units, uint8_t *out) {
  const dqnn_tensor_def *in = call->in_def[0];
  const float scale = in->scale, cells = (float)(w->rows * w->columns);
  for (uint32_t c = 0, n; c < units; c += n) {
    float sums[BLOCK];
    n = units - c < BLOCK ? units - c : BLOCK;
    if (in->dtype == DQNN_F32) {
      sum_f32(w, c, n, sums);
    } else {
      sum_s8(call, w, c, n, sums);
    }
    for (uint32_t i = 0; i < n; i++) {
      put_mean(call, (sums[i] * scale) / cells, c + i, out);
    }
  }
}

/* Of the codes as they are, half away from zero. */
static void average_raw(const dqnn_call *call, const dqnn_window *w, uint32_t units, uint8_t *out) {
  const int32_t cells = (int32_t)(w->rows * w->columns), half = cells / 2;
  (void)call;
  for (uint32_t c = 0, n; c < units; c += n) {
    int32_t sums[BLOCK];
    n = units - c < BLOCK ? units - c : BLOCK;
    sum_stored(w, c, n, sums);
    for (uint32_t i = 0; i < n; i++) {
      out[c + i] = (uint8_t)((sums[i] > 0 ? sums[i] + half : sums[i] - half) / cells);
    }
  }
}

void dqnn_run_avgpool_s8_s8_portable(const dqnn_call *call) {
  dqnn_run_pool(call, average, 1, 1, 0);
}
void dqnn_run_avgpool_s8_f32_portable(const dqnn_call *call) {
  dqnn_run_pool(call, average, 1, 4, 0);
}
void dqnn_run_avgpool_f32_s8_portable(const dqnn_call *call) {
  dqnn_run_pool(call, average, 4, 1, 0);
}
void dqnn_run_avgpool_f32_f32_portable(const dqnn_call *call) {
  dqnn_run_pool(call, average, 4, 4, 0);
}
void dqnn_run_avgpool_s8_raw_portable(const dqnn_call *call) {
  dqnn_run_pool(call, average_raw, 1, 1, 0);
}
#endif
