/* See change.h. */
#include "change.h"

#include <math.h>
#include <string.h>

#include "mend.h"

/* Most are as layers have them, some large enough to reach limits, products of two of them too. */
static uint32_t size(dice *random) {
  static const uint32_t usual[] = {1, 1, 1, 2, 2, 3, 3, 3, 4, 5, 6, 7, 8, 9};
  static const uint32_t large[] = {10, 15, 16, 17, 31, 32, 33, 40, 64, 65, 100, 127, 128, 129, 255, 256, 257};
  static const uint32_t limits[] = {1000, 2047, 2048, 4096, 8191, 32766, 32767, 32768, 46341, 65534, 65535};
  uint32_t luck = dice_below(random, 40);
  return luck == 0 ? DICE_PICK(random, limits) : luck < 8 ? DICE_PICK(random, large) : DICE_PICK(random, usual);
}

static uint32_t channels(dice *random) {
  static const uint32_t counts[] = {1,  2,  3,  4,  5,  7,  8,  9,  12, 15, 16, 17,
                                    24, 31, 32, 33, 40, 48, 63, 64, 65, 96, 128};
  return dice_one_in(random, 16) ? size(random) : DICE_PICK(random, counts);
}

static float number(dice *random) {
  static const float values[] = {0.0f,   -0.0f,  1.0f,   -1.0f, 0.5f,   0.75f,   2.0f,     6.0f,  -128.0f, 127.0f,
                                 128.0f, -60.0f, 3e-39f, 1e30f, -1e30f, 8388608, -8388609, 1e-9f, 40.0f,   -3.0f};
  switch (dice_below(random, 16)) {
    case 0:
      return INFINITY;
    case 1:
      return -INFINITY;
    case 2:
      return NAN;
    default:
      return DICE_PICK(random, values);
  }
}

/* ---- parameters ---- */

static void change_conv(dqnn_conv_params *p, dice *random) {
  uint16_t *kernel[] = {&p->kernel_h, &p->kernel_w}, *stride[] = {&p->stride_h, &p->stride_w};
  uint16_t *dilation[] = {&p->dilation_h, &p->dilation_w}, *pad[] = {&p->pad_top, &p->pad_left};
  uint16_t *up[] = {&p->up_h, &p->up_w}, *pool[] = {&p->pool_h, &p->pool_w};
  uint16_t **fields[] = {kernel, kernel, stride, dilation, pad, pad, up, pool, pool};
  uint32_t axis = dice_below(random, 2);
  switch (dice_below(random, 8)) {
    case 0:
      p->groups = (uint16_t)(1 + dice_below(random, 4));
      break;
    case 1:
      p->multiplier = (uint16_t)(1 + dice_below(random, 4));
      break;
    case 2:
      p->requant = (uint8_t)dice_below(random, 3);
      p->half_weights = (uint8_t)dice_below(random, 2);
      p->weight_bits = (uint8_t)(dice_one_in(random, 8) ? dice_below(random, 9) : 2 * dice_below(random, 3));
      break;
    case 3:
      p->pad_value = dice_one_in(random, 2) ? (float)dice_below(random, 3) - 1.0f : number(random);
      break;
    case 4:
      *(dice_one_in(random, 2) ? &p->act_min : &p->act_max) = number(random);
      break;
    case 5: { /* both axes alike, as most layers have them */
      uint16_t **field = DICE_PICK(random, fields);
      *field[0] = *field[1] = (uint16_t)size(random);
      break;
    }
    default: {
      uint16_t **field = DICE_PICK(random, fields);
      *field[axis] = (uint16_t)(dice_one_in(random, 4) ? *field[axis] + 1u : size(random));
    }
  }
  if (dice_one_in(random, 8)) { /* a first layer, for which there is code of its own */
    p->kernel_h = p->kernel_w = 3;
    p->stride_h = p->stride_w = p->dilation_h = p->dilation_w = p->up_h = p->up_w = p->groups = 1;
    p->pool_h = p->pool_w = 2;
  }
}

static void change_halves(uint32_t *params, uint32_t count, dice *random) {
  uint16_t value = (uint16_t)(dice_one_in(random, 3) ? 0 : size(random));
  memcpy((uint8_t *)params + 2 * dice_below(random, count), &value, 2);
}

static void change_words(uint32_t *params, uint32_t count, dice *random) {
  params[dice_below(random, count)] = dice_one_in(random, 3) ? 0 : size(random);
}

static void change_float(uint32_t *params, uint32_t word, dice *random) {
  float value = number(random);
  memcpy(&params[word], &value, 4);
}

static void change_params(draft_node *node, dice *random) {
  uint32_t *p = node->params;
  switch (node->slot) {
    case DQNN_NODE_conv:
      change_conv((void *)p, random);
      break;
    case DQNN_NODE_pool:
      change_halves(p, 6, random);
      break;
    case DQNN_NODE_concat:
      p[0] = dice_below(random, 4);
      break;
    case DQNN_NODE_pad:
      change_words(p, 4, random);
      change_float(p, 4, random);
      break;
    case DQNN_NODE_view:
      change_words(p, 16, random);
      break;
    case DQNN_NODE_none:
      break;
    default: /* channel, unary, binary: small numbers, then floats */
      ((uint8_t *)p)[dice_below(random, 2)] = (uint8_t)dice_below(random, 16);
      change_float(p, 1 + dice_below(random, node->slot == DQNN_NODE_unary ? 1 : 2), random);
  }
}

/* ---- tensors ---- */

static void change_shape(dqnn_tensor_def *def, dice *random) {
  uint32_t axis = dice_below(random, 4);
  switch (dice_below(random, 6)) {
    case 0:
      def->rank = (uint8_t)(1 + dice_below(random, 4));
      break;
    case 1:
    case 2:
      def->dims[def->rank < 1 || def->rank > 4 ? 0 : def->rank - 1] = channels(random);
      break;
    default:
      def->dims[axis] = dice_one_in(random, 4) ? channels(random) : 1 + dice_below(random, 12);
  }
}

static void change_format(dqnn_tensor_def *def, dice *random) {
  static const float scales[] = {0.5f, 1.0f, 0.0078125f, 3.7f, 1e-38f, 3e38f};
  static const int32_t zero_points[] = {0, -128, 127, 3, -77};
  if (def->dtype == DQNN_S8) {
    def->scale = DICE_PICK(random, scales);
    def->zero_point = DICE_PICK(random, zero_points);
  }
}

/* ---- constants ---- */

static void change_constant(draft *d, dice *random) {
  draft_node *node = &d->nodes[dice_below(random, d->node_count)];
  if (node->constant_count == 0) {
    return;
  }
  draft_piece piece = d->constants[node->constants[dice_below(random, node->constant_count)] % d->constant_count];
  static const uint8_t bytes[] = {0, 0xFF, 0x80, 0x7F, 1, 0x55};
  uint8_t *at = d->pool + piece.at;
  if (piece.bytes == 0) {
    return;
  }
  switch (dice_below(random, 5)) {
    case 0:
      memset(at, DICE_PICK(random, bytes), piece.bytes);
      break;
    case 1:
      for (uint32_t i = 0; i < piece.bytes; ++i) {
        at[i] = (uint8_t)dice_roll(random);
      }
      break;
    case 2:
      for (uint32_t i = 0; i + 4 <= piece.bytes; i += 4) {
        float value = dice_one_in(random, 8) ? number(random) : (float)((int32_t)dice_below(random, 512) - 256) / 32.0f;
        memcpy(at + i, &value, 4);
      }
      break;
    case 3:
      for (uint32_t i = 0; i + 4 <= piece.bytes; i += 4) {
        int32_t value = (int32_t)dice_below(random, 64) - 32;
        memcpy(at + i, &value, 4);
      }
      break;
    default:
      at[dice_below(random, piece.bytes)] ^= (uint8_t)(1u << dice_below(random, 8));
  }
}

/* The mask of flipped channels is the last constant of kernels that have one, and may be left out. */
static void toggle_flip(draft_node *node, dice *random) {
  if (node->constant_count > 1 && dice_one_in(random, 2)) {
    --node->constant_count;
  } else if (node->constant_count > 0 && node->constant_count < DQNN_MAX_CONSTANTS) {
    node->constants[node->constant_count] = node->constants[node->constant_count - 1];
    ++node->constant_count;
  }
}

/* ---- the graph ---- */

static uint16_t new_tensor(draft *d, const dqnn_tensor_def *def) {
  uint32_t number = d->tensor_count++;
  d->tensors[number] = *def;
  d->same_as[number] = (uint16_t)number;
  return (uint16_t)number;
}

static void append(draft *d, const draft_node *node, const dqnn_tensor_def *output) {
  if (d->node_count == DRAFT_NODES || d->tensor_count == DRAFT_TENSORS || d->node_count == 0 || d->output_count == 0) {
    return;
  }
  draft_node *fresh = &d->nodes[d->node_count];
  *fresh = *node;
  fresh->inputs[0] = d->nodes[d->node_count - 1].output;
  fresh->output = new_tensor(d, output);
  d->outputs[0].tensor = fresh->output;
  ++d->node_count;
}

void change_append(draft *d, const draft *other, dice *random) {
  if (other->node_count == 0 || d->constant_count + DQNN_MAX_CONSTANTS > DRAFT_CONSTANTS) {
    return;
  }
  draft_node node = other->nodes[dice_below(random, other->node_count)];
  for (uint32_t i = 0; i < node.constant_count; ++i) {
    draft_piece from = other->constants[node.constants[i] % DRAFT_CONSTANTS], piece;
    uint8_t *to = from.at + from.bytes <= DRAFT_POOL ? draft_take(d, &piece, from.bytes) : NULL;
    if (to == NULL) {
      return;
    }
    memcpy(to, other->pool + from.at, from.bytes);
    node.constants[i] = (uint16_t)d->constant_count;
    d->constants[d->constant_count++] = piece;
  }
  node.layer = (draft_piece){0, (uint32_t)DRAFT_ABSENT};
  if (node.output < other->tensor_count) {
    append(d, &node, &other->tensors[node.output]);
  }
}

static void change_graph(draft *d, dice *random) {
  draft_node *node = &d->nodes[dice_below(random, d->node_count)];
  switch (dice_below(random, 6)) {
    case 0: /* without the last node */
      if (d->node_count > 1 && d->output_count > 0) {
        --d->node_count;
        d->outputs[0].tensor = d->nodes[d->node_count - 1].output;
      }
      break;
    case 1: /* a node more, of any kernel */
    {
      draft_node fresh = {.kernel = (uint16_t)dice_below(random, mend_kernel_count), .input_count = 1};
      fresh.layer = (draft_piece){0, (uint32_t)DRAFT_ABSENT};
      fresh.slot = DQNN_NODE_none;
      append(d, &fresh, &d->tensors[d->nodes[d->node_count - 1].output % d->tensor_count]);
      break;
    }
    case 2:
      append(d, node, &d->tensors[node->output % d->tensor_count]);
      break;
    case 3:
      if (node->input_count > 0 && node->input_count < DQNN_MAX_INPUTS) {
        node->inputs[node->input_count++] = (uint16_t)dice_below(random, d->tensor_count);
      }
      break;
    case 4:
      if (node->input_count > 0) {
        node->inputs[dice_below(random, node->input_count)] = (uint16_t)dice_below(random, d->tensor_count);
      }
      break;
    default: /* an output more, or less */
      if (d->output_count > 1 && dice_one_in(random, 2)) {
        --d->output_count;
      } else if (d->output_count > 0 && d->output_count < DRAFT_PORTS) {
        d->outputs[d->output_count] = d->outputs[0];
        d->outputs[d->output_count++].tensor = (uint16_t)dice_below(random, d->tensor_count);
      }
  }
}

static void change_kernel(draft_node *node, dice *random) {
  node->kernel = dice_one_in(random, 2) ? (uint16_t)(node->kernel + dice_below(random, 5) + mend_kernel_count - 2)
                                        : (uint16_t)dice_below(random, mend_kernel_count);
  node->kernel = (uint16_t)(node->kernel % mend_kernel_count);
}

/* ---- names ---- */

static void change_name(draft *d, draft_piece *name, dice *random) {
  if (dice_one_in(random, 3)) {
    *name = (draft_piece){0, (uint32_t)DRAFT_ABSENT};
    return;
  }
  draft_piece piece;
  uint8_t *text = draft_take(d, &piece, dice_one_in(random, 8) ? size(random) % 300 : dice_below(random, 20));
  for (uint32_t i = 0; text != NULL && i < piece.bytes; ++i) {
    text[i] = (uint8_t)dice_roll(random);
  }
  *name = text != NULL ? piece : *name;
}

static void change_names(draft *d, dice *random) {
  draft_piece *names[] = {&d->name,           &d->producer,
                          &d->signature,      &d->nodes[dice_below(random, d->node_count)].layer,
                          &d->inputs[0].name, &d->outputs[0].name};
  change_name(d, DICE_PICK(random, names), random);
  d->model_id = dice_roll(random);
}

/* ---- the whole ---- */

void change(draft *d, dice *random) {
  if (d->node_count == 0 || d->tensor_count == 0 || d->constant_count == DRAFT_CONSTANTS) {
    return;
  }
  draft_node *node = &d->nodes[dice_below(random, d->node_count)];
  dqnn_tensor_def *def = &d->tensors[dice_below(random, d->tensor_count)];
  switch (dice_below(random, 16)) {
    case 0:
      change_kernel(node, random);
      break;
    case 1:
    case 2:
    case 3:
      change_shape(def, random);
      break;
    case 4:
      change_format(def, random);
      break;
    case 5:
    case 6:
      change_constant(d, random);
      break;
    case 7:
      toggle_flip(node, random);
      break;
    case 8:
      change_graph(d, random);
      break;
    case 9:
      change_names(d, random);
      break;
    default:
      change_params(node, random);
  }
}

uint32_t change_file(blob file, blob other, uint8_t *out, uint32_t room, dice *random) {
  static draft d, second;
  if (!draft_read(&d, file)) {
    return 0;
  }
  if (other.size != 0 && draft_read(&second, other)) {
    change_append(&d, &second, random);
  }
  for (uint32_t count = 1 + dice_below(random, 3); count > 0; --count) {
    change(&d, random);
  }
  return mend(&d, random) ? draft_write(&d, out, room) : 0;
}
