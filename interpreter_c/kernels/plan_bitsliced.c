/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Plan of conv_bitsliced. Its presets (SPEC.md 3.4) repeat what the weights say: S(class) is the number of -1 weights.
 * The fast variants take either of two forms of a preset, whichever is cheaper for a window, and leave out the mask of
 * missing outputs; so that a file means the same to all of them, the presets are compared with the weights here, 32
 * outputs at a time. */
#include "opt/conv_bitsliced.h"
#include "plan_conv.h"
#include "scratch.h"

/* What checking costs (plan.h), beside one step for each weight that is counted in or out. */
enum { STEPS_OF_CLASS = 16, STEPS_OF_PRESET = 8 /* per word */ };

enum { Y, X };

typedef struct {
  const dqnn_call *call;
  dqnn_conv v;
  uint8_t thresholds;        /* s1 output: presets are T - S; else -S */
  uint8_t cut;               /* pad value 0: taps outside the map do not count */
  uint8_t walked;            /* Y or X, see below */
  uint32_t np, blocks, rows; /* blocks: of 32 outputs, in each group; rows: weight words of a column */
  const dqnn_axis *axis[2];
  int32_t outputs[2];  /* along an axis, before the pool */
  uint32_t classes[2]; /* likewise */
} layer;

/* --- numbers in planes, modulo 2^np, plane after plane --- */

static uint32_t add_bits(uint32_t a, uint32_t b, uint32_t *carry) {
  uint32_t half = a ^ b, sum = half ^ *carry;
  *carry = (a & b) | (*carry & half);
  return sum;
}

/* Plane p of the same number in all lanes. */
static uint32_t plane_of(uint32_t number, uint32_t p) {
  return 0u - (number >> p & 1u);
}

/* Adds 1 to the lanes in `bits`, or takes it from them. Ends before np: counts stay between 0 and the number of taps,
 * and 2^(np - 1) exceeds that. */
static void count_bits(uint32_t *planes, uint32_t bits, int take) {
  for (uint32_t p = 0; bits != 0; ++p) {
    uint32_t carry = (take ? ~planes[p] : planes[p]) & bits;
    planes[p] ^= bits;
    bits = carry;
  }
}

/* --- one block of one class --- */

static void clear(uint32_t minus[DQNN_MOST_PLANES]) {
  for (uint32_t p = 0; p < DQNN_MOST_PLANES; ++p) {
    minus[p] = 0;
  }
}

/* Counts the weights that are -1 among some taps of a block into `minus`, or out of it. */
DQNN_PLANNING static void count_taps(const layer *l, uint32_t block, const dqnn_taps taps[2], int take,
                                     uint32_t *minus) {
  uint32_t width = l->v.group_in, kernel_w = (uint32_t)l->v.x.kernel;
  const uint32_t *words = (const uint32_t *)l->call->constants[0] + (size_t)block * kernel_w * (l->rows + 1);
  for (uint32_t kx = (uint32_t)taps[X].first; kx < (uint32_t)taps[X].end; ++kx) {
    const uint32_t *column = words + kx * (l->rows + 1);
    for (uint32_t row = (uint32_t)taps[Y].first * width; row < (uint32_t)taps[Y].end * width; ++row) {
      count_bits(minus, column[row], take);
    }
  }
}

static uint32_t missing_of(const layer *l, uint32_t block) {
  return (block + 1) % l->blocks == 0 ? dqnn_missing_lanes(l->v.group_out) : 0;
}

static uint32_t length(dqnn_taps taps) {
  return (uint32_t)(taps.end - taps.first);
}

/* T of ones = T - S lies in [-1, n_in] (missing outputs: n_in), and zeros = -(T + S) - 1 in the class that they are
 * for. */
static dqnn_check check_ones(const layer *l, const dqnn_taps taps[2], uint32_t block, const uint32_t *ones,
                             const uint32_t *minus) {
  uint32_t inputs = length(taps[Y]) * length(taps[X]) * l->v.group_in;
  int full = inputs == l->rows * (uint32_t)l->v.x.kernel;
  const uint32_t *zeros = (const uint32_t *)l->call->constants[2] + (size_t)block * l->np;
  uint32_t t_carry = 0, above_carry = ~UINT32_C(0), below_carry = 0, sum_carry = 0;
  uint32_t above = 0, below = 0, missing = 0, other = 0;
  for (uint32_t p = 0; p < l->np; ++p) {
    uint32_t t = add_bits(ones[p], minus[p], &t_carry);
    above = add_bits(t, 0, &above_carry);                        /* T + 1 */
    below = add_bits(~t, plane_of(inputs + 1, p), &below_carry); /* n_in - T */
    missing |= (t ^ plane_of(inputs, p)) & missing_of(l, block);
    other |= full ? ~zeros[p] ^ add_bits(t, minus[p], &sum_carry) : 0;
  }
  DQNN_REQUIRE(above == 0, preset_value); /* what is left are the signs: none negative */
  DQNN_REQUIRE(missing == 0, preset_padding);
  DQNN_REQUIRE(other == 0 && below == 0, preset_value);
  return DQNN_CHECK_none;
}

/* presets = -S */
static dqnn_check check_sums(const layer *l, const uint32_t *presets, const uint32_t *minus) {
  uint32_t sum = 0, carry = 0;
  for (uint32_t p = 0; p < l->np; ++p) {
    sum |= add_bits(presets[p], minus[p], &carry);
  }
  DQNN_REQUIRE(sum == 0, preset_value);
  return DQNN_CHECK_none;
}

/* --- all classes ---
 *
 * One axis has fewer classes. For each of them the other axis is walked, and the count follows: a tap is counted in
 * where it enters the window and out where it leaves. So a weight is looked at twice per class of the shorter axis,
 * however many classes there are in all. */

/* The first output of the next class; the first class begins at 0. */
static int32_t next_class(const layer *l, uint32_t along, int32_t output) {
  do {
    output = l->cut ? dqnn_next_class(l->axis[along], output) : l->outputs[along];
  } while (output < l->outputs[along] && !dqnn_class_begins(l->axis[along], output));
  return output;
}

static dqnn_taps counted(const layer *l, uint32_t along, int32_t output) {
  return l->cut ? dqnn_inside_of(l->axis[along], output) : (dqnn_taps){0, l->axis[along]->kernel};
}

/* The count of a window whose taps along the walked axis were `before`: both ends went downwards to what they are. */
static void follow(const layer *l, uint32_t block, const dqnn_taps taps[2], dqnn_taps before, uint32_t *minus) {
  dqnn_taps part[2] = {taps[Y], taps[X]}, now = taps[l->walked];
  if (before.first >= now.end || now.first >= before.end) {
    clear(minus);
    before.first = before.end = now.end;
  }
  part[l->walked] = (dqnn_taps){now.first, before.first};
  count_taps(l, block, part, 0, minus);
  part[l->walked] = (dqnn_taps){now.end, before.end};
  count_taps(l, block, part, 1, minus);
}

/* One block in class `fixed` of the one axis: all classes of the walked one. taps: those of the other are set. */
static dqnn_check check_line(const layer *l, uint32_t block, dqnn_taps taps[2], uint32_t fixed) {
  uint32_t minus[DQNN_MOST_PLANES], number = 0, walked = l->walked;
  dqnn_taps before = {0, 0};
  for (int32_t o = 0; o < l->outputs[walked]; o = next_class(l, walked, o), ++number) {
    taps[walked] = counted(l, walked, o);
    follow(l, block, taps, before, minus);
    before = taps[walked];
    uint32_t class_number = walked == X ? fixed * l->classes[X] + number : number * l->classes[X] + fixed;
    size_t place = (size_t)class_number * l->v.groups * l->blocks + block;
    const uint32_t *presets = (const uint32_t *)l->call->constants[1] + place * l->np;
    DQNN_TRY(l->thresholds ? check_ones(l, taps, block, presets, minus) : check_sums(l, presets, minus));
  }
  return DQNN_CHECK_none;
}

static dqnn_check check_presets(const layer *l) {
  uint32_t fixed = X - l->walked;
  for (uint32_t block = 0; block < l->v.groups * l->blocks; ++block) {
    uint32_t number = 0;
    for (int32_t o = 0; o < l->outputs[fixed]; o = next_class(l, fixed, o), ++number) {
      dqnn_taps taps[2] = {{0, 0}, {0, 0}};
      taps[fixed] = counted(l, fixed, o);
      DQNN_TRY(check_line(l, block, taps, number));
    }
  }
  return DQNN_CHECK_none;
}

/* The last word of a column pads the row lists of the fast kernels and is 0, and so are the lanes of missing outputs.
 */
static dqnn_check check_padding(const layer *l) {
  uint32_t kernel_w = (uint32_t)l->v.x.kernel, columns = l->v.groups * l->blocks * kernel_w;
  const uint32_t *word = (const uint32_t *)l->call->constants[0];
  for (uint32_t i = 0; i < columns; ++i, word += l->rows + 1) {
    uint32_t mask = missing_of(l, i / kernel_w);
    DQNN_REQUIRE(word[l->rows] == 0, weight_padding);
    for (uint32_t row = 0; mask != 0 && row < l->rows; ++row) {
      DQNN_REQUIRE((word[row] & mask) == 0, weight_padding);
    }
  }
  return DQNN_CHECK_none;
}

static dqnn_check check_sizes(const layer *l) {
  uint32_t blocks = dqnn_size_mul(l->v.groups, l->blocks);
  uint32_t one_class = dqnn_size_mul(dqnn_size_mul(blocks, l->np), 4);
  uint32_t all = dqnn_size_mul(dqnn_size_mul(l->classes[Y], l->classes[X]), one_class);
  DQNN_TRY(
      dqnn_check_weights(l->call, dqnn_size_mul(dqnn_size_mul(blocks, (uint32_t)l->v.x.kernel * (l->rows + 1)), 4)));
  DQNN_REQUIRE(l->call->constant_count >= 3, constant_count);
  DQNN_REQUIRE(all != UINT32_MAX && l->call->constant_bytes[1] == all, preset_bytes);
  DQNN_REQUIRE(!l->thresholds || l->call->constant_bytes[2] == one_class, preset_bytes);
  return DQNN_CHECK_none;
}

/* Of check_padding and check_presets; sizes are right. */
static uint64_t steps_of(const layer *l) {
  uint64_t weights = l->call->constant_bytes[0] / 4, presets = l->call->constant_bytes[1] / 4;
  return weights + 2 * weights * l->classes[X - l->walked] + STEPS_OF_PRESET * presets;
}

/* The window must not be too large before its classes are counted: each row and each column may begin two. */
static dqnn_check read_layer(const dqnn_call *call, dqnn_plan *plan, layer *l) {
  const dqnn_conv *v = &l->v;
  l->call = call;
  l->v = dqnn_conv_of(call, 0);
  uint32_t taps = dqnn_taps_of(v);
  DQNN_REQUIRE(taps <= DQNN_MOST_TAPS, accumulator);
  DQNN_TRY(dqnn_spend(plan, STEPS_OF_CLASS * 2 * ((uint64_t)v->params->kernel_h + v->params->kernel_w)));
  l->thresholds = call->out_def->dtype == DQNN_S1;
  l->cut = v->params->pad_value == 0.0f;
  l->blocks = dqnn_words(v->group_out);
  l->rows = (uint32_t)v->y.kernel * v->group_in;
  for (l->np = 7; (UINT32_C(1) << (l->np - 1)) < taps + 2;) {
    ++l->np;
  }
  l->axis[Y] = &v->y;
  l->axis[X] = &v->x;
  l->outputs[Y] = v->pooled_h * v->params->pool_h;
  l->outputs[X] = v->pooled_w * v->params->pool_w;
  for (uint32_t k = Y; k <= X; ++k) {
    l->classes[k] = l->cut ? (uint32_t)dqnn_class_of(l->axis[k], l->outputs[k] - 1) + 1 : 1;
  }
  l->walked = l->classes[X] >= l->classes[Y] ? X : Y;
  return DQNN_CHECK_none;
}

/* Inlined, its planes would stay on the stack under the calls that follow. */
DQNN_PLANNING static dqnn_check check_constants(const dqnn_call *call, dqnn_plan *plan) {
  layer l;
  DQNN_TRY(read_layer(call, plan, &l));
  DQNN_TRY(check_sizes(&l));
  DQNN_TRY(dqnn_spend(plan, steps_of(&l)));
  DQNN_TRY(check_padding(&l));
  DQNN_TRY(check_presets(&l));
  if (!l.thresholds) {
    return dqnn_check_epilogue(call, 2, l.v.out_c, l.v.params->requant, 1);
  }
  DQNN_REQUIRE(call->constant_count <= 4, constant_count);
  return call->constant_count == 4 ? dqnn_check_flip(call, 3, l.v.out_c) : DQNN_CHECK_none;
}

dqnn_check dqnn_plan_conv_bitsliced(const dqnn_call *call, dqnn_plan *plan) {
  DQNN_TRY(dqnn_check_conv(call));
  DQNN_TRY(dqnn_check_groups(call));
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  DQNN_REQUIRE(p->up_h == 1 && p->up_w == 1, up);
  DQNN_TRY(check_constants(call, plan));
  dqnn_scratch_conv_bitsliced(call, plan->scratch);
  return DQNN_CHECK_none;
}
