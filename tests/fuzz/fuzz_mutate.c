/* libFuzzer target: sound files, changed with knowledge of their structure, checksums made right again, then run. Half
 * of the mutations set one field (of a tensor, constant, node, parameter struct or of the prefix) to an interesting
 * value, the others leave it to libFuzzer; the bitmap of kernels is kept true, so that a changed kernel id reaches that
 * kernel's plan. */
#include <string.h>

#include "blob.h"
#include "safely.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  blob b = blob_copy(data, (uint32_t)size);
  (void)safely_run(b.bytes, b.size, true);
  blob_free(b);
  return 0;
}

static uint32_t next(uint32_t *state) {
  *state = *state * 1664525u + 1013904223u;
  return *state >> 8;
}

static uint32_t interesting(uint32_t *state) {
  static const uint32_t values[] = {0,          1,          2,          3,          4,          7,          8,
                                    15,         16,         31,         32,         33,         64,         127,
                                    128,        255,        256,        0x7FFF,     0x8000,     0xFFFF,     0x10000,
                                    0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFF, 0x3F800000, 0xBF800000, 0x7F800000,
                                    0xFF800000, 0x7FC00000, 0x00000001, 0x4F000000};
  return values[next(state) % (sizeof values / sizeof values[0])];
}

/* Changes `bytes` bytes at `at` to, or by, something interesting. */
static void change(uint8_t *at, uint32_t bytes, uint32_t *state) {
  uint32_t old = 0, value = interesting(state);
  memcpy(&old, at, bytes);
  switch (next(state) % 4) {
    case 0:
      value = old + 1;
      break;
    case 1:
      value = old - 1;
      break;
    case 2:
      value = old + value % 16 * 16;
      break;
    default:
      break;
  }
  memcpy(at, &value, bytes);
}

static uint8_t *inside(blob b, const void *p) {
  return b.bytes + ((const uint8_t *)p - b.bytes);
}

static void change_struct(blob b, const void *object, uint32_t bytes, uint32_t *state) {
  static const uint32_t sizes[] = {4, 4, 2, 1};
  uint32_t size = sizes[next(state) % 4];
  if (object != NULL && bytes >= size) {
    change(inside(b, object) + next(state) % (bytes / size) * size, size, state);
  }
}

static void change_vector(blob b, const void *table, uint32_t slot, uint32_t *state) {
  uint32_t count;
  const uint16_t *vector = dqnn_fb_vector(table, slot, &count);
  if (count != 0) {
    change(inside(b, &vector[next(state) % count]), 2, state);
  }
}

static void change_node(blob b, const void *node, uint32_t *state) {
  static const uint8_t bytes[] = {sizeof(dqnn_conv_params),  sizeof(dqnn_channel_params), sizeof(dqnn_pool_params),
                                  sizeof(dqnn_unary_params), sizeof(dqnn_binary_params),  sizeof(dqnn_concat_params),
                                  sizeof(dqnn_pad_params),   sizeof(dqnn_view_params)};
  switch (next(state) % 6) {
    case 0:
      change_struct(b, dqnn_fb_inline(node, DQNN_NODE_KERNEL), 2, state);
      break;
    case 1:
      change_vector(b, node, next(state) % 2 != 0 ? DQNN_NODE_INPUTS : DQNN_NODE_CONSTANTS, state);
      break;
    case 2:
      change_struct(b, dqnn_fb_inline(node, DQNN_NODE_SCRATCH_OFFSET + next(state) % 2), 4, state);
      break;
    default:
      for (uint32_t i = 0; i < sizeof bytes; ++i) {
        change_struct(b, dqnn_fb_inline(node, DQNN_NODE_FIRST_PARAMS + i), bytes[i], state);
      }
  }
}

static void change_part(blob b, const dqnn_model *model, uint32_t *state) {
  switch (next(state) % 8) {
    case 0:
      change((uint8_t *)&blob_prefix(b)->arena_bytes, 4, state);
      break;
    case 1:
      if (model->constant_count != 0) {
        change_struct(b, &model->constants[next(state) % model->constant_count], sizeof(dqnn_constant_def), state);
      }
      break;
    case 2:
      change_struct(b, model->data, model->data_bytes, state);
      break;
    case 3:
    case 4:
      if (model->tensor_count != 0) {
        change_struct(b, &model->tensors[next(state) % model->tensor_count], sizeof(dqnn_tensor_def), state);
      }
      break;
    default:
      if (model->node_count != 0) {
        change_node(b, dqnn_model_node(model, next(state) % model->node_count), state);
      }
  }
}

static void list_kernels(blob b, const dqnn_model *model) {
  uint32_t *kernels = blob_prefix(b)->kernels;
  memset(kernels, 0, sizeof blob_prefix(b)->kernels);
  for (uint32_t i = 0; i < model->node_count; ++i) {
    uint32_t kernel = dqnn_fb_u16(dqnn_model_node(model, i), DQNN_NODE_KERNEL);
    kernels[kernel / 32 % 6] |= 1u << kernel % 32;
  }
}

/* Prefix and checksums agree with the rest again; true if the structure is sound, with its parts in model. */
static bool repair(blob b, dqnn_model *model) {
  dqnn_prefix *prefix = blob_prefix(b);
  memcpy(prefix->magic, "DQNN", 4);
  prefix->format_version = prefix->runtime_version = 1;
  prefix->total_bytes = b.size;
  prefix->payload_offset = sizeof *prefix;
  prefix->flags = 0;
  prefix->signature_offset = 0;
  prefix->arena_bytes &= 0x7FFFFFF0;
  blob_seal(b);
  if (dqnn_model_open(model, b.bytes, b.size, NULL) != DQNN_OK) {
    return false;
  }
  list_kernels(b, model);
  blob_seal(b);
  return true;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed) {
  uint32_t state = seed;
  dqnn_model model;
  if (size <= sizeof(dqnn_prefix) || next(&state) % 2 == 0) {
    size = LLVMFuzzerMutate(data, size, max_size);
  }
  if (size <= sizeof(dqnn_prefix)) {
    return size;
  }
  blob b = blob_copy(data, (uint32_t)size);
  for (uint32_t count = 1 + next(&state) % 4; count > 0 && repair(b, &model); --count) {
    change_part(b, &model, &state);
  }
  (void)repair(b, &model);
  memcpy(data, b.bytes, size);
  blob_free(b);
  return size;
}
