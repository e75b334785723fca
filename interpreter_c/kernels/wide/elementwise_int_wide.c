/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* affine_{s1,s8}_{s1,s8,f32}. */
#include "../../src/kernel.h"

#if DQNN_HAVE_AVX2 || DQNN_HAVE_NEON
#define DQNN_FLOAT_SUMS 0
#include "elementwise.inc.h"

static void read_s8(const int8_t *from, int32_t zero_point, uint32_t count, int32_t *to) {
  uint32_t i = 0;
  for (; i + LANES <= count; i += LANES) {
    store_int(to + i, load_s8(from + i) - zero_point);
  }
  for (; i < count; i++) {
    to[i] = from[i] - zero_point;
  }
}

/* 64 numbers, of which those beyond the last word mean nothing. */
static void read_s1(const uint32_t *from, uint32_t count, int32_t *to) {
  for (uint32_t i = 0; i < count; i += LANES) {
    store_int(to + i, add_where(from[i / 32] >> i % 32 & ALL_LANES, all_int(1), all_int(-2)));
  }
}

static void run(const dqnn_call *call) {
  const dqnn_tensor_def *in = call->in_def[0];
  layer l;
  int32_t x[CHUNK];
  read_affine(call, &l);
  for (uint32_t row = 0; row < l.rows; row++) {
    for (uint32_t first = 0; first < l.last; first += CHUNK) {
      uint32_t n = l.last - first < CHUNK ? l.last - first : CHUNK;
      if (in->dtype == DQNN_S8) {
        read_s8((const int8_t *)call->in[0] + row * l.last + first, in->zero_point, n, x);
      } else {
        read_s1((const uint32_t *)call->in[0] + row * dqnn_words(l.last) + first / 32, n, x);
      }
      put(&l, x, row, first, n);
    }
  }
}

void WIDE(dqnn_run_affine_s1_s1)(const dqnn_call *call) {
  run(call);
}
void WIDE(dqnn_run_affine_s1_s8)(const dqnn_call *call) {
  run(call);
}
void WIDE(dqnn_run_affine_s1_f32)(const dqnn_call *call) {
  run(call);
}
void WIDE(dqnn_run_affine_s8_s1)(const dqnn_call *call) {
  run(call);
}
void WIDE(dqnn_run_affine_s8_s8)(const dqnn_call *call) {
  run(call);
}
void WIDE(dqnn_run_affine_s8_f32)(const dqnn_call *call) {
  run(call);
}
#endif
