/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* A file in memory, once its prefix and structure have been checked: where its parts are. Shared by the loader
 * (reader.c), the verifier (verify.c) and the interpreter; no other code knows slots or the prefix. */
#ifndef DQNN_MODEL_H
#define DQNN_MODEL_H

#include "flatbuffer.h"
#include "kernel.h"

#define DQNN_MAGIC 0x4E4E5144u      /* "DQNN", as a little-endian word */
#define DQNN_IDENTIFIER 0x314E5144u /* "DQN1", the FlatBuffer's */

/* The first 64 bytes of a file, see SPEC.md section 1. */
typedef struct {
  uint32_t magic; /* DQNN_MAGIC */
  uint16_t format_version, runtime_version;
  uint32_t total_bytes, payload_offset, payload_crc, arena_bytes;
  uint32_t kernels[6];
  uint32_t model_id;
  uint16_t model_version, flags;
  uint32_t signature_offset, prefix_crc;
} dqnn_prefix;

/* Slots of the tables in dqnn.fbs, in order. */
enum {
  DQNN_PORT_TENSOR,
  DQNN_PORT_NAME,
  DQNN_PORT_SAMPLE_SCALE,
  DQNN_PORT_SAMPLE_OFFSET,
  DQNN_PORT_ROUNDING,
  DQNN_PORT_INVERSE,
  DQNN_PORT_U8,
  DQNN_PORT_SLOTS
};
enum {
  DQNN_MODEL_NAME,
  DQNN_MODEL_PRODUCER,
  DQNN_MODEL_TENSORS,
  DQNN_MODEL_CONSTANTS,
  DQNN_MODEL_NODES,
  DQNN_MODEL_INPUTS,
  DQNN_MODEL_OUTPUTS,
  DQNN_MODEL_DATA,
  DQNN_MODEL_OPTIONS,
  DQNN_MODEL_SELF_TESTS,
  DQNN_MODEL_SLOTS
};
enum { DQNN_SELFTEST_INPUTS, DQNN_SELFTEST_OUTPUTS, DQNN_SELFTEST_SLOTS };
enum {
  DQNN_NODE_KERNEL,
  DQNN_NODE_INPUTS,
  DQNN_NODE_OUTPUT,
  DQNN_NODE_CONSTANTS,
  DQNN_NODE_SCRATCH_OFFSET,
  DQNN_NODE_SCRATCH_BYTES,
  DQNN_NODE_LAYER,
  DQNN_NODE_conv,
  DQNN_NODE_channel,
  DQNN_NODE_pool,
  DQNN_NODE_unary,
  DQNN_NODE_binary,
  DQNN_NODE_concat,
  DQNN_NODE_pad,
  DQNN_NODE_view,
  DQNN_NODE_fixed_binary,
  DQNN_NODE_reduce,
  DQNN_NODE_softmax,
  DQNN_NODE_gather,
  DQNN_NODE_SLOTS,
  DQNN_NODE_none = DQNN_NODE_SLOTS, /* a slot that is always absent */
  DQNN_NODE_FIRST_PARAMS = DQNN_NODE_conv
};

typedef struct {
  const dqnn_prefix *prefix; /* also the start of the file */
  const void *root;          /* the Model table */
  const dqnn_tensor_def *tensors;
  const dqnn_constant_def *constants;
  const uint8_t *data;
  const uint32_t *nodes, *inputs, *outputs; /* vectors of tables, see dqnn_fb_table */
  uint32_t tensor_count, constant_count, data_bytes;
  uint32_t node_count, input_count, output_count;
} dqnn_model;

/* Offset in the file behind its payload. */
uint32_t dqnn_payload_end(const dqnn_prefix *prefix);

/* Length, versions, checksums, signature and structure of a file; fills `model`. Options may be NULL. */
dqnn_status dqnn_model_open(dqnn_model *model, const void *blob, size_t size, const dqnn_options *options);

/* Everything else: after it succeeded, every node may be bound and run. Stores the variant chosen for each node in
 * `variants` unless that is NULL. */
dqnn_status dqnn_model_verify(const dqnn_model *model, const dqnn_options *options, const dqnn_variant **variants,
                              dqnn_fault *fault);

/* Bytes of a tensor with a sound rank; 0 if there are none, or if bytes or elements reach 2^31. */
uint32_t dqnn_bytes_of(const dqnn_tensor_def *def);

/* The call of node i but for its params. arena NULL leaves the activation pointers NULL, for planning. */
void dqnn_model_bind(const dqnn_model *model, uint32_t i, uint8_t *arena, dqnn_call *call);

/* The slot that holds the parameters of a family (DQNN_NODE_none if it has none), and what a node has there. */
uint32_t dqnn_params_slot(uint32_t family);
const void *dqnn_params(const void *node, uint32_t family);

static inline const void *dqnn_model_node(const dqnn_model *model, uint32_t i) {
  return dqnn_fb_table(model->nodes, i);
}

static inline uint32_t dqnn_port_tensor(const uint32_t *ports, uint32_t i) {
  return dqnn_fb_u16(dqnn_fb_table(ports, i), DQNN_PORT_TENSOR);
}

#endif
