/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Outputs of one channel of a convolution in vectors of Armv8.1-M (Helium: Cortex-M55, M85), the output rule with the
 * channel's numbers in core registers. Of at most 64 taps, the weights stay in up to four registers while pixels go by,
 * eight at a time; of more they are read once for four pixels. */
#ifndef DQNN_ISA_MVE_COLUMNS_H
#define DQNN_ISA_MVE_COLUMNS_H

#include "mve_patches.h"

/* Assembly reads the fields by their places. A column is the taps of a pixel: bytes, sixteen to a vector. */
typedef struct {
  const int8_t *weights;  /* whole vectors, zeros behind the last tap */
  const uint16_t *places; /* of eight outputs, in bytes, as DQNN_COLUMN_OF says */
  uint32_t mask;          /* lanes of the last vector that may be read, of functions that ask */
  int32_t begin, factor, addend, zero_point; /* as in dqnn_patch_plan */
  const int8_t *columns;
  uint32_t pitch; /* bytes from a column to the next */
  int8_t *out;
  uint32_t step, blocks;        /* bytes from eight outputs to the next eight; of those, at least one */
  uint32_t back, back_out;      /* where the last eight begin if they are not whole, bytes before where they would; or 0 */
} dqnn_column_plan;

/* The column that output i of `places` belongs to. */
#define DQNN_COLUMN_OF(i) (((i) >> 1) + 4 * ((i) & 1))

DQNN_WORD_IS(0, dqnn_column_plan, weights);
DQNN_WORD_IS(3, dqnn_column_plan, begin);
DQNN_WORD_IS(7, dqnn_column_plan, columns);
DQNN_WORD_IS(9, dqnn_column_plan, out);
DQNN_WORDS_ARE(14, dqnn_column_plan);

/* It would tear the assembly apart. */
/* clang-format off */

/* Registers: r0, r2, r4, r6 sums; r1 begin, r3 factor, r5 addend, r7 zero point; r8 columns, r9 pitch, r11 out, r12 step; r10 what the last
 * eight need. q0 to q3 weights, q4 taps, q5 four outputs, q6 eight, q7 places. */
#define DQNN_COLUMN_CUT_1(sum) DQNN_COLUMN_LAST(0) "vmladav.s8 " sum ",q0,q4\n add r8,r9\n"
#define DQNN_COLUMN_CUT_2(sum) \
  "vldrb.u8 q4,[r8]\n vmladav.s8 " sum ",q0,q4\n" DQNN_COLUMN_LAST(16) "vmladava.s8 " sum ",q1,q4\n add r8,r9\n"
#define DQNN_COLUMN_CUT_3(sum)                                                                                             \
  "vldrb.u8 q4,[r8]\n vldrb.u8 q5,[r8,#16]\n vmladav.s8 " sum ",q0,q4\n vmladava.s8 " sum ",q1,q5\n" DQNN_COLUMN_LAST(32)     \
  "vmladava.s8 " sum ",q2,q4\n add r8,r9\n"
#define DQNN_COLUMN_CUT_4(sum)                                                                                             \
  "vldrb.u8 q4,[r8]\n vldrb.u8 q5,[r8,#16]\n vmladav.s8 " sum ",q0,q4\n vldrb.u8 q4,[r8,#32]\n vmladava.s8 " sum ",q1,q5\n"   \
  "vmladava.s8 " sum ",q2,q4\n" DQNN_COLUMN_LAST(48) "vmladava.s8 " sum ",q3,q4\n add r8,r9\n"
#define DQNN_COLUMN_LAST(at) "vpst\n vldrbt.u8 q4,[r8,#" #at "]\n"
/* Columns one behind the other. */
#define DQNN_COLUMN_NEXT(q) "vldrb.u8 " q ",[r8],#16\n"
#define DQNN_COLUMN_DENSE_1(sum) DQNN_COLUMN_NEXT("q4") "vmladav.s8 " sum ",q0,q4\n"
#define DQNN_COLUMN_DENSE_2(sum) \
  DQNN_COLUMN_NEXT("q4") DQNN_COLUMN_NEXT("q5") "vmladav.s8 " sum ",q0,q4\n vmladava.s8 " sum ",q1,q5\n"
#define DQNN_COLUMN_DENSE_3(sum)                                                                                           \
  DQNN_COLUMN_NEXT("q4") DQNN_COLUMN_NEXT("q5") "vmladav.s8 " sum ",q0,q4\n" DQNN_COLUMN_NEXT("q4")                         \
  "vmladava.s8 " sum ",q1,q5\n vmladava.s8 " sum ",q2,q4\n"
#define DQNN_COLUMN_DENSE_4(sum)                                                                                           \
  DQNN_COLUMN_NEXT("q4") DQNN_COLUMN_NEXT("q5") "vmladav.s8 " sum ",q0,q4\n" DQNN_COLUMN_NEXT("q4")                         \
  "vmladava.s8 " sum ",q1,q5\n" DQNN_COLUMN_NEXT("q5") "vmladava.s8 " sum ",q2,q4\n vmladava.s8 " sum ",q3,q5\n"
/* Ties go away from zero, as negative numbers are made one less. */
#define DQNN_COLUMN_AFFINE DQNN_PATCH_AFFINE
#define DQNN_COLUMN_FIXED \
  "vadd.i32 q5,q5,r1\n vqrdmulh.s32 q5,q5,r3\n vshr.s32 q4,q5,#31\n vadd.i32 q5,q5,q4\n vrshl.s32 q5,r5\n"
#define DQNN_COLUMN_FOUR(kind) kind("r0") kind("r2") kind("r4") kind("r6") DQNN_PATCH_FOUR
/* Two columns of eight taps in a vector: q0 has weights in its first half, q1 in its second. */
#define DQNN_COLUMN_HALVES                                                                                                 \
  DQNN_COLUMN_NEXT("q4") DQNN_COLUMN_NEXT("q5") "vmladav.s8 r0,q0,q4\n vmladav.s8 r2,q1,q4\n vmladav.s8 r4,q0,q5\n"         \
  "vmladav.s8 r6,q1,q5\n" DQNN_PATCH_FOUR
#define DQNN_COLUMN_FUNCTION(name, vectors, four, rule)                                                                     \
  __attribute__((naked, noinline, unused)) static void name(__attribute__((unused)) const dqnn_column_plan *plan) {         \
    __asm__(".syntax unified\n push {r4-r11,lr}\n vpush {d8-d15}\n ldm r0!,{r2,r4,r6}\n vldrw.u32 q0,[r2]\n"                  \
            ".if " #vectors " > 1\n vldrw.u32 q1,[r2,#16]\n .endif\n .if " #vectors " > 2\n vldrw.u32 q2,[r2,#32]\n .endif\n" \
            ".if " #vectors " > 3\n vldrw.u32 q3,[r2,#48]\n .endif\n vldrh.u16 q7,[r4]\n vmsr p0,r6\n"                        \
            "ldm r0!,{r1,r3,r5,r7,r8,r9,r11,r12,lr}\n mov r10,r0\n 2: dls lr,lr\n"                                            \
            "1:" four rule "vqmovnb.s32 q6,q5\n" four rule                                                                 \
            "vqmovnt.s32 q6,q5\n vqadd.s16 q6,q6,r7\n vqmovnb.s16 q6,q6\n vstrb.16 q6,[r11,q7]\n add r11,r12\n le lr,1b\n"    \
            "cmp r10,#0\n beq 9f\n ldrd r0,r2,[r10]\n mov r10,#0\n subs r8,r8,r0\n sub r11,r2\n mov lr,#1\n cmp r0,#0\n"       \
            "bne 2b\n 9: vpop {d8-d15}\n pop {r4-r11,pc}\n");                                                               \
  }
/* More taps, four pixels at a time. */
typedef struct {
  const int8_t *columns;
  uint32_t pitch;
  const int8_t *weights;
  uint32_t vectors; /* of taps */
  int32_t begin, factor, addend, zero_point;
  int8_t *out;
  const uint32_t *places; /* of four outputs, in bytes */
  uint32_t step, blocks;  /* bytes from four outputs to the next four; of those, at least one: columns, out and this count on */
} dqnn_long_plan;

DQNN_WORD_IS(0, dqnn_long_plan, columns);
DQNN_WORD_IS(2, dqnn_long_plan, weights);
DQNN_WORD_IS(4, dqnn_long_plan, begin);
DQNN_WORD_IS(8, dqnn_long_plan, out);
DQNN_WORDS_ARE(12, dqnn_long_plan);

/* Registers: r8, r9, r11, r12 columns, r10 weights; q0 weights, q1, q2 taps; the others as above. The plan's address is on the stack. */
#define DQNN_LONG_FUNCTION(name, rule)                                                                                      \
  __attribute__((naked, noinline, unused)) static void name(__attribute__((unused)) dqnn_long_plan *plan) {                 \
    __asm__(".syntax unified\n push {r0,r4-r11,lr}\n vpush {d8-d15}\n ldr r2,[r0,#36]\n vldrw.u32 q7,[r2]\n"                \
            "ldrd r1,r3,[r0,#16]\n ldrd r5,r7,[r0,#24]\n"                                                                   \
            "2: ldr r0,[sp,#64]\n ldrd r8,r2,[r0]\n ldrd r10,lr,[r0,#8]\n add r9,r8,r2\n add r11,r9,r2\n add r12,r11,r2\n"   \
            "add r4,r12,r2\n str r4,[r0]\n mov r0,#0\n mov r2,#0\n mov r4,#0\n mov r6,#0\n dls lr,lr\n"                       \
            "1: vldrb.u8 q0,[r10],#16\n vldrb.u8 q1,[r8],#16\n vldrb.u8 q2,[r9],#16\n vmladava.s8 r0,q0,q1\n"               \
            "vldrb.u8 q1,[r11],#16\n vmladava.s8 r2,q0,q2\n vldrb.u8 q2,[r12],#16\n vmladava.s8 r4,q0,q1\n"                \
            "vmladava.s8 r6,q0,q2\n le lr,1b\n" DQNN_PATCH_FOUR rule                                                       \
            "vqmovnb.s32 q6,q5\n vqadd.s16 q6,q6,r7\n vqmovnb.s16 q6,q6\n ldr r0,[sp,#64]\n ldr r2,[r0,#32]\n"             \
            "ldrd r4,r6,[r0,#40]\n vstrb.32 q6,[r2,q7]\n add r2,r4\n str r2,[r0,#32]\n subs r6,#1\n str r6,[r0,#44]\n"      \
            "bne 2b\n vpop {d8-d15}\n pop {r0,r4-r11,pc}\n");                                                             \
  }
DQNN_LONG_FUNCTION(dqnn_columns_affine_long, DQNN_COLUMN_AFFINE)
DQNN_LONG_FUNCTION(dqnn_columns_fixed_long, DQNN_COLUMN_FIXED)

DQNN_COLUMN_FUNCTION(dqnn_columns_affine_1, 1, DQNN_COLUMN_FOUR(DQNN_COLUMN_DENSE_1), DQNN_COLUMN_AFFINE)
DQNN_COLUMN_FUNCTION(dqnn_columns_affine_2, 2, DQNN_COLUMN_FOUR(DQNN_COLUMN_DENSE_2), DQNN_COLUMN_AFFINE)
DQNN_COLUMN_FUNCTION(dqnn_columns_affine_3, 3, DQNN_COLUMN_FOUR(DQNN_COLUMN_DENSE_3), DQNN_COLUMN_AFFINE)
DQNN_COLUMN_FUNCTION(dqnn_columns_affine_4, 4, DQNN_COLUMN_FOUR(DQNN_COLUMN_DENSE_4), DQNN_COLUMN_AFFINE)
DQNN_COLUMN_FUNCTION(dqnn_columns_affine_cut_1, 1, DQNN_COLUMN_FOUR(DQNN_COLUMN_CUT_1), DQNN_COLUMN_AFFINE)
DQNN_COLUMN_FUNCTION(dqnn_columns_affine_cut_2, 2, DQNN_COLUMN_FOUR(DQNN_COLUMN_CUT_2), DQNN_COLUMN_AFFINE)
DQNN_COLUMN_FUNCTION(dqnn_columns_affine_cut_3, 3, DQNN_COLUMN_FOUR(DQNN_COLUMN_CUT_3), DQNN_COLUMN_AFFINE)
DQNN_COLUMN_FUNCTION(dqnn_columns_affine_cut_4, 4, DQNN_COLUMN_FOUR(DQNN_COLUMN_CUT_4), DQNN_COLUMN_AFFINE)
DQNN_COLUMN_FUNCTION(dqnn_columns_fixed_1, 1, DQNN_COLUMN_FOUR(DQNN_COLUMN_DENSE_1), DQNN_COLUMN_FIXED)
DQNN_COLUMN_FUNCTION(dqnn_columns_fixed_2, 2, DQNN_COLUMN_FOUR(DQNN_COLUMN_DENSE_2), DQNN_COLUMN_FIXED)
DQNN_COLUMN_FUNCTION(dqnn_columns_fixed_3, 3, DQNN_COLUMN_FOUR(DQNN_COLUMN_DENSE_3), DQNN_COLUMN_FIXED)
DQNN_COLUMN_FUNCTION(dqnn_columns_fixed_4, 4, DQNN_COLUMN_FOUR(DQNN_COLUMN_DENSE_4), DQNN_COLUMN_FIXED)
DQNN_COLUMN_FUNCTION(dqnn_columns_fixed_cut_1, 1, DQNN_COLUMN_FOUR(DQNN_COLUMN_CUT_1), DQNN_COLUMN_FIXED)
DQNN_COLUMN_FUNCTION(dqnn_columns_fixed_cut_2, 2, DQNN_COLUMN_FOUR(DQNN_COLUMN_CUT_2), DQNN_COLUMN_FIXED)
DQNN_COLUMN_FUNCTION(dqnn_columns_fixed_cut_3, 3, DQNN_COLUMN_FOUR(DQNN_COLUMN_CUT_3), DQNN_COLUMN_FIXED)
DQNN_COLUMN_FUNCTION(dqnn_columns_fixed_cut_4, 4, DQNN_COLUMN_FOUR(DQNN_COLUMN_CUT_4), DQNN_COLUMN_FIXED)
DQNN_COLUMN_FUNCTION(dqnn_columns_affine_half, 2, DQNN_COLUMN_HALVES, DQNN_COLUMN_AFFINE)
DQNN_COLUMN_FUNCTION(dqnn_columns_fixed_half, 2, DQNN_COLUMN_HALVES, DQNN_COLUMN_FIXED)

/* clang-format on */

#endif
