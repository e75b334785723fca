/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* 3x3 windows over s8 in vectors of Armv8.1-M (Helium: Cortex-M55, M85): one channel, two lines of outputs at a time.
 *
 * A column of four channels is four words, the bytes of a word are cells of neighbouring lines. So a vector gathered
 * from four columns is a patch of 4x4 cells of a channel, and VMLADAV with a vector of nine weights and seven zeros is
 * an output: stride 1 has four in a patch (two lines of two). Stride 2 has two, as byte 3 of columns 4k, 4k + 1, 4k + 2
 * holds what column 4k + 4 has in lines 0, 1, 2; the second line has patches of its own, `turn` bytes further. Sums go
 * back to vectors, and the output rule follows with the channel's numbers in core registers. */
#ifndef DQNN_ISA_MVE_PATCHES_H
#define DQNN_ISA_MVE_PATCHES_H

#include <stdint.h>

#include "plans.h"

/* Four outputs along a line are a block. Assembly reads the fields by their places. */
typedef struct {
  const int8_t *patches;   /* of this channel, the first gather less: 32 bytes (stride 1), 64 */
  const uint32_t *weights; /* of outputs at the left and the right of a patch, 64 bytes apart */
  const uint16_t *places;  /* of eight outputs, in bytes, as DQNN_PATCH_LINE and DQNN_PATCH_COLUMN say */
  uint32_t blocks, mask;   /* whole ones of a line, one less than all; bytes of `places` that the last one has */
  uint32_t turn;           /* stride 1: 8, or 0 if both lines are the same one */
  int32_t begin, factor, addend,
      zero_point; /* sums begin so; scale and offset (bits of floats), or multiplier and shift */
  int8_t *out;
  uint32_t step, pairs, back; /* bytes from a block to the next; lines, two at a time; bytes from the last block to the
                                 first one of the next pair */
} dqnn_patch_plan;

/* Output i of `places`: its line, its column in the block. */
#define DQNN_PATCH_LINE(i) ((i) >> 2)
#define DQNN_PATCH_COLUMN(i) (((i) >> 1 & 1) + 2 * ((i)&1))

DQNN_WORD_IS(0, dqnn_patch_plan, patches);
DQNN_WORD_IS(3, dqnn_patch_plan, blocks);
DQNN_WORD_IS(5, dqnn_patch_plan, turn);
DQNN_WORD_IS(6, dqnn_patch_plan, begin);
DQNN_WORD_IS(10, dqnn_patch_plan, out);
DQNN_WORDS_ARE(14, dqnn_patch_plan);

/* It would tear the assembly apart. */
/* clang-format off */

/* Registers: r0, r2, r4, r6 sums; r1 begin, r3 factor, r5 addend, r7 zero point; r8 out, r9 step, r10 -1, r11 pairs, r12 back; on the
 * stack blocks and mask. q0, q1 weights, q2, q3 those of the second line (stride 2: its addresses); q4 addresses, q5 four outputs, q6
 * eight, q7 places. */
#define DQNN_PATCH_BEGIN(turn)                                                                                              \
  ".syntax unified\n push {r4-r11,lr}\n vpush {d8-d15}\n ldm r0!,{r2,r4,r6,r8,r9}\n push {r8,r9}\n"                           \
  "vldrw.u32 q0,[r4]\n vldrw.u32 q1,[r4,#64]\n vldrh.u16 q7,[r6]\n lsrs r2,r2,#2\n vidup.u32 q4,r2,#4\n vshl.i32 q4,q4,#2\n"   \
  "ldr r6,[r0],#4\n" turn "ldm r0,{r1,r3,r5,r7,r8,r9,r11,r12}\n mov r10,#-1\n"
#define DQNN_PATCH_TURN_1 "vmov q2,q0\n vmov q3,q1\n vshl.s32 q2,r6\n vshl.s32 q3,r6\n"
#define DQNN_PATCH_TURN_2 "vadd.i32 q2,q4,r6\n"
#define DQNN_PATCH_FOUR "vmov q5[2],q5[0],r0,r4\n vmov q5[3],q5[1],r2,r6\n"
#define DQNN_PATCH_SUMS_1                                                                                                  \
  "vldrw.u32 q5,[q4,#32]!\n vmladav.s8 r0,q0,q5\n vmladav.s8 r2,q1,q5\n vmladav.s8 r4,q2,q5\n vmladav.s8 r6,q3,q5\n"           \
  DQNN_PATCH_FOUR
#define DQNN_PATCH_SUMS_2                                                                                                  \
  "vldrw.u32 q5,[q4,#64]!\n vmladav.s8 r0,q0,q5\n vmladav.s8 r2,q1,q5\n vldrw.u32 q5,[q2,#64]!\n vmladav.s8 r4,q0,q5\n"        \
  "vmladav.s8 r6,q1,q5\n" DQNN_PATCH_FOUR
/* The rules of epilogue_mve.c. Fixed point: ties go away from zero; where a range begins at the zero point, those of
 * negative numbers do not matter. */
#define DQNN_PATCH_AFFINE "vadd.i32 q5,q5,r1\n vcvt.f32.s32 q5,q5\n vmul.f32 q5,q5,r3\n vadd.f32 q5,q5,r5\n vcvtn.s32.f32 q5,q5\n"
#define DQNN_PATCH_FIXED "vadd.i32 q5,q5,r1\n vqrdmulh.s32 q5,q5,r3\n vpt.s32 lt,q5,zr\n vaddt.i32 q5,q5,r10\n vrshl.s32 q5,r5\n"
#define DQNN_PATCH_RELU "vadd.i32 q5,q5,r1\n vqrdmulh.s32 q5,q5,r3\n vrshl.s32 q5,r5\n"
#define DQNN_PATCH_BLOCK(sums, rule) \
  sums rule "vqmovnb.s32 q6,q5\n" sums rule "vqmovnt.s32 q6,q5\n vqadd.s16 q6,q6,r7\n vqmovnb.s16 q6,q6\n"
#define DQNN_PATCH_LINES(sums, rule, next)                                                                                   \
  "4: ldr lr,[sp]\n wls lr,lr,2f\n 1:" DQNN_PATCH_BLOCK(sums, rule) "vstrb.16 q6,[r8,q7]\n add r8,r9\n le lr,1b\n 2:"           \
  DQNN_PATCH_BLOCK(sums, rule) "ldr lr,[sp,#4]\n vmsr p0,lr\n vpst\n vstrbt.16 q6,[r8,q7]\n add r8,r12\n" next                   \
  "subs r11,#1\n bne 4b\n add sp,#8\n vpop {d8-d15}\n pop {r4-r11,pc}\n"
#define DQNN_PATCH_FUNCTION(name, stride, rule, next)                                                                        \
  __attribute__((naked, noinline, unused)) static void name(__attribute__((unused)) const dqnn_patch_plan *plan) {            \
    __asm__(DQNN_PATCH_BEGIN(DQNN_PATCH_TURN_##stride) DQNN_PATCH_LINES(DQNN_PATCH_SUMS_##stride, rule, next));               \
  }
/* Stride 1: a line has two columns more than its blocks. */
#define DQNN_PATCH_NEXT_1 "vldrw.u32 q5,[q4,#32]!\n"
DQNN_PATCH_FUNCTION(dqnn_patches_affine_1, 1, DQNN_PATCH_AFFINE, DQNN_PATCH_NEXT_1)
DQNN_PATCH_FUNCTION(dqnn_patches_fixed_1, 1, DQNN_PATCH_FIXED, DQNN_PATCH_NEXT_1)
DQNN_PATCH_FUNCTION(dqnn_patches_relu_1, 1, DQNN_PATCH_RELU, DQNN_PATCH_NEXT_1)
DQNN_PATCH_FUNCTION(dqnn_patches_affine_2, 2, DQNN_PATCH_AFFINE, "")
DQNN_PATCH_FUNCTION(dqnn_patches_fixed_2, 2, DQNN_PATCH_FIXED, "")
DQNN_PATCH_FUNCTION(dqnn_patches_relu_2, 2, DQNN_PATCH_RELU, "")

/* clang-format on */

#endif
