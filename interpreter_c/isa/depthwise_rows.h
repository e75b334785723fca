/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* The taps of one depthwise window for a run of channels, four at a time: bytes times bytes. */
#ifndef DQNN_ISA_DEPTHWISE_ROWS_H
#define DQNN_ISA_DEPTHWISE_ROWS_H

#include <string.h>

#include "isa_pairs.h"
#include "plans.h"

/* Assembly reads the fields by their places and changes them. Distances are in bytes. */
typedef struct {
  const uint8_t *x, *w;        /* first tap, first channel */
  uint32_t right, outputs;     /* to the next tap of a row: inputs, weights */
  uint32_t down, weights_down; /* to the next row */
  uint32_t rows, columns;      /* at least 1 */
  uint32_t blocks;             /* of four channels, at least 1 */
  uint32_t add;                /* to every input, in both halves */
  int32_t *acc;
} dqnn_depthwise_plan;

/* Do they take less time than as many channels one by one, where a stride leaves out every second column of those? */
enum { DQNN_DEPTHWISE_FOURS = !(DQNN_SCALARS || DQNN_SHORT_PRODUCTS) };

#if DQNN_ARM_DSP_FPU

DQNN_WORD_IS(0, dqnn_depthwise_plan, x);
DQNN_WORD_IS(1, dqnn_depthwise_plan, w);
DQNN_WORD_IS(2, dqnn_depthwise_plan, right);
DQNN_WORD_IS(3, dqnn_depthwise_plan, outputs);
DQNN_WORD_IS(4, dqnn_depthwise_plan, down);
DQNN_WORD_IS(5, dqnn_depthwise_plan, weights_down);
DQNN_WORD_IS(6, dqnn_depthwise_plan, rows);
DQNN_WORD_IS(7, dqnn_depthwise_plan, columns);
DQNN_WORD_IS(8, dqnn_depthwise_plan, blocks);
DQNN_WORD_IS(9, dqnn_depthwise_plan, add);
DQNN_WORD_IS(10, dqnn_depthwise_plan, acc);

/* Registers: r0 x, r1 w, r2 right, r3 outputs, r4 to r7 sums, lr add; s0 rows to go, s1 columns, s2 and s3 down. */
#define DQNN_DEPTHWISE_TAP(x, w)                                                                \
  "ldr.w r8,[" x "]\n ldr.w r9,[" w                                                             \
  "]\n sxtab16 r10,lr,r8\n sxtab16 r8,lr,r8,ror #8\n sxtb16 r11,r9\n sxtb16 r9,r9,ror #8\n" \
  "smlabb r4,r10,r11,r4\n smlabb r5,r8,r9,r5\n smlatt r6,r10,r11,r6\n smlatt r7,r8,r9,r7\n"

/* A row of r12 taps, back to the first of them after the last. */
#define DQNN_DEPTHWISE_ROW                                                                       \
  "mul r8,r12,r2\n mul r9,r12,r3\n push {r8,r9}\n 5:\n" DQNN_DEPTHWISE_TAP("r0", "r1")           \
  "add r0,r2\n add r1,r3\n subs r12,#1\n bne 5b\n pop {r8,r9}\n subs r0,r0,r8\n subs r1,r1,r9\n"
#if DQNN_SMALL
#define DQNN_DEPTHWISE_THREE DQNN_DEPTHWISE_ROW
#define DQNN_DEPTHWISE_OTHERS ""
#else
#define DQNN_DEPTHWISE_THREE                                                                     \
  "cmp r12,#3\n bne 4f\n" DQNN_DEPTHWISE_TAP("r0", "r1") DQNN_DEPTHWISE_TAP("r0,r2", "r1,r3") \
      DQNN_DEPTHWISE_TAP("r0,r2,lsl #1", "r1,r3,lsl #1")
#define DQNN_DEPTHWISE_OTHERS "\n 4: " DQNN_DEPTHWISE_ROW "b 3b"
#endif

__attribute__((naked, noinline, unused)) static void dqnn_depthwise_rows(__attribute__((unused))
                                                                         dqnn_depthwise_plan *plan) {
  __asm__(
      ".syntax unified\n push {r0,r4-r11,lr}\n ldr r8,[r0,#28]\n vmov s1,r8\n ldrd r9,r10,[r0,#16]\n vmov s2,s3,r9,r10\n"
      "1: ldr r8,[sp]\n ldm r8,{r0,r1,r2,r3}\n ldr r9,[r8,#24]\n ldr lr,[r8,#36]\n vmov s0,r9\n"
      "movs r4,#0\n movs r5,#0\n movs r6,#0\n movs r7,#0\n"
      "2: vmov r12,s1\n" DQNN_DEPTHWISE_THREE "3: vmov r8,r9,s2,s3\n add r0,r8\n add r1,r9\n vmov r8,s0\n subs r8,#1\n vmov s0,r8\n bne 2b\n"
      "ldr r8,[sp]\n ldr r9,[r8,#40]\n stm r9!,{r4-r7}\n str r9,[r8,#40]\n ldrd r0,r1,[r8]\n adds r0,#4\n adds r1,#4\n strd r0,r1,[r8]\n"
      "ldr r9,[r8,#32]\n subs r9,#1\n str r9,[r8,#32]\n bne 1b\n pop {r0,r4-r11,pc}"
      DQNN_DEPTHWISE_OTHERS);
}

#else

static inline void dqnn_depthwise_rows(dqnn_depthwise_plan *plan) {
  for (; plan->blocks; plan->blocks--, plan->x += 4, plan->w += 4, plan->acc += 4) {
    const uint8_t *row = plan->x, *weight_row = plan->w;
    int32_t *acc = plan->acc;
    acc[0] = acc[1] = acc[2] = acc[3] = 0;
    for (uint32_t y = plan->rows; y; y--, row += plan->down, weight_row += plan->weights_down) {
      const uint8_t *x = row, *w = weight_row;
      for (uint32_t i = plan->columns; i; i--, x += plan->right, w += plan->outputs) {
        uint32_t bytes, weights;
        memcpy(&bytes, x, 4);
        memcpy(&weights, w, 4);
        dqnn_multiply_bytes(bytes, plan->add, weights, acc);
      }
    }
  }
}

#endif

#endif
