/* See draft.h. */
#include "draft.h"

#include <string.h>

uint8_t *draft_take(draft *d, draft_piece *piece, uint32_t bytes) {
  if (bytes > DRAFT_POOL - d->pool_used) {
    return NULL;
  }
  *piece = (draft_piece){d->pool_used, bytes};
  d->pool_used += (bytes + 15) / 16 * 16;
  return memset(d->pool + piece->at, 0, bytes);
}

/* ---- reading ---- */

static bool keep(draft *d, draft_piece *piece, const void *bytes, uint32_t count) {
  uint8_t *copy = draft_take(d, piece, count);
  if (copy != NULL && count != 0) {
    memcpy(copy, bytes, count);
  }
  return copy != NULL;
}

static bool read_string(draft *d, const void *table, uint32_t slot, draft_piece *piece) {
  uint32_t length;
  const char *string = dqnn_fb_vector(table, slot, &length);
  *piece = (draft_piece){0, (uint32_t)DRAFT_ABSENT};
  return string == NULL || keep(d, piece, string, length);
}

static bool read_indices(const void *table, uint32_t slot, uint16_t *indices, uint8_t *count, uint32_t most) {
  uint32_t found;
  const uint16_t *vector = dqnn_fb_vector(table, slot, &found);
  if (found > most) {
    return false;
  }
  for (uint32_t i = 0; i < found; ++i) {
    indices[i] = vector[i];
  }
  *count = (uint8_t)found;
  return true;
}

static bool read_node(draft *d, const void *table, draft_node *node) {
  *node = (draft_node){.kernel = (uint16_t)dqnn_fb_u16(table, DQNN_NODE_KERNEL),
                       .output = (uint16_t)dqnn_fb_u16(table, DQNN_NODE_OUTPUT),
                       .scratch_offset = dqnn_fb_u32(table, DQNN_NODE_SCRATCH_OFFSET),
                       .scratch_bytes = dqnn_fb_u32(table, DQNN_NODE_SCRATCH_BYTES),
                       .slot = DQNN_NODE_none};
  for (uint32_t slot = DQNN_NODE_FIRST_PARAMS; slot < DQNN_NODE_PARAMS_END; ++slot) {
    const void *params = dqnn_fb_inline(table, slot);
    if (params != NULL) {
      node->slot = slot;
      memcpy(node->params, params, blob_params_bytes(slot));
    }
  }
  return read_indices(table, DQNN_NODE_INPUTS, node->inputs, &node->input_count, DQNN_MAX_INPUTS) &&
         read_indices(table, DQNN_NODE_CONSTANTS, node->constants, &node->constant_count, DQNN_MAX_CONSTANTS) &&
         read_string(d, table, DQNN_NODE_LAYER, &node->layer);
}

static float read_float(const void *table, uint32_t slot) {
  const float *field = dqnn_fb_inline(table, slot);
  return field != NULL ? *field : 0.0f;
}

static bool read_ports(draft *d, const uint32_t *vector, uint32_t count, draft_port *ports) {
  for (uint32_t i = 0; i < count; ++i) {
    const void *table = dqnn_fb_table(vector, i);
    ports[i].tensor = (uint16_t)dqnn_fb_u16(table, DQNN_PORT_TENSOR);
    ports[i].sample_scale = read_float(table, DQNN_PORT_SAMPLE_SCALE);
    ports[i].sample_offset = read_float(table, DQNN_PORT_SAMPLE_OFFSET);
    if (!read_string(d, table, DQNN_PORT_NAME, &ports[i].name)) {
      return false;
    }
  }
  return true;
}

/* A constant that lies outside of the data becomes an empty one. */
static bool read_constants(draft *d, const dqnn_model *model) {
  for (uint32_t i = 0; i < model->constant_count; ++i) {
    dqnn_constant_def def = model->constants[i];
    bool inside = def.offset <= model->data_bytes && def.bytes <= model->data_bytes - def.offset;
    if (!keep(d, &d->constants[i], model->data + (inside ? def.offset : 0), inside ? def.bytes : 0)) {
      return false;
    }
  }
  return true;
}

static bool read_signature(draft *d, blob b) {
  const dqnn_prefix *prefix = blob_prefix(b);
  uint32_t at = prefix->signature_offset;
  d->signature = (draft_piece){0, (uint32_t)DRAFT_ABSENT};
  return at == 0 || keep(d, &d->signature, b.bytes + at, prefix->total_bytes - at);
}

static bool is_written(const draft *d, uint32_t tensor) {
  bool found = false;
  for (uint32_t i = 0; i < d->node_count; ++i) {
    found |= d->nodes[i].output == tensor;
  }
  for (uint32_t i = 0; i < d->input_count; ++i) {
    found |= d->inputs[i].tensor == tensor;
  }
  return found;
}

static void find_aliases(draft *d) {
  for (uint32_t t = 0; t < d->tensor_count; ++t) {
    d->same_as[t] = (uint16_t)t;
    for (uint32_t s = 0; s < d->tensor_count && !is_written(d, t); ++s) {
      if (d->tensors[s].offset == d->tensors[t].offset && d->tensors[s].dtype == d->tensors[t].dtype &&
          is_written(d, s)) {
        d->same_as[t] = (uint16_t)s;
      }
    }
  }
}

bool draft_read(draft *d, blob b) {
  const dqnn_options skip = {.flags = DQNN_FLAG_SKIP_PAYLOAD_CHECKSUM};
  dqnn_model model;
  if (dqnn_model_open(&model, b.bytes, b.size, &skip) != DQNN_OK || model.tensor_count > DRAFT_TENSORS ||
      model.node_count > DRAFT_NODES || model.constant_count > DRAFT_CONSTANTS || model.input_count > DRAFT_PORTS ||
      model.output_count > DRAFT_PORTS) {
    return false;
  }
  d->arena_bytes = model.prefix->arena_bytes;
  d->model_id = model.prefix->model_id;
  d->model_version = model.prefix->model_version;
  d->tensor_count = model.tensor_count;
  d->node_count = model.node_count;
  d->constant_count = model.constant_count;
  d->input_count = model.input_count;
  d->output_count = model.output_count;
  d->pool_used = 0;
  if (model.tensor_count != 0) {
    memcpy(d->tensors, model.tensors, model.tensor_count * sizeof *model.tensors);
  }
  bool good = read_string(d, model.root, DQNN_MODEL_NAME, &d->name) &&
              read_string(d, model.root, DQNN_MODEL_PRODUCER, &d->producer) && read_signature(d, b) &&
              read_constants(d, &model) && read_ports(d, model.inputs, model.input_count, d->inputs) &&
              read_ports(d, model.outputs, model.output_count, d->outputs);
  for (uint32_t i = 0; good && i < model.node_count; ++i) {
    good = read_node(d, dqnn_model_node(&model, i), &d->nodes[i]);
  }
  find_aliases(d);
  return good;
}

/* ---- writing: from front to back, so that every offset points forwards ---- */

typedef struct {
  const draft *d;
  uint8_t *base; /* of the payload */
  uint32_t used, room;
  bool full;
} writer;

/* A table while it is written: its slots, and where its vtable and the table itself begin. */
typedef struct {
  uint32_t vtable, table;
} table_place;

static uint32_t reserve(writer *w, uint32_t bytes, uint32_t align) {
  uint32_t at = (w->used + align - 1) / align * align;
  w->full |= w->used > w->room || bytes > w->room || at > w->room - bytes;
  if (w->full) {
    return 0;
  }
  memset(w->base + w->used, 0, at + bytes - w->used);
  w->used = at + bytes;
  return at;
}

static void set16(writer *w, uint32_t at, uint32_t value) {
  if (!w->full) {
    blob_set16(w->base + at, value);
  }
}

static void set32(writer *w, uint32_t at, uint32_t value) {
  if (!w->full) {
    blob_set32(w->base + at, value);
  }
}

static void copy(writer *w, uint32_t at, const void *bytes, uint32_t count) {
  if (!w->full && count != 0) {
    memcpy(w->base + at, bytes, count);
  }
}

static table_place begin_table(writer *w, uint32_t slots, uint32_t bytes) {
  table_place p = {.vtable = reserve(w, 4 + 2 * slots, 4)};
  p.table = reserve(w, bytes, 4);
  set16(w, p.vtable, 4 + 2 * slots);
  set16(w, p.vtable + 2, bytes);
  set32(w, p.table, p.table - p.vtable);
  return p;
}

/* Says that a slot's field lies `offset` bytes into the table; its position. */
static uint32_t field(writer *w, table_place p, uint32_t slot, uint32_t offset) {
  set16(w, p.vtable + 4 + 2 * slot, offset);
  return p.table + offset;
}

/* Lets the offset stored at `from` lead to what comes next. */
static uint32_t vector(writer *w, uint32_t from, uint32_t count, uint32_t element, uint32_t align) {
  uint32_t skip = reserve(w, 0, 4);
  while (!w->full && (skip + 4) % align != 0) {
    skip = reserve(w, 4, 4) + 4;
  }
  uint32_t at = reserve(w, 4 + count * element, 4);
  set32(w, from, at - from);
  set32(w, at, count);
  return at + 4;
}

static void string(writer *w, table_place p, uint32_t slot, uint32_t offset, draft_piece text) {
  if (text.bytes != (uint32_t)DRAFT_ABSENT) {
    uint32_t at = vector(w, field(w, p, slot, offset), text.bytes, 1, 4);
    copy(w, at, w->d->pool + text.at, text.bytes);
    (void)reserve(w, 1, 1); /* its 0 */
  }
}

static void indices(writer *w, uint32_t from, const uint16_t *values, uint32_t count) {
  uint32_t at = vector(w, from, count, 2, 4);
  copy(w, at, values, 2 * count);
}

static void write_node(writer *w, uint32_t from, const draft_node *node, const uint16_t *renumbered) {
  enum { KERNEL = 4, OUTPUT = 6, INPUTS = 8, CONSTANTS = 12, SCRATCH_AT = 16, SCRATCH = 20, LAYER = 24, PARAMS = 28 };
  uint16_t constants[DQNN_MAX_CONSTANTS];
  table_place p = begin_table(w, DQNN_NODE_SLOTS, PARAMS + blob_params_bytes(node->slot));
  set32(w, from, p.table - from);
  for (uint32_t i = 0; i < node->constant_count; ++i) {
    uint16_t number = node->constants[i];
    constants[i] = number < w->d->constant_count ? renumbered[number] : number;
  }
  set16(w, field(w, p, DQNN_NODE_KERNEL, KERNEL), node->kernel);
  set16(w, field(w, p, DQNN_NODE_OUTPUT, OUTPUT), node->output);
  set32(w, field(w, p, DQNN_NODE_SCRATCH_OFFSET, SCRATCH_AT), node->scratch_offset);
  set32(w, field(w, p, DQNN_NODE_SCRATCH_BYTES, SCRATCH), node->scratch_bytes);
  if (node->slot != DQNN_NODE_none) {
    copy(w, field(w, p, node->slot, PARAMS), node->params, blob_params_bytes(node->slot));
  }
  indices(w, field(w, p, DQNN_NODE_INPUTS, INPUTS), node->inputs, node->input_count);
  indices(w, field(w, p, DQNN_NODE_CONSTANTS, CONSTANTS), constants, node->constant_count);
  string(w, p, DQNN_NODE_LAYER, LAYER, node->layer);
}

static void write_ports(writer *w, uint32_t from, const draft_port *ports, uint32_t count) {
  enum { TENSOR = 4, NAME = 8, SCALE = 12, OFFSET = 16, BYTES = 20 };
  uint32_t at = vector(w, from, count, 4, 4);
  for (uint32_t i = 0; i < count; ++i) {
    table_place p = begin_table(w, DQNN_PORT_SLOTS, BYTES);
    set32(w, at + 4 * i, p.table - (at + 4 * i));
    set16(w, field(w, p, DQNN_PORT_TENSOR, TENSOR), ports[i].tensor);
    copy(w, field(w, p, DQNN_PORT_SAMPLE_SCALE, SCALE), &ports[i].sample_scale, 4);
    copy(w, field(w, p, DQNN_PORT_SAMPLE_OFFSET, OFFSET), &ports[i].sample_offset, 4);
    string(w, p, DQNN_PORT_NAME, NAME, ports[i].name);
  }
}

/* Numbers of the constants that some node names; how many. */
static uint32_t renumber(const draft *d, uint16_t *numbers) {
  bool named[DRAFT_CONSTANTS] = {false};
  uint32_t count = 0;
  for (uint32_t i = 0; i < d->node_count; ++i) {
    for (uint32_t k = 0; k < d->nodes[i].constant_count; ++k) {
      uint16_t number = d->nodes[i].constants[k];
      named[number < DRAFT_CONSTANTS ? number : 0] |= number < DRAFT_CONSTANTS;
    }
  }
  for (uint32_t i = 0; i < d->constant_count; ++i) {
    numbers[i] = (uint16_t)count;
    count += named[i];
  }
  return count;
}

/* The constants' places and, behind everything else, their bytes. */
static void write_constants(writer *w, uint32_t places, uint32_t data, const uint16_t *numbers, uint32_t count) {
  const draft *d = w->d;
  uint32_t at = vector(w, places, count, sizeof(dqnn_constant_def), 4), bytes = 0;
  for (uint32_t i = 0; i < d->constant_count; ++i) {
    bool named = (i + 1 < d->constant_count ? numbers[i + 1] : count) != numbers[i];
    if (named) {
      dqnn_constant_def def = {bytes, d->constants[i].bytes};
      copy(w, at + numbers[i] * (uint32_t)sizeof def, &def, sizeof def);
      bytes += (d->constants[i].bytes + 15) / 16 * 16;
    }
  }
  uint32_t first = vector(w, data, bytes / 16, 16, 16);
  for (uint32_t i = 0, k = 0; i < d->constant_count; ++i) {
    if ((i + 1 < d->constant_count ? numbers[i + 1] : count) != numbers[i]) {
      copy(w, first + k, d->pool + d->constants[i].at, d->constants[i].bytes);
      k += (d->constants[i].bytes + 15) / 16 * 16;
    }
  }
}

static void write_model(writer *w) {
  enum { SLOTS = DQNN_MODEL_DATA + 1 };
  const draft *d = w->d;
  uint16_t numbers[DRAFT_CONSTANTS];
  uint32_t count = renumber(d, numbers), root = reserve(w, 8, 16);
  table_place p = begin_table(w, SLOTS, 4 + 4 * SLOTS);
  uint32_t at[SLOTS];
  set32(w, root, p.table - root);
  copy(w, root + 4, "DQN1", 4);
  for (uint32_t slot = DQNN_MODEL_TENSORS; slot < SLOTS; ++slot) {
    at[slot] = field(w, p, slot, 4 + 4 * slot);
  }
  string(w, p, DQNN_MODEL_NAME, 4 + 4 * DQNN_MODEL_NAME, d->name);
  string(w, p, DQNN_MODEL_PRODUCER, 4 + 4 * DQNN_MODEL_PRODUCER, d->producer);
  uint32_t tensors = vector(w, at[DQNN_MODEL_TENSORS], d->tensor_count, sizeof d->tensors[0], 4);
  copy(w, tensors, d->tensors, d->tensor_count * (uint32_t)sizeof d->tensors[0]);
  uint32_t nodes = vector(w, at[DQNN_MODEL_NODES], d->node_count, 4, 4);
  for (uint32_t i = 0; i < d->node_count; ++i) {
    write_node(w, nodes + 4 * i, &d->nodes[i], numbers);
  }
  write_ports(w, at[DQNN_MODEL_INPUTS], d->inputs, d->input_count);
  write_ports(w, at[DQNN_MODEL_OUTPUTS], d->outputs, d->output_count);
  write_constants(w, at[DQNN_MODEL_CONSTANTS], at[DQNN_MODEL_DATA], numbers, count);
}

static void write_prefix(const writer *w, dqnn_prefix *prefix, uint32_t payload_end) {
  const draft *d = w->d;
  *prefix = (dqnn_prefix){.magic = DQNN_MAGIC,
                          .format_version = 1,
                          .runtime_version = 1,
                          .total_bytes = (uint32_t)sizeof *prefix + w->used,
                          .payload_offset = sizeof *prefix,
                          .arena_bytes = d->arena_bytes,
                          .model_id = d->model_id,
                          .model_version = d->model_version};
  if (d->signature.bytes != (uint32_t)DRAFT_ABSENT) {
    prefix->signature_offset = (uint32_t)sizeof *prefix + payload_end;
  }
  for (uint32_t i = 0; i < d->node_count; ++i) {
    prefix->kernels[d->nodes[i].kernel / 32 % 6] |= 1u << d->nodes[i].kernel % 32;
  }
}

uint32_t draft_write(const draft *d, uint8_t *out, uint32_t room) {
  if (room < sizeof(dqnn_prefix)) {
    return 0;
  }
  writer w = {.d = d, .base = out + sizeof(dqnn_prefix), .room = room - (uint32_t)sizeof(dqnn_prefix)};
  write_model(&w);
  uint32_t payload_end = w.used;
  if (d->signature.bytes != (uint32_t)DRAFT_ABSENT) {
    copy(&w, reserve(&w, d->signature.bytes, 1), d->pool + d->signature.at, d->signature.bytes);
  }
  if (w.full) {
    return 0;
  }
  blob b = {out, (uint32_t)sizeof(dqnn_prefix) + w.used};
  write_prefix(&w, blob_prefix(b), payload_end);
  blob_seal(b);
  return b.size;
}
