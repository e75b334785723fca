/* Mutator of the libFuzzer target fuzz_mutate: sound files, changed with knowledge of their structure, checksums made
 * right again. Half of the mutations set one field (of a tensor, constant, node, parameter struct or of the prefix) to
 * an interesting value, the others leave it to libFuzzer; the bitmap of kernels is kept true, so that a changed kernel
 * id reaches that kernel's plan. What does not fit together stays so: most files are refused, by every check there is.
 */
#include <string.h>

#include "blob.h"
#include "dice.h"

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

static uint32_t interesting(dice *random) {
  static const uint32_t values[] = {0,          1,          2,          3,          4,          7,          8,
                                    15,         16,         31,         32,         33,         64,         127,
                                    128,        255,        256,        0x7FFF,     0x8000,     0xFFFF,     0x10000,
                                    0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFF, 0x3F800000, 0xBF800000, 0x7F800000,
                                    0xFF800000, 0x7FC00000, 0x00000001, 0x4F000000};
  return DICE_PICK(random, values);
}

/* Changes `bytes` bytes at `at` to, or by, something interesting. */
static void change(uint8_t *at, uint32_t bytes, dice *random) {
  uint32_t old = 0, value = interesting(random);
  memcpy(&old, at, bytes);
  switch (dice_below(random, 4)) {
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

static void change_struct(blob b, const void *object, uint32_t bytes, dice *random) {
  static const uint32_t sizes[] = {4, 4, 2, 1};
  uint32_t size = DICE_PICK(random, sizes);
  if (object != NULL && bytes >= size) {
    change(inside(b, object) + dice_below(random, bytes / size) * size, size, random);
  }
}

static void change_vector(blob b, const void *table, uint32_t slot, dice *random) {
  uint32_t count;
  const uint16_t *vector = dqnn_fb_vector(table, slot, &count);
  if (count != 0) {
    change(inside(b, &vector[dice_below(random, count)]), 2, random);
  }
}

/* All are found before one is changed: in a hostile file they may lie over the table that leads to the others. */
static void change_params(blob b, const void *node, dice *random) {
  const void *params[DQNN_NODE_PARAMS_END - DQNN_NODE_FIRST_PARAMS];
  for (uint32_t slot = DQNN_NODE_FIRST_PARAMS; slot < DQNN_NODE_PARAMS_END; ++slot) {
    params[slot - DQNN_NODE_FIRST_PARAMS] = dqnn_fb_inline(node, slot);
  }
  for (uint32_t slot = DQNN_NODE_FIRST_PARAMS; slot < DQNN_NODE_PARAMS_END; ++slot) {
    change_struct(b, params[slot - DQNN_NODE_FIRST_PARAMS], blob_params_bytes(slot), random);
  }
}

static void change_node(blob b, const void *node, dice *random) {
  switch (dice_below(random, 7)) {
    case 0:
      change_struct(b, dqnn_fb_inline(node, DQNN_NODE_KERNEL), 2, random);
      break;
    case 1:
      change_vector(b, node, dice_one_in(random, 2) ? DQNN_NODE_INPUTS : DQNN_NODE_CONSTANTS, random);
      break;
    case 2:
      change_struct(b, dqnn_fb_inline(node, DQNN_NODE_SCRATCH_OFFSET + dice_below(random, 2)), 4, random);
      break;
    case 3:
      change_struct(b, dqnn_fb_inline(node, dice_one_in(random, 2) ? DQNN_NODE_ROWS : DQNN_NODE_SEGMENT), 2, random);
      break;
    default:
      change_params(b, node, random);
  }
}

static void change_part(blob b, const dqnn_model *model, dice *random) {
  switch (dice_below(random, 8)) {
    case 0:
      change((uint8_t *)&blob_prefix(b)->arena_bytes, 4, random);
      break;
    case 1:
      if (model->constant_count != 0) {
        change_struct(b, &model->constants[dice_below(random, model->constant_count)], sizeof(dqnn_constant_def),
                      random);
      }
      break;
    case 2:
      change_struct(b, model->data, model->data_bytes, random);
      break;
    case 3:
    case 4:
      if (model->tensor_count != 0) {
        change_struct(b, &model->tensors[dice_below(random, model->tensor_count)], sizeof(dqnn_tensor_def), random);
      }
      break;
    default:
      if (model->node_count != 0) {
        change_node(b, dqnn_model_node(model, dice_below(random, model->node_count)), random);
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

/* The prefix agrees with the rest again; true if the structure is sound, with its parts in model. */
static bool repair(blob b, dqnn_model *model) {
  const dqnn_options skip = {.flags = DQNN_FLAG_SKIP_PAYLOAD_CHECKSUM};
  dqnn_prefix *prefix = blob_prefix(b);
  prefix->magic = DQNN_MAGIC;
  prefix->format_version = 1;
  prefix->runtime_version = DQNN_RUNTIME_VERSION;
  prefix->total_bytes = b.size;
  prefix->payload_offset = sizeof *prefix;
  prefix->flags = 0;
  prefix->arena_bytes &= 0x7FFFFFF0;
  if (prefix->signature_offset <= sizeof *prefix || prefix->signature_offset > b.size) {
    prefix->signature_offset = 0;
  }
  prefix->prefix_crc = blob_crc(b.bytes, sizeof *prefix - 4);
  if (dqnn_model_open(model, b.bytes, b.size, &skip) != DQNN_OK) {
    return false;
  }
  list_kernels(b, model);
  return true;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed) {
  static _Alignas(16) uint8_t room[1 << 16];
  dice random = {seed};
  dqnn_model model;
  if (size <= sizeof(dqnn_prefix) || dice_one_in(&random, 2)) {
    size = LLVMFuzzerMutate(data, size, max_size);
  }
  if (size <= sizeof(dqnn_prefix) || size > sizeof room) {
    return size;
  }
  blob b = {memcpy(room, data, size), (uint32_t)size};
  for (uint32_t count = 1 + dice_below(&random, 4); count > 0 && repair(b, &model); --count) {
    change_part(b, &model, &random);
  }
  (void)repair(b, &model);
  blob_seal(b);
  memcpy(data, room, size);
  return size;
}
