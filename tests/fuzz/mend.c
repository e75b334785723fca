/* See mend.h: parameters and shapes. */
#include "mend.h"

#include <math.h>
#include <string.h>

#include "dqnn/dqnn_kernels.h"

enum { s1 = DQNN_S1, s8 = DQNN_S8, f32 = DQNN_F32, any = MEND_ANY, none = MEND_ANY };
enum { MOST_CELLS = 1 << 16, MOST_PADDING = 65535 };

#define DQNN_KERNEL(id, name, family, in, w, out, variants) [id] = {DQNN_FAMILY_##family, in, w, out},
const mend_kernel mend_kernels[] = {
#include "dqnn/kernels.def"
};
const uint32_t mend_kernel_count = sizeof mend_kernels / sizeof mend_kernels[0];

typedef struct {
  draft *d;
  draft_node *node;
  uint32_t number; /* of the node */
  dice *random;
} job;

static const mend_kernel *kernel_of(const job *j) {
  return &mend_kernels[j->node->kernel];
}

static dqnn_tensor_def *input(const job *j, uint32_t i) {
  return &j->d->tensors[j->node->inputs[i]];
}

static dqnn_tensor_def *output(const job *j) {
  return &j->d->tensors[j->node->output];
}

/* ---- tensors ---- */

uint32_t mend_bytes(const dqnn_tensor_def *def) {
  uint16_t failed;
  return dqnn_tensor_bytes(def, &failed);
}

static uint32_t last(const dqnn_tensor_def *def) {
  return def->dims[def->rank - 1];
}

static uint64_t elements(const dqnn_tensor_def *def) {
  uint64_t count = 1;
  for (uint32_t k = 0; k < 4; ++k) {
    count *= def->dims[k];
  }
  return count;
}

/* A tensor's fields, each on its own. */
static void mend_tensor(dqnn_tensor_def *def) {
  def->dtype %= 3;
  def->rows = 0;
  def->rank = def->rank < 1 || def->rank > 4 ? 1 : def->rank;
  for (uint32_t k = 0; k < 4; ++k) {
    uint32_t most = k < def->rank ? MOST_CELLS : 1;
    def->dims[k] = def->dims[k] < 1 ? 1 : def->dims[k] > most ? most : def->dims[k];
  }
  if (def->dtype != DQNN_S8) {
    def->scale = 1.0f;
    def->zero_point = 0;
  } else if (!(def->scale > 0.0f && def->scale < INFINITY) || def->zero_point < -128 || def->zero_point > 127) {
    def->scale = 0.5f;
    def->zero_point = -3;
  }
}

static void set_type(dqnn_tensor_def *def, uint32_t dtype) {
  def->dtype = (uint8_t)dtype;
  mend_tensor(def);
}

static void set_shape(dqnn_tensor_def *def, const dqnn_tensor_def *from) {
  memcpy(def->dims, from->dims, sizeof def->dims);
  def->rank = from->rank;
}

static void set_format(dqnn_tensor_def *def, const dqnn_tensor_def *from) {
  def->dtype = from->dtype;
  def->scale = from->scale;
  def->zero_point = from->zero_point;
}

/* (height, width, channels), as SPEC.md section 3 takes a tensor. */
static void map_of(const dqnn_tensor_def *def, uint32_t *map) {
  uint32_t dims[4] = {1, 1, 1, 1};
  memcpy(dims + 4 - def->rank, def->dims, def->rank * sizeof def->dims[0]);
  map[0] = dims[0] * dims[1];
  map[1] = dims[2];
  map[2] = dims[3];
}

static void set_map(dqnn_tensor_def *def, uint32_t h, uint32_t w, uint32_t c) {
  uint32_t map[3], wanted[3] = {h, w, c};
  map_of(def, map);
  if (memcmp(map, wanted, sizeof map) != 0) {
    *def = (dqnn_tensor_def){{h, w, c, 1}, def->scale, def->zero_point, def->offset, def->dtype, 3, 0};
  }
}

/* ---- which kernel, which inputs ---- */

static bool is_port(const draft *d, uint32_t tensor) {
  bool found = false;
  for (uint32_t i = 0; i < d->input_count; ++i) {
    found |= d->inputs[i].tensor == tensor;
  }
  return found;
}

static bool used_before(const draft *d, uint32_t tensor, uint32_t node) {
  bool found = false;
  for (uint32_t i = 0; i < node; ++i) {
    for (uint32_t k = 0; k < d->nodes[i].input_count; ++k) {
      found |= d->nodes[i].inputs[k] == tensor;
    }
  }
  return found;
}

static bool written_before(const draft *d, uint32_t tensor, uint32_t node) {
  bool found = is_port(d, tensor);
  for (uint32_t i = 0; i < node; ++i) {
    found |= d->nodes[i].output == tensor;
  }
  return found;
}

/* The same bytes under both names: rows of bits are words of their own, whose unused bits are 0. */
static bool same_rows(const dqnn_tensor_def *a, const dqnn_tensor_def *b) {
  bool whole = last(a) % 32 == 0 && last(b) % 32 == 0;
  return mend_bytes(a) == mend_bytes(b) && (a->dtype != DQNN_S1 || last(a) == last(b) || whole);
}

/* A tensor that holds something when the node runs: itself, if need be after its other name, or what came before. */
static uint16_t mend_source(job *j, uint16_t tensor) {
  draft *d = j->d;
  tensor = (uint16_t)(tensor % d->tensor_count);
  uint16_t source = d->same_as[tensor];
  if (!written_before(d, source, j->number)) {
    return j->number > 0 ? d->nodes[j->number - 1].output : d->inputs[0].tensor;
  }
  if (source != tensor) {
    set_format(&d->tensors[tensor], &d->tensors[source]);
    if (!same_rows(&d->tensors[tensor], &d->tensors[source])) {
      set_shape(&d->tensors[tensor], &d->tensors[source]);
    }
  }
  return tensor;
}

/* An input of the model takes the type that its first reader wants. */
static bool may_retype(const job *j, uint32_t i) {
  return is_port(j->d, j->node->inputs[i]) && !used_before(j->d, j->node->inputs[i], j->number);
}

/* Another kernel that takes an input of this type, of the same family if there is one. */
static void other_kernel(job *j, uint32_t dtype) {
  uint32_t start = dice_below(j->random, mend_kernel_count), family = kernel_of(j)->family;
  for (uint32_t i = 0; i < 2 * mend_kernel_count; ++i) {
    uint32_t id = (start + i) % mend_kernel_count;
    bool fits = mend_kernels[id].input == dtype || mend_kernels[id].input == MEND_ANY;
    if (fits && (mend_kernels[id].family == family || i >= mend_kernel_count)) {
      j->node->kernel = (uint16_t)id;
      return;
    }
  }
}

static void mend_count(job *j, uint32_t least, uint32_t most) {
  draft_node *n = j->node;
  while (n->input_count < least) {
    n->inputs[n->input_count] = n->inputs[0];
    ++n->input_count;
  }
  n->input_count = (uint8_t)(n->input_count > most ? most : n->input_count);
}

static bool takes_two(uint32_t family) {
  return family == DQNN_FAMILY_binary || family == DQNN_FAMILY_binary_fixed;
}

static void mend_inputs(job *j) {
  draft_node *n = j->node;
  n->kernel = (uint16_t)(n->kernel % mend_kernel_count);
  if (n->input_count == 0) {
    n->inputs[0] = 0;
    n->input_count = 1;
  }
  for (uint32_t i = 0; i < n->input_count; ++i) {
    n->inputs[i] = mend_source(j, n->inputs[i]);
  }
  n->output = (uint16_t)(n->output % j->d->tensor_count);
  j->d->same_as[n->output] = n->output;
  if (kernel_of(j)->input != MEND_ANY && input(j, 0)->dtype != kernel_of(j)->input) {
    if (may_retype(j, 0)) {
      set_type(input(j, 0), kernel_of(j)->input);
    } else {
      other_kernel(j, input(j, 0)->dtype);
    }
  }
  uint32_t family = kernel_of(j)->family;
  uint32_t least = family == DQNN_FAMILY_constant ? 0 : takes_two(family) || family == DQNN_FAMILY_concat ? 2 : 1;
  mend_count(j, least, family == DQNN_FAMILY_concat ? DQNN_MAX_INPUTS : least);
  for (uint32_t i = 1; i < n->input_count; ++i) {
    uint32_t wanted = kernel_of(j)->input;
    if (wanted != MEND_ANY && input(j, i)->dtype != wanted && may_retype(j, i)) {
      set_type(input(j, i), wanted);
    }
    if (wanted != MEND_ANY && input(j, i)->dtype != wanted) {
      n->inputs[i] = n->inputs[0];
    }
  }
  set_type(output(j), kernel_of(j)->output);
  uint32_t slot = dqnn_params_slot(family);
  if (n->slot != slot) {
    memset(n->params, 0, sizeof n->params);
    n->slot = slot;
  }
}

/* ---- parameters that several families have ---- */

static uint16_t at_least_one(uint16_t value) {
  return value > 0 ? value : 1;
}

static bool is_stored(float value) {
  return value >= -128.0f && value <= 127.0f && value == floorf(value);
}

static void mend_stored(float *value, uint32_t dtype, bool zero_allowed) {
  bool good = dtype == DQNN_S1   ? *value == 1.0f || *value == -1.0f || (zero_allowed && *value == 0.0f)
              : dtype == DQNN_S8 ? is_stored(*value)
                                 : *value == *value;
  *value = good ? *value : dtype == DQNN_S1 ? -1.0f : 0.0f;
}

static void mend_activation(float *low, float *high, uint32_t dtype) {
  bool good = *low <= *high;
  if (dtype == DQNN_S8) {
    good = good && is_stored(*low) && is_stored(*high);
  }
  if (dtype == DQNN_S1 || !good) {
    *low = dtype == DQNN_S8 ? -128.0f : -INFINITY;
    *high = dtype == DQNN_S8 ? 127.0f : INFINITY;
  }
}

static uint8_t mend_requant(uint8_t requant, uint32_t out, bool integer) {
  return out == DQNN_S8 && integer ? requant % 4 : DQNN_REQUANT_AFFINE;
}

/* ---- convolutions ---- */

static bool is_depthwise(const draft_node *node) {
  uint32_t family = mend_kernels[node->kernel].family;
  return family == DQNN_FAMILY_depthwise || family == DQNN_FAMILY_depthwisez;
}

mend_conv mend_conv_of(draft *d, draft_node *node) {
  uint32_t in[3], out[3];
  mend_conv c = {.params = (void *)node->params};
  map_of(&d->tensors[node->inputs[0]], in);
  map_of(&d->tensors[node->output], out);
  c.in_h = in[0], c.in_w = in[1], c.in_c = in[2];
  c.out_h = out[0], c.out_w = out[1], c.out_c = out[2];
  c.groups = is_depthwise(node) ? c.in_c : c.params->groups;
  c.group_in = c.in_c / c.groups;
  c.group_out = c.out_c / c.groups;
  c.taps = (uint32_t)c.params->kernel_h * c.params->kernel_w * c.group_in;
  return c;
}

/* One axis: parameters, and the number of outputs that SPEC.md 3.1 allows with them. */
typedef struct {
  uint16_t *kernel, *stride, *dilation, *pad, *up, *pool;
} axis;

/* Outputs from what leaves no cell out to what the padding allows; the nearest of them to *outputs. */
static bool mend_outputs(const axis *a, uint32_t in, uint32_t *outputs) {
  int64_t have = (int64_t)(in - 1) * *a->up + 1 + *a->pad, span = (int64_t)(*a->kernel - 1) * *a->dilation + 1;
  int64_t step = (int64_t)*a->stride * *a->pool;
  int64_t room = have + MOST_PADDING - span;
  int64_t most = room < 0 ? 0 : (room / *a->stride + 1) / *a->pool;
  int64_t left = have - span + *a->stride - step; /* outputs * step must exceed it */
  int64_t least = left < 0 ? 1 : left / step + 1;
  if (least > most || least > MOST_CELLS) {
    return false;
  }
  most = most > MOST_CELLS ? MOST_CELLS : most;
  *outputs = (uint32_t)(*outputs < least ? least : *outputs > most ? most : *outputs);
  return true;
}

static uint32_t mend_axis(const axis *a, uint32_t in, uint32_t outputs) {
  uint16_t *sizes[] = {a->kernel, a->stride, a->dilation, a->up, a->pool};
  for (uint32_t i = 0; i < 5; ++i) {
    *sizes[i] = at_least_one(*sizes[i]);
  }
  if (!mend_outputs(a, in, &outputs)) {
    for (uint32_t i = 0; i < 5; ++i) {
      *sizes[i] = 1;
    }
    outputs = in;
    *a->pad = 0;
  }
  return outputs;
}

static void mend_formats(job *j, dqnn_conv_params *p) {
  const mend_kernel *k = kernel_of(j);
  bool integer = k->input != DQNN_F32 && k->weights != DQNN_F32;
  p->reserved = 0;
  bool zero_points = k->family == DQNN_FAMILY_convz || k->family == DQNN_FAMILY_depthwisez;
  p->half_weights = k->weights == DQNN_S8 && !zero_points ? p->half_weights % 2 : 0;
  bool packed = k->weights == DQNN_S8 && !zero_points && (p->weight_bits == 4 || p->weight_bits == 2);
  p->weight_bits = packed ? p->weight_bits : 0;
  p->requant = mend_requant(p->requant, k->output, integer);
  mend_stored(&p->pad_value, k->input, true);
  mend_activation(&p->act_min, &p->act_max, k->output);
}

static void mend_groups(job *j, dqnn_conv_params *p, uint32_t in_c, uint32_t *out_c) {
  if (is_depthwise(j->node)) {
    p->groups = 1;
    p->multiplier = p->multiplier > 0 && p->multiplier * in_c <= MOST_CELLS ? p->multiplier : 1;
    *out_c = in_c * p->multiplier;
    return;
  }
  p->multiplier = 1;
  p->groups = p->groups > 0 && in_c % p->groups == 0 ? p->groups : 1;
  *out_c = (*out_c + p->groups - 1u) / p->groups * p->groups;
}

static bool mend_conv_shape(job *j) {
  dqnn_conv_params *p = (void *)j->node->params;
  uint32_t in[3], out[3];
  uint16_t one_h = 1, one_w = 1;
  mend_formats(j, p);
  if (input(j, 0)->rank == 4) { /* merged rows must stay apart */
    p->kernel_h = p->stride_h = p->up_h = p->pool_h = 1;
    p->pad_top = 0;
  }
  map_of(input(j, 0), in);
  map_of(output(j), out);
  mend_groups(j, p, in[2], &out[2]);
  bool holes = kernel_of(j)->family == DQNN_FAMILY_conv || kernel_of(j)->family == DQNN_FAMILY_convz;
  if (!holes) {
    p->up_h = p->up_w = 1;
  }
  axis y = {&p->kernel_h, &p->stride_h, &p->dilation_h, &p->pad_top, holes ? &p->up_h : &one_h, &p->pool_h};
  axis x = {&p->kernel_w, &p->stride_w, &p->dilation_w, &p->pad_left, holes ? &p->up_w : &one_w, &p->pool_w};
  out[0] = input(j, 0)->rank == 4 ? in[0] : out[0];
  out[0] = mend_axis(&y, in[0], out[0]);
  out[1] = mend_axis(&x, in[1], out[1]);
  set_map(output(j), out[0], out[1], out[2]);
  return (uint64_t)p->kernel_h * p->kernel_w * in[2] / p->groups < 32766; /* keeps every accumulator in range */
}

/* ---- pools ---- */

static uint32_t mend_pool_axis(uint16_t *kernel, uint16_t *stride, uint16_t *pad, uint32_t in, uint32_t outputs) {
  uint16_t one = 1, up = 1, pool = 1;
  axis a = {kernel, stride, &one, pad, &up, &pool};
  *kernel = at_least_one(*kernel);
  *pad = *pad < *kernel ? *pad : 0;
  outputs = mend_axis(&a, in, outputs);
  uint32_t touching = (in + *pad - 1) / *stride + 1; /* windows that touch the map */
  return outputs < touching ? outputs : touching;
}

static void mend_pool(job *j) {
  dqnn_pool_params *p = (void *)j->node->params;
  uint32_t in[3], out[3];
  if (input(j, 0)->rank == 4) {
    p->kernel_h = p->stride_h = 1;
    p->pad_top = 0;
  }
  map_of(input(j, 0), in);
  map_of(output(j), out);
  out[0] = mend_pool_axis(&p->kernel_h, &p->stride_h, &p->pad_top, in[0], input(j, 0)->rank == 4 ? in[0] : out[0]);
  out[1] = mend_pool_axis(&p->kernel_w, &p->stride_w, &p->pad_left, in[1], out[1]);
  set_map(output(j), out[0], out[1], in[2]);
  if (kernel_of(j)->family != DQNN_FAMILY_avgpool) {
    set_format(output(j), input(j, 0));
  }
}

/* ---- element by element ---- */

static void mend_affine(job *j) {
  dqnn_channel_params *p = (void *)j->node->params;
  const mend_kernel *k = kernel_of(j);
  p->reserved = 0;
  p->per_channel %= 2;
  bool divides = k->input == DQNN_F32 && k->output == DQNN_S8 &&
                 (p->requant == DQNN_REQUANT_DIVIDE_EVEN || p->requant == DQNN_REQUANT_DIVIDE_AWAY);
  p->requant = divides ? p->requant : mend_requant(p->requant, k->output, k->input != DQNN_F32);
  mend_activation(&p->act_min, &p->act_max, k->output);
  set_shape(output(j), input(j, 0));
}

static void mend_unary(job *j) {
  dqnn_unary_params *p = (void *)j->node->params;
  p->kind %= DQNN_UNARY_KINDS;
  p->reserved0 = 0;
  p->reserved1 = 0;
  bool has_alpha = p->kind == DQNN_ELU || p->kind == DQNN_LEAKY_RELU;
  p->alpha = has_alpha && p->alpha - p->alpha == 0.0f ? p->alpha : 0.0f;
  set_shape(output(j), input(j, 0));
}

static bool broadcasts(const dqnn_tensor_def *a, const dqnn_tensor_def *b) {
  bool good = a->rank == b->rank;
  for (uint32_t k = 0; k < 4; ++k) {
    good = good && (a->dims[k] == b->dims[k] || a->dims[k] == 1 || b->dims[k] == 1);
  }
  return good;
}

static void mend_broadcast(job *j) {
  if (!broadcasts(input(j, 0), input(j, 1))) {
    j->node->inputs[1] = j->node->inputs[0];
  }
  set_shape(output(j), input(j, 0));
  for (uint32_t k = 0; k < 4; ++k) {
    uint32_t a = input(j, 0)->dims[k], b = input(j, 1)->dims[k];
    output(j)->dims[k] = a > b ? a : b;
  }
}

static void mend_binary(job *j) {
  dqnn_binary_params *p = (void *)j->node->params;
  p->kind %= DQNN_BINARY_KINDS;
  p->reserved = 0;
  p->per_channel = kernel_of(j)->output == DQNN_S1 ? p->per_channel % 2 : 0;
  mend_activation(&p->act_min, &p->act_max, kernel_of(j)->output);
  mend_broadcast(j);
}

/* ---- the arithmetic of quantized files ---- */

static int32_t within(int32_t value, int32_t low, int32_t high) {
  return value >= low && value <= high ? value : low + (int32_t)((uint32_t)value % (uint32_t)(high - low + 1));
}

static void mend_rule(dqnn_fixed_binary_params *p) {
  bool extreme = p->kind == DQNN_MAXIMUM || p->kind == DQNN_MINIMUM, sums = p->kind == DQNN_ADD || p->kind == DQNN_SUB;
  p->single = extreme || p->kind == DQNN_SUB ? 0 : p->single % 2;
  bool operands = sums, result = !extreme && !(p->single && sums);
  p->left = operands && !p->single ? p->left % 31 : 0;
  p->multiplier_a = !operands ? 0 : p->single ? p->multiplier_a : p->multiplier_a & INT32_MAX;
  p->multiplier_b = !operands ? 0 : p->single ? p->multiplier_b : p->multiplier_b & INT32_MAX;
  p->multiplier = result ? p->multiplier & INT32_MAX : 0;
  p->shift_a = operands && !p->single ? within(p->shift_a, -31, 30) : 0;
  p->shift_b = operands && !p->single ? within(p->shift_b, -31, 30) : 0;
  p->shift = extreme ? 0 : p->single ? within(p->shift, 1, 62) : within(p->shift, -31, 30);
}

static void mend_fixed_binary(job *j) {
  dqnn_fixed_binary_params *p = (void *)j->node->params;
  p->kind %= DQNN_BINARY_KINDS;
  p->reserved = 0;
  mend_rule(p);
  p->act_min = within(p->act_min, -128, 127);
  p->act_max = within(p->act_max, p->act_min, 127);
  mend_broadcast(j);
  if (p->kind == DQNN_MAXIMUM || p->kind == DQNN_MINIMUM) {
    set_format(output(j), input(j, 0));
    if (input(j, 1)->scale != input(j, 0)->scale || input(j, 1)->zero_point != input(j, 0)->zero_point) {
      j->node->inputs[1] = j->node->inputs[0];
      set_shape(output(j), input(j, 0));
    }
  }
}

/* Axes that go have 1 cell in the output, or none. */
static void mend_reduced(job *j, uint32_t axes) {
  const dqnn_tensor_def *in = input(j, 0);
  dqnn_tensor_def *out = output(j);
  uint32_t all = (1u << in->rank) - 1, kept = 0;
  bool keeps = axes == all || out->rank == in->rank;
  for (uint32_t k = 0; k < in->rank; ++k) {
    if (keeps || (axes >> k & 1u) == 0) {
      out->dims[kept++] = (axes >> k & 1u) != 0 ? 1 : in->dims[k];
    }
  }
  out->rank = (uint8_t)kept;
  for (; kept < 4; ++kept) {
    out->dims[kept] = 1;
  }
}

static bool mend_reduce(job *j) {
  dqnn_reduce_params *p = (void *)j->node->params;
  p->axes &= (1u << input(j, 0)->rank) - 1;
  p->axes = p->axes != 0 ? p->axes : 1;
  p->kind = p->kind == DQNN_MAXIMUM || p->kind == DQNN_MINIMUM ? p->kind : DQNN_ADD;
  p->reserved = 0;
  mend_reduced(j, p->axes);
  if (p->kind == DQNN_ADD) {
    p->requant = p->requant % 2 != 0 ? DQNN_REQUANT_FIXED_POINT : DQNN_REQUANT_FIXED64;
    mend_activation(&p->act_min, &p->act_max, DQNN_S8);
    return elements(input(j, 0)) < 1u << 22; /* keeps the sum in range */
  }
  p->requant = 0;
  p->act_min = -128.0f;
  p->act_max = 127.0f;
  set_format(output(j), input(j, 0));
  return true;
}

static bool mend_softmax(job *j) {
  dqnn_softmax_params *p = (void *)j->node->params;
  p->multiplier &= INT32_MAX;
  p->left_shift = within(p->left_shift, 0, 30);
  p->diff_min = p->diff_min > 0 ? -(p->diff_min % 4096) : p->diff_min;
  set_shape(output(j), input(j, 0));
  output(j)->scale = 1.0f / 256.0f;
  output(j)->zero_point = -128;
  return last(output(j)) <= 4095;
}

static void mend_gather(job *j) {
  dqnn_gather_params *p = (void *)j->node->params;
  uint32_t rank = input(j, 0)->rank;
  p->axes &= (1u << rank) - 1;
  p->axes = p->axes != 0 ? p->axes : 1;
  set_format(output(j), input(j, 0));
  output(j)->rank = (uint8_t)rank;
  for (uint32_t k = 0; k < 4; ++k) {
    if (k >= rank || (p->axes >> k & 1u) == 0) {
      output(j)->dims[k] = input(j, 0)->dims[k];
    }
  }
}

static bool mend_bilinear(job *j) {
  set_format(output(j), input(j, 0));
  output(j)->rank = 3;
  output(j)->dims[2] = input(j, 0)->dims[2];
  output(j)->dims[3] = 1;
  return input(j, 0)->rank == 3;
}

/* ---- movement ---- */

static bool joins(const dqnn_tensor_def *a, const dqnn_tensor_def *b, uint32_t along) {
  bool good = a->rank == b->rank && a->scale == b->scale && a->zero_point == b->zero_point;
  for (uint32_t k = 0; k < 4; ++k) {
    good = good && (k == along || a->dims[k] == b->dims[k]);
  }
  return good;
}

static void mend_concat(job *j) {
  dqnn_concat_params *p = (void *)j->node->params;
  p->axis %= input(j, 0)->rank;
  set_format(output(j), input(j, 0));
  set_shape(output(j), input(j, 0));
  uint32_t total = 0;
  for (uint32_t i = 0; i < j->node->input_count; ++i) {
    if (!joins(input(j, i), input(j, 0), p->axis)) {
      j->node->inputs[i] = j->node->inputs[0];
    }
    total += input(j, i)->dims[p->axis];
  }
  output(j)->dims[p->axis] = total;
}

static void mend_pad(job *j) {
  dqnn_pad_params *p = (void *)j->node->params;
  mend_stored(&p->value, input(j, 0)->dtype, false);
  set_format(output(j), input(j, 0));
  output(j)->rank = input(j, 0)->rank;
  for (uint32_t k = 0; k < 4; ++k) {
    uint32_t in = input(j, 0)->dims[k], *out = &output(j)->dims[k];
    p->before[k] = k < output(j)->rank ? p->before[k] % 64 : 0;
    *out = *out < in + p->before[k] || *out > in + p->before[k] + 64 || k >= output(j)->rank ? in + p->before[k] : *out;
  }
}

static void mend_view(job *j) {
  dqnn_view_params *p = (void *)j->node->params;
  uint32_t rank = input(j, 0)->rank, seen = 0;
  set_format(output(j), input(j, 0));
  output(j)->rank = (uint8_t)rank;
  for (uint32_t k = 0; k < 4; ++k) {
    if (k >= rank) {
      output(j)->dims[k] = 1;
      continue;
    }
    p->axis[k] %= rank;
    while ((seen >> p->axis[k] & 1) != 0) {
      p->axis[k] = (p->axis[k] + 1) % rank;
    }
    seen |= 1u << p->axis[k];
    uint32_t in = input(j, 0)->dims[p->axis[k]], *out = &output(j)->dims[k];
    p->start[k] %= in;
    p->repeat[k] = p->repeat[k] > 0 ? p->repeat[k] : 1;
    uint64_t most = p->step[k] == 0 ? 64 : ((uint64_t)(in - 1 - p->start[k]) / p->step[k] + 1) * p->repeat[k];
    *out = *out > most || *out == 0 ? (uint32_t)(most > 64 ? 64 : most) : *out;
  }
}

static void mend_reshape(job *j) {
  set_format(output(j), input(j, 0));
  if (elements(output(j)) != elements(input(j, 0))) {
    uint32_t count = (uint32_t)elements(input(j, 0));
    dqnn_tensor_def *out = output(j);
    out->rank = 2;
    out->dims[0] = count % last(input(j, 0)) == 0 ? count / last(input(j, 0)) : 1;
    out->dims[1] = count / out->dims[0];
    out->dims[2] = out->dims[3] = 1;
    if (dice_one_in(j->random, 2)) {
      out->dims[0] = count;
      out->dims[1] = 1;
      out->rank = 1;
    }
  }
}

static bool mend_shapes(job *j) {
  switch (kernel_of(j)->family) {
    case DQNN_FAMILY_conv_bitsliced:
    case DQNN_FAMILY_conv:
    case DQNN_FAMILY_depthwise:
    case DQNN_FAMILY_convz:
    case DQNN_FAMILY_depthwisez:
      return mend_conv_shape(j);
    case DQNN_FAMILY_reduce:
      return mend_reduce(j);
    case DQNN_FAMILY_softmax_fixed:
      return mend_softmax(j);
    case DQNN_FAMILY_binary_fixed:
      mend_fixed_binary(j);
      break;
    case DQNN_FAMILY_gather:
      mend_gather(j);
      break;
    case DQNN_FAMILY_bilinear:
      return mend_bilinear(j);
    case DQNN_FAMILY_constant:
      break;
    case DQNN_FAMILY_affine:
      mend_affine(j);
      break;
    case DQNN_FAMILY_unary:
      mend_unary(j);
      break;
    case DQNN_FAMILY_binary:
      mend_binary(j);
      break;
    case DQNN_FAMILY_maxpool:
    case DQNN_FAMILY_avgpool:
    case DQNN_FAMILY_avgpool_raw:
      mend_pool(j);
      break;
    case DQNN_FAMILY_concat:
      mend_concat(j);
      break;
    case DQNN_FAMILY_pad:
      mend_pad(j);
      break;
    case DQNN_FAMILY_view:
      mend_view(j);
      break;
    case DQNN_FAMILY_reshape:
      mend_reshape(j);
      break;
    default: /* lut, lut_channels, prelu, softmax, layernorm */
      set_shape(output(j), input(j, 0));
  }
  return true;
}

/* ---- the whole ---- */

bool mend_plan(const draft *d, const draft_node *node, dqnn_plan *plan) {
  dqnn_call call = {.kernel = node->kernel,
                    .inputs = node->input_count,
                    .constant_count = node->constant_count,
                    .scratch_bytes = node->scratch_bytes,
                    .out_def = &d->tensors[node->output],
                    .params = node->slot != DQNN_NODE_none ? node->params : NULL};
  for (uint32_t i = 0; i < node->input_count; ++i) {
    call.in_def[i] = &d->tensors[node->inputs[i]];
  }
  for (uint32_t i = 0; i < node->constant_count; ++i) {
    call.constants[i] = d->pool + d->constants[node->constants[i]].at;
    call.constant_bytes[i] = d->constants[node->constants[i]].bytes;
  }
  *plan = (dqnn_plan){.work = UINT32_MAX};
  for (uint32_t i = 0; i < dqnn_all_kernel_count; ++i) {
    if (dqnn_all_kernels[i]->id == node->kernel) {
      return dqnn_plan_with(dqnn_all_kernels[i]->plan, &call, plan) == DQNN_CHECK_none;
    }
  }
  return false;
}

static bool too_large(const draft *d) {
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < d->tensor_count; ++i) {
    uint32_t tensor = mend_bytes(&d->tensors[i]);
    bytes += tensor != 0 ? tensor : 1u << 30;
  }
  return bytes > 1u << 22;
}

bool mend_nodes(draft *d, dice *random) {
  for (uint32_t i = 0; i < d->tensor_count; ++i) {
    mend_tensor(&d->tensors[i]);
  }
  for (uint32_t i = 0; i < d->node_count; ++i) {
    job j = {d, &d->nodes[i], i, random};
    mend_inputs(&j);
    if (!mend_shapes(&j) || mend_bytes(output(&j)) == 0 || !mend_constants(d, j.node, random)) {
      return false;
    }
  }
  return !too_large(d);
}

/* What the model gives away must be there, under whatever name. */
static void mend_ports(draft *d, dice *random) {
  for (uint32_t i = 0; i < d->input_count; ++i) {
    d->inputs[i].tensor = (uint16_t)(d->inputs[i].tensor % d->tensor_count);
    d->same_as[d->inputs[i].tensor] = d->inputs[i].tensor;
  }
  job end = {d, NULL, d->node_count, random};
  for (uint32_t i = 0; i < d->output_count; ++i) {
    d->outputs[i].tensor = mend_source(&end, d->outputs[i].tensor);
  }
}

bool mend(draft *d, dice *random) {
  if (d->tensor_count == 0 || d->input_count == 0 || !mend_nodes(d, random)) {
    return false;
  }
  mend_ports(d, random);
  return mend_memory(d, random);
}
