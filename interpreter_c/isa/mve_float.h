/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Float vectors of Armv8.1-M. They take denormals for zero, in operands and results, and every NaN they make is the
 * default one. FPSCR says when a denormal was met: then, and where a result is NaN, the caller computes again with
 * scalars. "memory" keeps stores on their side of these instructions, and nothing else: sums must be in memory before
 * the flags are asked for, not in registers, or the compiler may compute them afterwards. A file of
 * kernels/mve includes this before the template that it makes its own. */
#ifndef DQNN_ISA_MVE_FLOAT_H
#define DQNN_ISA_MVE_FLOAT_H

#include <arm_mve.h>
#include <stdint.h>

#define DQNN_OWN_LANES_F32
#define DQNN_OWN_TAP_LANES
#include "isa_float.h"

enum { DQNN_LANES_F32 = 1, DQNN_TAP_LANES = 1 };
enum { DQNN_FPSCR_DENORMAL = 1 << 7 | 1 << 3 }; /* input denormal, underflow */

/* Forgets the denormals met; returns what dqnn_denormals_met gives back to FPSCR. */
static inline uint32_t dqnn_forget_denormals(void) {
  uint32_t flags;
  __asm__ volatile("vmrs %0, fpscr" : "=r"(flags) : : "memory");
  __asm__ volatile("vmsr fpscr, %0" : : "r"(flags & ~(uint32_t)DQNN_FPSCR_DENORMAL) : "memory");
  return flags & DQNN_FPSCR_DENORMAL;
}

static inline int dqnn_denormals_met(uint32_t before) {
  uint32_t flags;
  __asm__ volatile("vmrs %0, fpscr" : "=r"(flags) : : "memory");
  __asm__ volatile("vmsr fpscr, %0" : : "r"(flags | before) : "memory");
  return (flags & DQNN_FPSCR_DENORMAL) != 0;
}

static inline int dqnn_any_nan(float32x4_t x) {
  return vcmpneq_f32(x, x) != 0;
}

/* It would tear the assembly apart. */
/* clang-format off */

/* Two taps of one pixel. */
#define DQNN_MVE_TAPS(x, acc)                                                                                   \
  "ldrd r2,r3,[%[" x "]],#8\n vmul.f32 %q[s],%q[u],r2\n vmul.f32 %q[t],%q[v],r3\n vadd.f32 %q[" acc "],%q[" acc \
  "],%q[s]\n vadd.f32 %q[" acc "],%q[" acc "],%q[t]\n"

/* Four channels of four pixels, `pitch` apart; 0 if scalars have to do it. */
static __attribute__((noinline, unused)) int dqnn_dot_lanes_4x4(const float *const *rows, uint32_t kernel_h, uint32_t count,
                                                        const float *w, float *acc, uint32_t pitch) {
  float32x4_t a = vdupq_n_f32(0.0f), b = a, c = a, d = a, s, t, u, v;
  uint32_t before = dqnn_forget_denormals();
  for (; kernel_h; kernel_h--, rows += 4) {
    const float *x0 = rows[0], *x1 = rows[1], *x2 = rows[2], *x3 = rows[3];
    if (count > 1) {
      __asm__ volatile(
          "lsr lr,%[count],#1\n dls lr,lr\n"
          "1: vldrw.32 %q[u],[%[w]],#16\n vldrw.32 %q[v],[%[w]],#16\n"
          DQNN_MVE_TAPS("x0", "a") DQNN_MVE_TAPS("x1", "b") DQNN_MVE_TAPS("x2", "c") DQNN_MVE_TAPS("x3", "d")
          "le lr,1b\n"
          : [a] "+w"(a), [b] "+w"(b), [c] "+w"(c), [d] "+w"(d), [s] "=&w"(s), [t] "=&w"(t), [u] "=&w"(u), [v] "=&w"(v),
            [x0] "+r"(x0), [x1] "+r"(x1), [x2] "+r"(x2), [x3] "+r"(x3), [w] "+r"(w)
          : [count] "r"(count)
          : "r2", "r3", "lr", "memory");
    }
    if (count & 1u) {
      u = vld1q_f32(w);
      w += 4;
      a = vaddq_f32(a, vmulq_n_f32(u, *x0));
      b = vaddq_f32(b, vmulq_n_f32(u, *x1));
      c = vaddq_f32(c, vmulq_n_f32(u, *x2));
      d = vaddq_f32(d, vmulq_n_f32(u, *x3));
    }
  }
  vst1q_f32(acc, a);
  vst1q_f32(acc + pitch, b);
  vst1q_f32(acc + 2 * pitch, c);
  vst1q_f32(acc + 3 * pitch, d);
  return !dqnn_denormals_met(before) && !dqnn_any_nan(vaddq_f32(vaddq_f32(a, b), vaddq_f32(c, d)));
}

/* One pixel. */
static __attribute__((noinline, unused)) int dqnn_dot_lanes_1x4(const float *const *rows, uint32_t stride, uint32_t kernel_h,
                                                        uint32_t count, const float *w, float acc[4]) {
  float32x4_t sum = vdupq_n_f32(0.0f), s, t, u, v;
  uint32_t before = dqnn_forget_denormals();
  for (; kernel_h; kernel_h--, rows += stride) {
    const float *x = *rows;
    if (count > 1) {
      __asm__ volatile(
          "lsr lr,%[count],#1\n dls lr,lr\n"
          "1: vldrw.32 %q[u],[%[w]],#16\n vldrw.32 %q[v],[%[w]],#16\n" DQNN_MVE_TAPS("x", "a") "le lr,1b\n"
          : [a] "+w"(sum), [s] "=&w"(s), [t] "=&w"(t), [u] "=&w"(u), [v] "=&w"(v), [x] "+r"(x), [w] "+r"(w)
          : [count] "r"(count)
          : "r2", "r3", "lr", "memory");
    }
    if (count & 1u) {
      sum = vaddq_f32(sum, vmulq_n_f32(vld1q_f32(w), *x));
      w += 4;
    }
  }
  vst1q_f32(acc, sum);
  return !dqnn_denormals_met(before) && !dqnn_any_nan(sum);
}

/* clang-format on */

static __attribute__((noinline, unused)) void dqnn_dot_f32_4x4_mve(const float *const *rows, uint32_t kernel_h,
                                                                   uint32_t count, const float *w, float acc[16]) {
  if (!dqnn_dot_lanes_4x4(rows, kernel_h, count, w, acc, 4)) {
    dqnn_dot_f32_4x4(rows, kernel_h, count, w, acc);
    return;
  }
  float32x4x4_t pixels = {{vld1q_f32(acc), vld1q_f32(acc + 4), vld1q_f32(acc + 8), vld1q_f32(acc + 12)}};
  vst4q_f32(acc, pixels);
}

static inline void dqnn_dot_f32_1x4_mve(const float *const *rows, uint32_t stride, uint32_t kernel_h, uint32_t count,
                                        const float *w, float acc[4]) {
  if (!dqnn_dot_lanes_1x4(rows, stride, kernel_h, count, w, acc)) {
    dqnn_dot_f32_1x4(rows, stride, kernel_h, count, w, acc);
  }
}

static __attribute__((noinline, unused)) uint32_t dqnn_tap_lanes(const dqnn_taps_f32 *taps, uint32_t n, float *acc) {
  uint32_t before = dqnn_forget_denormals(), done = 0;
  int bad = 0;
  for (; done + 4 <= n; done += 4) {
    const float *row = taps->cell + done, *weight_row = taps->weight + done;
    float32x4_t sum = vdupq_n_f32(0.0f);
    for (uint32_t rows = taps->rows; rows > 0; rows--, row += taps->down, weight_row += taps->next_row) {
      const float *cell = row, *weight = weight_row;
      for (uint32_t i = taps->columns; i; i--, cell += taps->right, weight += taps->next) {
        sum = vaddq_f32(sum, vmulq_f32(vld1q_f32(weight), vld1q_f32(cell)));
      }
    }
    bad |= dqnn_any_nan(sum);
    vst1q_f32(acc + done, sum);
  }
  return dqnn_denormals_met(before) || bad ? 0 : done;
}

#endif
