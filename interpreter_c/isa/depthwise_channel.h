/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* One channel of an 8-bit depthwise layer: sums of 3x3 windows, or of any up to 5x5, straight from the map, and s8
 * outputs from sums.
 *
 * Cells are taken as they are stored. A window that misses lines of the map has zeros for their weights and lies
 * inside; what cells outside, and the zero point, add is a number per channel and set of lines. */
#ifndef DQNN_ISA_DEPTHWISE_CHANNEL_H
#define DQNN_ISA_DEPTHWISE_CHANNEL_H

#include <stdint.h>

#include "affine.h"
#include "isa_pairs.h"
#include "plans.h"

/* Assembly reads the fields by their places, here and below. Distances are in bytes; lines are rows of the map, or its
 * columns. */
enum { DQNN_CHANNEL_TAPS = 3, DQNN_CHANNEL_COLUMN = 5 /* halfwords: a column of weights between two zeros */ };
typedef struct {
  const int8_t *in;    /* the first cell of the first window that lies in the map */
  uint32_t down, next; /* from a line to the one below, from a cell to the next of its line */
  int32_t *sums;       /* one behind the other */
  const int16_t *weights;
  int32_t start,
      pad;        /* sums of windows of nothing but cells outside, which are `pad`, begin with start + pad * weights */
  uint32_t left;  /* 1: the first window of a line begins a cell before the map ... */
  uint32_t whole; /* ... and so many end inside it ... */
  uint32_t over;  /* ... and 1 a cell behind it */
  uint32_t lines; /* of outputs, at least 1 */
  uint32_t step;  /* from a line of outputs to the next, in the map */
} dqnn_channel_plan;

/* The same of 5x5 windows with stride 1 along the line; smaller ones stand in the last columns, among zeros. Lines go
 * from the last to the first, as each writes `warm` numbers of no meaning before its sums: outputs that end before
 * the first. Changed by the run. */
enum { DQNN_FIVE = 5, DQNN_FIVE_COLUMN = 9 /* halfwords: a column of weights and four zeros */ };
typedef struct {
  const int8_t *in;    /* the first cell of the last line */
  uint32_t down, next; /* as above; four times the first stays in the map */
  int32_t *sums;       /* of the last line, less `warm` */
  uint32_t down_3;     /* three times down */
  int32_t before[4];   /* what the first four outputs begin with, which have 4 to 1 columns outside */
  uint32_t weights[13]; /* columns 4 to 0: lines 0 and 1, 2 and 3; then line 4 of columns 4 and 3, 2 and 1, 0 */
  int32_t start;       /* of any other output */
  int32_t behind[4];   /* what outputs get that have 1 to 4 columns outside at the end */
  uint32_t columns;    /* of a line, at least 1; each but the first `warm` ends an output */
  uint32_t over;       /* outputs that end behind the map, at most 4 */
  uint32_t lines;      /* at least 1 */
  int32_t step, sums_step; /* to the line before, both in bytes */
} dqnn_five_plan;

/* Outputs of one channel, `step` bytes apart. */
#if DQNN_ARM_DSP_FPU
enum { DQNN_CHANNEL_LEAST = 4 };
#else
enum { DQNN_CHANNEL_LEAST = 1 };
#endif
typedef struct {
  const int32_t *sums;
  int8_t *out;
  uint32_t step, count; /* at least DQNN_CHANNEL_LEAST */
  int32_t zero_point;
  float scale, offset;       /* affine ... */
  int32_t multiplier, shift; /* ... or fixed point of sums with their bias, as isa/affine.h takes it */
  DQNN_BOUNDS
} dqnn_channel_output;

/* clang-format off */

#if DQNN_ARM_DSP_FPU

DQNN_WORD_IS(0, dqnn_channel_plan, in);
DQNN_WORD_IS(1, dqnn_channel_plan, down);
DQNN_WORD_IS(2, dqnn_channel_plan, next);
DQNN_WORD_IS(3, dqnn_channel_plan, sums);
DQNN_WORD_IS(4, dqnn_channel_plan, weights);
DQNN_WORD_IS(5, dqnn_channel_plan, start);
DQNN_WORD_IS(6, dqnn_channel_plan, pad);
DQNN_WORD_IS(7, dqnn_channel_plan, left);
DQNN_WORD_IS(8, dqnn_channel_plan, whole);
DQNN_WORD_IS(9, dqnn_channel_plan, over);
DQNN_WORD_IS(10, dqnn_channel_plan, lines);
DQNN_WORD_IS(11, dqnn_channel_plan, step);
DQNN_WORD_IS(0, dqnn_channel_output, sums);
DQNN_WORD_IS(1, dqnn_channel_output, out);
DQNN_WORD_IS(2, dqnn_channel_output, step);
DQNN_WORD_IS(3, dqnn_channel_output, count);
DQNN_WORD_IS(4, dqnn_channel_output, zero_point);
DQNN_WORD_IS(5, dqnn_channel_output, scale);
DQNN_WORD_IS(6, dqnn_channel_output, offset);
DQNN_WORD_IS(7, dqnn_channel_output, multiplier);
DQNN_WORD_IS(8, dqnn_channel_output, shift);
_Static_assert(DQNN_CHANNEL_COLUMN == 5, "columns of weights are 10 bytes apart");

/* Registers: r0 in, r1 down, r2 next, r3 sums; r4 to r6 weights of lines 0 and 1, columns 0 to 2; r7 those of line 2,
 * columns 0 and 1, r8 column 2; r9, r10 sums; r11, r12, lr cells. s0 start of a sum, s1 of the first one of a line;
 * s2 left, s3 over, s4 what cells there add, s5 whole, s6 bytes of those, s7 lines, s8 line, s9 step, s10 end,
 * s11 stride - 1. */
#define DQNN_CHANNEL_CELLS \
  "ldrsb.w r11,[r0]\n ldrsb.w r12,[r0,r1]\n ldrsb.w lr,[r0,r1,lsl #1]\n add r0,r2\n pkhbt r11,r11,r12,lsl #16\n"
#define DQNN_CHANNEL_BEGIN(sum) "vmov " sum ",s0\n smlad " sum ",r11,r4," sum "\n smlabb " sum ",lr,r7," sum "\n"
#define DQNN_CHANNEL_MIDDLE(sum) "smlad " sum ",r11,r5," sum "\n smlabt " sum ",lr,r7," sum "\n"
#define DQNN_CHANNEL_END(sum) "smlad " sum ",r11,r6," sum "\n smlabb " sum ",lr,r8," sum "\n str " sum ",[r3],#4\n"
#define DQNN_CHANNEL_LOAD                                                                                               \
  ".syntax unified\n push {r4-r11,lr}\n vmov s11,r1\n ldr r11,[r0,#16]\n ldr.w r4,[r11]\n ldr.w r5,[r11,#10]\n ldr.w r6,[r11,#20]\n"    \
  "ldrh.w r7,[r11,#4]\n ldrh.w r12,[r11,#14]\n ldrh.w r8,[r11,#24]\n pkhbt r7,r7,r12,lsl #16\n mov.w r12,#0x10001\n"      \
  "smuad r9,r4,r12\n smlabb r9,r7,r12,r9\n smuad r10,r6,r12\n smlabb r10,r8,r12,r10\n smlad r11,r5,r12,r9\n"              \
  "smlabt r11,r12,r7,r11\n add r11,r10\n ldrd r1,r2,[r0,#20]\n mls r1,r2,r11,r1\n mla r9,r2,r9,r1\n mul r10,r2,r10\n"     \
  "vmov s0,s1,r1,r9\n vmov s4,r10\n ldrd r1,r2,[r0,#28]\n ldr r3,[r0,#8]\n muls r3,r2\n vmov s2,r1\n vmov r1,s11\n lsls r3,r1\n" \
  "vmov s5,s6,r2,r3\n ldrd r1,r2,[r0,#36]\n vmov s3,r1\n vmov s7,r2\n ldr r1,[r0,#44]\n vmov s9,r1\n ldm r0,{r0-r3}\n"
/* The first column of a line; then it goes on at 2. */
#define DQNN_CHANNEL_LINE                                                                                               \
  "1: vmov s8,r0\n vmov r9,r11,s1,s2\n cmp r11,#0\n bne 2f\n" DQNN_CHANNEL_CELLS DQNN_CHANNEL_BEGIN("r9") "2:\n"
#define DQNN_CHANNEL_WHOLE \
  "vmov r11,r12,s5,s6\n add r12,r0\n vmov s10,r12\n lsls r12,r11,#31\n"
#define DQNN_CHANNEL_WALKED "vmov r11,s10\n cmp r0,r11\n bne.w 3b\n 8: vmov r11,r12,s3,s4\n cmp r11,#0\n beq 9f\n"
#define DQNN_CHANNEL_OVER(sum)                                                                                                \
  "add " sum ",r12\n str " sum ",[r3],#4\n 9: vmov r0,r11,s8,s9\n add r0,r11\n vmov r11,s7\n subs.w r11,r11,#1\n vmov s7,r11\n bne.w 1b\n pop {r4-r11,pc}"

/* Stride 1, 14 cycles for 9 products: a column of cells ends a sum, goes on with the next and begins the one after. Columns are
 * written out four times; lines enter where the last of them comes out at the end, which leaves the next sum in r10. */
#define DQNN_CHANNEL_COLUMN_1(a, b) \
  DQNN_CHANNEL_CELLS DQNN_CHANNEL_END(a) DQNN_CHANNEL_MIDDLE(b) DQNN_CHANNEL_BEGIN(a)
/* Stride 2, 21 cycles for 9 products: every second column ends a sum and begins the next. */
#define DQNN_CHANNEL_COLUMN_2 \
  DQNN_CHANNEL_CELLS DQNN_CHANNEL_MIDDLE("r9") DQNN_CHANNEL_CELLS DQNN_CHANNEL_END("r9") DQNN_CHANNEL_BEGIN("r9")
__attribute__((naked, noinline, unused)) static void dqnn_channel_threes(__attribute__((unused)) const dqnn_channel_plan *plan,
                                                                         __attribute__((unused)) uint32_t stride_less_1) {
  __asm__(DQNN_CHANNEL_LOAD "vmov r11,s11\n cmp r11,#0\n bne.w 20f\n"
          DQNN_CHANNEL_LINE DQNN_CHANNEL_CELLS DQNN_CHANNEL_BEGIN("r10") DQNN_CHANNEL_MIDDLE("r9") DQNN_CHANNEL_WHOLE
          "bpl 7f\n bcs.w 4f\n b.w 6f\n 7: mov r12,r9\n mov r9,r10\n mov r10,r12\n bcs.w 5f\n cmp r11,#0\n beq.w 8f\n"
          "3:\n" DQNN_CHANNEL_COLUMN_1("r10", "r9") "4:\n" DQNN_CHANNEL_COLUMN_1("r9", "r10") "5:\n" DQNN_CHANNEL_COLUMN_1("r10", "r9")
          "6:\n" DQNN_CHANNEL_COLUMN_1("r9", "r10") DQNN_CHANNEL_WALKED DQNN_CHANNEL_OVER("r10")
          "\n 20:\n" DQNN_CHANNEL_LINE DQNN_CHANNEL_WHOLE "bmi 4f\n cmp r11,#0\n beq 8f\n"
          "3:\n" DQNN_CHANNEL_COLUMN_2 "4:\n" DQNN_CHANNEL_COLUMN_2 DQNN_CHANNEL_WALKED
          "mov r10,r12\n" DQNN_CHANNEL_CELLS DQNN_CHANNEL_MIDDLE("r9") "mov r12,r10\n" DQNN_CHANNEL_OVER("r9"));
}

DQNN_WORD_IS(0, dqnn_five_plan, in);
DQNN_WORD_IS(1, dqnn_five_plan, down);
DQNN_WORD_IS(2, dqnn_five_plan, next);
DQNN_WORD_IS(3, dqnn_five_plan, sums);
DQNN_WORD_IS(4, dqnn_five_plan, down_3);
DQNN_WORD_IS(5, dqnn_five_plan, before);
DQNN_WORD_IS(9, dqnn_five_plan, weights);
DQNN_WORD_IS(22, dqnn_five_plan, start);
DQNN_WORD_IS(23, dqnn_five_plan, behind);
DQNN_WORD_IS(27, dqnn_five_plan, columns);
DQNN_WORD_IS(28, dqnn_five_plan, over);
DQNN_WORD_IS(29, dqnn_five_plan, lines);
DQNN_WORD_IS(30, dqnn_five_plan, step);
DQNN_WORD_IS(31, dqnn_five_plan, sums_step);

/* Registers: r0 in, r1 down, r2 next, r3 sums, r4 three lines down, r5 to r8 sums, others cells and weights; s0 to s12 weights,
 * s13 start, s14 end; the plan on the stack. 40 cycles for 25 products: a sum moves on for nothing, as SMLAD reads the one of the
 * next output and writes this one's. */
#define DQNN_CHANNEL_COLUMN_5                                                                                                "ldrsb.w r9,[r0]\n ldrsb.w r10,[r0,r1]\n ldrsb.w r11,[r0,r1,lsl #1]\n ldrsb.w r12,[r0,r4]\n ldrsb.w lr,[r0,r1,lsl #2]\n" \
  "add r0,r2\n pkhbt r9,r9,r10,lsl #16\n pkhbt r11,r11,r12,lsl #16\n vmov r10,r12,s0,s1\n smlad r5,r9,r10,r5\n vmov r10,s10\n"  \
  "smlad r5,r11,r12,r5\n smlabb r5,lr,r10,r5\n str r5,[r3],#4\n smlabt r5,lr,r10,r6\n vmov r10,r12,s2,s3\n smlad r5,r9,r10,r5\n" \
  "smlad r5,r11,r12,r5\n vmov r10,r12,s4,s5\n smlad r6,r9,r10,r7\n vmov r10,s11\n smlad r6,r11,r12,r6\n smlabb r6,lr,r10,r6\n"  \
  "smlabt r7,lr,r10,r8\n vmov r10,r12,s6,s7\n vmov r8,s13\n smlad r7,r9,r10,r7\n smlad r7,r11,r12,r7\n vmov r10,r12,s8,s9\n"    \
  "smlad r8,r9,r10,r8\n vmov r10,s12\n smlad r8,r11,r12,r8\n smlabb r8,lr,r10,r8\n"
#if DQNN_SMALL
#define DQNN_CHANNEL_COLUMNS_5 "2:\n" DQNN_CHANNEL_COLUMN_5
#else
#define DQNN_CHANNEL_COLUMNS_5 "lsls r9,r9,#31\n bmi.w 3f\n 2:\n" DQNN_CHANNEL_COLUMN_5 "3:\n" DQNN_CHANNEL_COLUMN_5
#endif
__attribute__((naked, noinline, unused)) static void dqnn_channel_fives(__attribute__((unused)) dqnn_five_plan *plan) {
  __asm__(
      ".syntax unified\n push {r0,r4-r11,lr}\n adds r0,#36\n vldmia r0,{s0-s13}\n"
      "1: ldr r12,[sp]\n ldm r12,{r0-r8}\n ldr r9,[r12,#108]\n mla r10,r9,r2,r0\n vmov s14,r10\n"
      DQNN_CHANNEL_COLUMNS_5 "vmov r9,s14\n cmp r0,r9\n bne.w 2b\n"
      "ldr r12,[sp]\n ldr r9,[r12,#112]\n cmp r9,#0\n beq 5f\n add r10,r12,#92\n"
      "4: ldr r11,[r10],#4\n add r5,r11\n str r5,[r3],#4\n mov r5,r6\n mov r6,r7\n mov r7,r8\n subs.w r9,r9,#1\n bne 4b\n"
      "5: ldr r0,[r12]\n ldr r3,[r12,#12]\n ldrd r10,r11,[r12,#120]\n ldr r9,[r12,#116]\n add r0,r10\n add r3,r11\n str r0,[r12]\n"
      "str r3,[r12,#12]\n subs.w r9,r9,#1\n str r9,[r12,#116]\n bne.w 1b\n pop {r0,r4-r11,pc}");
}

/* Registers: r0 sums, r1 out, r2 step, r3 zero point, r4 the last four sums, r5 four steps, r6 to r9 values, r12 free; s0 scale,
 * s1 offset. A rest of fewer than four goes with those before it once more. 43 cycles for four values. */
#define DQNN_CHANNEL_RULE(more, values)                                                                                  \
  ".syntax unified\n push {r4-r10,lr}\n" more "ldm r0,{r0-r4}\n add r5,r0,r3,lsl #2\n mov r3,r4\n subs.w r4,r5,#16\n lsls r5,r2,#2\n" \
  "1:\n" values "ssat r6,#8,r6\n ssat r7,#8,r7\n ssat r8,#8,r8\n ssat r9,#8,r9\n add r12,r1,r2,lsl #1\n strb r6,[r1]\n"     \
  "strb r7,[r1,r2]\n strb r8,[r12]\n strb r9,[r12,r2]\n add r1,r5\n cmp r0,r4\n bls 1b\n"                                 \
  "subs r0,r0,r4\n cmp r0,#16\n beq 2f\n lsrs r0,#2\n mls r1,r0,r2,r1\n mov r0,r4\n b 1b\n 2: pop {r4-r10,pc}"
__attribute__((naked, noinline, unused)) static void dqnn_channel_affine(__attribute__((unused)) const dqnn_channel_output *plan) {
  __asm__(DQNN_CHANNEL_RULE(
      "vldr s0,[r0,#20]\n vldr s1,[r0,#24]\n",
      "vldmia r0!,{s4-s7}\n vcvt.f32.s32 s4,s4\n vcvt.f32.s32 s5,s5\n vcvt.f32.s32 s6,s6\n vcvt.f32.s32 s7,s7\n"
      "vmul.f32 s4,s4,s0\n vmul.f32 s5,s5,s0\n vmul.f32 s6,s6,s0\n vmul.f32 s7,s7,s0\n"
      "vadd.f32 s4,s4,s1\n vadd.f32 s5,s5,s1\n vadd.f32 s6,s6,s1\n vadd.f32 s7,s7,s1\n"
      "vcvtr.s32.f32 s4,s4\n vcvtr.s32.f32 s5,s5\n vcvtr.s32.f32 s6,s6\n vcvtr.s32.f32 s7,s7\n"
      "vmov r6,r7,s4,s5\n vmov r8,r9,s6,s7\n qadd r6,r6,r3\n qadd r7,r7,r3\n qadd r8,r8,r3\n qadd r9,r9,r3\n"));
}

/* r10 twice the multiplier, lr minus the power of two. 31 cycles for four values. */
__attribute__((naked, noinline, unused)) static void dqnn_channel_fixed(__attribute__((unused)) const dqnn_channel_output *plan) {
  __asm__(DQNN_CHANNEL_RULE(
      "ldrd r10,r12,[r0,#28]\n lsl r10,#1\n add r12,#32\n mov lr,#-1\n lsl lr,r12\n",
      "ldm r0!,{r6-r9}\n smmlar r6,r6,r10,r6\n smmlar r7,r7,r10,r7\n smmlar r8,r8,r10,r8\n smmlar r9,r9,r10,r9\n"
      "add r6,r6,r6,asr #31\n add r7,r7,r7,asr #31\n add r8,r8,r8,asr #31\n add r9,r9,r9,asr #31\n"
      "smmlsr r6,r6,lr,r3\n smmlsr r7,r7,lr,r3\n smmlsr r8,r8,lr,r3\n smmlsr r9,r9,lr,r3\n"));
}

#else

/* A column of cells times one of weights. */
static inline int32_t dqnn_channel_five(const dqnn_five_plan *p, const int8_t *x, uint32_t column) {
#if DQNN_SCALARS || DQNN_SHORT_PRODUCTS
  const dqnn_a_half *w = (const dqnn_a_half *)(p->weights + 2 * column), *last = (const dqnn_a_half *)(p->weights + 10);
  const uint32_t down = p->down;
  return dqnn_product(x[0], w[0]) + dqnn_product(x[down], w[1]) + dqnn_product(x[2 * down], w[2]) +
         dqnn_product(x[p->down_3], w[3]) + dqnn_product(x[4 * down], last[column]);
#else
  const uint32_t *pairs = p->weights + 2 * column, last = p->weights[10 + column / 2] >> 16 * (column & 1u);
  const uint32_t words[3] = {pairs[0], pairs[1], last & 0xffffu};
  int32_t sum = 0;
  for (uint32_t i = 0; i < DQNN_FIVE; i++, x += p->down) {
    sum += *x * (int32_t)(int16_t)(words[i >> 1] >> 16 * (i & 1u));
  }
  return sum;
#endif
}

static inline void dqnn_channel_fives(dqnn_five_plan *p) {
  for (uint32_t lines = p->lines; lines; lines--, p->in += p->step, p->sums += p->sums_step / 4) {
    const int8_t *x = p->in;
    int32_t *sums = p->sums, a[5] = {p->before[0], p->before[1], p->before[2], p->before[3], 0};
    for (uint32_t i = p->columns; i; i--, x += p->next) {
      *sums++ = a[0] + dqnn_channel_five(p, x, 0);
      a[4] = p->start;
      for (uint32_t k = 1; k < DQNN_FIVE; k++) {
        a[k - 1] = a[k] + dqnn_channel_five(p, x, k);
      }
    }
    for (uint32_t i = 0; i < p->over; i++) {
      *sums++ = a[i] + p->behind[i];
    }
  }
}

static inline int32_t dqnn_channel_column(const int8_t *x, uint32_t down, const int16_t *w) {
  return dqnn_product(x[0], w[0]) + dqnn_product(x[down], w[1]) + dqnn_product(x[2 * down], w[2]);
}

#if DQNN_SHORT_PRODUCTS
static void dqnn_channel_windows(const dqnn_channel_plan *p, uint32_t stride_less_1) {
#else
static inline void dqnn_channel_threes(const dqnn_channel_plan *p, uint32_t stride_less_1) {
#endif
  const int16_t *w = p->weights, *v = w + DQNN_CHANNEL_COLUMN, *u = v + DQNN_CHANNEL_COLUMN;
  const int32_t first = w[0] + w[1] + w[2], last = u[0] + u[1] + u[2];
  const int32_t start = p->start - p->pad * (first + v[0] + v[1] + v[2] + last);
  const uint32_t down = p->down, next = p->next, step = next << stride_less_1;
  const int8_t *line = p->in;
  int32_t *sums = p->sums;
  for (uint32_t lines = p->lines; lines; lines--, line += p->step) {
    const int8_t *x = line;
    uint32_t whole = p->whole;
    if (p->left && whole) {
      *sums++ = start + p->pad * first + dqnn_channel_column(x, down, v) + dqnn_channel_column(x + next, down, u);
      x += step - next;
      whole--;
    } 
    for (; whole; whole--, x += step) {
      *sums++ = start + dqnn_channel_column(x, down, w) + dqnn_channel_column(x + next, down, v) +
                dqnn_channel_column(x + 2 * next, down, u);
    }
    if (p->over) {
      int32_t sum = start + p->pad * last;
      if (p->left && !p->whole) {
        sum += p->pad * first;
      } else {
        sum += dqnn_channel_column(x, down, w);
        x += next;
      }
      *sums++ = sum + dqnn_channel_column(x, down, v);
    }
  }
}

#if DQNN_SLOW_PRODUCTS
/* Columns of a line that end a sum, go on with the next and begin the one after. */
typedef struct {
  const int8_t *x;
  uint32_t down;
  const void *weights; /* line by line: columns 2, 1, 0; see DQNN_CHANNEL_CELL */
  uint32_t next;
  int32_t ends, goes_on; /* sums; in and out */
  int32_t *sums, *end;
  int32_t start;
} dqnn_channel_line;

DQNN_WORD_IS(0, dqnn_channel_line, x);
DQNN_WORD_IS(1, dqnn_channel_line, down);
DQNN_WORD_IS(2, dqnn_channel_line, weights);
DQNN_WORD_IS(3, dqnn_channel_line, next);
DQNN_WORD_IS(4, dqnn_channel_line, ends);
DQNN_WORD_IS(5, dqnn_channel_line, goes_on);
DQNN_WORD_IS(6, dqnn_channel_line, sums);
DQNN_WORD_IS(7, dqnn_channel_line, end);
DQNN_WORD_IS(8, dqnn_channel_line, start);

/* Registers: r0 x, r1 down, r2 weights, r3 cell, r4 to r6 products, r7 two lines down; r8 next, r9 to r11 sums, r12 where they
 * go, lr end; on the stack the plan and start. A weight is two places in the table of squares. 110 cycles for nine products. */
#define DQNN_CHANNEL_PRODUCT(sum) "ldm r2!,{r4,r5}\n ldrh r4,[r4,r3]\n ldrh r5,[r5,r3]\n subs r4,r4,r5\n add " sum ",r4\n"
#define DQNN_CHANNEL_CELL "lsls r3,r3,#1\n" DQNN_CHANNEL_PRODUCT("r9") DQNN_CHANNEL_PRODUCT("r10") DQNN_CHANNEL_PRODUCT("r11")
typedef struct {
  const uint16_t *sum, *difference;
} dqnn_channel_weight;
static inline dqnn_channel_weight dqnn_channel_weight_of(int32_t weight) {
  return (dqnn_channel_weight){dqnn_quarters_at(weight), dqnn_quarters_at(-weight)};
}
__attribute__((naked, noinline, unused)) static void dqnn_channel_walk(__attribute__((unused)) dqnn_channel_line *line) {
  __asm__(
      ".syntax unified\n push {r4-r7,lr}\n mov r4,r8\n mov r5,r9\n mov r6,r10\n mov r7,r11\n push {r4-r7}\n"
      "ldr r1,[r0,#32]\n push {r0,r1}\n ldr r1,[r0,#12]\n mov r8,r1\n ldr r1,[r0,#16]\n mov r9,r1\n ldr r1,[r0,#20]\n mov r10,r1\n"
      "ldr r1,[r0,#24]\n mov r12,r1\n ldr r1,[r0,#28]\n mov lr,r1\n ldm r0!,{r3}\n ldm r0!,{r1,r2}\n mov r0,r3\n adds r7,r1,r1\n"
      "1: ldr r4,[sp,#4]\n mov r11,r4\n movs r3,#0\n ldrsb r3,[r0,r3]\n" DQNN_CHANNEL_CELL "ldrsb r3,[r0,r1]\n" DQNN_CHANNEL_CELL
      "ldrsb r3,[r0,r7]\n" DQNN_CHANNEL_CELL "mov r4,r12\n mov r5,r9\n stm r4!,{r5}\n mov r12,r4\n mov r9,r10\n mov r10,r11\n"
      "subs r2,#72\n add r0,r8\n cmp r4,lr\n bne 1b\n"
      "pop {r0,r1}\n mov r4,r9\n str r4,[r0,#16]\n pop {r4-r7}\n mov r8,r4\n mov r9,r5\n mov r10,r6\n mov r11,r7\n pop {r4-r7,pc}");
}

static inline void dqnn_channel_threes(const dqnn_channel_plan *p, uint32_t stride_less_1) {
  if (stride_less_1) {
    dqnn_channel_windows(p, 1);
    return;
  }
  const int16_t *w = p->weights, *v = w + DQNN_CHANNEL_COLUMN, *u = v + DQNN_CHANNEL_COLUMN;
  dqnn_channel_weight weights[9];
  for (uint32_t i = 0; i < 3; i++) {
    weights[3 * i] = dqnn_channel_weight_of(u[i]);
    weights[3 * i + 1] = dqnn_channel_weight_of(v[i]);
    weights[3 * i + 2] = dqnn_channel_weight_of(w[i]);
  }
  const int32_t first = w[0] + w[1] + w[2], last = u[0] + u[1] + u[2];
  const int32_t start = p->start - p->pad * (first + v[0] + v[1] + v[2] + last);
  const int8_t *cell = p->in;
  int32_t *sums = p->sums;
  for (uint32_t lines = p->lines; lines; lines--, cell += p->step) {
    dqnn_channel_line line = {cell, p->down, weights, p->next, start + p->pad * first, 0, sums, sums + p->whole, start};
    if (!p->left) {
      line.ends = start + dqnn_channel_column(cell, p->down, w);
      line.x += p->next;
    }
    line.ends += dqnn_channel_column(line.x, p->down, v);
    line.goes_on = start + dqnn_channel_column(line.x, p->down, w);
    line.x += p->next;
    if (p->whole) {
      dqnn_channel_walk(&line);
    }
    sums += p->whole;
    if (p->over) {
      *sums++ = line.ends + p->pad * last;
    }
  }
}
#endif

#if DQNN_SHORT_PRODUCTS && !DQNN_SLOW_PRODUCTS
/* Lines of 3x3 windows of which at least one ends inside the map. */
typedef struct {
  const int32_t *weights; /* see DQNN_LINES_CELL and DQNN_LINES_TWO */
  uint32_t next, down, start;
  const int8_t *x;
  int32_t *sums;
  uint32_t lines, step;
  int32_t before;          /* what the first output of a line begins with that has a column before the map ... */
  uint32_t left;           /* ... and is there one */
  uint32_t whole;          /* bytes of sums that end inside */
  uint32_t over;           /* is there one behind the map ... */
  int32_t after;           /* ... and what that column adds */
} dqnn_short_lines;

DQNN_WORD_IS(0, dqnn_short_lines, weights);
DQNN_WORD_IS(1, dqnn_short_lines, next);
DQNN_WORD_IS(2, dqnn_short_lines, down);
DQNN_WORD_IS(3, dqnn_short_lines, start);
DQNN_WORD_IS(4, dqnn_short_lines, x);
DQNN_WORD_IS(5, dqnn_short_lines, sums);
DQNN_WORD_IS(6, dqnn_short_lines, lines);
DQNN_WORD_IS(7, dqnn_short_lines, step);
DQNN_WORD_IS(8, dqnn_short_lines, before);
DQNN_WORD_IS(9, dqnn_short_lines, left);
DQNN_WORD_IS(10, dqnn_short_lines, whole);
DQNN_WORD_IS(11, dqnn_short_lines, over);
DQNN_WORD_IS(12, dqnn_short_lines, after);

/* Registers: r0 x, r1 down, r2 weights, r3 cell, r4 to r6 products, r7 two lines down; r8 next, r9 to r11 sums, r12 where they go,
 * lr start. Stack: where the sums of the line end, then the plan from `start` on. */
#define DQNN_LINES_BEGIN                                                                                                    \
  ".syntax unified\n push {r4-r7,lr}\n mov r4,r8\n mov r5,r9\n mov r6,r10\n mov r7,r11\n push {r4-r7}\n sub sp,#44\n"     \
  "ldm r0!,{r2,r3,r7}\n mov r8,r3\n mov r3,sp\n adds r3,#4\n ldm r0!,{r1,r4,r5,r6}\n stm r3!,{r1,r4,r5,r6}\n mov lr,r1\n"     \
  "mov r12,r5\n movs r1,r7\n adds r7,r7,r7\n ldm r0!,{r4-r6}\n stm r3!,{r4-r6}\n ldm r0!,{r4-r6}\n stm r3!,{r4-r6}\n"
#define DQNN_LINES_LINE                                                                                                     \
  "1: ldr r0,[sp,#8]\n ldr r5,[sp,#32]\n add r5,r12\n str r5,[sp]\n ldr r4,[sp,#24]\n ldr r3,[sp,#28]\n cmp r3,#0\n"
#define DQNN_LINES_COLUMN(first, second, third)                                                                             \
  "movs r3,#0\n ldrsb r3,[r0,r3]\n" first "ldrsb r3,[r0,r1]\n" second "ldrsb r3,[r0,r7]\n" third "add r0,r8\n"
#define DQNN_LINES_PUT(sum) "mov r4,r12\n mov r5," sum "\n stm r4!,{r5}\n mov r12,r4\n"
#define DQNN_LINES_AGAIN "ldr r5,[sp]\n cmp r4,r5\n bne 2b\n"
#define DQNN_LINES_OVER "ldr r5,[sp,#36]\n cmp r5,#0\n beq 8f\n ldr r5,[sp,#40]\n add r9,r5\n"
#define DQNN_LINES_END                                                                                                      \
  "8: ldr r4,[sp,#8]\n ldr r5,[sp,#20]\n adds r4,r4,r5\n str r4,[sp,#8]\n ldr r4,[sp,#16]\n subs r4,#1\n str r4,[sp,#16]\n"  \
  "beq 9f\n b 1b\n 9: add sp,#44\n pop {r4-r7}\n mov r8,r4\n mov r9,r5\n mov r10,r6\n mov r11,r7\n pop {r4-r7,pc}"

/* Stride 1: a column ends a sum, goes on with the next and begins the one after; three columns leave them where they were. Weights:
 * line by line, of columns 2, 1 and 0. 47 cycles for nine products. */
#define DQNN_LINES_CELL(ends, goes_on, begins)                                                                              \
  "ldm r2!,{r4,r5,r6}\n muls r4,r3,r4\n muls r5,r3,r5\n muls r6,r3,r6\n add " ends ",r4\n add " goes_on ",r5\n add " begins ",r6\n"
#define DQNN_LINES_CELLS(ends, goes_on, begins)                                                                             \
  DQNN_LINES_COLUMN(DQNN_LINES_CELL(ends, goes_on, begins), DQNN_LINES_CELL(ends, goes_on, begins),                         \
                    DQNN_LINES_CELL(ends, goes_on, begins)) "subs r2,#36\n"
#define DQNN_LINES_WHOLE(ends, goes_on, begins)                                                                             \
  DQNN_LINES_CELLS(ends, goes_on, begins) DQNN_LINES_PUT(ends) "mov " ends ",lr\n"
#define DQNN_LINES_LATER "ldm r2!,{r4,r5,r6}\n muls r5,r3,r5\n muls r6,r3,r6\n add r10,r5\n add r11,r6\n"
#define DQNN_LINES_MOVE "mov r9,r10\n mov r10,r11\n mov r11,lr\n"
__attribute__((naked, noinline, unused)) static void dqnn_short_lines_1(__attribute__((unused)) const dqnn_short_lines *plan) {
  __asm__(DQNN_LINES_BEGIN DQNN_LINES_LINE "mov r10,r4\n mov r11,lr\n bne 2f\n"
          DQNN_LINES_COLUMN(DQNN_LINES_LATER, DQNN_LINES_LATER, DQNN_LINES_LATER) "subs r2,#36\n mov r10,r11\n mov r11,lr\n"
          "2:" DQNN_LINES_COLUMN(DQNN_LINES_LATER, DQNN_LINES_LATER, DQNN_LINES_LATER) "subs r2,#36\n" DQNN_LINES_MOVE
          "mov r4,r12\n ldr r5,[sp]\n subs r5,r5,r4\n cmp r5,#12\n blo 4f\n"
          "3:" DQNN_LINES_WHOLE("r9", "r10", "r11") DQNN_LINES_WHOLE("r10", "r11", "r9") DQNN_LINES_WHOLE("r11", "r9", "r10")
          "ldr r5,[sp]\n subs r5,r5,r4\n cmp r5,#12\n bhs 3b\n"
          "4: cmp r5,#0\n beq 7f\n" DQNN_LINES_CELLS("r9", "r10", "r11") DQNN_LINES_PUT("r9") DQNN_LINES_MOVE
          "ldr r5,[sp]\n subs r5,r5,r4\n b 4b\n 7:" DQNN_LINES_OVER DQNN_LINES_PUT("r9") DQNN_LINES_END);
}

/* Stride 2: a column goes on with a sum, the next one ends it and begins another. Weights: of column 1, then of columns 2 and 0 line
 * by line. 60 cycles for nine products. */
#define DQNN_LINES_ONE(weight) "muls " weight ",r3," weight "\n"
#define DQNN_LINES_MIDDLE                                                                                                   \
  "ldm r2!,{r4,r5,r6}\n" DQNN_LINES_COLUMN(DQNN_LINES_ONE("r4"), DQNN_LINES_ONE("r5"), DQNN_LINES_ONE("r6"))                \
  "adds r4,r4,r5\n adds r4,r4,r6\n add r9,r4\n"
#define DQNN_LINES_TWO "ldm r2!,{r4,r5}\n muls r4,r3,r4\n muls r5,r3,r5\n add r9,r4\n add r10,r5\n"
#define DQNN_LINES_BOTH DQNN_LINES_COLUMN(DQNN_LINES_TWO, DQNN_LINES_TWO, DQNN_LINES_TWO) "subs r2,#36\n"
__attribute__((naked, noinline, unused)) static void dqnn_short_lines_2(__attribute__((unused)) const dqnn_short_lines *plan) {
  __asm__(DQNN_LINES_BEGIN DQNN_LINES_LINE "mov r9,r4\n bne 2f\n mov r10,lr\n adds r2,#12\n" DQNN_LINES_BOTH "mov r9,r10\n"
          "2: mov r10,lr\n" DQNN_LINES_MIDDLE DQNN_LINES_BOTH DQNN_LINES_PUT("r9") "mov r9,r10\n" DQNN_LINES_AGAIN
          DQNN_LINES_OVER DQNN_LINES_MIDDLE "subs r2,#12\n" DQNN_LINES_PUT("r9") DQNN_LINES_END);
}

static inline void dqnn_channel_threes(const dqnn_channel_plan *p, uint32_t stride_less_1) {
  if (!p->whole) {
    dqnn_channel_windows(p, stride_less_1);
    return;
  }
  const int16_t *w = p->weights, *v = w + DQNN_CHANNEL_COLUMN, *u = v + DQNN_CHANNEL_COLUMN;
  const int32_t first = w[0] + w[1] + w[2], last = u[0] + u[1] + u[2];
  const int32_t start = p->start - p->pad * (first + v[0] + v[1] + v[2] + last);
  const int32_t by_line[9] = {u[0], v[0], w[0], u[1], v[1], w[1], u[2], v[2], w[2]},
                by_column[9] = {v[0], v[1], v[2], u[0], w[0], u[1], w[1], u[2], w[2]};
  const dqnn_short_lines lines = {stride_less_1 ? by_column : by_line,
                                  p->next,
                                  p->down,
                                  (uint32_t)start,
                                  p->in,
                                  p->sums,
                                  p->lines,
                                  p->step,
                                  start + p->pad * first,
                                  p->left,
                                  4 * p->whole,
                                  p->over,
                                  p->pad * last};
  if (stride_less_1) {
    dqnn_short_lines_2(&lines);
  } else {
    dqnn_short_lines_1(&lines);
  }
}
#endif

static inline void dqnn_channel_outputs(const dqnn_channel_output *p, dqnn_outputs *o) {
  dqnn_set_outputs(o, p->step, p->zero_point, p->least, p->most);
  o->sums = p->sums;
  o->end = p->sums + p->count;
  o->out = p->out;
}

static inline void dqnn_channel_affine(const dqnn_channel_output *p) {
  dqnn_outputs o;
  dqnn_channel_outputs(p, &o);
  dqnn_affine_run(&o, p->scale, p->offset);
}
static inline void dqnn_channel_fixed(const dqnn_channel_output *p) {
  dqnn_outputs o;
  dqnn_channel_outputs(p, &o);
  dqnn_fixed_run(&o, p->multiplier, p->shift);
}
#endif

/* clang-format on */

#endif
