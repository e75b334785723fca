/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Opens a file: prefix, checksums, signature hook and FlatBuffer structure, in this order, so that nothing is
 * interpreted before it is known to be intact and inside the buffer. What the structures mean is checked in verify.c.
 */
#include "model.h"

#include <stddef.h>
#include <string.h>

/* What stands in a file has the size that SPEC.md says, whatever the compiler does with structs. */
#define BYTES_ARE(bytes, type) _Static_assert(sizeof(type) == (bytes), "as in SPEC.md")
BYTES_ARE(64, dqnn_prefix);
BYTES_ARE(32, dqnn_tensor_def);
BYTES_ARE(8, dqnn_constant_def);
BYTES_ARE(44, dqnn_conv_params);
BYTES_ARE(12, dqnn_channel_params);
BYTES_ARE(12, dqnn_pool_params);
BYTES_ARE(8, dqnn_unary_params);
BYTES_ARE(12, dqnn_binary_params);
BYTES_ARE(4, dqnn_concat_params);
BYTES_ARE(20, dqnn_pad_params);
BYTES_ARE(64, dqnn_view_params);
BYTES_ARE(36, dqnn_fixed_binary_params);
BYTES_ARE(16, dqnn_reduce_params);
BYTES_ARE(12, dqnn_softmax_params);
BYTES_ARE(4, dqnn_gather_params);
_Static_assert(offsetof(dqnn_prefix, arena_bytes) == 20 && offsetof(dqnn_prefix, prefix_crc) == 60, "as in SPEC.md");

#define INLINE(type, align) \
  { DQNN_FB_INLINE, (align), sizeof(type) }
#define VECTOR(type, align) \
  { DQNN_FB_VECTOR, (align), sizeof(type) }
#define STRING \
  { DQNN_FB_STRING, 1, 1 }

static const dqnn_fb_field model_fields[DQNN_MODEL_SLOTS] = {
    STRING,
    STRING,
    VECTOR(dqnn_tensor_def, 4),
    VECTOR(dqnn_constant_def, 4),
    VECTOR(uint32_t, 4),
    VECTOR(uint32_t, 4),
    VECTOR(uint32_t, 4),
    {DQNN_FB_VECTOR, 16, 16},
    STRING,
    VECTOR(uint32_t, 4),
    INLINE(uint16_t, 2),
};

static const dqnn_fb_field node_fields[DQNN_NODE_SLOTS] = {
    INLINE(uint16_t, 2),
    VECTOR(uint16_t, 2),
    INLINE(uint16_t, 2),
    VECTOR(uint16_t, 2),
    INLINE(uint32_t, 4),
    INLINE(uint32_t, 4),
    STRING,
    INLINE(dqnn_conv_params, 4),
    INLINE(dqnn_channel_params, 4),
    INLINE(dqnn_pool_params, 2),
    INLINE(dqnn_unary_params, 4),
    INLINE(dqnn_binary_params, 4),
    INLINE(dqnn_concat_params, 4),
    INLINE(dqnn_pad_params, 4),
    INLINE(dqnn_view_params, 4),
    INLINE(dqnn_fixed_binary_params, 4),
    INLINE(dqnn_reduce_params, 4),
    INLINE(dqnn_softmax_params, 4),
    INLINE(dqnn_gather_params, 4),
    INLINE(uint16_t, 2),
    INLINE(uint16_t, 2),
};

static const dqnn_fb_field port_fields[DQNN_PORT_SLOTS] = {
    INLINE(uint16_t, 2), STRING,           INLINE(float, 4),   INLINE(float, 4),
    INLINE(uint8_t, 1),  INLINE(float, 4), INLINE(uint8_t, 1),
};

uint32_t dqnn_payload_end(const dqnn_prefix *prefix) {
  return prefix->signature_offset != 0 ? prefix->signature_offset : prefix->total_bytes;
}

/* Who wrote the prefix, and can this firmware read the rest? */
static dqnn_status check_identity(const dqnn_prefix *prefix) {
  if (prefix->magic != DQNN_MAGIC) {
    return DQNN_ERROR_MAGIC;
  }
  if (dqnn_crc32(prefix, offsetof(dqnn_prefix, prefix_crc)) != prefix->prefix_crc) {
    return DQNN_ERROR_CHECKSUM;
  }
  if (prefix->format_version > DQNN_FORMAT_VERSION || prefix->format_version == 0) {
    return DQNN_ERROR_FORMAT_VERSION;
  }
  if (prefix->runtime_version > DQNN_RUNTIME_VERSION) {
    return DQNN_ERROR_RUNTIME_VERSION;
  }
  return DQNN_OK;
}

static dqnn_status check_extent(const dqnn_prefix *prefix, size_t size) {
  uint32_t total = prefix->total_bytes, payload = prefix->payload_offset, end = dqnn_payload_end(prefix);
  if (size < total) {
    return DQNN_ERROR_TRUNCATED;
  }
  uint32_t odd = (payload | prefix->arena_bytes) % DQNN_ALIGNMENT, huge = (total | prefix->arena_bytes) >> 31;
  bool good = (odd | huge | prefix->flags) == 0 && payload >= sizeof *prefix && payload <= end && end <= total;
  return good ? DQNN_OK : DQNN_ERROR_STRUCTURE;
}

static bool checksum_holds(const dqnn_prefix *prefix, const dqnn_options *options) {
  const uint8_t *payload = (const uint8_t *)prefix + prefix->payload_offset;
  uint32_t bytes = dqnn_payload_end(prefix) - prefix->payload_offset;
  if (options != NULL && (options->flags & DQNN_FLAG_SKIP_PAYLOAD_CHECKSUM) != 0) {
    return true;
  }
  if (options != NULL && options->checksum != NULL) {
    return options->checksum(options->checksum_context, payload, bytes) == prefix->payload_crc;
  }
  return dqnn_crc32(payload, bytes) == prefix->payload_crc;
}

static dqnn_status check_content(const dqnn_prefix *prefix, const dqnn_options *options) {
  if (!checksum_holds(prefix, options)) {
    return DQNN_ERROR_CHECKSUM;
  }
  if (options != NULL && options->signature != NULL) {
    const uint8_t *file = (const uint8_t *)prefix;
    uint32_t end = dqnn_payload_end(prefix), signature_bytes = prefix->total_bytes - end;
    const uint8_t *signature = prefix->signature_offset != 0 ? file + end : NULL;
    if (!options->signature(options->signature_context, file, end, signature, signature_bytes)) {
      return DQNN_ERROR_SIGNATURE;
    }
  }
  return DQNN_OK;
}

static bool check_structure(const dqnn_prefix *prefix, dqnn_model *model) {
  dqnn_fb fb = {(const uint8_t *)prefix + prefix->payload_offset, dqnn_payload_end(prefix) - prefix->payload_offset};
  uint32_t root = dqnn_fb_check_root(&fb, DQNN_IDENTIFIER);
  if (!dqnn_fb_check_table(&fb, root, model_fields, DQNN_MODEL_SLOTS)) {
    return false;
  }
  model->root = fb.base + root;
  return dqnn_fb_check_tables(&fb, model->root, DQNN_MODEL_NODES, node_fields, DQNN_NODE_SLOTS) &&
         dqnn_fb_check_tables(&fb, model->root, DQNN_MODEL_INPUTS, port_fields, DQNN_PORT_SLOTS) &&
         dqnn_fb_check_tables(&fb, model->root, DQNN_MODEL_OUTPUTS, port_fields, DQNN_PORT_SLOTS);
}

/* False if there are more parts than dqnn_config.h allows. */
static bool locate(dqnn_model *model) {
  uint32_t blocks;
  model->tensors = dqnn_fb_vector(model->root, DQNN_MODEL_TENSORS, &model->tensor_count);
  model->constants = dqnn_fb_vector(model->root, DQNN_MODEL_CONSTANTS, &model->constant_count);
  model->nodes = dqnn_fb_vector(model->root, DQNN_MODEL_NODES, &model->node_count);
  model->inputs = dqnn_fb_vector(model->root, DQNN_MODEL_INPUTS, &model->input_count);
  model->outputs = dqnn_fb_vector(model->root, DQNN_MODEL_OUTPUTS, &model->output_count);
  model->data = dqnn_fb_vector(model->root, DQNN_MODEL_DATA, &blocks);
  model->data_bytes = 16 * blocks;
  return model->node_count <= DQNN_MAX_NODES && model->input_count <= DQNN_MAX_PORTS &&
         model->output_count <= DQNN_MAX_PORTS;
}

dqnn_status dqnn_model_open(dqnn_model *model, const void *blob, size_t size, const dqnn_options *options) {
  if (blob == NULL) {
    return DQNN_ERROR_ARGUMENT;
  }
  if ((uintptr_t)blob % DQNN_ALIGNMENT != 0) {
    return DQNN_ERROR_ALIGNMENT;
  }
  if (size < sizeof(dqnn_prefix)) {
    return DQNN_ERROR_TRUNCATED;
  }
  const dqnn_prefix *prefix = blob;
  dqnn_status status = check_identity(prefix);
  if (status == DQNN_OK) {
    status = check_extent(prefix, size);
  }
  if (status == DQNN_OK) {
    status = check_content(prefix, options);
  }
  if (status != DQNN_OK) {
    return status;
  }
  model->prefix = prefix;
  return check_structure(prefix, model) && locate(model) ? DQNN_OK : DQNN_ERROR_STRUCTURE;
}

uint32_t dqnn_params_slot(uint32_t family) {
#define FAMILY_SLOT(name, params) DQNN_NODE_##params,
  static const uint8_t slots[] = {DQNN_FAMILIES(FAMILY_SLOT)};
#undef FAMILY_SLOT
  return slots[family];
}

const void *dqnn_params(const void *node, uint32_t family) {
  return dqnn_fb_inline(node, dqnn_params_slot(family));
}

void dqnn_model_bind(const dqnn_model *model, uint32_t i, uint8_t *arena, dqnn_call *call) {
  const void *node = dqnn_model_node(model, i);
  uint32_t inputs, constants;
  const uint16_t *input = dqnn_fb_vector(node, DQNN_NODE_INPUTS, &inputs);
  const uint16_t *constant = dqnn_fb_vector(node, DQNN_NODE_CONSTANTS, &constants);

  memset(call, 0, sizeof *call);
  call->kernel = (uint16_t)dqnn_fb_u16(node, DQNN_NODE_KERNEL);
  call->inputs = (uint8_t)inputs;
  call->constant_count = (uint8_t)constants;
  call->out_def = &model->tensors[dqnn_fb_u16(node, DQNN_NODE_OUTPUT)];
  call->scratch_bytes = dqnn_fb_u32(node, DQNN_NODE_SCRATCH_BYTES);
  for (uint32_t k = 0; k < inputs; ++k) {
    call->in_def[k] = &model->tensors[input[k]];
  }
  if (arena != NULL) {
    call->out = arena + call->out_def->offset;
    call->scratch = arena + dqnn_fb_u32(node, DQNN_NODE_SCRATCH_OFFSET);
    for (uint32_t k = 0; k < inputs; ++k) {
      call->in[k] = arena + call->in_def[k]->offset;
    }
  }
  for (uint32_t k = 0; k < constants; ++k) {
    const dqnn_constant_def *def = &model->constants[constant[k]];
    call->constants[k] = model->data + def->offset;
    call->constant_bytes[k] = def->bytes;
  }
}
