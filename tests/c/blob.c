/* See blob.h. The checksum is computed here a second time, bit by bit, so that the loader's is tested against another.
 */
#include "blob.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test.h"

int test_failures;
const char *test_label;

blob blob_copy(const void *bytes, uint32_t size) {
  void *copy = NULL;
  if (posix_memalign(&copy, DQNN_ALIGNMENT, size != 0 ? size : 1) != 0) {
    abort();
  }
  if (bytes != NULL && size != 0) {
    memcpy(copy, bytes, size);
  }
  return (blob){copy, size};
}

blob blob_load(const char *directory, const char *name) {
  char path[4096];
  (void)snprintf(path, sizeof path, "%s%s%s", directory, directory[0] != 0 ? "/" : "", name);
  FILE *file = fopen(path, "rb");
  long size = file != NULL && fseek(file, 0, SEEK_END) == 0 ? ftell(file) : 0;
  blob b = blob_copy(NULL, size > 0 ? (uint32_t)size : 0);
  if (size <= 0 || fseek(file, 0, SEEK_SET) != 0 || fread(b.bytes, 1, b.size, file) != b.size) {
    (void)fprintf(stderr, "cannot read %s\n", path);
    exit(2);
  }
  (void)fclose(file);
  return b;
}

void blob_free(blob b) {
  free(b.bytes);
}

uint32_t blob_crc(const uint8_t *bytes, uint32_t count) {
  static uint32_t table[256];
  for (uint32_t i = 0; table[255] == 0 && i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) {
      crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xEDB88320u : 0);
    }
    table[i] = crc;
  }
  uint32_t crc = 0xFFFFFFFF;
  for (uint32_t i = 0; i < count; ++i) {
    crc = crc >> 8 ^ table[(crc ^ bytes[i]) & 255];
  }
  return ~crc;
}

uint32_t blob_params_bytes(uint32_t slot) {
  static const uint8_t bytes[] = {
      sizeof(dqnn_conv_params),   sizeof(dqnn_channel_params), sizeof(dqnn_pool_params),
      sizeof(dqnn_unary_params),  sizeof(dqnn_binary_params),  sizeof(dqnn_concat_params),
      sizeof(dqnn_pad_params),    sizeof(dqnn_view_params),    sizeof(dqnn_fixed_binary_params),
      sizeof(dqnn_reduce_params), sizeof(dqnn_softmax_params), sizeof(dqnn_gather_params)};
  _Static_assert(sizeof bytes == DQNN_NODE_PARAMS_END - DQNN_NODE_FIRST_PARAMS, "a size for each struct");
  return slot == DQNN_NODE_none ? 0 : bytes[slot - DQNN_NODE_FIRST_PARAMS];
}

void blob_seal(blob b) {
  if (b.size < sizeof(dqnn_prefix)) {
    return;
  }
  dqnn_prefix *prefix = blob_prefix(b);
  uint32_t end = prefix->signature_offset != 0 ? prefix->signature_offset : prefix->total_bytes;
  if (prefix->payload_offset <= end && end <= b.size) {
    prefix->payload_crc = blob_crc(b.bytes + prefix->payload_offset, end - prefix->payload_offset);
  }
  prefix->prefix_crc = blob_crc(b.bytes, sizeof(dqnn_prefix) - 4);
}

dqnn_prefix *blob_prefix(blob b) {
  return (void *)b.bytes;
}

dqnn_model blob_model(blob b) {
  dqnn_model model;
  blob_seal(b);
  if (dqnn_model_open(&model, b.bytes, b.size, NULL) != DQNN_OK) {
    (void)fprintf(stderr, "editing a file that is not sound\n");
    abort();
  }
  return model;
}

/* The model's pointers are into b, which is writable. */
static void *writable(blob b, const void *p) {
  return b.bytes + ((const uint8_t *)p - b.bytes);
}

dqnn_tensor_def *blob_tensor(blob b, uint32_t i) {
  return writable(b, &blob_model(b).tensors[i]);
}

dqnn_constant_def *blob_constant(blob b, uint32_t i) {
  return writable(b, &blob_model(b).constants[i]);
}

uint8_t *blob_field(blob b, uint32_t node, uint32_t slot) {
  dqnn_model model = blob_model(b);
  return writable(b, dqnn_fb_inline(dqnn_model_node(&model, node), slot));
}

uint16_t *blob_element(blob b, uint32_t node, uint32_t slot, uint32_t i) {
  dqnn_model model = blob_model(b);
  uint32_t count;
  const uint16_t *vector = dqnn_fb_vector(dqnn_model_node(&model, node), slot, &count);
  return writable(b, &vector[i]);
}

uint8_t *blob_port(blob b, const uint32_t *ports, uint32_t i) {
  return writable(b, dqnn_fb_inline(dqnn_fb_table(ports, i), DQNN_PORT_TENSOR));
}

void blob_set16(uint8_t *field, uint32_t value) {
  *(uint16_t *)(void *)field = (uint16_t)value;
}

void blob_set32(uint8_t *field, uint32_t value) {
  *(uint32_t *)(void *)field = value;
}
