/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Sums of 3x3 depthwise windows over pairs of neighbouring lines: a word holds the same channel of a cell (low half)
 * and of the cell below it (high half), words stand side by side along the lines. `near` holds lines 2k and 2k + 1,
 * `far` the two that follow.
 *
 * Weights of tap column k: word 2k is (row 0, row 1), word 2k + 1 is (row 1, row 2). Four sums belong together and
 * stand in reverse order of their outputs, so that whoever stores them in order ends with the first. */
#ifndef DQNN_ISA_DEPTHWISE_LINES_H
#define DQNN_ISA_DEPTHWISE_LINES_H

#include <stdint.h>

#include "affine.h"
#include "isa_pairs.h"
#include "plans.h"

/* clang-format off */

/* sum + products of both halves; sum + low half of x times high half of w. */
#if DQNN_ARM_DSP
static inline __attribute__((always_inline)) int32_t dqnn_add_both(int32_t sum, uint32_t x, uint32_t w) {
  __asm__("smlad %0,%1,%2,%0" : "+r"(sum) : "r"(x), "r"(w));
  return sum;
}
static inline __attribute__((always_inline)) int32_t dqnn_add_low_high(int32_t sum, uint32_t x, uint32_t w) {
  __asm__("smlabt %0,%1,%2,%0" : "+r"(sum) : "r"(x), "r"(w));
  return sum;
}
#else
static inline int32_t dqnn_add_both(int32_t sum, uint32_t x, uint32_t w) {
  return sum + dqnn_half(x, 0) * dqnn_half(w, 0) + dqnn_half(x, 1) * dqnn_half(w, 1);
}
static inline int32_t dqnn_add_low_high(int32_t sum, uint32_t x, uint32_t w) {
  return sum + dqnn_half(x, 0) * dqnn_half(w, 1);
}
#endif

enum { DQNN_LANES = 4 };

/* Assembly reads the fields by their places, here and below. */
typedef struct {
  const uint32_t *near, *far; /* [lane][words] */
  const uint32_t *weights;    /* [lane][6] */
  int32_t *sums;              /* [blocks][4 outputs][4 lanes] */
  uint32_t words, blocks;     /* words: of a lane; blocks: at least 1 */
} dqnn_lines_plan;

/* dqnn_depthwise_lines: stride 1, two neighbours of two lines each for four sums; words = 2 * blocks + 2.
 * dqnn_depthwise_strided: stride 2, four neighbours of one line; words = 8 * blocks + 1. */
#if DQNN_ARM_DSP_FPU

DQNN_WORD_IS(0, dqnn_lines_plan, near);
DQNN_WORD_IS(1, dqnn_lines_plan, far);
DQNN_WORD_IS(2, dqnn_lines_plan, weights);
DQNN_WORD_IS(3, dqnn_lines_plan, sums);
DQNN_WORD_IS(4, dqnn_lines_plan, words);
DQNN_WORD_IS(5, dqnn_lines_plan, blocks);
_Static_assert(DQNN_LANES == 4, "sums of 16 bytes, four of them a group");

/* Registers: r0 near, r1 far, r2 and r3 their words, r4 to r7 sums, r8 to r12 and lr weights; s0 sums, s1 end, s2 weights,
 * s3 bytes that a walk goes, s4 end of the first sums. Two groups of four sums at a time, an odd one enters in the
 * middle: 46.5 cycles for 36 products on a Cortex-M4, with stride 2 65. */
#define DQNN_LINE_WORDS(at) "ldr.w r2,[r0,#" at "]\n ldr.w r3,[r1,#" at "]\n"
#define DQNN_FIRST_UPPER(sum, w, v) "smuad " sum ",r2," w "\n smlabt " sum ",r3," v "," sum "\n"
#define DQNN_MORE_UPPER(sum, w, v) "smlad " sum ",r2," w "," sum "\n smlabt " sum ",r3," v "," sum "\n"
#define DQNN_FIRST_TAPS(upper, lower, w, v) \
  DQNN_FIRST_UPPER(upper, w, v) "smultb " lower ",r2," w "\n smlad " lower ",r3," v "," lower "\n"
#define DQNN_MORE_TAPS(upper, lower, w, v) \
  DQNN_MORE_UPPER(upper, w, v) "smlatb " lower ",r2," w "," lower "\n smlad " lower ",r3," v "," lower "\n"
#define DQNN_LINE_SUMS "vmov r2,s0\n str r4,[r2]\n str r5,[r2,#16]\n str r6,[r2,#32]\n str r7,[r2,#48]\n adds r2,#64\n vmov s0,r2\n"
#define DQNN_LINE_BLOCK(at0, at1, at2, at3) \
  DQNN_LINE_WORDS(at0) DQNN_FIRST_TAPS("r7", "r6", "r8", "r9") DQNN_LINE_WORDS(at1) DQNN_MORE_TAPS("r7", "r6", "r10", "r11") \
  DQNN_FIRST_TAPS("r5", "r4", "r8", "r9") DQNN_LINE_WORDS(at2) DQNN_MORE_TAPS("r7", "r6", "r12", "lr") \
  DQNN_MORE_TAPS("r5", "r4", "r10", "r11") DQNN_LINE_WORDS(at3) DQNN_MORE_TAPS("r5", "r4", "r12", "lr") DQNN_LINE_SUMS
#define DQNN_LINE_STRIDED(sum, at1, at2) \
  DQNN_FIRST_UPPER(sum, "r8", "r9") DQNN_LINE_WORDS(at1) DQNN_MORE_UPPER(sum, "r10", "r11") DQNN_LINE_WORDS(at2) \
  DQNN_MORE_UPPER(sum, "r12", "lr")

/* walk: shift from blocks to the bytes that a walk goes; sums: from there to bytes of sums; next: bytes from the end of a
 * walk to the next lane. */
#define DQNN_LINE_LANES(walk, sums, next, body)                                                                         \
  __asm__(".syntax unified\n push {r4-r11,lr}\n ldm r0,{r0-r5}\n lsls r5,#" walk "\n vmov s2,s3,r2,r5\n vmov s0,r3\n adds r3,#16\n" \
          "vmov s4,r3\n 1: vmov r3,r4,s2,s3\n ldm r3!,{r8-r12,lr}\n add r2,r0,r4\n vmov s1,s2,r2,r3\n" body                  \
          "vmov r3,s1\n cmp r0,r3\n bne 2b\n adds r0,#" next "\n adds r1,#" next "\n vmov r2,r3,s3,s4\n vmov r4,s0\n"            \
          "sub r4,r4,r2,lsl #" sums "\n adds r4,#4\n vmov s0,r4\n cmp r4,r3\n bne 1b\n pop {r4-r11,pc}")

__attribute__((naked, noinline, unused)) static void dqnn_depthwise_lines(__attribute__((unused)) const dqnn_lines_plan *plan) {
  DQNN_LINE_LANES("3", "3", "8",
                  "lsls r4,#28\n bpl 2f\n subs r0,#8\n subs r1,#8\n b.n 3f\n 2:\n" DQNN_LINE_BLOCK("0", "4", "8", "12")
                  "3:\n" DQNN_LINE_BLOCK("8", "12", "16", "20") "adds r0,#16\n adds r1,#16\n");
}

__attribute__((naked, noinline, unused)) static void dqnn_depthwise_strided(__attribute__((unused)) const dqnn_lines_plan *plan) {
  DQNN_LINE_LANES("5", "1", "4",
                  "2:\n" DQNN_LINE_WORDS("0") DQNN_LINE_STRIDED("r7", "4", "8") DQNN_LINE_STRIDED("r6", "12", "16")
                  DQNN_LINE_STRIDED("r5", "20", "24") DQNN_LINE_STRIDED("r4", "28", "32") DQNN_LINE_SUMS "adds r0,#32\n adds r1,#32\n");
}
#else
static inline void dqnn_depthwise_strided(const dqnn_lines_plan *plan) {
  const uint32_t *w = plan->weights;
  for (uint32_t lane = 0; lane < DQNN_LANES; lane++, w += 6) {
    const uint32_t *near = plan->near + lane * plan->words, *far = plan->far + lane * plan->words;
    const uint32_t w0 = w[0], w1 = w[1], w2 = w[2], w3 = w[3], w4 = w[4], w5 = w[5];
    int32_t *sums = plan->sums + lane;
    for (uint32_t blocks = plan->blocks; blocks; blocks--, sums += 16) {
      for (uint32_t i = 4; i; i--, near += 2, far += 2) {
        int32_t sum = dqnn_add_low_high(dqnn_add_both(0, near[0], w0), far[0], w1);
        sum = dqnn_add_low_high(dqnn_add_both(sum, near[1], w2), far[1], w3);
        sums[4 * i - 4] = dqnn_add_low_high(dqnn_add_both(sum, near[2], w4), far[2], w5);
      }
    }
  }
}

static inline void dqnn_depthwise_lines(const dqnn_lines_plan *plan) {
  const uint32_t *w = plan->weights;
  for (uint32_t lane = 0; lane < DQNN_LANES; lane++, w += 6) {
    const uint32_t *near = plan->near + lane * plan->words, *far = plan->far + lane * plan->words;
    for (uint32_t i = 0; i < 2 * plan->blocks; i++, near++, far++) {
      int32_t upper = 0, lower = 0;
      for (uint32_t k = 0; k < 3; k++) {
        uint32_t x = near[k], y = far[k], u = w[2 * k], v = w[2 * k + 1];
        upper = dqnn_add_low_high(dqnn_add_both(upper, x, u), y, v);
        lower = dqnn_add_both(lower + dqnn_half(x, 1) * dqnn_half(u, 0), y, v);
      }
      int32_t *to = plan->sums + 16 * (i >> 1) + (i & 1u ? 0 : 8) + lane;
      to[0] = lower;
      to[4] = upper;
    }
  }
}
#endif

/* `words` words of four channels each: bytes of two cells that stand below each other, widened, plus `add`. low and
 * high go on by their steps (bytes), lanes are `pitch` words apart. words: at least 1. */
typedef struct {
  const uint8_t *low, *high;
  uint32_t low_step, high_step, add;
  uint32_t *to;
  uint32_t pitch, words;
} dqnn_spread_plan;

/* Where groups of four sums go: the last to `out`, the others that many bytes behind it, later groups `step` behind. */
typedef struct {
  const int32_t *sums; /* as above */
  int8_t *out;
  uint32_t offset[3], step;
  int32_t zero_point;
  uint32_t least, most;       /* of every byte; affine only */
  uint32_t blocks;            /* at least 1 */
  const float *scale, *shift; /* of four channels: affine ... */
  const int32_t *bias, *multiplier, *right; /* ... or fixed point, as isa/affine.h takes it */
} dqnn_lines_output;

#if DQNN_ARM_DSP_FPU

DQNN_WORD_IS(0, dqnn_spread_plan, low);
DQNN_WORD_IS(1, dqnn_spread_plan, high);
DQNN_WORD_IS(2, dqnn_spread_plan, low_step);
DQNN_WORD_IS(3, dqnn_spread_plan, high_step);
DQNN_WORD_IS(4, dqnn_spread_plan, add);
DQNN_WORD_IS(5, dqnn_spread_plan, to);
DQNN_WORD_IS(6, dqnn_spread_plan, pitch);
DQNN_WORD_IS(7, dqnn_spread_plan, words);
DQNN_WORD_IS(0, dqnn_lines_output, sums);
DQNN_WORD_IS(1, dqnn_lines_output, out);
DQNN_WORD_IS(2, dqnn_lines_output, offset);
DQNN_WORD_IS(5, dqnn_lines_output, step);
DQNN_WORD_IS(6, dqnn_lines_output, zero_point);
DQNN_WORD_IS(7, dqnn_lines_output, least);
DQNN_WORD_IS(8, dqnn_lines_output, most);
DQNN_WORD_IS(9, dqnn_lines_output, blocks);
DQNN_WORD_IS(10, dqnn_lines_output, scale);
DQNN_WORD_IS(11, dqnn_lines_output, shift);
DQNN_WORD_IS(12, dqnn_lines_output, bias);
DQNN_WORD_IS(13, dqnn_lines_output, multiplier);
DQNN_WORD_IS(14, dqnn_lines_output, right);

#define DQNN_SPREAD_CELL                                                                                                          \
  "ldr.w r9,[r0]\n ldr.w r11,[r1]\n adds r0,r2\n adds r1,r3\n sxtab16 r10,r4,r9,ror #8\n sxtab16 r9,r4,r9\n sxtab16 r12,r4,r11,ror #8\n" \
  "sxtab16 r11,r4,r11\n pkhbt lr,r9,r11,lsl #16\n pkhtb r9,r11,r9,asr #16\n pkhbt r11,r10,r12,lsl #16\n pkhtb r10,r12,r10,asr #16\n"  \
  "str r11,[r5,r6]\n str r9,[r5,r6,lsl #1]\n str r10,[r7],#4\n str lr,[r5],#4\n"

/* Registers: r5 first lane, r7 last lane, r8 end of the first. 19 cycles for eight cells. */
__attribute__((naked, noinline, unused)) static void dqnn_spread_lines(__attribute__((unused)) const dqnn_spread_plan *plan) {
  __asm__(
      ".syntax unified\n push {r4-r11,lr}\n ldm r0,{r0-r7}\n add r8,r5,r7,lsl #2\n lsrs r12,r7,#1\n lsl r6,r6,#2\n add r7,r6,r6,lsl #1\n add r7,r7,r5\n bcs 2f\n"
      "1:\n" DQNN_SPREAD_CELL "2:\n" DQNN_SPREAD_CELL "cmp r5,r8\n bne 1b\n pop {r4-r11,pc}");
}

/* Four channels of an output. */
#define DQNN_LINES_AFFINE                                                                                               \
  "vldmia r0!,{s8-s11}\n vcvt.f32.s32 s8,s8\n vcvt.f32.s32 s9,s9\n vcvt.f32.s32 s10,s10\n vcvt.f32.s32 s11,s11\n"         \
  "vmul.f32 s8,s8,s0\n vmul.f32 s9,s9,s1\n vmul.f32 s10,s10,s2\n vmul.f32 s11,s11,s3\n"                                 \
  "vadd.f32 s8,s8,s4\n vadd.f32 s9,s9,s5\n vadd.f32 s10,s10,s6\n vadd.f32 s11,s11,s7\n"                                 \
  "vcvtr.s32.f32 s8,s8\n vcvtr.s32.f32 s9,s9\n vcvtr.s32.f32 s10,s10\n vcvtr.s32.f32 s11,s11\n"                         \
  "vmov r9,r10,s8,s9\n vmov r11,r12,s10,s11\n qadd r9,r9,r6\n qadd r10,r10,r6\n qadd r11,r11,r6\n qadd r12,r12,r6\n"      \
  "ssat r9,#8,r9\n ssat r10,#8,r10\n ssat r11,#8,r11\n ssat r12,#8,r12\n bfi r9,r10,#8,#8\n bfi r11,r12,#8,#8\n"          \
  "pkhbt r9,r9,r11,lsl #16\n ssub8 r10,r9,r7\n sel r9,r9,r7\n ssub8 r10,r9,r8\n sel r9,r8,r9\n"

/* Registers: r6 zero point, r7, r8 least and most, lr end of the sums; s0 to s3 scale, s4 to s7 shift. 42 cycles for
 * four values. */
__attribute__((naked, noinline, unused)) static void dqnn_lines_affine(__attribute__((unused)) const dqnn_lines_output *plan) {
  __asm__(
      ".syntax unified\n push {r4-r11,lr}\n add r12,r0,#36\n ldm r12,{r4,r5,r6}\n vldmia r5,{s0-s3}\n vldmia r6,{s4-s7}\n"
      "ldr r5,[r0]\n add lr,r5,r4,lsl #6\n ldm r0,{r0-r8}\n"
      "1:\n" DQNN_LINES_AFFINE "str r9,[r1,r2]\n" DQNN_LINES_AFFINE "str r9,[r1,r3]\n" DQNN_LINES_AFFINE "str r9,[r1,r4]\n" DQNN_LINES_AFFINE
      "str r9,[r1]\n adds r1,r5\n cmp r0,lr\n bne.w 1b\n pop {r4-r11,pc}");
}

/* Registers: r0 sums, r1 factor, r2 out, r3 to r5 offsets, r6 step, r7 bias, r8 multiplier, r12 zero point; s0 end, s1 plan, s2
 * four times the channel. 36 cycles for four values of a channel. */
__attribute__((naked, noinline, unused)) static void dqnn_lines_fixed(__attribute__((unused)) const dqnn_lines_output *plan) {
  __asm__(
      ".syntax unified\n push {r4-r11,lr}\n vmov s1,r0\n movs r7,#0\n"
      "1: vmov s2,r7\n ldr r9,[r0,#48]\n ldr r10,[r0,#52]\n ldr r11,[r0,#56]\n ldr lr,[r0,#36]\n"
      "ldr r8,[r10,r7]\n ldr r1,[r11,r7]\n ldr r11,[r9,r7]\n ldr r9,[r0],#4\n ldm r0,{r2-r6,r12}\n"
      "add r0,r9,r7\n add r2,r2,r7,lsr #2\n mov r7,r11\n add lr,r0,lr,lsl #6\n vmov s0,lr\n"
      "adds r1,#32\n mov r9,#-1\n lsl r1,r9,r1\n lsl r8,#1\n"
      "2: ldr.w r9,[r0]\n ldr.w r10,[r0,#16]\n ldr.w r11,[r0,#32]\n ldr.w lr,[r0,#48]\n adds r0,#64\n"
      "add r9,r7\n add r10,r7\n add r11,r7\n add lr,r7\n"
      "smmlar r9,r9,r8,r9\n smmlar r10,r10,r8,r10\n smmlar r11,r11,r8,r11\n smmlar lr,lr,r8,lr\n"
      "add r9,r9,r9,asr #31\n add r10,r10,r10,asr #31\n add r11,r11,r11,asr #31\n add lr,lr,lr,asr #31\n"
      "smmlsr r9,r9,r1,r12\n smmlsr r10,r10,r1,r12\n smmlsr r11,r11,r1,r12\n smmlsr lr,lr,r1,r12\n"
      "ssat r9,#8,r9\n ssat r10,#8,r10\n ssat r11,#8,r11\n ssat lr,#8,lr\n"
      "strb r9,[r2,r3]\n strb r10,[r2,r4]\n strb r11,[r2,r5]\n strb lr,[r2]\n add r2,r6\n"
      "vmov r9,s0\n cmp r0,r9\n bne 2b\n vmov r0,r7,s1,s2\n adds r7,#4\n cmp r7,#16\n bne 1b\n pop {r4-r11,pc}");
}

#else

static inline void dqnn_lines_fixed(const dqnn_lines_output *plan) {
  for (uint32_t lane = 0; lane < DQNN_LANES; lane++) {
    int8_t *out = plan->out + lane;
    const int32_t *sums = plan->sums + lane;
    for (uint32_t i = plan->blocks; i; i--, sums += 16, out += plan->step) {
      int32_t x[4] = {sums[0], sums[4], sums[8], sums[12]};
      dqnn_fixed_4(x, plan->bias[lane], plan->multiplier[lane], plan->right[lane], plan->zero_point);
      out[plan->offset[0]] = (int8_t)x[0];
      out[plan->offset[1]] = (int8_t)x[1];
      out[plan->offset[2]] = (int8_t)x[2];
      out[0] = (int8_t)x[3];
    }
  }
}

static inline void dqnn_spread_lines(const dqnn_spread_plan *plan) {
  const uint8_t *low = plan->low, *high = plan->high;
  uint32_t *to = plan->to, pitch = plan->pitch;
  int32_t add = dqnn_half(plan->add, 0);
  for (uint32_t i = 0; i < plan->words; i++, low += plan->low_step, high += plan->high_step, to++) {
    for (uint32_t lane = 0; lane < 4; lane++) {
      to[lane * pitch] = dqnn_pair((int8_t)low[lane] + add, (int8_t)high[lane] + add);
    }
  }
}

static inline void dqnn_lines_affine(const dqnn_lines_output *plan) {
  const int32_t *sums = plan->sums, least = dqnn_byte(plan->least, 0), most = dqnn_byte(plan->most, 0);
  int8_t *out = plan->out;
  for (uint32_t i = 0; i < 4 * plan->blocks; i++, sums += 4) {
    const uint32_t which = i & 3u;
    int8_t *to = which < 3 ? out + plan->offset[which] : out;
    for (uint32_t lane = 0; lane < DQNN_LANES; lane++) {
      to[lane] = (int8_t)dqnn_clamp_int(dqnn_affine_1(sums[lane], plan->scale[lane], plan->shift[lane], plan->zero_point), least, most);
    }
    out += which < 3 ? 0 : plan->step;
  }
}

#endif

#endif
