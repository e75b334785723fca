/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* The inner part of convolutions with weights of 4 and 2 bits (SPEC.md 3.3): a word of weights holds pairs of taps of four
 * channels as unsigned numbers, a column the pairs of a pixel's inputs in the same order. Sums begin at what makes up
 * for that, so many times the sum of the column.
 *
 * On cores with the DSP extension and a float unit: a mask turns a word into a pair of weights that counts a power of
 * two too much, with its sum. Elsewhere one multiplication makes both products of a pair: of weights u0 + u1 * 2^16 and inputs
 * x1 + x0 * 2^16 the product is u0 * x1 + 2^16 * (u0 * x0 + u1 * x1). The low part stays small for some pairs; then
 * the high parts are added up. */
#ifndef DQNN_ISA_PACKED_H
#define DQNN_ISA_PACKED_H

#include <string.h>

#include "affine.h"
#include "halves.h"
#include "isa.h"
#include "isa_pairs.h"
#include "plans.h"

typedef enum { DQNN_PACKED_AFFINE, DQNN_PACKED_FIXED, DQNN_PACKED_SUMS } dqnn_packed_rule;

/* Pixels of four that are computed together, and whether the columns of four stand interleaved ([pair][pixel]) or one
 * after the other. */
enum { DQNN_PACKED_PIXELS = DQNN_ARM_DSP_FPU ? 2 : 4, DQNN_PACKED_INTERLEAVED = DQNN_ARM_DSP_FPU };

/* These pixels, all channels. Assembly reads the fields by their places. */
typedef struct {
  const uint32_t *weights, *columns; /* columns: from the first of the pixels on */
  union {
    const float *scale;
    const int32_t *bias;
  } first;
  union {
    const float *offset;
    const int32_t *multiplier;
  } second;
  int8_t *out[DQNN_PACKED_PIXELS];
  uint32_t words;    /* of weights of four channels, at least 1 */
  uint32_t channels; /* a multiple of 4, at least 4 */
  int32_t zero_point;
  int32_t begin[DQNN_PACKED_PIXELS]; /* of the sums of each pixel */
  const int32_t *shift;              /* fixed point, as isa/affine.h takes it */
  int32_t *sums;                     /* [channel][pixel] */
  uint32_t rule;                     /* dqnn_packed_rule */
  DQNN_BOUNDS
} dqnn_packed_plan;

#if DQNN_ARM_DSP_FPU

/* Inputs of two taps as a word of a column, and a tap alone: the two of a pair may be added. */
static inline uint32_t dqnn_packed_pair(int32_t first, int32_t second) {
  return dqnn_pair(first, second);
}

/* sum + both inputs of the pair */
static inline __attribute__((always_inline)) int32_t dqnn_packed_add(uint32_t pair, int32_t sum) {
  return dqnn_dsp_smlad(pair, 0x10001, sum);
}

static inline __attribute__((always_inline)) int32_t dqnn_packed_add_four(const uint32_t pairs[4], int32_t sum) {
  return dqnn_packed_add(pairs[3],
                         dqnn_packed_add(pairs[2], dqnn_packed_add(pairs[1], dqnn_packed_add(pairs[0], sum))));
}

/* What the sums of products begin at, and what their sums are too large by: nothing here. */
static inline uint32_t dqnn_packed_start(uint32_t bits, int32_t zero_point) {
  (void)bits;
  (void)zero_point;
  return 0;
}

static inline int32_t dqnn_packed_excess(uint32_t words, uint32_t bits, int32_t zero_point) {
  (void)words;
  (void)bits;
  (void)zero_point;
  return 0;
}

/* Four s8 of x plus the halfword in `add`: taps 0 and 2, taps 1 and 3. */
static inline __attribute__((always_inline)) void dqnn_packed_widen(uint32_t x, uint32_t add, uint32_t pairs[2]) {
  pairs[0] = dqnn_add_even_bytes(add, x);
  pairs[1] = dqnn_add_odd_bytes(add, x);
}

DQNN_WORD_IS(0, dqnn_packed_plan, weights);
DQNN_WORD_IS(1, dqnn_packed_plan, columns);
DQNN_WORD_IS(2, dqnn_packed_plan, first);
DQNN_WORD_IS(3, dqnn_packed_plan, second);
DQNN_WORD_IS(4, dqnn_packed_plan, out);
DQNN_WORD_IS(6, dqnn_packed_plan, words);
DQNN_WORD_IS(7, dqnn_packed_plan, channels);
DQNN_WORD_IS(8, dqnn_packed_plan, zero_point);
DQNN_WORD_IS(9, dqnn_packed_plan, begin);
DQNN_WORD_IS(11, dqnn_packed_plan, shift);
DQNN_WORD_IS(12, dqnn_packed_plan, sums);
DQNN_WORD_IS(13, dqnn_packed_plan, rule);
_Static_assert(DQNN_PACKED_AFFINE == 0 && DQNN_PACKED_FIXED == 1 && DQNN_PACKED_SUMS == 2, "assembly compares with 1");

/* Registers of the quads: r1 weights, r2 column, r4, r5 channel a of both pixels, r6, r7 b and so on; r0, r3, r12, lr
 * free. s12 end and s14 start of the columns' first block, s13 rule, s15 distance back of the weights; s16, s17 scale
 * and offset (bias and multiplier), s18, s19 outputs, s20, s21 begin, s22 zero point, s23 end of the scales, s24 shifts,
 * s25 sums, s26 entry. Words run in blocks, the first of which is entered in the middle. */
#define DQNN_PACKED_TWO(t, p, q) "smlad " p "," t ",r0," p "\n smlad " q "," t ",r3," q "\n "
#define DQNN_PACKED_MASK(mask, p, q) "and.w r12,lr,#" mask "\n " DQNN_PACKED_TWO("r12", p, q)

/* A pair of 4 bits, 60 bytes; c goes to the sums of d too, 16 times less: it is shorter so. */
#define DQNN_PACKED_WORD_4                                                                                           \
  "ldr.w lr,[r1,#o*4]\n ldr.w r0,[r2,#o*16]\n ldr.w r3,[r2,#o*16+4]\n " DQNN_PACKED_MASK("0x000f000f", "r4", "r5")   \
      DQNN_PACKED_MASK("0x00f000f0", "r6", "r7") "uxtb16 lr,lr,ror #8\n " DQNN_PACKED_TWO("lr", "r10", "r11")      \
          DQNN_PACKED_MASK("0x000f000f", "r8", "r9")

/* Two pairs of 2 bits, 120 bytes. */
#define DQNN_PACKED_HALF_2(at)                                                                                       \
  "ldr.w r0,[r2,#o*32+" at "]\n ldr.w r3,[r2,#o*32+" at "+4]\n " DQNN_PACKED_MASK("0x00030003", "r4", "r5")          \
      DQNN_PACKED_MASK("0x000c000c", "r6", "r7") DQNN_PACKED_MASK("0x00300030", "r8", "r9")                          \
          DQNN_PACKED_MASK("0x00c000c0", "r10", "r11")
#define DQNN_PACKED_WORD_2 \
  "ldr.w lr,[r1,#o*4]\n " DQNN_PACKED_HALF_2("0") "lsr.w lr,lr,#8\n " DQNN_PACKED_HALF_2("16")

#define DQNN_PACKED_EACH(op) op(r4, r2) op(r5, r2) op(r6, r3) op(r7, r3) op(r8, r12) op(r9, r12) op(r10, lr) op(r11, lr)
#define DQNN_PACKED_BIAS(x, y) "add " #x "," #x "," #y "\n "
#define DQNN_PACKED_SCALE(x, y) "smmlar " #x "," #x "," #y "," #x "\n "
#define DQNN_PACKED_SIGN(x, y) "add " #x "," #x "," #x ",asr #31\n "
#define DQNN_PACKED_SHIFT(x, y) "smmlsr " #x "," #x "," #y ",r1\n "
#define DQNN_PACKED_SATURATE(x, y) "ssat " #x ",#8," #x "\n "
#define DQNN_PACKED_FIXED_RULE                                                                                       \
  "vmov s28,r1\n vmov r0,s16\n ldm r0!,{r2,r3,r12,lr}\n vmov s16,r0\n " DQNN_PACKED_EACH(DQNN_PACKED_BIAS)           \
  "vmov r0,s17\n ldm r0!,{r2,r3,r12,lr}\n vmov s17,r0\n lsls r2,#1\n lsls r3,#1\n lsl r12,#1\n lsl lr,#1\n "         \
  DQNN_PACKED_EACH(DQNN_PACKED_SCALE) DQNN_PACKED_EACH(DQNN_PACKED_SIGN)                                             \
  "vmov r0,s24\n ldm r0!,{r2,r3,r12,lr}\n vmov s24,r0\n mov r1,#-1\n adds r2,#32\n adds r3,#32\n add r12,#32\n "     \
  "add lr,#32\n lsl r2,r1,r2\n lsl r3,r1,r3\n lsl r12,r1,r12\n lsl lr,r1,lr\n vmov r1,s22\n "                        \
  DQNN_PACKED_EACH(DQNN_PACKED_SHIFT) DQNN_PACKED_EACH(DQNN_PACKED_SATURATE) "vmov r1,s28\n vmov r0,s16\n "

#define DQNN_PACKED_EIGHT(op) op("0") op("1") op("2") op("3") op("4") op("5") op("6") op("7")
#define DQNN_PACKED_FLOAT(n) "vcvt.f32.s32 s" n ",s" n "\n "
#define DQNN_PACKED_INTEGER(n) "vcvtr.s32.f32 s" n ",s" n "\n "
#define DQNN_PACKED_BY(op, first, second, third, fourth)                                                             \
  op " s0,s0," first "\n " op " s1,s1," first "\n " op " s2,s2," second "\n " op " s3,s3," second "\n " op           \
     " s4,s4," third "\n " op " s5,s5," third "\n " op " s6,s6," fourth "\n " op " s7,s7," fourth "\n "
#define DQNN_PACKED_ZERO(x, y) "qadd " #x "," #x ",r1\n "
#define DQNN_PACKED_AFFINE_RULE                                                                                      \
  "vmov r0,r3,s16,s17\n vldmia r0!,{s8-s11}\n vldmia r3!,{s28-s31}\n vmov s16,s17,r0,r3\n "                          \
  "vmov s0,s1,r4,r5\n vmov s2,s3,r6,r7\n vmov s4,s5,r8,r9\n vmov s6,s7,r10,r11\n "                                   \
  DQNN_PACKED_EIGHT(DQNN_PACKED_FLOAT) DQNN_PACKED_BY("vmul.f32", "s8", "s9", "s10", "s11")                          \
  DQNN_PACKED_BY("vadd.f32", "s28", "s29", "s30", "s31") DQNN_PACKED_EIGHT(DQNN_PACKED_INTEGER)                      \
  "vmov r4,r5,s0,s1\n vmov r6,r7,s2,s3\n vmov r8,r9,s4,s5\n vmov r10,r11,s6,s7\n mov r12,r1\n vmov r1,s22\n "        \
  DQNN_PACKED_EACH(DQNN_PACKED_ZERO) DQNN_PACKED_EACH(DQNN_PACKED_SATURATE) "mov r1,r12\n "

/* block: words in it; bytes: of code for a word; column: bytes of a column's for it; begin, end: how the sums begin as
 * powers of two of r4, r5, and are made whole. */
#define DQNN_PACKED_QUAD(name, block, bytes, column, word, begin, end)                                               \
  __attribute__((naked, noinline, unused)) static void name(__attribute__((unused)) const dqnn_packed_plan *plan) {  \
    __asm__(                                                                                                         \
        ".syntax unified\n push {r4-r11,lr}\n vpush {s16-s31}\n "                                                    \
        "ldm r0!,{r1-r8}\n ldm r0!,{r9,r10,r11,r12}\n ldm r0,{r0,lr}\n vmov s13,lr\n vmov s24,s25,r12,r0\n "         \
        "vmov s16,s17,r3,r4\n vmov s18,s19,r5,r6\n vmov s20,s21,r10,r11\n vmov s22,r9\n "                            \
        "add r8,r3,r8,lsl #2\n vmov s23,r8\n mov r12,#" column "\n mla r5,r7,r12,r2\n vmov s12,r5\n "                \
        "rsb r6,r7,#0\n and r6,r6,#" block "-1\n mls r5,r6,r12,r2\n vmov s14,r5\n lsl r5,r6,#2\n vmov s15,r5\n "     \
        "adr.w r5,3f\n mov r12,#" bytes "\n mla r5,r6,r12,r5\n orr r5,r5,#1\n vmov s26,r5\n "                        \
        "1: vmov r2,s14\n vmov r0,s15\n sub r1,r1,r0\n vmov r4,r5,s20,s21\n " begin "vmov r12,s26\n bx r12\n "       \
        ".balign 4\n 3: .set o,0\n .rept " block "\n " word ".set o,o+1\n .endr\n "                                  \
        "add r2,r2,#" block "*" column "\n add r1,r1,#4*" block "\n vmov r0,s12\n cmp r2,r0\n bne.w 3b\n " end       \
        "vmov r3,s13\n cmp r3,#1\n bge.w 5f\n " DQNN_PACKED_AFFINE_RULE                                              \
        "4: vmov r2,r3,s18,s19\n bfi r4,r6,#8,#8\n bfi r5,r7,#8,#8\n bfi r4,r8,#16,#8\n bfi r5,r9,#16,#8\n "         \
        "bfi r4,r10,#24,#8\n bfi r5,r11,#24,#8\n str r4,[r2],#4\n str r5,[r3],#4\n vmov s18,s19,r2,r3\n "            \
        "7: vmov r4,s23\n cmp r0,r4\n bne.w 1b\n vpop {s16-s31}\n pop {r4-r11,pc}\n "                                \
        "5: bne.w 6f\n " DQNN_PACKED_FIXED_RULE "b.w 4b\n "                                                          \
        "6: vmov r2,s25\n vmov r0,s16\n stmia r2!,{r4-r11}\n vmov s25,r2\n adds r0,#16\n vmov s16,r0\n b.w 7b\n");   \
  }

DQNN_PACKED_QUAD(dqnn_packed_quad_4, "16", "60", "16", DQNN_PACKED_WORD_4,
                 "lsl r6,r4,#4\n lsl r7,r5,#4\n mov r8,r4\n mov r9,r5\n add r10,r4,r6\n add r11,r5,r7\n ",
                 "sub r10,r10,r8\n sub r11,r11,r9\n asr r6,r6,#4\n asr r7,r7,#4\n asr r10,r10,#4\n asr r11,r11,#4\n ")
DQNN_PACKED_QUAD(dqnn_packed_quad_2, "8", "120", "32", DQNN_PACKED_WORD_2,
                 "lsl r6,r4,#2\n lsl r7,r5,#2\n lsl r8,r4,#4\n lsl r9,r5,#4\n lsl r10,r4,#6\n lsl r11,r5,#6\n ",
                 "asr r6,r6,#2\n asr r7,r7,#2\n asr r8,r8,#4\n asr r9,r9,#4\n asr r10,r10,#6\n asr r11,r11,#6\n ")

/* One pixel and eight channels: r0, r1 weights of four each, r2 column, r4 to r11 sums, r3, r12, lr free; s0 where the sums
 * go, s1 end of the column. Here too some fields stand in sums of others. */
#define DQNN_PACKED_ONE(t, s) "smlad " s "," t ",r12," s "\n "
#define DQNN_PACKED_ONE_MASK(mask, s) "and.w r3,lr,#" mask "\n " DQNN_PACKED_ONE("r3", s)
#define DQNN_PACKED_ONE_4(w, a, b, c, d)                                                                             \
  "ldr.w lr,[" w ",#o*4]\n " DQNN_PACKED_ONE_MASK("0x000f000f", a) DQNN_PACKED_ONE_MASK("0x00f000f0", b)             \
  "uxtb16 lr,lr,ror #8\n " DQNN_PACKED_ONE("lr", d) DQNN_PACKED_ONE_MASK("0x000f000f", c)
#define DQNN_PACKED_DOT_4                                                                                            \
  "ldr.w r12,[r2,#o*4]\n " DQNN_PACKED_ONE_4("r0", "r4", "r5", "r6", "r7")                                           \
      DQNN_PACKED_ONE_4("r1", "r8", "r9", "r10", "r11")
#define DQNN_PACKED_ONE_HALF(turn, t, a, b, c, d)                                                                    \
  "uxtb16 " t ",lr,ror #" turn "\n " DQNN_PACKED_ONE(t, d)
#define DQNN_PACKED_ONE_2(w, a, b, c, d)                                                                             \
  "ldr.w lr,[" w ",#o*4]\n ldr.w r12,[r2,#o*8]\n uxtb16 r3,lr\n " DQNN_PACKED_ONE("r3", d)                         \
      DQNN_PACKED_ONE_MASK("0x00030003", a) DQNN_PACKED_ONE_MASK("0x000c000c", b)                                    \
          DQNN_PACKED_ONE_MASK("0x00300030", c) "ldr.w r12,[r2,#o*8+4]\n uxtb16 lr,lr,ror #8\n "                   \
      DQNN_PACKED_ONE("lr", d) DQNN_PACKED_ONE_MASK("0x00030003", a) DQNN_PACKED_ONE_MASK("0x000c000c", b)           \
          DQNN_PACKED_ONE_MASK("0x00300030", c)
#define DQNN_PACKED_DOT_2                                                                                            \
  DQNN_PACKED_ONE_2("r0", "r4", "r5", "r6", "r7") DQNN_PACKED_ONE_2("r1", "r8", "r9", "r10", "r11")

#define DQNN_PACKED_DOT(name, bytes, column, word)                                                                   \
  __attribute__((naked, noinline, unused)) static void name(                                                         \
      __attribute__((unused)) const uint32_t *w0, __attribute__((unused)) const uint32_t *w1,                        \
      __attribute__((unused)) const uint32_t *x, __attribute__((unused)) uint32_t words,                             \
      __attribute__((unused)) int32_t acc[8]) {                                                                      \
    __asm__(                                                                                                         \
        ".syntax unified\n push {r4-r11,lr}\n ldr r12,[sp,#36]\n vmov s0,r12\n mov lr,#" column "\n "                \
        "mla r4,r3,lr,r2\n vmov s1,r4\n rsb r3,r3,#0\n and r3,r3,#3\n sub r0,r0,r3,lsl #2\n sub r1,r1,r3,lsl #2\n "  \
        "mls r2,r3,lr,r2\n adr.w lr,3f\n mov r4,#" bytes "\n mla lr,r3,r4,lr\n orr lr,lr,#1\n ldm r12,{r4-r11}\n "   \
        "bx lr\n .balign 4\n 3: .set o,0\n .rept 4\n " word ".set o,o+1\n .endr\n "                                  \
        "adds r0,#16\n adds r1,#16\n adds r2,#4*" column "\n vmov r3,s1\n cmp r2,r3\n bne.w 3b\n vmov r12,s0\n "     \
        "stm r12,{r4-r11}\n pop {r4-r11,pc}\n");                                                                     \
  }
DQNN_PACKED_DOT(dqnn_packed_dot_4, "76", "4", DQNN_PACKED_DOT_4)
DQNN_PACKED_DOT(dqnn_packed_dot_2, "152", "8", DQNN_PACKED_DOT_2)

static inline void dqnn_packed_quad(const dqnn_packed_plan *plan, uint32_t bits, uint32_t start) {
  (void)start;
  if (bits == 4) {
    dqnn_packed_quad_4(plan);
  } else {
    dqnn_packed_quad_2(plan);
  }
}

/* Sums of eight channels of one pixel: words of weights of the first and the last four. */
static inline void dqnn_packed_eight(const uint32_t *w0, const uint32_t *w1, const uint32_t *x, uint32_t words,
                                     uint32_t bits, uint32_t start, int32_t begin, int32_t acc[8]) {
  (void)start;
  for (uint32_t i = 0; i < 8; i += 4) {
    acc[i] = begin;
    acc[i + 1] = begin * (1 << bits);
    acc[i + 2] = bits == 4 ? begin : 16 * begin;
    acc[i + 3] = bits == 4 ? 17 * begin : 85 * begin;
  }
  if (bits == 4) {
    dqnn_packed_dot_4(w0, w1, x, words, acc);
  } else {
    dqnn_packed_dot_2(w0, w1, x, words, acc);
  }
  for (uint32_t i = 0; i < 8; i += 4) {
    if (bits == 4) {
      acc[i + 1] >>= 4;
      acc[i + 3] = (acc[i + 3] - acc[i + 2]) >> 4;
    } else {
      acc[i + 3] = (int32_t)((uint32_t)acc[i + 3] - (uint32_t)acc[i] - (uint32_t)acc[i + 1] - (uint32_t)acc[i + 2]) >> 6;
      acc[i + 1] >>= 2;
      acc[i + 2] >>= 4;
    }
  }
}

#else

/* Halves are added up, so that words of a few pairs may be, too. */
static inline uint32_t dqnn_packed_pair(int32_t first, int32_t second) {
  return (uint32_t)second + ((uint32_t)first << 16);
}

static inline int32_t dqnn_packed_add(uint32_t pair, int32_t sum) {
  int32_t low = (int16_t)pair;
  return sum + low + (int16_t)((pair - (uint32_t)low) >> 16);
}

static inline int32_t dqnn_packed_add_four(const uint32_t pairs[4], int32_t sum) {
  return dqnn_packed_add(pairs[0] + pairs[1] + pairs[2] + pairs[3], sum);
}

static inline void dqnn_packed_widen(uint32_t x, uint32_t add, uint32_t pairs[2]) {
  pairs[0] = add + dqnn_packed_pair(dqnn_byte(x, 0), dqnn_byte(x, 2));
  pairs[1] = add + dqnn_packed_pair(dqnn_byte(x, 1), dqnn_byte(x, 3));
}

/* Pairs whose products are added up before the high parts are taken. Inputs count from -below on, in 255 steps, so that
 * a product's parts, from that many times below on, are 0 to 8 * 15 * 255 and twice that: both fit 16 bits. */
enum { DQNN_PACKED_BLOCK = 8 };

static inline uint32_t dqnn_packed_lowest(uint32_t bits, int32_t zero_point) {
  return DQNN_PACKED_BLOCK * ((1u << bits) - 1) * (uint32_t)(128 + zero_point);
}

static inline uint32_t dqnn_packed_start(uint32_t bits, int32_t zero_point) {
  return dqnn_packed_lowest(bits, zero_point) * 0x20001u;
}

static inline int32_t dqnn_packed_excess(uint32_t words, uint32_t bits, int32_t zero_point) {
  const uint32_t blocks = bits == 4 ? (words + 7) / 8 : (words + 3) / 4; /* DQNN_PACKED_BLOCK pairs each */
  return (int32_t)(blocks * (2 * dqnn_packed_lowest(bits, zero_point)));
}

#if DQNN_SHORT_PRODUCTS
#include "short_packed.h"
#else

/* Products of the pairs of four channels, which begin at bit 0 of w, with those of x. */
DQNN_ALWAYS_INLINE void dqnn_packed_step(uint32_t w, uint32_t bits, uint32_t x, uint32_t z[4]) {
  const uint32_t mask = bits == 4 ? 0x000f000fu : 0x00030003u;
  z[0] += (w & mask) * x;
  z[1] += (w >> bits & mask) * x;
  z[2] += (w >> 2 * bits & mask) * x;
  z[3] += (w >> 3 * bits & mask) * x;
}

DQNN_ALWAYS_INLINE void dqnn_packed_products(const uint32_t *x, const uint32_t *w, uint32_t words, uint32_t bits,
                                             uint32_t start, int32_t begin, int32_t *acc, uint32_t step) {
  uint32_t a = (uint32_t)begin, b = a, c = a, d = a;
  for (uint32_t n; words; words -= n) {
    const uint32_t most = DQNN_PACKED_BLOCK * bits / 4;
    uint32_t z[4] = {start, start, start, start};
    n = words < most ? words : most;
    for (const uint32_t *end = w + n; w < end; w++) {
      dqnn_packed_step(*w, bits, *x++, z);
      if (bits == 2) {
        dqnn_packed_step(*w >> 8, bits, *x++, z);
      }
    }
    a += z[0] >> 16;
    b += z[1] >> 16;
    c += z[2] >> 16;
    d += z[3] >> 16;
  }
  acc[0] = (int32_t)a;
  acc[step] = (int32_t)b;
  acc[2 * step] = (int32_t)c;
  acc[3 * step] = (int32_t)d;
}

/* Sums of four channels of one pixel to acc, `step` words apart. */
DQNN_NOINLINE void dqnn_packed_four(const uint32_t *x, const uint32_t *w, uint32_t words, uint32_t bits, uint32_t start,
                                    int32_t begin, int32_t *acc, uint32_t step) {
  if (bits == 4) {
    dqnn_packed_products(x, w, words, 4, start, begin, acc, step);
  } else {
    dqnn_packed_products(x, w, words, 2, start, begin, acc, step);
  }
}
#endif

/* Pixels of a channel to their outputs by a quick rule. */
static inline void dqnn_packed_finish(const dqnn_packed_plan *plan, uint32_t channel, int32_t acc[4], uint32_t pixels,
                                      dqnn_outputs *o) {
  o->sums = acc;
  o->end = acc + pixels;
  o->out = plan->out[0] + channel;
  if (plan->rule == DQNN_PACKED_AFFINE) {
    dqnn_affine_run(o, plan->first.scale[channel], plan->second.offset[channel]);
  } else {
    dqnn_add_bias(acc, plan->first.bias[channel]);
    dqnn_fixed_run(o, plan->second.multiplier[channel], plan->shift[channel]);
  }
}

static inline void dqnn_packed_quad(const dqnn_packed_plan *plan, uint32_t bits, uint32_t start) {
  const uint32_t *w = plan->weights, words = plan->words, pairs = words << (bits == 2);
  int32_t *sums = plan->sums;
  int8_t *const *out = plan->out;
  const uint32_t pixels = plan->rule == DQNN_PACKED_SUMS ? 0 : dqnn_pixels_of(out);
  dqnn_outputs o;
  dqnn_set_outputs(&o, (uint32_t)(out[1] - out[0]), plan->zero_point, plan->least, plan->most);
  for (uint32_t channel = 0; channel < plan->channels; channel += 4, w += words) {
    const uint32_t *x = plan->columns;
    int32_t acc[16];
    for (uint32_t p = 0; p < 4; p++, x += pairs) {
      dqnn_packed_four(x, w, words, bits, start, plan->begin[p], acc + p, 4);
    }
    if (plan->rule == DQNN_PACKED_SUMS) {
      memcpy(sums, acc, sizeof acc);
      sums += 16;
      continue;
    }
    for (uint32_t i = 0; i < 4; i++) {
      dqnn_packed_finish(plan, channel + i, acc + 4 * i, pixels, &o);
    }
  }
}

static inline void dqnn_packed_eight(const uint32_t *w0, const uint32_t *w1, const uint32_t *x, uint32_t words,
                                     uint32_t bits, uint32_t start, int32_t begin, int32_t acc[8]) {
  dqnn_packed_four(x, w0, words, bits, start, begin, acc, 1);
  dqnn_packed_four(x, w1, words, bits, start, begin, acc + 4, 1);
}

#endif

#endif
