/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* conv_{s8,s1}_s8_{s1,s8,f32} with weights of 4 and 2 bits (SPEC.md 3.3) on vectors: sixteen taps of four channels and
 * two pixels at a time, unpacked in registers.
 *
 * With 4 bits a halfword holds a tap of four channels, with 2 bits a byte does: VLD2, masks and shifts leave bytes u =
 * w + 2^(bits - 1) of one channel each, and VMLADAVA adds sixteen products to a register. A sum begins at what makes up
 * for u - w and for the zero point of the input, so inputs stay bytes, too. Columns stand in the order of these bytes,
 * zeros behind them: what weights lie there does not count, and a step may read beyond those of its channels. The last
 * channels, whose steps would leave the constant, have a copy.
 *
 * Scratch: dqnn_conv_packed_mve_scratch. */
#include "conv_packed_mve.h"

#include "../../isa/plans.h"
#include "conv_columns_mve.h"
#include "windows_mve.h"

#if DQNN_HAVE_PACKED && DQNN_HAVE_MVE

enum { STEP = DQNN_WINDOW_STEP, WINDOWS = DQNN_PACKED_WINDOWS };

/* ---- products ---- */

/* Four channels after four, one or two columns. Assembly reads the fields by their places. */
typedef struct {
  const uint8_t *weights;
  const int8_t *x[WINDOWS];
  int32_t first[WINDOWS]; /* begins of the sums of each column, to which those of the channels are added */
  uint32_t steps;         /* of sixteen taps, at least 1; rounds, once entry is there */
  uint32_t skip;          /* from behind the last step to the weights of the next four, modulo 2^32 */
  int32_t *end;           /* of the totals of the first column */
  uint32_t pitch;         /* bytes to those of the second */
  uint32_t begins;        /* bytes from totals to the begins of the channels, modulo 2^32 */
  int32_t *totals;
  const void *entry; /* for the assembly */
} products;

DQNN_WORD_IS(0, products, weights);
DQNN_WORD_IS(1, products, x);
DQNN_WORD_IS(3, products, first);
DQNN_WORD_IS(5, products, steps);
DQNN_WORD_IS(6, products, skip);
DQNN_WORD_IS(7, products, end);
DQNN_WORD_IS(8, products, pitch);
DQNN_WORD_IS(9, products, begins);
DQNN_WORD_IS(10, products, totals);
DQNN_WORD_IS(11, products, entry);

/* VMLADAVA adds to registers of even numbers, all of which are sums here: channels a to d in r0, r2, r4, r6 for the
 * first column, in r8, r10, r12, lr for the second. r1 weights, r3 and r5 columns, r7 rounds, r9 the plan, r11 totals.
 * A round has four steps, the first one is entered in the middle. */
#define ADD_ONE(q, a, b) "vmladava.s8 " a "," q ",q2\n "
#define ADD_TWO(q, a, b) ADD_ONE(q, a, b) "vmladava.s8 " b "," q ",q3\n "
#define READ_ONE "vldrb.u8 q2,[r3],#16\n "
#define READ_TWO READ_ONE "vldrb.u8 q3,[r5],#16\n "

#define STEP_4(READ, ADD)                                                                                       \
  "vld20.8 {q0,q1},[r1]\n vld21.8 {q0,q1},[r1]!\n " READ                                                        \
  "vand q4,q0,q5\n " ADD("q4", "r0", "r8") "vshr.u8 q0,q0,#4\n " ADD("q0", "r2", "r10") "vand q4,q1,q5\n " ADD( \
      "q4", "r4", "r12") "vshr.u8 q1,q1,#4\n " ADD("q1", "r6", "lr")
#define MASKS_4 "vmov.i8 q5,#15\n "

/* Masks that leave the channels below: b counts a as well and c both, 4 and 16 times themselves. */
#define STEP_2(READ, ADD)                                                                         \
  "vldrb.u8 q0,[r1],#16\n " READ "vand q4,q0,q5\n " ADD("q4", "r0", "r8") "vand q4,q0,q6\n " ADD( \
      "q4", "r2", "r10") "vand q4,q0,q7\n " ADD("q4", "r4", "r12") "vshr.u8 q0,q0,#6\n " ADD("q0", "r6", "lr")
#define MASKS_2 "vmov.i8 q5,#3\n vmov.i8 q6,#15\n vmov.i8 q7,#63\n "
#define JOIN(a, b, c) "add " b "," a "," b ",lsl #2\n add " c "," b "," c ",lsl #4\n "
#define PART(a, b, c) "sub " c "," c "," b "\n asr " c "," c ",#4\n sub " b "," b "," a "\n asr " b "," b ",#2\n "

#define BEGIN_ONE "add r0,r3\n add r2,r3\n add r4,r3\n add r6,r3\n "
#define BEGIN_TWO "add r8,r0,r5\n add r10,r2,r5\n add r12,r4,r5\n add lr,r6,r5\n " BEGIN_ONE
#define WRITE_ONE "strd r0,r2,[r11]\n strd r4,r6,[r11,#8]\n "
#define WRITE_TWO "ldr r7,[r9,#32]\n add r7,r11\n strd r8,r10,[r7]\n strd r12,lr,[r7,#8]\n " WRITE_ONE

/* bytes: of code for a step. */
#define PRODUCTS(name, masks, bytes, begin, join, step, part, write)                                                 \
  __attribute__((naked, noinline)) static void name(__attribute__((unused)) products *plan) {                        \
    __asm__(                                                                                                         \
        ".syntax unified\n push {r4-r11,lr}\n vpush {d8-d15}\n mov r9,r0\n ldr r1,[r9]\n ldr r11,[r9,#40]\n "        \
        "ldr r7,[r9,#20]\n rsb r5,r7,#0\n and r5,r5,#3\n adr.w r3,2f\n mov r0,#" bytes                               \
        "\n mla r3,r5,r0,r3\n "                                                                                      \
        "orr r3,r3,#1\n str r3,[r9,#44]\n adds r7,#3\n lsrs r7,r7,#2\n str r7,[r9,#20]\n " masks                     \
        "1: ldr r7,[r9,#36]\n add r7,r11\n ldrd r3,r5,[r9,#12]\n ldrd r0,r2,[r7]\n ldrd r4,r6,[r7,#8]\n " begin join \
        "ldrd r3,r5,[r9,#4]\n ldr r7,[r9,#20]\n ldr pc,[r9,#44]\n .balign 4\n 2: .rept 4\n " step                    \
        ".endr\n "                                                                                                   \
        "subs r7,#1\n bne.w 2b\n " part write                                                                        \
        "ldrd r3,r5,[r9,#24]\n add r1,r3\n adds r11,#16\n cmp r11,r5\n bne.w 1b\n "                                  \
        "vpop {d8-d15}\n pop {r4-r11,pc}\n");                                                                        \
  }

PRODUCTS(add_one_4, MASKS_4, "44", BEGIN_ONE, "", STEP_4(READ_ONE, ADD_ONE), "", WRITE_ONE)
PRODUCTS(add_two_4, MASKS_4, "64", BEGIN_TWO, "", STEP_4(READ_TWO, ADD_TWO), "", WRITE_TWO)
PRODUCTS(add_one_2, MASKS_2, "40", BEGIN_ONE, JOIN("r0", "r2", "r4"), STEP_2(READ_ONE, ADD_ONE), PART("r0", "r2", "r4"),
         WRITE_ONE)
PRODUCTS(add_two_2, MASKS_2, "60", BEGIN_TWO, JOIN("r0", "r2", "r4") JOIN("r8", "r10", "r12"),
         STEP_2(READ_TWO, ADD_TWO), PART("r0", "r2", "r4") PART("r8", "r10", "r12"), WRITE_TWO)

/* The second column is ones, in a register. */
#define ONES "vmov.i8 q3,#1\n "
PRODUCTS(add_ones_4, MASKS_4 ONES, "60", BEGIN_TWO, "", STEP_4(READ_ONE, ADD_TWO), "", WRITE_TWO)
PRODUCTS(add_ones_2, MASKS_2 ONES, "56", BEGIN_TWO, JOIN("r0", "r2", "r4") JOIN("r8", "r10", "r12"),
         STEP_2(READ_ONE, ADD_TWO), PART("r0", "r2", "r4") PART("r8", "r10", "r12"), WRITE_TWO)

typedef struct {
  dqnn_windows columns;   /* first: its sums get the address of this one */
  const uint8_t *weights; /* of the block at work */
  const uint8_t *end;     /* of those of all groups */
  uint32_t quad_bytes;    /* of the weights of four channels */
  uint32_t inside;        /* quads of the block whose steps read nothing behind the constant */
  uint32_t block;         /* outputs at a time */
  uint32_t bits, half;    /* of a weight; what it is stored too large by */
  uint8_t fours;          /* channels of a group come in fours */
  uint8_t turned;         /* columns have the second and the third of each four taps exchanged */
  uint8_t single;         /* one window in all: sums of weights are taken beside it */
  int32_t *begin;         /* of each sum, by channel of the block */
  uint8_t *edge;          /* the weights of the other quads, and room behind them */
} layer;

/* Bytes of weights in a step, and steps of a window. */
static uint32_t step_bytes(const layer *l) {
  return STEP / 2 * l->bits;
}
static uint32_t steps_of(const layer *l) {
  return (l->quad_bytes + step_bytes(l) - 1) / step_bytes(l);
}

/* ---- columns ---- */

/* Where the sum of a window's inputs is kept, wherever the window lies. */
static int32_t *sum_of(const layer *l, int8_t *column) {
  return (int32_t *)(void *)(column + l->columns.column_bytes) - 1;
}

/* The second and the third of each four exchanged. */
DQNN_INLINE int8x16_t turn_one(int8x16_t x) {
  uint32x4_t v = vreinterpretq_u32_s8(x), t = vandq_u32(veorq_u32(v, vshrq_n_u32(v, 8)), vdupq_n_u32(0xff00));
  return vreinterpretq_s8_u32(veorq_u32(v, veorq_u32(t, vshlq_n_u32(t, 8))));
}

/* The same in 32 bytes, from and to memory. Returns sum plus all of them. */
DQNN_INLINE int32_t turn_two(int8_t *to, const int8_t *from, int32_t sum) {
  int8x16x2_t x = vld2q_s8(from);
  int16x8x2_t turned = {{vreinterpretq_s16_s8(x.val[0]), vreinterpretq_s16_s8(x.val[1])}};
  vst2q_s16((int16_t *)(void *)to, turned);
  return vaddvaq_s8(vaddvaq_s8(sum, x.val[0]), x.val[1]);
}

/* A kernel row of whole fours. Returns sum plus all of them. */
DQNN_INLINE int32_t copy_row(int8_t *to, const int8_t *from, uint32_t count, int turned, int32_t sum) {
  for (; turned && count >= 2 * STEP; count -= 2 * STEP, to += 2 * STEP, from += 2 * STEP) {
    sum = turn_two(to, from, sum);
  }
  for (; count >= STEP; count -= STEP, to += STEP, from += STEP) {
    int8x16_t x = vld1q_s8(from);
    sum = vaddvaq_s8(sum, x);
    vst1q_s8(to, turned ? turn_one(x) : x);
  }
  if (count > 0) {
    mve_pred16_t lanes = vctp8q(count);
    int8x16_t x = vld1q_z_s8(from, lanes);
    sum = vaddvaq_s8(sum, x);
    vstrbq_p_s8(to, turned ? turn_one(x) : x, lanes);
  }
  return sum;
}

/* A window that was copied as the weights stand: zeros behind it, its taps as their bytes do. Returns their sum. */
static int32_t finish_column(const layer *l, int8_t *x) {
  const uint32_t taps = l->columns.taps, bytes = (uint32_t)dqnn_packed_column(taps);
  int32_t sum = 0;
  if (taps % 4 != 0) { /* others leave the zeros where they are */
    dqnn_fill_bytes(x + taps, bytes - taps, 0);
  }
  for (int8_t *end = x + bytes; l->turned && x < end; x += 2 * STEP) {
    sum = turn_two(x, x, sum);
  }
  for (int8_t *end = x + bytes; !l->turned && x < end; x += STEP) {
    sum = vaddvaq_s8(sum, vld1q_s8(x));
  }
  return sum;
}

/* Rows of a window inside the map, of whole fours. */
DQNN_NOINLINE int32_t copy_rows(const layer *l, const int8_t *run, int8_t *to) {
  const dqnn_geometry *g = &l->columns.shape;
  const uint32_t taps = l->columns.row_taps, pitch = dqnn_row_step(g, g->kernel_h) * g->channels;
  int32_t sum = 0;
  for (int32_t ky = 0; ky < g->kernel_h; ky++, run += pitch, to += taps) {
    sum = l->turned ? copy_row(to, run, taps, 1, sum) : copy_row(to, run, taps, 0, sum);
  }
  return sum;
}

static const int8_t *gather(const dqnn_windows *c, dqnn_origin at, int8_t *column) {
  const layer *l = (const layer *)(const void *)c;
  const int8_t *run = dqnn_windows_row(c, at);
  if (run && l->fours) {
    *sum_of(l, column) = copy_rows(l, run, column);
    return column;
  }
  if (run) {
    dqnn_windows_copy(c, run, column);
  } else {
    dqnn_windows_gather(c, at, column);
  }
  *sum_of(l, column) = finish_column(l, column);
  return column;
}

/* ---- sums ---- */

typedef void (*adder)(products *);

/* All channels of x[0] and x[last], columns whose inputs have those sums. */
static void add_columns(const layer *l, adder add, const int8_t *const x[], const int32_t inputs[], uint32_t last) {
  const dqnn_windows *c = &l->columns;
  const uint32_t steps = steps_of(l);
  products plan = {.weights = l->weights,
                   .x = {x[0], x[last]},
                   .first = {-(int32_t)l->half * inputs[0], -(int32_t)l->half * inputs[last]},
                   .steps = steps,
                   .skip = l->quad_bytes - steps * step_bytes(l),
                   .end = c->totals + 4 * l->inside,
                   .pitch = 4 * c->pitch,
                   .begins = (uint32_t)((uintptr_t)l->begin - (uintptr_t)c->totals),
                   .totals = c->totals};
  if (l->inside > 0) {
    add(&plan);
  }
  if (4 * l->inside < c->pitch) {
    plan.weights = l->edge;
    plan.steps = steps;
    plan.totals = plan.end;
    plan.end = c->totals + c->pitch;
    add(&plan);
  }
}

static void add_one(const layer *l, const int8_t *const x[], const int32_t inputs[]) {
  add_columns(l, l->bits == 4 ? add_one_4 : add_one_2, x, inputs, 0);
}
static void add_two(const layer *l, const int8_t *const x[], const int32_t inputs[]) {
  add_columns(l, l->bits == 4 ? add_two_4 : add_two_2, x, inputs, 1);
}

/* total[i] * times + from[i] * factor + addend */
static void scale_totals(const layer *l, int32_t *total, int32_t times, const int32_t *from, int32_t factor,
                         int32_t addend) {
  for (int32_t *end = total + l->columns.pitch; total < end; total += 4, from += 4) {
    int32x4_t x = vaddq_n_s32(vmulq_n_s32(vld1q_s32(from), factor), addend);
    vst1q_s32(total, vaddq_s32(x, vmulq_n_s32(vld1q_s32(total), times)));
  }
}

/* A column of ones, whose sums are those of the weights; its own is returned. */
static int32_t fill_ones(const layer *l, int8_t *column) {
  dqnn_fill_bytes(column, l->columns.taps, 1);
  return finish_column(l, column);
}

/* The only window, beside the sums of the weights, which the zero point takes. */
DQNN_NOINLINE void sum_beside(const layer *l, const int8_t *x, int32_t inputs) {
  const dqnn_windows *c = &l->columns;
  const int8_t *columns[WINDOWS] = {x, x};
  int32_t sums[WINDOWS] = {inputs, (int32_t)c->taps};
  if (c->taps % STEP == 0) {
    add_columns(l, l->bits == 4 ? add_ones_4 : add_ones_2, columns, sums, 1);
  } else {
    int8_t *ones = c->columns + c->column_bytes;
    (void)fill_ones(l, ones);
    columns[1] = ones;
    add_two(l, columns, sums);
  }
  scale_totals(l, c->totals, 1, c->totals + c->pitch, -c->zero_point, 0);
}

static void sum_columns(const dqnn_windows *c, const int8_t *const x[], uint32_t n) {
  const layer *l = (const layer *)(const void *)c;
  int32_t inputs[WINDOWS];
  int8_t *column = c->columns;
  for (uint32_t p = 0; p < n; p++, column += c->column_bytes) {
    inputs[p] = *sum_of(l, column);
  }
  if (n > 1) {
    add_two(l, x, inputs);
  } else if (l->single && c->zero_point != 0) {
    sum_beside(l, x[0], inputs[0]);
  } else {
    add_one(l, x, inputs);
  }
  for (uint32_t p = 0; c->half_weights && p < n; p++) { /* w stands for w + 1/2, and sums count halves */
    int32_t *total = c->totals + p * c->pitch;
    scale_totals(l, total, 1, total, 1, inputs[p] - c->zero_point * (int32_t)c->taps);
  }
}

/* ---- set-up ---- */

/* What the zero point takes from each sum. Where there is but one window nothing yet: then these are its totals. */
DQNN_NOINLINE void find_begins(const layer *l) {
  const dqnn_windows *c = &l->columns;
  const int8_t *ones = c->columns;
  dqnn_fill_bytes((int8_t *)l->begin, 4 * c->pitch, 0);
  if (c->zero_point != 0 && !l->single) {
    const int32_t sum = fill_ones(l, c->columns);
    add_one(l, &ones, &sum);
    scale_totals(l, l->begin, 0, c->totals, -c->zero_point, 0);
  }
}

/* Weights of a block: those of its last channels that a step would leave the constant with are copied. */
DQNN_NOINLINE void begin_block(layer *l) {
  const uint32_t quads = l->columns.pitch / 4, bytes = quads * l->quad_bytes, reach = steps_of(l) * step_bytes(l);
  l->inside = quads;
  while (l->inside > 0 && (l->inside - 1) * l->quad_bytes + reach > (uint32_t)(l->end - l->weights)) {
    l->inside--;
  }
  if (l->inside < quads) {
    const uint32_t before = l->inside * l->quad_bytes;
    dqnn_copy_bytes((int8_t *)l->edge, (const int8_t *)l->weights + before, bytes - before);
  }
}

/* Outputs of a block: all of a group, or as many as the scratch holds, which is DQNN_PACKED_LEAST or more. */
static uint32_t find_block(const dqnn_call *call, const layer *l) {
  const dqnn_geometry *g = &l->columns.shape;
  const int pooled = g->pool_cells > 1;
  const uint64_t rest = dqnn_conv_packed_mve_scratch(l->columns.taps, 0, pooled, l->single, l->bits);
  const uint32_t room = (call->scratch_bytes - (uint32_t)rest) / (4 * (uint32_t)dqnn_packed_rows(pooled, l->single));
  return g->out_group <= room ? g->out_group : room & ~3u;
}

DQNN_NOINLINE void prepare(const dqnn_call *call, layer *l) {
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  dqnn_windows *c = &l->columns;
  const dqnn_geometry *g = &c->shape;
  dqnn_windows_prepare(c, call, 1);
  l->bits = p->weight_bits;
  l->half = 1u << (l->bits - 1);
  l->weights = (const uint8_t *)call->constants[0];
  l->end = l->weights + call->constant_bytes[0];
  l->quad_bytes = 4 * dqnn_packed_words(c->taps, l->bits);
  l->fours = g->in_group % 4 == 0;
  l->turned = (l->bits == 4) == l->fours;
  l->single = dqnn_is_single(g->out_height, g->out_width) != 0;
  c->together = WINDOWS;
  const uint32_t rows = (uint32_t)dqnn_packed_rows(g->pool_cells > 1, l->single);
  l->block = find_block(call, l);
  const uint32_t pitch = (uint32_t)dqnn_packed_pitch(l->block);
  l->begin = (int32_t *)call->scratch;
  c->totals = l->single ? l->begin : l->begin + pitch;
  c->columns = (int8_t *)(l->begin + rows * pitch);
  c->column_bytes = (uint32_t)dqnn_packed_column(c->taps) + DQNN_PACKED_SUM;
  l->edge = (uint8_t *)c->columns;
  for (uint32_t i = (uint32_t)dqnn_packed_columns(c->taps, l->single); i > 0; i--, l->edge += c->column_bytes) {
    dqnn_fill_bytes((int8_t *)l->edge + c->taps, c->column_bytes - c->taps, 0);
  }
  c->gather = gather;
  c->sum = sum_columns;
}

DQNN_NOINLINE void run(const dqnn_call *call) { /* its frame is not under dqnn_run_columns */
  layer l;
  dqnn_windows *c = &l.columns;
  prepare(call, &l);
  for (; dqnn_windows_next(c, l.block); l.weights += c->pitch / 4 * l.quad_bytes) {
    c->pitch = (uint32_t)dqnn_packed_pitch(c->outputs);
    begin_block(&l);
    find_begins(&l);
    dqnn_windows_run(c);
  }
}

void dqnn_run_conv_s8_s8_s1_packed(const dqnn_call *call) {
  run(call);
}
void dqnn_run_conv_s8_s8_s8_packed(const dqnn_call *call) {
  if (!dqnn_run_columns(call)) {
    run(call);
  }
}
void dqnn_run_conv_s8_s8_f32_packed(const dqnn_call *call) {
  run(call);
}
void dqnn_run_conv_s1_s8_s1_packed(const dqnn_call *call) {
  run(call);
}
void dqnn_run_conv_s1_s8_s8_packed(const dqnn_call *call) {
  run(call);
}
void dqnn_run_conv_s1_s8_f32_packed(const dqnn_call *call) {
  run(call);
}
#endif
