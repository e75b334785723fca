/* A .dqnn file in memory for tests: loaded into a heap block of exactly its size, so that AddressSanitizer sees every
 * byte read beyond it, and opened for editing by field. */
#ifndef DQNN_TEST_BLOB_H
#define DQNN_TEST_BLOB_H

#include "model.h"

typedef struct {
  uint8_t *bytes; /* 16-byte aligned */
  uint32_t size;
} blob;

/* Aborts the test program if the file cannot be read. */
blob blob_load(const char *directory, const char *name);
blob blob_copy(const void *bytes, uint32_t size); /* NULL: of anything */
void blob_free(blob b);

/* Makes length and both checksums right again. */
void blob_seal(blob b);
uint32_t blob_crc(const uint8_t *bytes, uint32_t count);

/* Bytes of the parameter struct in a slot of the Node table; 0 for DQNN_NODE_none. */
uint32_t blob_params_bytes(uint32_t slot);

/* Editing: pointers into the file, which must be structurally sound. */
dqnn_prefix *blob_prefix(blob b);
dqnn_model blob_model(blob b);
dqnn_tensor_def *blob_tensor(blob b, uint32_t i);
dqnn_constant_def *blob_constant(blob b, uint32_t i);
uint8_t *blob_field(blob b, uint32_t node, uint32_t slot);                /* an inline field */
uint16_t *blob_element(blob b, uint32_t node, uint32_t slot, uint32_t i); /* of a vector of u16 */
uint8_t *blob_port(blob b, const uint32_t *ports, uint32_t i);            /* the tensor index */
void blob_set16(uint8_t *field, uint32_t value);
void blob_set32(uint8_t *field, uint32_t value);

#endif
