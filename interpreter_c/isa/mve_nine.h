/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* 3x3 windows over s8 in vectors of Armv8.1-M (Helium: Cortex-M55, M85): sixteen channels of an output at a time.
 *
 * Products of bytes are halfwords, even and odd channels apart; those of two taps are added up before they are widened: not both
 * weights may be -128. Vector i of four sums has channels i, i + 4, i + 8, i + 12. */
#ifndef DQNN_ISA_MVE_NINE_H
#define DQNN_ISA_MVE_NINE_H

#include <stdint.h>

#include "plans.h"

/* What sixteen channels need. Assembly reads the fields by their places. */
typedef struct {
  int32_t begin[4][4];                /* what sums begin with */
  int32_t factor[4][4], addend[4][4]; /* scale and offset (bits of floats), or multiplier and shift */
  int8_t weights[9][16];
  int32_t zero_point; /* of the output */
} dqnn_nine_channels;

/* `count` outputs side by side; bytes from a tap to the next one of its row, and from the one behind the last to the first one of the
 * next window. */
typedef struct {
  const int8_t *at[3];
  uint32_t right[3], turn[3];
  const dqnn_nine_channels *channels;
  int8_t *out;
  uint32_t step; /* bytes to the next output */
  uint32_t count;
} dqnn_nine_row;

/* One output. */
typedef struct {
  const int8_t *at[9];
  const dqnn_nine_channels *channels;
  int8_t *out;
} dqnn_nine_cells;

DQNN_WORD_IS(16, dqnn_nine_channels, factor);
DQNN_WORD_IS(32, dqnn_nine_channels, addend);
DQNN_WORD_IS(48, dqnn_nine_channels, weights);
DQNN_WORD_IS(84, dqnn_nine_channels, zero_point);
DQNN_WORD_IS(3, dqnn_nine_row, right);
DQNN_WORD_IS(9, dqnn_nine_row, channels);
DQNN_WORDS_ARE(13, dqnn_nine_row);
DQNN_WORD_IS(9, dqnn_nine_cells, channels);
DQNN_WORDS_ARE(11, dqnn_nine_cells);

/* It would tear the assembly apart. */
/* clang-format off */

/* Registers: r10 channels, r11 out, q0 to q3 sums, q6, q7 products. Rows: r0 zero point, r1 to r3 cells, r4 to r6 right, r7 to r9 turn,
 * r12 step, lr count. Cells: r0 where their addresses are, r2 zero point. */
#define DQNN_NINE_TAP(row, right) "vldrb.u8 q5,[" row "]\n add " row "," right "\n"
#define DQNN_NINE_CELL "ldr r1,[r0],#4\n vldrb.u8 q5,[r1]\n"
#define DQNN_NINE_WEIGHTS(tap) "vldrw.u32 q4,[r10,#192+16*" #tap "]\n"
#define DQNN_NINE_FIRST(tap, cell) DQNN_NINE_WEIGHTS(tap) cell "vmullb.s8 q6,q5,q4\n vmullt.s8 q7,q5,q4\n"
#define DQNN_NINE_SECOND(tap, cell)                                                                                         \
  DQNN_NINE_WEIGHTS(tap) cell "vmullb.s8 q4,q5,q4\n vadd.i16 q6,q6,q4\n" DQNN_NINE_WEIGHTS(tap)                              \
  "vmullt.s8 q4,q5,q4\n vadd.i16 q7,q7,q4\n"
#define DQNN_NINE_WIDEN                                                                                                     \
  "vmovlb.s16 q4,q6\n vadd.i32 q0,q0,q4\n vmovlb.s16 q5,q7\n vadd.i32 q1,q1,q5\n vmovlt.s16 q6,q6\n vadd.i32 q2,q2,q6\n"     \
  "vmovlt.s16 q7,q7\n vadd.i32 q3,q3,q7\n"
#define DQNN_NINE_PAIR(tap, next, cell, other) DQNN_NINE_FIRST(tap, cell) DQNN_NINE_SECOND(next, other) DQNN_NINE_WIDEN
#define DQNN_NINE_SUMS(a, b, c)                                                                                             \
  "vldrw.u32 q0,[r10]\n vldrw.u32 q1,[r10,#16]\n vldrw.u32 q2,[r10,#32]\n vldrw.u32 q3,[r10,#48]\n"                          \
  DQNN_NINE_PAIR(0, 1, a, a) DQNN_NINE_PAIR(2, 3, a, b) DQNN_NINE_PAIR(4, 5, b, b) DQNN_NINE_PAIR(6, 7, c, c)                \
  DQNN_NINE_FIRST(8, c) DQNN_NINE_WIDEN
/* The rules of epilogue_mve.c; shifts go to the right. */
#define DQNN_NINE_AFFINE(i)                                                                                                 \
  "vcvt.f32.s32 q" #i ",q" #i "\n vldrw.u32 q4,[r10,#64+16*" #i "]\n vmul.f32 q" #i ",q" #i ",q4\n"                          \
  "vldrw.u32 q5,[r10,#128+16*" #i "]\n vadd.f32 q" #i ",q" #i ",q5\n vcvtn.s32.f32 q" #i ",q" #i "\n"
#define DQNN_NINE_FIXED(i)                                                                                                  \
  "vldrw.u32 q4,[r10,#64+16*" #i "]\n vqrdmulh.s32 q" #i ",q" #i ",q4\n vshr.s32 q5,q" #i ",#31\n"                           \
  "vldrw.u32 q4,[r10,#128+16*" #i "]\n vqadd.s32 q" #i ",q" #i ",q5\n vrshl.s32 q" #i ",q" #i ",q4\n"
/* Where a range begins at the zero point, ties of negative numbers do not matter. */
#define DQNN_NINE_RELU(i)                                                                                                   \
  "vldrw.u32 q4,[r10,#64+16*" #i "]\n vqrdmulh.s32 q" #i ",q" #i ",q4\n vldrw.u32 q5,[r10,#128+16*" #i "]\n"                 \
  "vrshl.s32 q" #i ",q" #i ",q5\n"
#define DQNN_NINE_PUT(rule, zero_point)                                                                                     \
  rule(0) rule(1) rule(2) rule(3) "vqmovnb.s32 q4,q0\n vqmovnb.s32 q5,q1\n vqmovnt.s32 q4,q2\n vqmovnt.s32 q5,q3\n"          \
  "vqadd.s16 q4,q4," zero_point "\n vqadd.s16 q5,q5," zero_point "\n vqmovnb.s16 q6,q4\n vqmovnt.s16 q6,q5\n"                \
  "vstrb.8 q6,[r11]\n"
#define DQNN_NINE_ROW(name, rule)                                                                                           \
  __attribute__((naked, noinline, unused)) static void name(__attribute__((unused)) const dqnn_nine_row *row) {             \
    __asm__(".syntax unified\n push {r4-r11,lr}\n vpush {d8-d15}\n ldm r0,{r1-r12,lr}\n ldr r0,[r10,#336]\n dls lr,lr\n 1:"  \
            DQNN_NINE_SUMS(DQNN_NINE_TAP("r1", "r4"), DQNN_NINE_TAP("r2", "r5"), DQNN_NINE_TAP("r3", "r6"))                  \
            "add r1,r7\n add r2,r8\n add r3,r9\n" DQNN_NINE_PUT(rule, "r0") "add r11,r12\n le lr,1b\n"                       \
            "vpop {d8-d15}\n pop {r4-r11,pc}\n");                                                                            \
  }
#define DQNN_NINE_CELLS(name, rule)                                                                                         \
  __attribute__((naked, noinline, unused)) static void name(__attribute__((unused)) const dqnn_nine_cells *cells) {         \
    __asm__(".syntax unified\n push {r4,r10,r11,lr}\n vpush {d8-d15}\n add r1,r0,#36\n ldm r1,{r10,r11}\n ldr r2,[r10,#336]\n" \
            DQNN_NINE_SUMS(DQNN_NINE_CELL, DQNN_NINE_CELL, DQNN_NINE_CELL) DQNN_NINE_PUT(rule, "r2")                         \
            "vpop {d8-d15}\n pop {r4,r10,r11,pc}\n");                                                                        \
  }
DQNN_NINE_ROW(dqnn_nine_row_affine, DQNN_NINE_AFFINE)
DQNN_NINE_ROW(dqnn_nine_row_fixed, DQNN_NINE_FIXED)
DQNN_NINE_ROW(dqnn_nine_row_relu, DQNN_NINE_RELU)
DQNN_NINE_CELLS(dqnn_nine_cells_affine, DQNN_NINE_AFFINE)
DQNN_NINE_CELLS(dqnn_nine_cells_fixed, DQNN_NINE_FIXED)
DQNN_NINE_CELLS(dqnn_nine_cells_relu, DQNN_NINE_RELU)

/* clang-format on */

#endif
