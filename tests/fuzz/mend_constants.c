/* See mend.h: constants of every kernel, schema/SPEC.md 3.2 to 3.5. Bytes that are legal stay; a constant of another
 * size repeats what it held. */
#include <math.h>
#include <string.h>

#include "mend.h"

enum { MOST_BYTES = 1 << 15, MOST_OUTPUTS = 4096, MOST_PLANES = 16 };

typedef struct {
  draft *d;
  draft_node *node;
  uint32_t count; /* constants that are done */
  dice *random;
  bool failed;
} job;

static uint32_t words(uint32_t bits) {
  return (bits + 31) / 32;
}

/* Constant number j->count of the node, with so many bytes; NULL if that is too much. */
static void *next(job *j, uint64_t bytes) {
  draft *d = j->d;
  uint32_t k = j->count++;
  bool there = k < j->node->constant_count && j->node->constants[k] < d->constant_count;
  draft_piece old = there ? d->constants[j->node->constants[k]] : (draft_piece){0, 0}, piece;
  if (there && old.bytes == bytes) {
    return d->pool + old.at;
  }
  uint8_t *fresh = NULL;
  if (bytes <= MOST_BYTES && d->constant_count < DRAFT_CONSTANTS && !j->failed) {
    fresh = draft_take(d, &piece, (uint32_t)bytes);
  }
  if (fresh == NULL) {
    j->failed = true;
    return NULL;
  }
  for (uint32_t i = 0; i < piece.bytes; ++i) {
    fresh[i] = old.bytes != 0 ? d->pool[old.at + i % old.bytes] : (uint8_t)dice_roll(j->random);
  }
  j->node->constants[k] = (uint16_t)d->constant_count;
  d->constants[d->constant_count++] = piece;
  j->node->constant_count = (uint8_t)(k >= j->node->constant_count ? k + 1 : j->node->constant_count);
  return fresh;
}

/* ---- kinds of numbers ---- */

static void floats(job *j, uint64_t count, bool infinities) {
  float *values = next(j, 4 * count);
  for (uint32_t i = 0; values != NULL && i < count; ++i) {
    bool good = values[i] - values[i] == 0.0f || (infinities && values[i] == values[i]);
    values[i] = good ? values[i] : (float)((int32_t)dice_below(j->random, 64) - 32) / 16.0f;
  }
}

static void integers(job *j, uint32_t count, int32_t low, int32_t high) {
  int32_t *values = next(j, 4 * (uint64_t)count);
  for (uint32_t i = 0; values != NULL && i < count; ++i) {
    bool good = values[i] >= low && values[i] <= high;
    values[i] = good ? values[i] : low + (int32_t)((uint32_t)values[i] % ((uint32_t)high - (uint32_t)low + 1));
  }
}

/* Rows of bits in words, the rest of each row 0. */
static uint32_t *bits(job *j, uint64_t rows, uint32_t row) {
  uint32_t *values = next(j, 4 * rows * words(row)), tail = row % 32;
  for (uint64_t i = 1; values != NULL && tail != 0 && i <= rows; ++i) {
    values[i * words(row) - 1] &= (1u << tail) - 1;
  }
  return values;
}

static void flip(job *j, uint32_t channels) {
  if (j->node->constant_count > j->count) {
    (void)bits(j, 1, channels);
  }
}

/* Of the exact rule: what the sum of 63 bits leaves room for. */
static void offsets(job *j, uint32_t count) {
  const int64_t most = INT64_C(1) << 62;
  int64_t *values = next(j, 8 * (uint64_t)count);
  for (uint32_t i = 0; values != NULL && i < count; ++i) {
    values[i] = values[i] > -most && values[i] < most ? values[i] : values[i] / 4;
  }
}

static void divisors(job *j, uint32_t count) {
  float *values = next(j, 4 * (uint64_t)count);
  for (uint32_t i = 0; values != NULL && i < count; ++i) {
    values[i] = values[i] > 0.0f && values[i] < INFINITY ? values[i] : 0.5f;
  }
}

static void epilogue(job *j, uint32_t channels, uint32_t requant, bool integer) {
  uint32_t output = mend_kernels[j->node->kernel].output;
  if (output == DQNN_S1 && integer) {
    integers(j, channels, INT32_MIN, INT32_MAX);
  } else if (output == DQNN_S1) {
    floats(j, channels, true);
  } else if (requant == DQNN_REQUANT_AFFINE) {
    floats(j, channels, false);
    floats(j, channels, false);
  } else if (requant == DQNN_REQUANT_FIXED64) {
    offsets(j, channels);
    integers(j, channels, 0, INT32_MAX);
    integers(j, channels, 1, 62);
  } else if (requant == DQNN_REQUANT_DIVIDE_EVEN || requant == DQNN_REQUANT_DIVIDE_AWAY) {
    divisors(j, channels);
  } else {
    integers(j, channels, INT32_MIN, INT32_MAX);
    if (requant == DQNN_REQUANT_FIXED_POINT) {
      integers(j, channels, 0, INT32_MAX);
      integers(j, channels, -31, 30);
    } else {
      integers(j, channels, 0, 30);
    }
  }
  if (output == DQNN_S1) {
    flip(j, channels);
  }
}

/* ---- weights (SPEC.md 3.3): anything may stand where no weight is, but for bits times bits ---- */

/* bytes w[ceil(Og/2)][ceil(K/2)][4] of each group */
static void pairs(job *j, const mend_conv *c) {
  uint32_t bits = c->params->weight_bits;
  if (bits != 0) { /* words w[ceil(Og/4)][ceil(pairs*bits/4)] */
    uint32_t words_of_four = ((c->taps + 1) / 2 * bits + 3) / 4;
    (void)next(j, (uint64_t)c->groups * ((c->group_out + 3) / 4) * words_of_four * 4);
    return;
  }
  uint32_t rows = (c->group_out + 1) / 2, steps = (c->taps + 1) / 2;
  (void)next(j, (uint64_t)c->groups * rows * steps * 4);
}

/* w[ceil(Og/4)][K][4] of each group, bytes or floats. */
static void quads(job *j, const mend_conv *c, uint32_t size) {
  uint64_t count = (uint64_t)c->groups * ((c->group_out + 3) / 4) * c->taps * 4;
  if (size == 4) {
    floats(j, count, false);
  } else {
    (void)next(j, c->params->weight_bits != 0 ? count * c->params->weight_bits / 8 : count);
  }
}

/* bytes w[ceil(Cg/8)][Og][ceil(kh*kw*b/8)] of each group, b channels in the block. */
static void channel_blocks(job *j, const mend_conv *c) {
  uint32_t area = c->taps / c->group_in;
  uint64_t group = 0;
  for (uint32_t first = 0; first < c->group_in; first += 8) {
    uint32_t b = c->group_in - first < 8 ? c->group_in - first : 8;
    group += (uint64_t)c->group_out * ((area * b + 7) / 8);
  }
  (void)next(j, c->groups * group);
}

/* ---- numbers in planes (SPEC.md 3.4) ---- */

static void set_lane(uint32_t *planes, uint32_t count, uint32_t lane, int32_t number) {
  for (uint32_t p = 0; p < count; ++p) {
    planes[p] = (planes[p] & ~(1u << lane)) | ((uint32_t)number >> p & 1u) << lane;
  }
}

static int32_t lane_of(const uint32_t *planes, uint32_t count, uint32_t lane) {
  uint32_t number = 0;
  for (uint32_t p = 0; p < count; ++p) {
    number |= (planes[p] >> lane & 1u) << p;
  }
  return (int32_t)(number << (32 - count)) >> (32 - count);
}

/* T - N - 1 of every output, T in -N..N+1. */
static void depthwise_presets(job *j, const mend_conv *c) {
  uint32_t taps = c->taps, planes = 1;
  while ((1u << (planes - 1)) < 2 * taps + 1) {
    ++planes;
  }
  uint32_t *w = next(j, (uint64_t)4 * words(c->out_c) * planes);
  for (uint32_t o = 0; w != NULL && o < 32 * words(c->out_c); ++o) {
    uint32_t *block = w + o / 32 * planes;
    int32_t number = lane_of(block, planes, o % 32), least = -2 * (int32_t)taps - 1;
    number = number > 0 ? -number : number;
    set_lane(block, planes, o % 32, o >= c->out_c || number < least ? least : number);
  }
}

/* Border classes along an axis: which taps count, class by class. */
typedef struct {
  uint32_t count;
  struct {
    uint32_t first, end;
  } taps[64];
} classes;

static bool find_classes(classes *r, uint32_t in, uint32_t outputs, uint32_t kernel, uint32_t stride, uint32_t dilation,
                         uint32_t pad) {
  r->count = 0;
  for (uint32_t o = 0; o < outputs; ++o) {
    uint32_t first = kernel, end = 0;
    for (uint32_t k = 0; k < kernel; ++k) {
      int64_t at = (int64_t)o * stride + (int64_t)k * dilation - pad;
      if (at >= 0 && at < in) {
        first = first < k ? first : k;
        end = k + 1;
      }
    }
    first = end == 0 ? 0 : first;
    if (r->count == 0 || r->taps[r->count - 1].first != first || r->taps[r->count - 1].end != end) {
      if (r->count == 64) {
        return false;
      }
      r->taps[r->count].first = first;
      r->taps[r->count++].end = end;
    }
  }
  return true;
}

typedef struct {
  const mend_conv *c;
  const uint32_t *weights;
  uint32_t blocks, planes; /* blocks: of 32 outputs, in a group */
} sliced;

/* How many -1 there are among the counted weights of an output; block counts through the groups. */
static int32_t minus(const sliced *s, const classes *y, uint32_t ky, const classes *x, uint32_t kx, uint32_t block,
                     uint32_t lane) {
  uint32_t column = s->c->params->kernel_h * s->c->group_in + 1;
  const uint32_t *w = s->weights + block * s->c->params->kernel_w * column;
  int32_t count = 0;
  for (uint32_t k = x->taps[kx].first; k < x->taps[kx].end; ++k) {
    for (uint32_t row = y->taps[ky].first * s->c->group_in; row < y->taps[ky].end * s->c->group_in; ++row) {
      count += (int32_t)(w[k * column + row] >> lane & 1u);
    }
  }
  return count;
}

static void sliced_weights(job *j, const mend_conv *c, sliced *s) {
  uint32_t column = c->params->kernel_h * c->group_in + 1, columns = c->groups * s->blocks * c->params->kernel_w;
  uint32_t *w = next(j, (uint64_t)4 * columns * column);
  s->weights = w;
  for (uint32_t i = 0; w != NULL && i < columns * column; ++i) {
    bool last = i / column / c->params->kernel_w % s->blocks == s->blocks - 1;
    uint32_t mask = last && c->group_out % 32 != 0 ? (1u << c->group_out % 32) - 1 : ~UINT32_C(0);
    w[i] &= i % column == column - 1 ? 0 : mask;
  }
}

/* A threshold: often about the middle, sometimes always or never. */
static int32_t threshold(job *j, int32_t inputs) {
  switch (dice_below(j->random, 8)) {
    case 0:
      return -1;
    case 1:
      return inputs;
    default: {
      int32_t t = inputs / 2 + (int32_t)dice_below(j->random, 9) - 4;
      return t < -1 ? -1 : t > inputs ? inputs : t;
    }
  }
}

/* One class of all blocks: T - S, or -S where there are no thresholds. `zeros`: -(T + S) - 1, NULL for other classes
 * than the one that holds all taps. */
static void presets_of_class(job *j, const sliced *s, const classes *y, uint32_t ky, const classes *x, uint32_t kx,
                             uint32_t *ones, uint32_t *zeros) {
  bool thresholds = mend_kernels[j->node->kernel].output == DQNN_S1;
  int32_t inputs =
      (int32_t)((y->taps[ky].end - y->taps[ky].first) * (x->taps[kx].end - x->taps[kx].first) * s->c->group_in);
  for (uint32_t block = 0; block < s->c->groups * s->blocks; ++block) {
    for (uint32_t lane = 0; lane < 32; ++lane) {
      bool missing = block % s->blocks * 32 + lane >= s->c->group_out;
      int32_t count = missing ? 0 : minus(s, y, ky, x, kx, block, lane);
      int32_t t = !thresholds ? 0 : missing ? inputs : threshold(j, inputs);
      set_lane(ones + block * s->planes, s->planes, lane, t - count);
      if (zeros != NULL) {
        set_lane(zeros + block * s->planes, s->planes, lane, -(t + count) - 1);
      }
    }
  }
}

static bool all_taps(const classes *r, uint32_t k, uint32_t kernel) {
  return r->taps[k].end - r->taps[k].first == kernel;
}

static void fill_presets(job *j, const sliced *s, const classes *y, const classes *x, uint32_t *ones, uint32_t *zeros) {
  const dqnn_conv_params *p = s->c->params;
  for (uint32_t ky = 0; ky < y->count; ++ky) {
    for (uint32_t kx = 0; kx < x->count; ++kx) {
      bool full = all_taps(y, ky, p->kernel_h) && all_taps(x, kx, p->kernel_w);
      presets_of_class(j, s, y, ky, x, kx, ones, full ? zeros : NULL);
      ones += s->c->groups * s->blocks * s->planes;
    }
  }
}

static bool find_borders(const mend_conv *c, classes *y, classes *x) {
  const dqnn_conv_params *p = c->params;
  uint32_t h = c->out_h * p->pool_h, w = c->out_w * p->pool_w;
  return h <= MOST_OUTPUTS && w <= MOST_OUTPUTS && (uint64_t)h * p->kernel_h <= 1u << 16 &&
         (uint64_t)w * p->kernel_w <= 1u << 16 &&
         find_classes(y, c->in_h, h, p->kernel_h, p->stride_h, p->dilation_h, p->pad_top) &&
         find_classes(x, c->in_w, w, p->kernel_w, p->stride_w, p->dilation_w, p->pad_left);
}

/* The presets stay if they are right: only then does the plan function take them. */
static void bitsliced(job *j, mend_conv *c) {
  sliced s = {.c = c, .blocks = words(c->group_out), .planes = 7};
  classes y = {1, {{0, c->params->kernel_h}}}, x = {1, {{0, c->params->kernel_w}}};
  if (c->params->pad_value == 0.0f && !find_borders(c, &y, &x)) {
    c->params->pad_value = 1.0f;
    y = (classes){1, {{0, c->params->kernel_h}}};
    x = (classes){1, {{0, c->params->kernel_w}}};
  }
  while (s.planes < MOST_PLANES && (1u << (s.planes - 1)) < c->taps + 2) {
    ++s.planes;
  }
  sliced_weights(j, c, &s);
  bool thresholds = mend_kernels[j->node->kernel].output == DQNN_S1;
  uint64_t one_class = (uint64_t)4 * c->groups * s.blocks * s.planes;
  uint32_t *ones = next(j, y.count * x.count * one_class), *zeros = thresholds ? next(j, one_class) : NULL;
  if (thresholds) {
    flip(j, c->out_c);
  } else {
    epilogue(j, c->out_c, c->params->requant, true);
  }
  dqnn_plan plan;
  j->node->constant_count = (uint8_t)j->count;
  if (!j->failed && !mend_plan(j->d, j->node, &plan)) {
    fill_presets(j, &s, &y, &x, ones, zeros);
  }
}

/* ---- families ---- */

static void conv(job *j) {
  mend_conv c = mend_conv_of(j->d, j->node);
  const mend_kernel *k = &mend_kernels[j->node->kernel];
  bool integer = k->input != DQNN_F32 && k->weights != DQNN_F32, binary = k->input == DQNN_S1;
  if (k->family == DQNN_FAMILY_conv_bitsliced) {
    bitsliced(j, &c);
    return;
  }
  if (k->family == DQNN_FAMILY_depthwise || k->family == DQNN_FAMILY_depthwisez) {
    c.taps = (uint32_t)c.params->kernel_h * c.params->kernel_w;
    if (k->weights == DQNN_S1) {
      uint32_t *w = next(j, (uint64_t)4 * words(c.out_c) * c.taps), tail = c.out_c % 32;
      for (uint32_t i = (words(c.out_c) - 1) * c.taps; w != NULL && tail != 0 && i < words(c.out_c) * c.taps; ++i) {
        w[i] &= (1u << tail) - 1;
      }
    } else if (k->weights == DQNN_S8) {
      uint32_t bits = c.params->weight_bits;
      (void)next(j, (uint64_t)c.taps * (bits != 0 ? (c.out_c * bits + 7) / 8 : c.out_c));
    } else {
      floats(j, (uint64_t)c.taps * c.out_c, false);
    }
    if (binary && k->weights == DQNN_S1 && k->output == DQNN_S1) {
      depthwise_presets(j, &c);
      flip(j, c.out_c);
      return;
    }
  } else if (k->weights == DQNN_S1 && binary) {
    (void)bits(j, (uint64_t)c.out_c * c.params->kernel_h * c.params->kernel_w, c.group_in);
  } else if (k->weights == DQNN_S1) {
    channel_blocks(j, &c);
  } else if (k->weights == DQNN_S8 && k->input != DQNN_F32) {
    pairs(j, &c);
  } else {
    quads(j, &c, k->weights == DQNN_S8 ? 1 : 4);
  }
  if (k->family == DQNN_FAMILY_convz || k->family == DQNN_FAMILY_depthwisez) {
    (void)next(j, c.out_c); /* zero points */
  }
  epilogue(j, c.out_c, c.params->requant, integer);
}

static void inverse(job *j) {
  if (mend_kernels[j->node->kernel].output == DQNN_S8) {
    floats(j, 1, false);
  }
}

/* An index for each cell of the output's axes that are not taken whole. */
static void indices(job *j, const dqnn_tensor_def *in, const dqnn_tensor_def *out) {
  const dqnn_gather_params *p = (const void *)j->node->params;
  for (uint32_t k = 0; k < out->rank; ++k) {
    if ((p->axes >> k & 1u) != 0) {
      integers(j, out->dims[k], 0, (int32_t)in->dims[k] - 1);
    }
  }
}

/* Places of rows and columns, in 1/1024 of a cell. */
static void places(job *j, const dqnn_tensor_def *in, const dqnn_tensor_def *out) {
  for (uint32_t k = 0; k < 2; ++k) {
    integers(j, out->dims[k], 0, (int32_t)(in->dims[k] < 1u << 20 ? in->dims[k] - 1 : 0) * 1024);
  }
}

static void value(job *j, const dqnn_tensor_def *out) {
  if (out->dtype == DQNN_S1) {
    uint32_t last = out->dims[out->rank - 1];
    (void)bits(j, (uint64_t)out->dims[0] * out->dims[1] * out->dims[2] * out->dims[3] / last, last);
  } else {
    (void)next(j, mend_bytes(out));
  }
}

static void quantized(job *j) {
  const dqnn_tensor_def *out = &j->d->tensors[j->node->output];
  const dqnn_reduce_params *reduce = (const void *)j->node->params;
  switch (mend_kernels[j->node->kernel].family) {
    case DQNN_FAMILY_lut_channels:
      (void)next(j, (uint64_t)256 * out->dims[out->rank - 1]);
      break;
    case DQNN_FAMILY_reduce:
      if (reduce->kind == DQNN_ADD) {
        epilogue(j, 1, reduce->requant, true);
      }
      break;
    case DQNN_FAMILY_gather:
      indices(j, &j->d->tensors[j->node->inputs[0]], out);
      break;
    case DQNN_FAMILY_bilinear:
      places(j, &j->d->tensors[j->node->inputs[0]], out);
      break;
    case DQNN_FAMILY_constant:
      value(j, out);
      break;
    default:
      break;
  }
}

static void elements(job *j) {
  const dqnn_tensor_def *out = &j->d->tensors[j->node->output];
  const mend_kernel *k = &mend_kernels[j->node->kernel];
  uint32_t channels = out->dims[out->rank - 1], count = out->dims[0] * out->dims[1] * out->dims[2] * out->dims[3];
  if (k->family == DQNN_FAMILY_affine) {
    const dqnn_channel_params *p = (const void *)j->node->params;
    epilogue(j, p->per_channel != 0 ? channels : 1, p->requant, k->input != DQNN_F32);
  } else if (k->family == DQNN_FAMILY_binary && k->output == DQNN_S1) {
    const dqnn_binary_params *p = (const void *)j->node->params;
    epilogue(j, p->per_channel != 0 ? channels : 1, DQNN_REQUANT_AFFINE, false);
  } else if (k->family == DQNN_FAMILY_binary || k->family == DQNN_FAMILY_avgpool) {
    inverse(j);
  } else if (k->family == DQNN_FAMILY_lut) {
    (void)next(j, 256);
  } else if (k->family == DQNN_FAMILY_layernorm) {
    (void)next(j, (uint64_t)4 * channels);
    (void)next(j, (uint64_t)4 * channels);
    float *epsilon = next(j, 4);
    if (epsilon != NULL && !(*epsilon >= 0.0f && *epsilon < INFINITY)) {
      *epsilon = 0.5f;
    }
  } else if (k->family == DQNN_FAMILY_prelu) {
    bool each = j->node->constant_count > 0 && j->d->constants[j->node->constants[0]].bytes > 4 * channels;
    (void)next(j, (uint64_t)4 * (each ? count : channels));
  } else {
    quantized(j);
  }
}

bool mend_constants(draft *d, draft_node *node, dice *random) {
  job j = {.d = d, .node = node, .random = random};
  for (uint32_t i = 0; i < node->constant_count; ++i) {
    if (node->constants[i] >= d->constant_count) {
      node->constant_count = (uint8_t)i;
    }
  }
  if (node->slot == DQNN_NODE_conv) {
    conv(&j);
  } else {
    elements(&j);
  }
  node->constant_count = (uint8_t)j.count;
  return !j.failed;
}
