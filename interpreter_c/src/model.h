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
  DQNN_MODEL_LONGEST_SEGMENT,
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
  DQNN_NODE_PARAMS_END,
  DQNN_NODE_ROWS = DQNN_NODE_PARAMS_END,
  DQNN_NODE_SEGMENT,
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

/* Bytes in memory of a tensor with a sound rank; 0 if there are none, or if bytes or elements reach 2^31. */
uint32_t dqnn_bytes_of(const dqnn_tensor_def *def);

/* The call of node i but for its params. arena NULL leaves the activation pointers NULL, for planning. */
void dqnn_model_bind(const dqnn_model *model, uint32_t i, uint8_t *arena, dqnn_call *call);

/* The slot that holds the parameters of a family (DQNN_NODE_none if it has none), and what a node has there. */
uint32_t dqnn_params_slot(uint32_t family);
const void *dqnn_params(const void *node, uint32_t family);

static inline const void *dqnn_model_node(const dqnn_model *model, uint32_t i) {
  return dqnn_fb_table(model->nodes, i);
}

/* Most rows that a call of the node makes; 0: it runs once, outside of segments. */
static inline uint32_t dqnn_rows_of_call(const void *node) {
  return dqnn_fb_u16(node, DQNN_NODE_ROWS);
}

static inline uint32_t dqnn_port_tensor(const uint32_t *ports, uint32_t i) {
  return dqnn_fb_u16(dqnn_fb_table(ports, i), DQNN_PORT_TENSOR);
}

/* What checking kernels needs. */
typedef struct {
  const dqnn_model *model;
  const dqnn_options *options;
  const dqnn_variant **variants; /* of the nodes; NULL in dqnn_verify */
  dqnn_fault *fault;
  dqnn_status status;          /* of the last call that a segment checked */
  uint32_t node;               /* that is looked at */
  const dqnn_variant *variant; /* for the call */
  dqnn_plan plan;              /* of the call; plan.work is what checking may still take */
  dqnn_call call;
} dqnn_checker;

/* What verify.c asks and segments.c asks, too. Does the tensor share memory with `bytes` bytes at `offset`, or with a
 * node's scratch? No sum can wrap: all lie in the arena. */
bool dqnn_overlaps(const dqnn_tensor_def *tensor, uint32_t offset, uint32_t bytes);
bool dqnn_overlaps_scratch(const dqnn_tensor_def *tensor, const void *node);

/* Which check failed, or 0: is the tensor intact before node number `before` runs? */
uint16_t dqnn_intact_check(dqnn_checker *c, const dqnn_tensor_def *tensor, uint32_t before);

/* False once there is no work left. */
bool dqnn_pay(dqnn_checker *c, uint32_t steps);

/* What fails from here on is due to node c->node, which it returns. */
const void *dqnn_blame(dqnn_checker *c);

/* The kernel of c->call, which is bound for c->node, by its plan(), and the variant for it. Parameters that are NULL
 * are the node's. */
dqnn_status dqnn_kernel_check(dqnn_checker *c);

/* Instead of a node: one before that with which dqnn_invoke ends, whose upper half is what it returns. */
enum { DQNN_STATUS_AT = 16 };
#define DQNN_STOP(status) (((uint32_t)(status) << DQNN_STATUS_AT) - 1)

/* What dqnn_options.segments names (segments.c, feed.c). */
typedef struct dqnn_segment dqnn_segment;
struct dqnn_segments {
  dqnn_status (*check)(dqnn_checker *c); /* of the segment that begins at c->node, which is then its last node */
  uint32_t (*run)(dqnn_interpreter *it, uint32_t i, dqnn_call *call); /* ... with room for its calls: its last node, or
                                                                         DQNN_STOP(status) */
  /* For segments.c: which check fails, of a strip that enters a segment, or when all its calls are checked. */
  uint16_t (*enter)(const dqnn_segment *segment, const dqnn_tensor_def *strip);
  uint16_t (*sweep)(dqnn_segment *segment);
};

/* An interpreter in the caller's memory. If the file has segments, their table lies behind the variants (segments.h)
 * and begins with what runs them. */
struct dqnn_interpreter {
  dqnn_model model;
  uint8_t *arena;
  dqnn_profile_fn profile;
  void *profile_context;
  const dqnn_variant *variants[]; /* one per node */
};

typedef struct {
  const dqnn_segments *segments;
} dqnn_segment_head;

static inline const dqnn_segment_head *dqnn_table_of(const dqnn_interpreter *it) {
  return (const dqnn_segment_head *)(const void *)&it->variants[it->model.node_count]; /* C++ tests read this, too */
}

static inline void dqnn_notify(const dqnn_interpreter *it, uint32_t node, uint16_t kernel, bool begin) {
#if DQNN_PROFILE
  if (it->profile != NULL) {
    it->profile(it->profile_context, node, kernel, begin);
  }
#else
  (void)it, (void)node, (void)kernel, (void)begin;
#endif
}

/* Runs the call, of node i or some rows of it. Inline: what it needs of the stack lies above every kernel. */
static inline void dqnn_run_call(const dqnn_interpreter *it, uint32_t i, const dqnn_call *call) {
  dqnn_notify(it, i, call->kernel, true);
  it->variants[i]->run(call);
  dqnn_notify(it, i, call->kernel, false);
}

#endif
