/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* depthwise_s8_{s8,s1}_* with dense 3x3 windows, stride 1 or 2, to s8: four channels at a time, by patches of 4x4 cells
 * (isa/mve_patches.h). Stride 2 and small maps go to depthwise_nine_bytes_mve.c, what neither takes goes to
 * depthwise_windows_mve.c and the 32-bit code, whose scratch is the same.
 *
 * Cells of a few pairs of lines are brought into the order of patches, then each of the four channels runs over them.
 * The last channels go with those before them once more, and so does the last line of an odd number. A line runs along
 * the longer side of the map, in parts if there is no room for all of it. */
#include "../../src/kernel.h"

#if DQNN_HAVE_MVE
#include <arm_mve.h>

#include "../../isa/halves.h"
#include "../../isa/mve_patches.h"
#include "../opt/depthwise_channels.h"
#include "../opt/depthwise_packed.h"
#include "../opt/emit_quad.h"
#include "../opt/geometry.h"
#include "depthwise_nine_bytes_mve.h"
#include "depthwise_windows_mve.h"
#include "epilogue_mve.h"

enum { TAPS = 3, LINES = 4 /* of a patch */, GROUP = 4, BLOCK = 4, CHUNK = 64 /* bytes of four columns */, PLACES = 8 };
enum { LOCAL = 160 /* bytes of cells that stand on the stack: two blocks with stride 1 */ };

/* Along a line, or across lines; steps in bytes. */
typedef struct {
  int32_t size, pad; /* of the input */
  int32_t outputs;
  uint32_t in_step, out_step;
} axis;

typedef void (*runner)(const dqnn_patch_plan *);

typedef struct {
  const dqnn_call *call;
  axis along, across;
  int32_t stride;
  uint32_t channels;
  int32_t zero_point; /* of the input */
  uint32_t outside;   /* a cell outside the map, in each byte */
  uint8_t transposed, binary_weights;
  dqnn_depthwise_unpack unpack; /* NULL: weights are signs, or bytes in the file */
  uint8_t aligned;              /* cells of four channels are words */
  int32_t out_zero_point;
  const int32_t *bias;           /* NULL: none */
  const void *factors, *addends; /* of channels, 4 bytes each */
  runner run;
  int8_t *cells; /* in the order of patches */
  uint32_t room; /* bytes of them */
} layer;

/* Outputs first to first + count - 1 of all lines. */
typedef struct {
  int32_t first, blocks;
  int32_t together;    /* lines of outputs that are a pair; 1: the same line twice */
  uint32_t pair_bytes; /* of the cells of a pair */
  uint32_t pairs;      /* that have room at a time */
  uint16_t places[PLACES];
  uint32_t weights[2][GROUP][4];
  dqnn_patch_plan plan;
} part;

/* ---- weights ---- */

DQNN_INLINE uint32_t word_at(const int8_t *from) {
  uint32_t word;
  memcpy(&word, from, 4);
  return word;
}

/* Signs of four channels of a tap. */
static uint32_t tap_signs(const layer *l, uint32_t tap, uint32_t channel) {
  const uint32_t *from = (const uint32_t *)l->call->constants[0] + (channel >> 5) * TAPS * TAPS + tap;
  const uint32_t at = channel & 31u;
  return dqnn_spread_signs(from[0] >> at | (at > 32u - GROUP ? from[TAPS * TAPS] << (32u - at) : 0u));
}

/* Four channels of all taps, in lines; `four` has room for what is unpacked. */
static void read_taps(const layer *l, uint32_t channel, uint32_t taps[TAPS][4], int8_t *four) {
  const int8_t *from = (const int8_t *)l->call->constants[0] + channel;
  const uint32_t right = l->transposed ? TAPS : 1, down = l->transposed ? 1 : TAPS;
  uint32_t step = l->channels;
  if (l->unpack) {
    l->unpack(l->call, channel, GROUP, four);
    from = four;
    step = GROUP;
  }
  for (uint32_t y = 0; y < TAPS; y++) {
    for (uint32_t x = 0; x < TAPS; x++) {
      const uint32_t tap = right * x + down * y;
      taps[y][x] = l->binary_weights ? tap_signs(l, tap, channel) : word_at(from + tap * step);
    }
    taps[y][TAPS] = 0;
  }
}

/* Vectors of nine weights for the outputs of a patch: at its left, or at its right. Byte 3 of a column is 0, but for
 * stride 2, where it has the right output's last column. */
DQNN_NOINLINE void read_weights(const layer *l, uint32_t channel, uint32_t weights[2][GROUP][4]) {
  uint32_t(*taps)[4] = weights[0];
  read_taps(l, channel, taps, (int8_t *)weights[1]);
  const int8_t *rows = (const int8_t *)taps;
  const uint32x4_t zero = vdupq_n_u32(0);
  const int8x16x4_t lines = {{vld1q_s8(rows), vld1q_s8(rows + 16), vld1q_s8(rows + 32), vreinterpretq_s8_u32(zero)}};
  vst4q_s8((int8_t *)taps, lines); /* [column][channel], a byte for each line */
  const uint32x4_t a = vld1q_u32(taps[0]), b = vld1q_u32(taps[1]), c = vld1q_u32(taps[2]);
  const uint32x4x4_t left = {{a, b, c, zero}};
  vst4q_u32(weights[0][0], left);
  if (l->stride == 1) {
    const uint32x4x4_t right = {{zero, a, b, c}};
    vst4q_u32(weights[1][0], right);
    return;
  }
  const uint32x4_t high = vdupq_n_u32(0xff000000u);
  const uint32x4x4_t right = {
      {vshlq_n_u32(c, 24), vandq_u32(vshlq_n_u32(c, 16), high), vorrq_u32(a, vandq_u32(vshlq_n_u32(c, 8), high)), b}};
  vst4q_u32(weights[1][0], right);
}

/* ---- cells ---- */

/* Lines of the map under a line of patches, from their first column on; of those outside, one cell. */
typedef struct {
  const int8_t *from[LINES];
  uint32_t step[LINES]; /* bytes to the next column */
} lines;

DQNN_ALWAYS_INLINE uint32x4_t read_aligned(const int8_t *from, uint32x4_t places) {
  return vldrwq_gather_offset_u32((const uint32_t *)(const void *)from, places);
}

DQNN_ALWAYS_INLINE void put_columns(int8_t *to, uint32x4_t a, uint32x4_t b, uint32x4_t c, uint32x4_t d) {
  const int8x16x4_t columns = {
      {vreinterpretq_s8_u32(a), vreinterpretq_s8_u32(b), vreinterpretq_s8_u32(c), vreinterpretq_s8_u32(d)}};
  vst4q_s8(to, columns);
}

/* Four columns at a time from x on, all of them in the map; for stride 2 with the fifth. */
DQNN_NOINLINE void copy_dense(const lines *n, uint32_t x, uint32_t chunks, int8_t *to) {
  const uint32_t sa = n->step[0], sb = n->step[1], sc = n->step[2], sd = n->step[3];
  const int8_t *a = n->from[0] + x * sa, *b = n->from[1] + x * sb, *c = n->from[2] + x * sc, *d = n->from[3] + x * sd;
  const uint32x4_t index = vidupq_n_u32(0, 1), pa = vmulq_n_u32(index, sa), pb = vmulq_n_u32(index, sb),
                   pc = vmulq_n_u32(index, sc), pd = vmulq_n_u32(index, sd);
  for (; chunks; chunks--, a += 4 * sa, b += 4 * sb, c += 4 * sc, d += 4 * sd, to += CHUNK) {
    put_columns(to, read_aligned(a, pa), read_aligned(b, pb), read_aligned(c, pc), read_aligned(d, pd));
  }
}

/* Column x of all lines. */
DQNN_ALWAYS_INLINE uint32x4_t read_column(const lines *n, uint32_t x) {
  const uint32x4_t from = vld1q_u32((const uint32_t *)(const void *)n->from); /* addresses */
  return vldrwq_gather_base_u32(vmlaq_n_u32(from, vld1q_u32(n->step), x), 0);
}

DQNN_NOINLINE void copy_strided(const lines *n, uint32_t x, uint32_t chunks, int8_t *to) {
  const uint32_t sa = n->step[0], sb = n->step[1], sc = n->step[2];
  const int8_t *a = n->from[0] + x * sa, *b = n->from[1] + x * sb, *c = n->from[2] + x * sc;
  const uint32x4_t index = vidupq_n_u32(0, 1), pa = vmulq_n_u32(index, sa), pb = vmulq_n_u32(index, sb),
                   pc = vmulq_n_u32(index, sc);
  for (; chunks; chunks--, a += 4 * sa, b += 4 * sb, c += 4 * sc, to += CHUNK) {
    x += 4;
    put_columns(to, read_aligned(a, pa), read_aligned(b, pb), read_aligned(c, pc), read_column(n, x));
  }
}

DQNN_ALWAYS_INLINE void put_words(int8_t *to, uint32_t words[LINES][4]) {
  put_columns(to, vld1q_u32(words[0]), vld1q_u32(words[1]), vld1q_u32(words[2]), vld1q_u32(words[3]));
}

/* The same for cells that are no words. */
DQNN_NOINLINE void copy_unaligned(const layer *l, const lines *n, uint32_t x, uint32_t chunks, int8_t *to) {
  for (; chunks; chunks--, x += 4, to += CHUNK) {
    uint32_t words[LINES][4];
    for (uint32_t i = 0; i < LINES; i++) {
      const uint32_t step = n->step[i];
      const int8_t *from = n->from[i] + x * step;
      words[i][0] = word_at(from);
      words[i][1] = word_at(from + step);
      words[i][2] = word_at(from + 2 * step);
      words[i][3] = word_at(from + 3 * step);
      if (l->stride == 2 && i == TAPS) {
        words[i][0] = word_at(n->from[0] + (x + 4) * n->step[0]);
        words[i][1] = word_at(n->from[1] + (x + 4) * n->step[1]);
        words[i][2] = word_at(n->from[2] + (x + 4) * n->step[2]);
      }
    }
    put_words(to, words);
  }
}

/* A cell of line i in column x. */
static uint32_t cell_at(const layer *l, const lines *n, uint32_t i, uint32_t x) {
  return x < (uint32_t)l->along.size ? word_at(n->from[i] + x * n->step[i]) : l->outside;
}

/* Four columns, anywhere. */
DQNN_NOINLINE void copy_anywhere(const layer *l, const lines *n, uint32_t x, int8_t *to) {
  uint32_t words[LINES][4];
  for (uint32_t i = 0; i < 4 * LINES; i++) {
    const uint32_t line = i / 4, k = i % 4;
    words[line][k] = line < TAPS || l->stride == 1 ? cell_at(l, n, line, x + k) : cell_at(l, n, k, x + 4);
  }
  put_words(to, words);
}

/* Four columns of line i, anywhere. */
DQNN_ALWAYS_INLINE uint32x4_t border_words(const layer *l, const lines *n, uint32_t i, uint32x4_t columns,
                                           mve_pred16_t inside) {
  const uint32_t *from = (const uint32_t *)(const void *)n->from[i];
  const uint32x4_t words = vldrwq_gather_offset_z_u32(from, vmulq_n_u32(columns, n->step[i]), inside);
  return vpselq_u32(words, vdupq_n_u32(l->outside), inside);
}

DQNN_NOINLINE void copy_border(const layer *l, const lines *n, uint32_t x, int8_t *to) {
  const uint32x4_t columns = vaddq_n_u32(vidupq_n_u32(0, 1), x);
  const mve_pred16_t inside = vcmphiq_u32(vdupq_n_u32((uint32_t)l->along.size), columns);
  uint32x4_t fourth = vdupq_n_u32(l->outside);
  if (l->stride == 1) {
    fourth = border_words(l, n, 3, columns, inside);
  } else if (x + 4 < (uint32_t)l->along.size) {
    fourth = read_column(n, x + 4);
  }
  put_columns(to, border_words(l, n, 0, columns, inside), border_words(l, n, 1, columns, inside),
              border_words(l, n, 2, columns, inside), fourth);
}

/* `chunks` times four columns from column x on. */
DQNN_ALWAYS_INLINE void copy_chunks(const layer *l, const lines *n, int32_t x, int32_t chunks, int8_t *to) {
  const int32_t last = l->along.size - (l->stride == 1 ? 4 : 5);
  for (int32_t run; chunks; chunks -= run, x += 4 * run, to += run * CHUNK) {
    const uint32_t at = (uint32_t)x;
    if (x < 0 || x > last) {
      run = 1;
      l->aligned ? copy_border(l, n, at, to) : copy_anywhere(l, n, at, to);
      continue;
    }
    run = (last - x) / 4 + 1;
    run = run < chunks ? run : chunks;
    if (!l->aligned) {
      copy_unaligned(l, n, at, (uint32_t)run, to);
    } else if (l->stride == 1) {
      copy_dense(n, at, (uint32_t)run, to);
    } else {
      copy_strided(n, at, (uint32_t)run, to);
    }
  }
}

/* The lines from y on. */
static void find_lines(const layer *l, const int8_t *image, int32_t y, lines *n) {
  const int32_t size = l->across.size;
  for (uint32_t i = 0; i < LINES; i++, y++) {
    const int inside = (uint32_t)y < (uint32_t)size && (i < TAPS || l->stride == 1);
    n->from[i] = inside ? image + (uint32_t)y * l->across.in_step : (const int8_t *)&l->outside;
    n->step[i] = inside ? l->along.in_step : 0;
  }
}

/* Cells of a line of windows. The last columns of stride 1, half of four, are copied with those before them. */
DQNN_NOINLINE void copy_windows(const layer *l, const part *p, const int8_t *image, int32_t y, int8_t *to) {
  const int32_t x = p->first * l->stride - l->along.pad, columns = 4 * p->blocks - 2;
  lines n;
  find_lines(l, image, y, &n);
  if (l->stride == 1) {
    copy_chunks(l, &n, x, p->blocks, to);
    copy_chunks(l, &n, x + columns, 1, to + columns * (CHUNK / 4));
  } else {
    copy_chunks(l, &n, x, 2 * p->blocks, to);
  }
}

/* Cells of `pairs` pairs of lines, from output line o on. For stride 2 all second lines stand behind all first ones. */
static void copy_pairs(const layer *l, const part *p, const int8_t *image, int32_t o, uint32_t pairs) {
  const int second = l->stride == 2 && p->together == 2;
  const uint32_t step = second ? p->pair_bytes / 2 : p->pair_bytes;
  int8_t *to = l->cells;
  for (uint32_t n = pairs; n; n--, o += p->together, to += step) {
    const int32_t y = o * l->stride - l->across.pad;
    copy_windows(l, p, image, y, to);
    if (second) {
      copy_windows(l, p, image, y + 2, to + pairs * step);
    }
  }
}

/* ---- the walk ---- */

/* Pairs of lines whose cells are there, from output line o on; channels from `channel` on. */
static void run_pairs(const layer *l, part *p, uint32_t channel, int32_t o) {
  dqnn_patch_plan *plan = &p->plan;
  const int8_t *weights = (const int8_t *)p->weights;
  const int32_t *bias = l->bias ? l->bias + channel : NULL;
  const int32_t *factor = (const int32_t *)l->factors + channel, *addend = (const int32_t *)l->addends + channel;
  plan->out =
      (int8_t *)l->call->out + (uint32_t)o * l->across.out_step + (uint32_t)p->first * l->along.out_step + channel;
  plan->patches = l->cells - (l->stride == 1 ? CHUNK / 2 : CHUNK);
  plan->weights = p->weights[0][0];
  for (uint32_t c = 0; c < GROUP; c++) {
    const int32_t begin = -l->zero_point * (int32_t)vaddvq_s8(vld1q_s8(weights + 16 * c));
    plan->begin = bias ? dqnn_wrap_add(begin, bias[c]) : begin;
    plan->factor = factor[c];
    plan->addend = addend[c];
    l->run(plan);
    plan->out++;
    plan->patches += 4;
    plan->weights += 4;
  }
}

/* Four channels. */
static void run_group(const layer *l, part *p, uint32_t channel) {
  const int8_t *image = (const int8_t *)l->call->in[0] + channel;
  const int32_t outputs = l->across.outputs, together = p->together;
  read_weights(l, channel, p->weights);
  for (int32_t o = 0; o < outputs;) {
    uint32_t pairs = (uint32_t)(outputs - o) / (uint32_t)together;
    if (pairs == 0) { /* the last one of an odd number */
      o--;
      pairs = 1;
    }
    pairs = pairs < p->pairs ? pairs : p->pairs;
    p->plan.pairs = pairs;
    p->plan.turn = together == 1 ? 0 : l->stride == 1 ? 8 : pairs * (p->pair_bytes / 2);
    copy_pairs(l, p, image, o, pairs);
    run_pairs(l, p, channel, o);
    o += together * (int32_t)pairs;
  }
}

static uint32_t pair_bytes(const layer *l, int32_t blocks, int32_t together) {
  return (uint32_t)(l->stride == 1 ? blocks * CHUNK + CHUNK / 2 : blocks * together * 2 * CHUNK);
}

/* Blocks of a line whose cells have room; at least one. */
static int32_t most_blocks(const layer *l, int32_t together) {
  const int32_t room = (int32_t)l->room;
  return l->stride == 1 ? (room - CHUNK / 2) / CHUNK : room / (together * 2 * CHUNK);
}

static void run_part(const layer *l, int32_t first, int32_t count, int32_t together) {
  const uint32_t column = l->along.out_step, line = together > 1 ? l->across.out_step : 0;
  const int32_t blocks = (count + BLOCK - 1) / BLOCK, rest = count - (blocks - 1) * BLOCK;
  part p = {.first = first, .blocks = blocks, .together = together, .pair_bytes = pair_bytes(l, blocks, together)};
  p.pairs = l->room / p.pair_bytes;
  p.plan.places = p.places;
  p.plan.blocks = (uint32_t)blocks - 1;
  p.plan.zero_point = l->out_zero_point;
  p.plan.step = BLOCK * column;
  p.plan.back = (uint32_t)together * l->across.out_step - ((uint32_t)blocks - 1) * p.plan.step;
  for (uint32_t i = 0; i < PLACES; i++) {
    const uint32_t at = DQNN_PATCH_COLUMN(i);
    p.places[i] = (uint16_t)(DQNN_PATCH_LINE(i) * line + at * column);
    p.plan.mask |= (int32_t)at < rest ? 3u << 2 * i : 0;
  }
  for (uint32_t c = 0; c < l->channels; c += GROUP) {
    run_group(l, &p, c + GROUP <= l->channels ? c : l->channels - GROUP);
  }
}

/* Lines of outputs, in parts of about the same length. */
static void run_lines(const layer *l) {
  const int two = l->across.outputs > 1 && (l->stride == 1 || l->room >= pair_bytes(l, 1, 2));
  const int32_t together = two ? 2 : 1, most = most_blocks(l, together), outputs = l->along.outputs;
  const int32_t blocks = (outputs + BLOCK - 1) / BLOCK, parts = (blocks + most - 1) / most,
                count = BLOCK * ((blocks + parts - 1) / parts);
  for (int32_t first = 0; first < outputs; first += count) {
    run_part(l, first, outputs - first < count ? outputs - first : count, together);
  }
}

/* ---- set-up ---- */

static const runner RUNNERS[2][3] = {{dqnn_patches_affine_1, dqnn_patches_fixed_1, dqnn_patches_relu_1},
                                     {dqnn_patches_affine_2, dqnn_patches_fixed_2, dqnn_patches_relu_2}};

/* Returns 0 for rules that go another way. */
static int read_rule(const dqnn_call *call, layer *l) {
  dqnn_epilogue e;
  dqnn_read_epilogue(call, 1, &e);
  const dqnn_quad_kind kind = dqnn_quad_kind_of(&e, l->channels, TAPS * TAPS);
  const int affine = kind == DQNN_QUAD_AFFINE;
  l->run = RUNNERS[l->stride - 1][affine ? 0 : e.least >= 0 ? 2 : 1];
  l->out_zero_point = e.zero_point;
  l->bias = affine ? NULL : e.bias;
  l->factors = affine ? (const void *)e.scale : e.multiplier;
  l->addends = affine ? (const void *)e.offset : e.shift;
  return kind != DQNN_QUAD_ANY;
}

/* Lines along the longer side, if the shorter one does not fill its blocks. */
static void read_axes(const dqnn_call *call, layer *l) {
  dqnn_geometry g;
  dqnn_read_geometry(call, &g);
  const uint32_t channels = g.channels;
  const axis row = {g.width, g.pad_left, g.out_width, channels, channels};
  const axis column = {g.height, g.pad_top, g.out_height, (uint32_t)g.width * channels,
                       (uint32_t)g.out_width * channels};
  l->transposed = g.out_height > g.out_width && (g.out_width % BLOCK || g.out_height > 2 * g.out_width);
  l->along = l->transposed ? column : row;
  l->across = l->transposed ? row : column;
  l->channels = channels;
  l->stride = g.stride_h;
}

/* Returns 0 for what goes another way. */
DQNN_NOINLINE int prepare(const dqnn_call *call, layer *l) {
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  if (!dqnn_has_channels(call) || p->half_weights || dqnn_last(call->out_def) < GROUP) {
    return 0;
  }
  read_axes(call, l);
  l->call = call;
  l->zero_point = call->in_def[0]->zero_point;
  l->outside = dqnn_every_byte((int32_t)p->pad_value);
  l->aligned = l->channels % 4 == 0 && (uintptr_t)call->in[0] % 4 == 0;
  const uint64_t farthest = (uint64_t)l->across.out_step + (BLOCK - 1) * (uint64_t)l->along.out_step;
  return farthest <= UINT16_MAX && read_rule(call, l);
}

DQNN_NOINLINE int run_patches(const dqnn_call *call, uint8_t binary_weights, dqnn_depthwise_unpack unpack) {
  uint32_t cells[LOCAL / 4];
  layer l;
  if (!prepare(call, &l)) {
    return 0;
  }
  const int enough = call->scratch_bytes > sizeof cells;
  l.binary_weights = binary_weights;
  l.unpack = unpack;
  l.cells = (int8_t *)(enough ? call->scratch : cells);
  l.room = enough ? call->scratch_bytes : sizeof cells;
  run_lines(&l);
  return 1;
}

/* 3x3 windows, by the quicker of two ways, or by the other. */
DQNN_ALWAYS_INLINE int run_nine(const dqnn_call *call, uint8_t binary_weights, dqnn_depthwise_unpack unpack) {
  if (dqnn_depthwise_nine_bytes_mve(call, binary_weights, unpack, 0) || run_patches(call, binary_weights, unpack) ||
      dqnn_depthwise_nine_bytes_mve(call, binary_weights, unpack, 1)) {
    dqnn_clamp_mve(call);
    return 1;
  }
  return 0;
}

void dqnn_run_depthwise_s8_s8_s8_mve(const dqnn_call *call) {
  if (!run_nine(call, 0, NULL) && !dqnn_depthwise_windows_mve(call, 0)) {
    dqnn_run_depthwise_s8_s8_s8_portable(call);
  }
}
#if DQNN_HAVE_PACKED
/* The last group begins where four are unpacked if channels are groups. */
void dqnn_run_depthwise_s8_s8_s8_packed(const dqnn_call *call) {
  if (dqnn_last(call->out_def) % GROUP != 0 || !run_nine(call, 0, dqnn_unpack_depthwise)) {
    dqnn_run_depthwise_packed(call);
  }
}
#endif
void dqnn_run_depthwise_s8_s1_s8_mve(const dqnn_call *call) {
  if (!run_nine(call, 1, NULL) && !dqnn_depthwise_windows_mve(call, 1)) {
    dqnn_run_depthwise_s8_s1_s8_portable(call);
  }
}
#endif
