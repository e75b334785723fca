/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* What kernels/opt/conv_winograd.c computes with: sums and differences of two halfwords at a time (modulo 2^16), and the
 * products of one tile coordinate after the other. */
#ifndef DQNN_ISA_WINOGRAD_H
#define DQNN_ISA_WINOGRAD_H

#include <stdint.h>

#include "halves.h"
#include "isa.h"
#include "isa_pairs.h"

enum {
  DQNN_WINOGRAD_SLOTS = 36, /* coordinates of a 6x6 tile */
  DQNN_WINOGRAD_TILES = 2,  /* side by side, at a time */
  DQNN_WINOGRAD_OUTPUTS = 4, /* channels, at a time */
  DQNN_WINOGRAD_COLUMN = DQNN_WINOGRAD_TILES * DQNN_WINOGRAD_OUTPUTS /* products of a slot */
};

#if DQNN_ARM_DSP

DQNN_ALWAYS_INLINE int32_t dqnn_multiply_halves(uint32_t a, uint32_t b, int32_t sum) {
  return dqnn_dsp_smlad(a, b, sum);
}

/* Six neighbouring slots of the products, in one run of loads. */
DQNN_ALWAYS_INLINE void dqnn_winograd_row(const uint32_t *m, uint32_t x[6]) {
  __asm__ volatile(
      "ldr %0,[%6]\n ldr %1,[%6,#32]\n ldr %2,[%6,#64]\n ldr %3,[%6,#96]\n ldr %4,[%6,#128]\n ldr %5,[%6,#160]"
      : "=&r"(x[0]), "=&r"(x[1]), "=&r"(x[2]), "=&r"(x[3]), "=&r"(x[4]), "=&r"(x[5])
      : "r"(m)
      : "memory");
}

#else

DQNN_INLINE int32_t dqnn_multiply_halves(uint32_t a, uint32_t b, int32_t sum) {
  uint32_t low = (uint32_t)(dqnn_half(a, 0) * dqnn_half(b, 0)), high = (uint32_t)(dqnn_half(a, 1) * dqnn_half(b, 1));
  return (int32_t)((uint32_t)sum + low + high);
}

DQNN_INLINE void dqnn_winograd_row(const uint32_t *m, uint32_t x[6]) {
  for (uint32_t i = 0; i < 6; i++) {
    x[i] = m[i * DQNN_WINOGRAD_COLUMN];
  }
}

#endif

/* Two tiles by four channels at every slot, summed over the pairs of input channels, modulo 2^32. v: [pair][slot][tile],
 * u: [pair][slot][channel], words of two halfwords; m: [slot][channel][tile], at a multiple of 64. An odd slot goes on
 * from the sums of the even one before it. pairs: at least 1. */
#if DQNN_ARM_DSP_FPU

#define DQNN_WINOGRAD_PAIR                                                                                           \
  "ldr.w r2,[r0,#o*288]\n ldr.w r3,[r0,#o*288+4]\n ldr.w r12,[r1,#o*576]\n ldr.w lr,[r1,#o*576+4]\n"                 \
  "smlad r4,r12,r2,r4\n smlad r5,r12,r3,r5\n smlad r6,lr,r2,r6\n smlad r7,lr,r3,r7\n"                                \
  "ldr.w r12,[r1,#o*576+8]\n ldr.w lr,[r1,#o*576+12]\n"                                                              \
  "smlad r8,r12,r2,r8\n smlad r9,r12,r3,r9\n smlad r10,lr,r2,r10\n smlad r11,lr,r3,r11\n"

/* A pair takes 16 cycles for 16 products on a Cortex-M4, and 56 bytes. Blocks of eight pairs, the first of which is
 * entered in the middle. s0 and s1: m and its end; s2: end of v at this slot; s3: entry; s4: way back of v. */
__attribute__((naked, noinline, unused)) static void dqnn_winograd_multiply(
    __attribute__((unused)) const uint32_t *v, __attribute__((unused)) const uint32_t *u,
    __attribute__((unused)) int32_t *m, __attribute__((unused)) uint32_t pairs) {
  __asm__(
      ".syntax unified\n push {r4-r11,lr}\n"
      "vmov s0,r2\n add r4,r2,#1152\n vmov s1,r4\n"
      "mov r7,#288\n mla r9,r3,r7,r0\n vmov s2,r9\n"
      "rsb r4,r3,#0\n and r4,r4,#7\n add r8,r3,r4\n mul r8,r8,r7\n subs r8,#8\n vmov s4,r8\n"
      "mul r7,r4,r7\n sub r0,r0,r7\n sub r1,r1,r7,lsl #1\n"
      "adr.w r9,3f\n mov r10,#56\n mla r9,r4,r10,r9\n orr r9,r9,#1\n vmov s3,r9\n"
      "1: movs r4,#0\n movs r5,#0\n movs r6,#0\n movs r7,#0\n mov r8,r4\n mov r9,r4\n mov r10,r4\n mov r11,r4\n"
      "2: vmov r12,s3\n bx r12\n"
      ".balign 4\n"
      "3: .set o,0\n .rept 8\n" DQNN_WINOGRAD_PAIR ".set o,o+1\n .endr\n"
      "add r0,r0,#2304\n add r1,r1,#4608\n vmov r2,s2\n cmp r0,r2\n bne.w 3b\n"
      "adds r2,#8\n vmov s2,r2\n vmov r2,s0\n vmov r3,s4\n stm r2!,{r4-r11}\n vmov s0,r2\n"
      "sub r0,r0,r3\n sub r1,r1,r3,lsl #1\n tst r2,#32\n bne.w 2b\n"
      "vmov r3,s1\n cmp r2,r3\n bne.w 1b\n pop {r4-r11,pc}\n");
}

#else

DQNN_NOINLINE void dqnn_winograd_multiply(const uint32_t *v, const uint32_t *u, int32_t *m, uint32_t pairs) {
  int32_t sums[DQNN_WINOGRAD_COLUMN];
  for (uint32_t slot = 0; slot < DQNN_WINOGRAD_SLOTS; slot++, m += DQNN_WINOGRAD_COLUMN) {
    const uint32_t *x = v + slot * DQNN_WINOGRAD_TILES, *w = u + slot * DQNN_WINOGRAD_OUTPUTS;
    for (uint32_t i = 0; i < DQNN_WINOGRAD_COLUMN && slot % 2 == 0; i++) {
      sums[i] = 0;
    }
    for (uint32_t pair = 0; pair < pairs; pair++) {
      for (uint32_t i = 0; i < DQNN_WINOGRAD_COLUMN; i++) {
        sums[i] = dqnn_multiply_halves(w[i / DQNN_WINOGRAD_TILES], x[i % DQNN_WINOGRAD_TILES], sums[i]);
      }
      x += DQNN_WINOGRAD_SLOTS * DQNN_WINOGRAD_TILES;
      w += DQNN_WINOGRAD_SLOTS * DQNN_WINOGRAD_OUTPUTS;
    }
    memcpy(m, sums, sizeof sums);
  }
}

#endif

#endif
