/* A file taken apart, so that its parts may change in number and size: read it, change it, write it. Holds small files
 * only (draft_read says no to others), and drops self-tests and what the exporter says of itself. */
#ifndef DQNN_FUZZ_DRAFT_H
#define DQNN_FUZZ_DRAFT_H

#include "blob.h"

enum {
  DRAFT_TENSORS = 64,
  DRAFT_NODES = 24,
  DRAFT_PORTS = 16,
  DRAFT_CONSTANTS = 128,
  DRAFT_POOL = 1 << 18, /* bytes of constants and names */
  DRAFT_PARAMS = 64,    /* most bytes of a parameter struct */
  DRAFT_ABSENT = -1     /* (uint32_t)DRAFT_ABSENT: the length of a name that is not there */
};

/* Bytes in the pool, 16-byte aligned. */
typedef struct {
  uint32_t at, bytes;
} draft_piece;

typedef struct {
  uint16_t kernel, output;
  uint16_t inputs[DQNN_MAX_INPUTS], constants[DQNN_MAX_CONSTANTS];
  uint8_t input_count, constant_count;
  uint32_t scratch_offset, scratch_bytes;
  draft_piece layer;
  uint32_t slot; /* of its parameters, DQNN_NODE_none: it has none */
  uint32_t params[DRAFT_PARAMS / 4];
} draft_node;

typedef struct {
  uint16_t tensor;
  draft_piece name;
  float sample_scale, sample_offset;
} draft_port;

typedef struct {
  uint32_t arena_bytes, model_id;
  uint16_t model_version;
  draft_piece name, producer, signature;
  uint32_t tensor_count, node_count, constant_count, input_count, output_count, pool_used;
  dqnn_tensor_def tensors[DRAFT_TENSORS];
  uint16_t same_as[DRAFT_TENSORS]; /* itself, or for a reshape without a node the tensor whose bytes it names */
  draft_node nodes[DRAFT_NODES];
  draft_piece constants[DRAFT_CONSTANTS];
  draft_port inputs[DRAFT_PORTS], outputs[DRAFT_PORTS];
  _Alignas(16) uint8_t pool[DRAFT_POOL];
} draft;

/* False if the structure is not sound, or too large. Checksums are not looked at. */
bool draft_read(draft *d, blob b);

/* Writes a file with right checksums and kernel bitmap; its size, or 0 if `room` bytes are too few. Constants that no
 * node names are left out. */
uint32_t draft_write(const draft *d, uint8_t *out, uint32_t room);

/* Room in the pool, zeroed; NULL if there is none. */
uint8_t *draft_take(draft *d, draft_piece *piece, uint32_t bytes);

#endif
