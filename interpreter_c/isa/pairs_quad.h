/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* All channels of four pixels, the inner part of the 8-bit convolutions: as sums, or straight to s8 outputs by the affine
 * or the fixed-point rule of SPEC.md 3.2.
 *
 * On cores with the DSP extension and a float unit the sums never leave registers between the products and the output.
 */
#ifndef DQNN_ISA_PAIRS_QUAD_H
#define DQNN_ISA_PAIRS_QUAD_H

#include "affine.h"
#include "isa_pairs.h"
#include "plans.h"

#define DQNN_SHORT_QUADS (DQNN_SHORT_PRODUCTS && !DQNN_SLOW_PRODUCTS)
#if DQNN_SHORT_QUADS
#include "short_quad.h"
#endif

/* Do outputs keep to less than all codes? */
enum { DQNN_QUADS_CLAMP = DQNN_RULES_CLAMP && !DQNN_SHORT_QUADS, DQNN_PAIRS_KEEP = DQNN_SHORT_QUADS };

/* Is each of the four pixels a place of its own? Elsewhere they are as far apart as the first two, and behind the last
 * one it stands again. */
enum { DQNN_PAIRS_ANYWHERE = DQNN_ARM_DSP_FPU };

typedef enum { DQNN_PAIRS_AFFINE, DQNN_PAIRS_FIXED, DQNN_PAIRS_SUMS } dqnn_pairs_rule;

/* Assembly reads the fields down to `sums` by their places. */
typedef struct {
  const uint32_t *weights;
#if DQNN_ARM_DSP_FPU
  const uint32_t *end; /* of the columns; this and the other fields under DQNN_ARM_DSP_FPU: dqnn_pairs_ready */
#endif
  const uint32_t *columns; /* interleaved, [pair][pixel] */
#if DQNN_ARM_DSP_FPU
  uintptr_t block; /* where the first block of pairs would begin if it were whole */
  uint32_t back;   /* the same of the weights, in bytes before those it begins with */
#endif
  union {
    const float *scale;
    const int32_t *bias;
  } first;
  union {
    const float *offset;
    const int32_t *multiplier;
  } second;
  int8_t *out[4];
  int32_t zero_point;
#if DQNN_ARM_DSP_FPU
  uintptr_t last; /* end of `first` */
  uint32_t entry; /* bytes of code before what the first block has */
#endif
  uint32_t rule;        /* dqnn_pairs_rule */
  const int32_t *shift; /* fixed point, as isa/affine.h takes it */
  int32_t *sums;        /* [channel][pixel] */
  uint32_t pairs;       /* of a column, at least 1 */
  uint32_t channels;    /* even, at least 2 */
  DQNN_BOUNDS
#if !DQNN_ARM_DSP_FPU
  int32_t in_zero_point; /* of the columns */
#endif
#if DQNN_SHORT_QUADS
  dqnn_short_quad quad;
  int32_t margin;                   /* of its steps */
  uint32_t kept;                    /* channels whose records stand in scratch */
  const dqnn_short_record *records; /* those ... */
  dqnn_short_record *later;         /* ... and the others, if there are any, up to where they are written over */
#endif
} dqnn_pairs_plan;

/* What columns are less by, which some cores turn with it. */
static inline void dqnn_pairs_input(dqnn_pairs_plan *p, int32_t zero_point) {
#if DQNN_ARM_DSP_FPU
  (void)p, (void)zero_point;
#else
  p->in_zero_point = zero_point;
#endif
}

#if !DQNN_ARM_DSP_FPU
static inline void dqnn_pairs_ready(dqnn_pairs_plan *p) {
  (void)p;
}

#endif

#if !DQNN_SHORT_QUADS
/* What some cores find out once for all pixels is kept in the scratch that is left, or in the last of `bytes` of the
 * output until they are written. */
static inline void dqnn_pairs_keep(dqnn_pairs_plan *p, void *scratch, uint32_t left, int8_t *out, uint32_t bytes,
                                   uint32_t pixels) {
  (void)p, (void)scratch, (void)left, (void)out, (void)bytes, (void)pixels;
}
#endif

#if DQNN_ARM_DSP_FPU

enum { DQNN_PAIRS_BLOCK = 16, DQNN_PAIRS_CODE = 60 /* bytes of a pair */ };

/* What follows from columns, pairs, `first` and channels: wanted once these are set, for any number of runs. The first
 * pair begins the sums, the others run in blocks, the first of which is entered in the middle. */
static inline void dqnn_pairs_ready(dqnn_pairs_plan *p) {
  const uint32_t missing = DQNN_PAIRS_BLOCK - (p->pairs - 1) % DQNN_PAIRS_BLOCK;
  p->end = p->columns + 4 * p->pairs;
  p->block = (uintptr_t)(p->columns + 4) - 16 * missing;
  p->back = 4 * missing;
  p->entry = DQNN_PAIRS_CODE * missing;
  p->last = (uintptr_t)p->first.scale + 4 * p->channels;
}

DQNN_WORD_IS(0, dqnn_pairs_plan, weights);
DQNN_WORD_IS(1, dqnn_pairs_plan, end);
DQNN_WORD_IS(2, dqnn_pairs_plan, columns);
DQNN_WORD_IS(3, dqnn_pairs_plan, block);
DQNN_WORD_IS(4, dqnn_pairs_plan, back);
DQNN_WORD_IS(5, dqnn_pairs_plan, first);
DQNN_WORD_IS(6, dqnn_pairs_plan, second);
DQNN_WORD_IS(7, dqnn_pairs_plan, out);
DQNN_WORD_IS(11, dqnn_pairs_plan, zero_point);
DQNN_WORD_IS(12, dqnn_pairs_plan, last);
DQNN_WORD_IS(13, dqnn_pairs_plan, entry);
DQNN_WORD_IS(14, dqnn_pairs_plan, rule);
DQNN_WORD_IS(15, dqnn_pairs_plan, shift);
DQNN_WORD_IS(16, dqnn_pairs_plan, sums);
_Static_assert(DQNN_PAIRS_AFFINE == 0 && DQNN_PAIRS_FIXED == 1 && DQNN_PAIRS_SUMS == 2, "assembly compares with 1");

/* Registers: r1 weights, r2 column, r4 to r7 first channel, r8 to r11 second; r0, r3, r12, lr free; s12 to s27 the plan
 * from `end` on, with scale and offset (bias and multiplier), outputs, shifts and sums as they go. */
#define DQNN_PAIR_PRODUCTS(mul, c0, c1, c2, c3, d0, d1, d2, d3, x0, x4, x8, x12)                                    \
  "ldr.w r0,[r2,#" x0 "]\n ldr.w r3,[r2,#" x4 "]\n sxtb16 r12,lr\n sxtb16 lr,lr,ror #8\n" mul " r4,r12,r0" c0   \
  "\n " mul " r5,r12,r3" c1 "\n " mul " r8,lr,r0" d0 "\n " mul " r9,lr,r3" d1 "\n ldr.w r0,[r2,#" x8                \
  "]\n ldr.w r3,[r2,#" x12 "]\n " mul " r6,r12,r0" c2 "\n " mul " r7,r12,r3" c3 "\n " mul " r10,lr,r0" d2 "\n " mul \
  " r11,lr,r3" d3 "\n"

/* Both channels by the fixed-point rule of isa/affine.h. */
#define DQNN_PAIR_EACH(op, a, b)                                                                                                    \
  op(r4, a) op(r5, a) op(r6, a) op(r7, a) op(r8, b) op(r9, b) op(r10, b) op(r11, b)
#define DQNN_PAIR_ADD(x, y) "add " #x "," #x "," #y "\n"
#define DQNN_PAIR_SCALE(x, y) "smmlar " #x "," #x "," #y "," #x "\n"
#define DQNN_PAIR_SIGN(x, y) "add " #x "," #x "," #x ",asr #31\n"
#define DQNN_PAIR_SHIFT(x, y) "smmlsr " #x "," #x "," #y ",r3\n"
#define DQNN_PAIR_SATURATE(x, y) "ssat " #x ",#8," #x "\n"
#define DQNN_PAIR_FIXED                                                                                                             \
  "vmov r0,r3,s16,s17\n ldrd r2,r12,[r0],#8\n vmov s16,r0\n" DQNN_PAIR_EACH(DQNN_PAIR_ADD, r2, r12)                                  \
  "vmov r0,s26\n ldrd r2,r12,[r3],#8\n vmov s17,r3\n lsls r2,#1\n lsl r12,#1\n" DQNN_PAIR_EACH(DQNN_PAIR_SCALE, r2, r12)            \
  DQNN_PAIR_EACH(DQNN_PAIR_SIGN, , ) "ldrd r2,r12,[r0],#8\n vmov s26,r0\n mov r3,#-1\n adds r2,#32\n add r12,#32\n lsl r2,r3,r2\n"  \
  "lsl r12,r3,r12\n vmov r3,s22\n" DQNN_PAIR_EACH(DQNN_PAIR_SHIFT, r2, r12) DQNN_PAIR_EACH(DQNN_PAIR_SATURATE, , )

__attribute__((naked, noinline, unused)) static void dqnn_pairs_quad(__attribute__((unused))
                                                                       const dqnn_pairs_plan *plan) {
  __asm__(
      ".syntax unified\n push {r4-r11,lr}\n vpush {s16-s27}\n"
      "ldr r1,[r0],#4\n vldmia r0,{s12-s27}\n vmov r9,s24\n adr.w r10,3f\n add r9,r10\n orr r9,r9,#1\n vmov s24,r9\n"
      "1: vmov r2,s13\n ldr.w lr,[r1],#4\n"
      DQNN_PAIR_PRODUCTS("smuad", "", "", "", "", "", "", "", "", "0", "4", "8", "12")
      "vmov r2,s14\n vmov r0,s15\n sub r1,r1,r0\n vmov r12,s24\n bx r12\n"
      ".balign 4\n"
      "3: .set o,0\n .rept 16\n ldr.w lr,[r1,#o*4]\n"
      DQNN_PAIR_PRODUCTS("smlad", ",r4", ",r5", ",r6", ",r7", ",r8", ",r9", ",r10", ",r11", "o*16", "o*16+4", "o*16+8", "o*16+12")
      ".set o,o+1\n .endr\n"
      "add r2,r2,#256\n add r1,r1,#64\n vmov r0,s12\n cmp r2,r0\n bne.w 3b\n vmov r3,s25\n cmp r3,#1\n bge.w 5f\n"
      "vmov s0,s1,r4,r5\n vmov s2,s3,r6,r7\n vmov s4,s5,r8,r9\n vmov s6,s7,r10,r11\n"
      "vmov r0,r3,s16,s17\n vldmia r0!,{s8,s9}\n vldmia r3!,{s10,s11}\n vmov s16,s17,r0,r3\n"
      "vcvt.f32.s32 s0,s0\n vcvt.f32.s32 s1,s1\n vcvt.f32.s32 s2,s2\n vcvt.f32.s32 s3,s3\n"
      "vcvt.f32.s32 s4,s4\n vcvt.f32.s32 s5,s5\n vcvt.f32.s32 s6,s6\n vcvt.f32.s32 s7,s7\n"
      "vmul.f32 s0,s0,s8\n vmul.f32 s1,s1,s8\n vmul.f32 s2,s2,s8\n vmul.f32 s3,s3,s8\n"
      "vmul.f32 s4,s4,s9\n vmul.f32 s5,s5,s9\n vmul.f32 s6,s6,s9\n vmul.f32 s7,s7,s9\n"
      "vadd.f32 s0,s0,s10\n vadd.f32 s1,s1,s10\n vadd.f32 s2,s2,s10\n vadd.f32 s3,s3,s10\n"
      "vadd.f32 s4,s4,s11\n vadd.f32 s5,s5,s11\n vadd.f32 s6,s6,s11\n vadd.f32 s7,s7,s11\n"
      "vcvtr.s32.f32 s0,s0\n vcvtr.s32.f32 s1,s1\n vcvtr.s32.f32 s2,s2\n vcvtr.s32.f32 s3,s3\n"
      "vcvtr.s32.f32 s4,s4\n vcvtr.s32.f32 s5,s5\n vcvtr.s32.f32 s6,s6\n vcvtr.s32.f32 s7,s7\n"
      "vmov r4,r5,s0,s1\n vmov r6,r7,s2,s3\n vmov r8,r9,s4,s5\n vmov r10,r11,s6,s7\n vmov r12,s22\n"
      "qadd r4,r4,r12\n qadd r5,r5,r12\n qadd r6,r6,r12\n qadd r7,r7,r12\n"
      "qadd r8,r8,r12\n qadd r9,r9,r12\n qadd r10,r10,r12\n qadd r11,r11,r12\n"
      "ssat r4,#8,r4\n ssat r5,#8,r5\n ssat r6,#8,r6\n ssat r7,#8,r7\n"
      "ssat r8,#8,r8\n ssat r9,#8,r9\n ssat r10,#8,r10\n ssat r11,#8,r11\n"
      "4: vmov r2,r3,s18,s19\n vmov r12,lr,s20,s21\n"
      "strb r8,[r2,#1]\n strb r4,[r2],#2\n strb r9,[r3,#1]\n strb r5,[r3],#2\n"
      "strb r10,[r12,#1]\n strb r6,[r12],#2\n strb r11,[lr,#1]\n strb r7,[lr],#2\n"
      "vmov s18,s19,r2,r3\n vmov s20,s21,r12,lr\n 7: vmov r4,s23\n cmp r0,r4\n bne.w 1b\n vpop {s16-s27}\n pop {r4-r11,pc}\n"
      "5: bne 6f\n" DQNN_PAIR_FIXED "vmov r0,s16\n b.w 4b\n"
      "6: vmov r2,s27\n vmov r0,s16\n stmia r2!,{r4-r11}\n vmov s27,r2\n adds r0,#8\n vmov s16,r0\n b.w 7b\n");
}

#elif DQNN_SHORT_QUADS

/* Channel c as the steps have it; weights: their sum. */
static void dqnn_short_record_of(const dqnn_pairs_plan *p, uint32_t c, int32_t weights, uint32_t flags,
                                 dqnn_short_record *r) {
  dqnn_outputs o;
  dqnn_set_outputs(&o, 0, p->zero_point, -128, 127);
  int32_t begin = -p->in_zero_point * weights;
  int valid;
  if (p->rule == DQNN_PAIRS_AFFINE) {
    valid = dqnn_set_affine_steps(&o, p->first.scale[c], p->second.offset[c]);
  } else {
    valid = dqnn_set_fixed_steps(&o, p->second.multiplier[c], p->shift[c]);
    begin = (int32_t)((uint32_t)begin + (uint32_t)p->first.bias[c]);
    dqnn_begin_steps(&o, p->zero_point * (1 << DQNN_STEP_BITS), p->margin - DQNN_STEP_MARGIN);
  }
  valid = valid && o.factor == (int16_t)o.factor;
  flags |= p->pairs & 3u ? DQNN_SHORT_REST : 0u;
  r->rule = flags | (valid ? o.shift | (uint32_t)o.factor << 16 : 31u); /* all sums are open without a factor */
  r->begin = begin;
  r->offset = valid ? o.begin : 0;
}

/* Two channels, from c on. fours: are blocks of four taps worth a look? */
static void dqnn_short_two_records(const dqnn_pairs_plan *p, const uint32_t *w, uint32_t c, int fours,
                                   dqnn_short_record *r) {
  int32_t sums[2] = {0, 0};
  if (p->in_zero_point) {
    dqnn_short_sums(w, p->pairs, sums);
  }
  const uint32_t which = fours ? dqnn_short_fours(w, p->pairs) : 0;
  dqnn_short_record_of(p, c, sums[0], which & 0xffffu, r);
  dqnn_short_record_of(p, c + 1, sums[1], which >> 16 | DQNN_SHORT_SECOND, r + 1);
}

static int32_t dqnn_short_exact(const void *plan, int32_t sum, const int8_t *out) {
  const dqnn_pairs_plan *p = (const dqnn_pairs_plan *)plan;
  const uint32_t c = (uint32_t)(out - p->out[0]);
  if (p->rule == DQNN_PAIRS_FIXED) {
    return dqnn_fixed_1(sum, p->second.multiplier[c], p->shift[c], p->zero_point);
  }
  const float scale = p->first.scale[c], offset = p->second.offset[c];
  if (dqnn_affine_exponent(scale) > DQNN_STEP_EXPONENT) {
    dqnn_outputs o;
    int8_t y;
    dqnn_set_outputs(&o, 1, p->zero_point, -128, 127);
    o.sums = &sum;
    o.end = o.sums + 1;
    o.out = &y;
    dqnn_affine_up(&o, scale, offset);
    return y;
  }
  return dqnn_affine_1(sum, scale, offset, p->zero_point);
}

/* Steps of all channels have one margin: that of the least shift. */
static int32_t dqnn_short_margin(const dqnn_pairs_plan *p) {
  if (p->rule == DQNN_PAIRS_AFFINE) {
    return DQNN_STEP_MARGIN + DQNN_STEP_FLOATS;
  }
  int32_t least = 31;
  for (uint32_t c = 0; c < p->channels; c++) {
    const int32_t shift = -6 - p->shift[c];
    least = shift >= 0 && shift < least ? shift : least;
  }
  return DQNN_STEP_MARGIN + (16384 >> least);
}

static __attribute__((noinline)) void dqnn_pairs_keep(dqnn_pairs_plan *p, void *scratch, uint32_t left, int8_t *out,
                                                      uint32_t bytes, uint32_t pixels) {
  enum { FEW = 5, MANY = 60 };
  const uint32_t channels = p->channels, pairs = p->pairs;
  dqnn_short_quad *q = &p->quad;
  p->margin = dqnn_short_margin(p);
  *q = (dqnn_short_quad){
      .columns = p->columns,
      .middle = DQNN_SHORT_MIDDLE * 0x10001u,
      .twos = -DQNN_SHORT_MIDDLE * (int32_t)pairs,
      .fours = -DQNN_SHORT_MIDDLE * (int32_t)((pairs & 3u) + pairs / 4 * 2),
      .unsure = (uint32_t)p->margin << (33 - DQNN_STEP_BITS),
      .far = p->rule == DQNN_PAIRS_FIXED,
      .plan = p,
      .exact = dqnn_short_exact,
      .head = p->columns + 4 * (pairs & 3u),
      .columns_end = p->columns + 4 * pairs,
  };
  const uint32_t room = (left / (uint32_t)sizeof(dqnn_short_record)) & ~1u;
  p->kept = pixels < FEW || room < channels / 2 ? 0 : room < channels ? room : channels;
  const uint32_t size = (channels - p->kept) * (uint32_t)sizeof(dqnn_short_record);
  const int fits = size + 4 * channels < bytes; /* behind four pixels */
  p->records = (const dqnn_short_record *)scratch;
  p->later = fits ? (dqnn_short_record *)(((uintptr_t)out + bytes - size) & ~(uintptr_t)3) : NULL;
  dqnn_short_record *r = (dqnn_short_record *)scratch;
  const uint32_t *w = p->weights;
  for (uint32_t c = 0; c < channels; c += 2, w += pairs) {
    if (c == p->kept) {
      r = p->later;
    }
    if (r == NULL) {
      return;
    }
    dqnn_short_two_records(p, w, c, pixels >= MANY, r);
    r += 2;
  }
}

/* Channels from c on, whose records are made as they are wanted. */
static __attribute__((noinline)) void dqnn_short_in_parts(const dqnn_pairs_plan *plan, uint32_t c) {
  dqnn_short_quad q = plan->quad;
  dqnn_short_record two[2];
  q.records = two;
  q.end = two + 2;
  for (; c < plan->channels; c += 2, q.weights += plan->pairs, q.out += 2) {
    dqnn_short_two_records(plan, q.weights, c, 0, two);
    dqnn_short_quads(&q);
  }
}

static __attribute__((noinline)) void dqnn_short_direct(dqnn_pairs_plan *plan) {
  dqnn_short_quad *q = &plan->quad;
  int8_t *const *out = plan->out;
  const uint32_t kept = plan->kept, later = plan->channels - kept;
  q->weights = plan->weights;
  q->out = out[0];
  for (uint32_t p = 1; p < 4; p++) {
    q->apart[p - 1] = (uint32_t)(out[p] - out[0]);
  }
  if (kept) {
    q->records = plan->records;
    q->end = q->records + kept;
    dqnn_short_quads(q);
    q->weights += kept / 2 * plan->pairs;
    q->out += kept;
  }
  if (later && out[3] + plan->channels <= (const int8_t *)plan->later) {
    q->records = plan->later;
    q->end = q->records + later;
    dqnn_short_quads(q);
  } else if (later) {
    dqnn_short_in_parts(plan, kept);
  }
}

static inline void dqnn_pairs_quad(dqnn_pairs_plan *plan) {
  if (plan->rule != DQNN_PAIRS_SUMS) {
    dqnn_short_direct(plan);
    return;
  }
  int32_t *sums = plan->sums;
  const uint32_t *w = plan->weights;
  for (uint32_t channel = 0; channel < plan->channels; channel += 2, w += plan->pairs, sums += 8) {
    dqnn_dot_4x2(w, plan->columns, plan->pairs, plan->in_zero_point, sums);
  }
}

#else

static inline void dqnn_pairs_quad(const dqnn_pairs_plan *plan) {
  const uint32_t *w = plan->weights;
  int8_t *const *out = plan->out;
  int32_t *sums = plan->sums;
  const uint32_t pixels = plan->rule == DQNN_PAIRS_SUMS ? 0 : dqnn_pixels_of(out);
  dqnn_outputs o;
  dqnn_set_outputs(&o, (uint32_t)(out[1] - out[0]), plan->zero_point, plan->least, plan->most);
  for (uint32_t channel = 0; channel < plan->channels; channel += 2, w += plan->pairs) {
    int32_t acc[8];
    dqnn_dot_4x2(w, plan->columns, plan->pairs, plan->in_zero_point, acc);
    if (plan->rule == DQNN_PAIRS_SUMS) {
      memcpy(sums, acc, sizeof acc);
      sums += 8;
      continue;
    }
    for (uint32_t i = 0; i < 2; i++) {
      const uint32_t c = channel + i;
      int32_t *four = acc + 4 * i;
      o.sums = four;
      o.end = four + pixels;
      o.out = out[0] + c;
      if (plan->rule == DQNN_PAIRS_AFFINE) {
        dqnn_affine_run(&o, plan->first.scale[c], plan->second.offset[c]);
      } else {
        dqnn_add_bias(four, plan->first.bias[c]);
        dqnn_fixed_run(&o, plan->second.multiplier[c], plan->shift[c]);
      }
    }
  }
}

#endif

#endif
