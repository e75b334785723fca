/* Plan of conv_bitsliced. Its presets (SPEC.md 3.4) repeat what the weights say: S(class) is the number of -1 weights.
 * The fast variants take either of two forms of a preset, whichever is cheaper for a window, and leave out the mask of
 * missing outputs; so that a file means the same to all of them, the presets are compared with the weights here, 32
 * outputs at a time. */
#include "opt/conv_bitsliced.h"
#include "plan_conv.h"
#include "scratch.h"

typedef struct {
  const dqnn_call *call;
  dqnn_conv v;
  int thresholds; /* s1 output: presets are T - S; else -S */
  uint32_t np, blocks, rows, classes_y,
      classes_x; /* blocks: of 32 outputs, in each group; rows: weight words of a column */
} layer;

/* A border class: the taps that count. */
typedef struct {
  dqnn_inside y, x;
  const uint32_t *presets; /* of the next block */
} border;

/* --- numbers in planes, modulo 2^np --- */

/* sum = a + b + carry; sum may be a or b. */
static void add(const layer *l, uint32_t *sum, const uint32_t *a, const uint32_t *b, uint32_t carry) {
  for (uint32_t p = 0; p < l->np; ++p) {
    uint32_t x = a[p], y = b[p];
    sum[p] = x ^ y ^ carry;
    carry = (x & y) | (carry & (x ^ y));
  }
}

/* The same number in all lanes. */
static void fill(const layer *l, uint32_t *planes, uint32_t number) {
  for (uint32_t p = 0; p < l->np; ++p) {
    planes[p] = 0u - (number >> p & 1u);
  }
}

static void complement(const layer *l, uint32_t *planes) {
  for (uint32_t p = 0; p < l->np; ++p) {
    planes[p] = ~planes[p];
  }
}

static uint32_t negative_lanes(const layer *l, const uint32_t *planes) {
  return planes[l->np - 1];
}

static void count_bits(uint32_t *planes, uint32_t bits) {
  for (uint32_t p = 0; bits != 0; ++p) { /* ends before np: 2^(np - 1) exceeds the number of taps */
    uint32_t carry = planes[p] & bits;
    planes[p] ^= bits;
    bits = carry;
  }
}

/* --- one block of one class --- */

/* S: how many weights of the counted taps are -1. */
static void count_minus(const layer *l, const border *b, uint32_t block, uint32_t *minus) {
  uint32_t width = l->v.group_in, kernel_w = (uint32_t)l->v.x.kernel;
  const uint32_t *words = (const uint32_t *)l->call->constants[0] + (size_t)block * kernel_w * (l->rows + 1);
  fill(l, minus, 0);
  for (uint32_t kx = (uint32_t)b->x.first; kx < (uint32_t)b->x.end; ++kx) {
    const uint32_t *column = words + kx * (l->rows + 1);
    for (uint32_t row = (uint32_t)b->y.first * width; row < (uint32_t)b->y.end * width; ++row) {
      count_bits(minus, column[row]);
    }
  }
}

static uint32_t missing_of(const layer *l, uint32_t block) {
  return (block + 1) % l->blocks == 0 ? dqnn_missing_lanes(l->v.group_out) : 0;
}

static int is_full(const layer *l, const border *b) {
  return b->y.end - b->y.first == l->v.y.kernel && b->x.end - b->x.first == l->v.x.kernel;
}

/* T of ones = T - S lies in [-1, n_in] (missing outputs: n_in), and zeros = -(T + S) - 1 in the class that they are
 * for. */
static dqnn_check check_ones(const layer *l, const border *b, uint32_t block, const uint32_t *minus) {
  uint32_t t[DQNN_MOST_PLANES], number[DQNN_MOST_PLANES];
  uint32_t inputs = (uint32_t)(b->y.end - b->y.first) * (uint32_t)(b->x.end - b->x.first) * l->v.group_in;
  add(l, t, b->presets, minus, 0);
  fill(l, number, 1);
  add(l, number, number, t, 0);
  DQNN_REQUIRE(negative_lanes(l, number) == 0, preset_value);
  DQNN_REQUIRE(dqnn_lanes_hold(t, l->np, missing_of(l, block), inputs), preset_padding);
  add(l, number, t, minus, 0);
  const uint32_t *zeros = (const uint32_t *)l->call->constants[2] + (size_t)block * l->np;
  for (uint32_t p = 0; is_full(l, b) && p < l->np; ++p) {
    DQNN_REQUIRE(zeros[p] == ~number[p], preset_value);
  }
  complement(l, t); /* -T - 1 */
  fill(l, number, inputs + 1);
  add(l, number, number, t, 0);
  DQNN_REQUIRE(negative_lanes(l, number) == 0, preset_value);
  return DQNN_CHECK_none;
}

static dqnn_check check_block(const layer *l, border *b, uint32_t block) {
  uint32_t minus[DQNN_MOST_PLANES];
  count_minus(l, b, block, minus);
  if (l->thresholds) {
    DQNN_TRY(check_ones(l, b, block, minus));
  } else {
    add(l, minus, minus, b->presets, 0);
    DQNN_REQUIRE(dqnn_lanes_hold(minus, l->np, ~UINT32_C(0), 0), preset_value);
  }
  b->presets += l->np;
  return DQNN_CHECK_none;
}

/* --- all classes --- */

static dqnn_inside counted(const layer *l, const dqnn_axis *axis, int32_t output) {
  return l->v.params->pad_value == 0.0f ? dqnn_inside_of(axis, output) : (dqnn_inside){0, axis->kernel};
}

static int begins(const dqnn_axis *axis, int32_t output) {
  return output == 0 || dqnn_class_begins(axis, output);
}

/* The column classes of one row class. */
static dqnn_check check_row(const layer *l, border *b) {
  int32_t outputs = l->classes_x == 1 ? 1 : l->v.pooled_w * l->v.params->pool_w;
  for (int32_t ox = 0; ox < outputs; ++ox) {
    if (!begins(&l->v.x, ox)) {
      continue;
    }
    b->x = counted(l, &l->v.x, ox);
    for (uint32_t block = 0; block < l->v.groups * l->blocks; ++block) {
      DQNN_TRY(check_block(l, b, block));
    }
  }
  return DQNN_CHECK_none;
}

static dqnn_check check_presets(const layer *l) {
  border b = {{0, 0}, {0, 0}, (const uint32_t *)l->call->constants[1]};
  int32_t outputs = l->classes_y == 1 ? 1 : l->v.pooled_h * l->v.params->pool_h;
  for (int32_t oy = 0; oy < outputs; ++oy) {
    if (begins(&l->v.y, oy)) {
      b.y = counted(l, &l->v.y, oy);
      DQNN_TRY(check_row(l, &b));
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
  uint32_t all = dqnn_size_mul(dqnn_size_mul(l->classes_y, l->classes_x), one_class);
  DQNN_TRY(
      dqnn_check_weights(l->call, dqnn_size_mul(dqnn_size_mul(blocks, (uint32_t)l->v.x.kernel * (l->rows + 1)), 4)));
  DQNN_REQUIRE(l->call->constant_count >= 3, constant_count);
  DQNN_REQUIRE(all != UINT32_MAX && l->call->constant_bytes[1] == all, preset_bytes);
  DQNN_REQUIRE(!l->thresholds || l->call->constant_bytes[2] == one_class, preset_bytes);
  return DQNN_CHECK_none;
}

static layer layer_of(const dqnn_call *call) {
  layer l = {.call = call, .v = dqnn_conv_of(call, 0), .np = 7, .classes_y = 1, .classes_x = 1};
  uint32_t taps = dqnn_taps_of(&l.v);
  l.thresholds = call->out_def->dtype == DQNN_S1;
  l.blocks = dqnn_words(l.v.group_out);
  l.rows = (uint32_t)l.v.y.kernel * l.v.group_in;
  while (l.np < DQNN_MOST_PLANES && (UINT32_C(1) << (l.np - 1)) < taps + 2) {
    ++l.np;
  }
  if (l.v.params->pad_value == 0.0f) {
    l.classes_y = (uint32_t)dqnn_class_of(&l.v.y, l.v.pooled_h * l.v.params->pool_h - 1) + 1;
    l.classes_x = (uint32_t)dqnn_class_of(&l.v.x, l.v.pooled_w * l.v.params->pool_w - 1) + 1;
  }
  return l;
}

/* Inlined, its planes would stay on the stack under the calls that follow. */
#if defined(__GNUC__)
__attribute__((noinline))
#endif
static dqnn_check
check_constants(const dqnn_call *call) {
  layer l = layer_of(call);
  DQNN_REQUIRE(dqnn_taps_of(&l.v) <= DQNN_MOST_TAPS, accumulator);
  DQNN_TRY(check_sizes(&l));
  DQNN_TRY(check_padding(&l));
  DQNN_TRY(check_presets(&l));
  if (!l.thresholds) {
    return dqnn_check_epilogue(call, 2, l.v.out_c, l.v.params->requant, 1);
  }
  DQNN_REQUIRE(call->constant_count <= 4, constant_count);
  return call->constant_count == 4 ? dqnn_check_flip(call, 3, l.v.out_c) : DQNN_CHECK_none;
}

static dqnn_check plan_conv_bitsliced(const dqnn_call *call, dqnn_plan *plan) {
  DQNN_TRY(dqnn_check_conv(call));
  DQNN_TRY(dqnn_check_groups(call));
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  DQNN_REQUIRE(p->up_h == 1 && p->up_w == 1, up);
  DQNN_TRY(check_constants(call));
  dqnn_scratch_conv_bitsliced(call, plan->scratch);
  return DQNN_CHECK_none;
}

dqnn_status dqnn_plan_conv_bitsliced(const dqnn_call *call, dqnn_plan *plan) {
  return dqnn_plan_with(plan_conv_bitsliced, call, plan);
}
