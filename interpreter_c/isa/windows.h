/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* The look-ups of conv_windows.c: some bytes of the weights of all outputs, whose low and high four bits are codes in two
 * tables of sums for four windows. Two words for a code: sums of two windows each, first + 2^16 * second. */
#ifndef DQNN_ISA_WINDOWS_H
#define DQNN_ISA_WINDOWS_H

#include "isa.h"
#include "plans.h"

enum {
  DQNN_WINDOWS = 4,        /* at a time */
  DQNN_WINDOWS_BYTES = 8,  /* of weights at a time, at most: 8 * 8 * 255 fits 16 bits */
  DQNN_WINDOWS_TABLE = 32, /* words of a table; a byte has two */
};

/* Assembly reads the fields by their places. */
typedef struct {
  const uint32_t *tables; /* [byte][half][code][2] */
  const uint8_t *weights;
  int32_t *totals;      /* [window][output], to which sums are added; narrow: [output][2 words], as in tables */
  uint32_t outputs;     /* at least 1 */
  uint32_t bytes;       /* 1 to DQNN_WINDOWS_BYTES */
  uint32_t step, pitch; /* of the weights, from a byte and from an output to the next */
  uint32_t narrow;      /* 1: totals fit 16 bits too */
} dqnn_windows_plan;

#if DQNN_ARM_THUMB2

DQNN_WORD_IS(0, dqnn_windows_plan, tables);
DQNN_WORD_IS(1, dqnn_windows_plan, weights);
DQNN_WORD_IS(2, dqnn_windows_plan, totals);
DQNN_WORD_IS(3, dqnn_windows_plan, outputs);
DQNN_WORD_IS(4, dqnn_windows_plan, bytes);
DQNN_WORD_IS(5, dqnn_windows_plan, step);
DQNN_WORD_IS(6, dqnn_windows_plan, pitch);
DQNN_WORD_IS(7, dqnn_windows_plan, narrow);
_Static_assert(DQNN_WINDOWS_BYTES == 8, "as often the look-ups are written out");

/* It would tear the assembly apart. */
/* clang-format off */

/* Registers: r0 tables, r1 weights, r2, r3, r8, r9 totals of the windows (narrow: r2 of all, r3 0), r4, r5 sums of two each,
 * r10 entry, r11 step; r6, r7, r12, lr free. On the stack: from the last byte of an output to the next one's first, where
 * r2 ends. A look-up takes 42 bytes; those that are not wanted are jumped over. */
#define DQNN_WINDOWS_LOOK_UP                                                                                         \
  "ldrb r6,[r1]\n add r1,r11\n ubfx r12,r6,#0,#4\n lsrs r6,r6,#4\n add.w r12,r0,r12,lsl #3\n add.w r6,r0,r6,lsl #3\n"   \
  "ldr.w r7,[r12,#o*256]\n ldr.w r12,[r12,#o*256+4]\n ldr.w lr,[r6,#o*256+128]\n ldr.w r6,[r6,#o*256+132]\n"          \
  "adds r4,r4,r7\n add r5,r12\n add r4,lr\n adds r5,r5,r6\n"
/* Both windows of a sum. */
#define DQNN_WINDOWS_ADD(sum, first, second)                                                                         \
  "ldr r7,[" first "]\n ldr.w r12,[" second "]\n sxth r6," sum "\n sub.w " sum "," sum ",r6\n adds r7,r7,r6\n "        \
  "add.w r12,r12," sum ",asr #16\n str r7,[" first "],#4\n str r12,[" second "],#4\n"

__attribute__((naked, noinline, unused)) static void dqnn_windows_sums(__attribute__((unused))
                                                                         const dqnn_windows_plan *plan) {
  __asm__(
      ".syntax unified\n push {r4-r11,lr}\n sub sp,#8\n ldm r0,{r0,r1,r2,r3,r4,r5,r6,r7}\n mov r11,r5\n mls r6,r4,r5,r6\n"
      "lsls r3,r3,#2\n lsl.w r12,r3,r7\n add r12,r12,r2\n strd r6,r12,[sp]\n adds r6,r2,r3\n add.w r8,r6,r3\n add.w r9,r8,r3\n"
      "subs r7,#1\n and.w r3,r6,r7\n"
      "rsb.w r4,r4,#8\n sub.w r0,r0,r4,lsl #8\n adr.w r10,2f\n movs r5,#42\n mla r10,r4,r5,r10\n orr r10,r10,#1\n"
      "1: movs r4,#0\n movs r5,#0\n bx r10\n"
      ".balign 4\n 2: .set o,0\n .rept 8\n" DQNN_WINDOWS_LOOK_UP ".set o,o+1\n .endr\n"
      "cbz r3,4f\n" DQNN_WINDOWS_ADD("r4", "r2", "r3") DQNN_WINDOWS_ADD("r5", "r8", "r9")
      "3: ldrd r6,r7,[sp]\n add r1,r6\n cmp r2,r7\n bne.w 1b\n add sp,#8\n pop {r4-r11,pc}\n"
      "4: ldrd r6,r7,[r2]\n adds r4,r4,r6\n adds r5,r5,r7\n stmia r2!,{r4,r5}\n b 3b");
}

/* clang-format on */

#else

static inline void dqnn_windows_sums(const dqnn_windows_plan *plan) {
  const uint32_t outputs = plan->outputs, bytes = plan->bytes, step = plan->step;
  const uint8_t *weights = plan->weights;
  int32_t *total = plan->totals;
  for (uint32_t o = 0; o < outputs; o++, weights += plan->pitch, total++) {
    const uint32_t *tables = plan->tables;
    const uint8_t *from = weights;
    uint32_t sums[2] = {0, 0};
    for (uint32_t i = 0; i < bytes; i++, from += step, tables += 64) {
      const uint32_t *low = tables + 2 * (*from & 15u), *high = tables + 32 + 2 * (*from >> 4);
      sums[0] += low[0] + high[0];
      sums[1] += low[1] + high[1];
    }
    for (uint32_t w = 0; w < 2; w++) {
      if (plan->narrow) {
        plan->totals[2 * o + w] = (int32_t)((uint32_t)plan->totals[2 * o + w] + sums[w]);
        continue;
      }
      const int32_t first = (int16_t)(sums[w] & 0xffffu);
      total[2 * w * outputs] += first;
      total[(2 * w + 1) * outputs] += (int32_t)(sums[w] - (uint32_t)first) >> 16;
    }
  }
}

#endif

#endif
