/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Single-precision FPU of Cortex-M4F, M7, M33: separate multiply and add (never fused), four pixels by four channels in 16 registers. */
#ifndef DQNN_ISA_VFP_H
#define DQNN_ISA_VFP_H

#include <stdint.h>

/* One channel: four products, then four additions, so that no result is used by the next instruction. */
#define DQNN_VFP_CHANNEL(w, x0, x1, x2, x3, a0, a1, a2, a3)                                                      \
  "vmul.f32 s28, " w ", " x0 "\n vmul.f32 s29, " w ", " x1 "\n vmul.f32 s30, " w ", " x2 "\n vmul.f32 s31, " w \
  ", " x3 "\n vadd.f32 " a0 ", " a0 ", s28\n vadd.f32 " a1 ", " a1 ", s29\n vadd.f32 " a2 ", " a2 ", s30\n vadd.f32 " a3 ", " a3 ", s31\n"
#define DQNN_VFP_TAP(x0, x1, x2, x3)                                 \
  "vldmia %[w]!, {s24-s27}\n"                                        \
  DQNN_VFP_CHANNEL("s24", x0, x1, x2, x3, "s0", "s1", "s2", "s3")    \
  DQNN_VFP_CHANNEL("s25", x0, x1, x2, x3, "s4", "s5", "s6", "s7")    \
  DQNN_VFP_CHANNEL("s26", x0, x1, x2, x3, "s8", "s9", "s10", "s11")  \
  DQNN_VFP_CHANNEL("s27", x0, x1, x2, x3, "s12", "s13", "s14", "s15")

#define DQNN_OWN_DOT_F32_4X4
static __attribute__((noinline, unused)) void dqnn_dot_f32_4x4(const float *const *rows, uint32_t kernel_h, uint32_t count, const float *w,
                                                       float acc[16]) {
  const float *x0, *x1, *x2, *x3;
  uint32_t n, two = count >> 1, odd = count & 1u;
  __asm__ volatile(
      "  movs %[n], #0\n"
      "  vmov s0, %[n]\n vmov s1, %[n]\n vmov s2, %[n]\n vmov s3, %[n]\n vmov s4, %[n]\n vmov s5, %[n]\n vmov s6, %[n]\n vmov s7, %[n]\n"
      "  vmov s8, %[n]\n vmov s9, %[n]\n vmov s10, %[n]\n vmov s11, %[n]\n vmov s12, %[n]\n vmov s13, %[n]\n vmov s14, %[n]\n vmov s15, %[n]\n"
      "1: ldr %[x0], [%[rows]], #4\n"
      "  ldr %[x1], [%[rows]], #4\n"
      "  ldr %[x2], [%[rows]], #4\n"
      "  ldr %[x3], [%[rows]], #4\n"
      "  movs %[n], %[two]\n"
      "  beq.w 3f\n"
      "2: vldmia %[x0]!, {s16, s17}\n vldmia %[x1]!, {s18, s19}\n vldmia %[x2]!, {s20, s21}\n vldmia %[x3]!, {s22, s23}\n"
      DQNN_VFP_TAP("s16", "s18", "s20", "s22") DQNN_VFP_TAP("s17", "s19", "s21", "s23")
      "  subs %[n], %[n], #1\n"
      "  bne.w 2b\n"
      "3: cmp %[odd], #0\n"
      "  beq.w 4f\n"
      "  vldr s16, [%[x0]]\n vldr s18, [%[x1]]\n vldr s20, [%[x2]]\n vldr s22, [%[x3]]\n"
      DQNN_VFP_TAP("s16", "s18", "s20", "s22")
      "4: subs %[h], %[h], #1\n"
      "  bne.w 1b\n"
      "  vstmia %[acc], {s0-s15}\n"
      : [x0] "=&r"(x0), [x1] "=&r"(x1), [x2] "=&r"(x2), [x3] "=&r"(x3), [n] "=&r"(n), [w] "+r"(w), [rows] "+r"(rows), [h] "+r"(kernel_h)
      : [acc] "r"(acc), [two] "r"(two), [odd] "r"(odd)
      : "cc", "memory", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "s12", "s13", "s14", "s15", "s16", "s17",
        "s18", "s19", "s20", "s21", "s22", "s23", "s24", "s25", "s26", "s27", "s28", "s29", "s30", "s31");
}

/* One tap of one pixel, four channels s4-s7 (weights s16-s19). */
#define DQNN_VFP_SINGLE(x)                                                                                           \
  "vldmia %[w]!, {s16-s19}\n vmul.f32 s16, s16, " x "\n vmul.f32 s17, s17, " x "\n vmul.f32 s18, s18, " x           \
  "\n vmul.f32 s19, s19, " x "\n vadd.f32 s4, s4, s16\n vadd.f32 s5, s5, s17\n vadd.f32 s6, s6, s18\n vadd.f32 s7, s7, s19\n"

#define DQNN_OWN_DOT_F32_1X4
static __attribute__((noinline, unused)) void dqnn_dot_f32_1x4(const float *const *rows, uint32_t stride, uint32_t kernel_h, uint32_t count,
                                                       const float *w, float acc[4]) {
  const float *x;
  uint32_t n;
  __asm__ volatile(
      "  movs %[n], #0\n"
      "  vmov s4, %[n]\n vmov s5, %[n]\n vmov s6, %[n]\n vmov s7, %[n]\n"
      "1: ldr %[x], [%[rows]]\n"
      "  add %[rows], %[rows], %[stride], lsl #2\n"
      "  lsrs %[n], %[count], #2\n"
      "  beq.w 3f\n"
      "2: vldmia %[x]!, {s0-s3}\n"
      DQNN_VFP_SINGLE("s0") DQNN_VFP_SINGLE("s1") DQNN_VFP_SINGLE("s2") DQNN_VFP_SINGLE("s3")
      "  subs %[n], %[n], #1\n"
      "  bne.w 2b\n"
      "3: ands %[n], %[count], #3\n"
      "  beq.w 5f\n"
      "4: vldmia %[x]!, {s0}\n"
      DQNN_VFP_SINGLE("s0")
      "  subs %[n], %[n], #1\n"
      "  bne.w 4b\n"
      "5: subs %[h], %[h], #1\n"
      "  bne.w 1b\n"
      "  vstmia %[acc], {s4-s7}\n"
      : [x] "=&r"(x), [n] "=&r"(n), [w] "+r"(w), [rows] "+r"(rows), [h] "+r"(kernel_h)
      : [acc] "r"(acc), [count] "r"(count), [stride] "r"(stride)
      : "cc", "memory", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s16", "s17", "s18", "s19");
}

/* Eight channels of a depthwise window: eight products, then eight additions. */
#ifndef DQNN_OWN_TAP_LANES
#define DQNN_OWN_TAP_LANES
enum { DQNN_TAP_LANES = 1 };

static inline uint32_t dqnn_tap_lanes(const dqnn_taps_f32 *taps, uint32_t n, float *acc) {
  const uint32_t right = 4 * taps->right, down = 4 * (taps->down - taps->columns * taps->right);
  const uint32_t next = 4 * taps->next, next_row = 4 * (taps->next_row - taps->columns * taps->next);
  uint32_t done = 0;
  for (; done + 8 <= n; done += 8) {
    const float *x = taps->cell + done, *w = taps->weight + done;
    uint32_t rows = taps->rows, i;
    __asm__ volatile(
        "  movs %[i], #0\n"
        "  vmov d0, %[i], %[i]\n vmov d1, %[i], %[i]\n vmov d2, %[i], %[i]\n vmov d3, %[i], %[i]\n"
        "1: mov %[i], %[columns]\n"
        "2: vldmia %[x], {s8-s15}\n vldmia %[w], {s16-s23}\n"
        "  vmul.f32 s8, s16, s8\n vmul.f32 s9, s17, s9\n vmul.f32 s10, s18, s10\n vmul.f32 s11, s19, s11\n"
        "  vmul.f32 s12, s20, s12\n vmul.f32 s13, s21, s13\n vmul.f32 s14, s22, s14\n vmul.f32 s15, s23, s15\n"
        "  vadd.f32 s0, s0, s8\n vadd.f32 s1, s1, s9\n vadd.f32 s2, s2, s10\n vadd.f32 s3, s3, s11\n"
        "  vadd.f32 s4, s4, s12\n vadd.f32 s5, s5, s13\n vadd.f32 s6, s6, s14\n vadd.f32 s7, s7, s15\n"
        "  add %[x], %[x], %[right]\n add %[w], %[w], %[next]\n"
        "  subs %[i], %[i], #1\n"
        "  bne 2b\n"
        "  add %[x], %[x], %[down]\n add %[w], %[w], %[next_row]\n"
        "  subs %[rows], %[rows], #1\n"
        "  bne 1b\n"
        "  vstmia %[acc], {s0-s7}\n"
        : [x] "+r"(x), [w] "+r"(w), [rows] "+r"(rows), [i] "=&r"(i)
        : [acc] "r"(acc + done), [columns] "r"(taps->columns), [right] "r"(right), [next] "r"(next), [down] "r"(down), [next_row] "r"(next_row)
        : "cc", "memory", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "s12", "s13", "s14", "s15", "s16", "s17",
          "s18", "s19", "s20", "s21", "s22", "s23");
  }
  return done;
}
#endif

#endif
