/* Mutator of the libFuzzer target fuzz_structured: sound files, of which parameters, shapes, formats, kernels,
 * constants or the graph are changed; everything that depends on them is made right again (mend.h), so that most files
 * reach their kernels. */
#include <string.h>

#include "change.h"

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1, const uint8_t *data2, size_t size2, uint8_t *out,
                                 size_t max_out_size, unsigned int seed);

enum { ROOM = 1 << 16, TRIES = 4 };
static _Alignas(16) uint8_t first[ROOM], second[ROOM], result[ROOM];

static blob aligned(uint8_t *room, const uint8_t *data, size_t size) {
  size = size <= ROOM ? size : 0;
  memcpy(room, data, size);
  return (blob){room, (uint32_t)size};
}

static size_t mutate(blob a, blob b, uint8_t *out, size_t most, unsigned int seed) {
  dice random = {seed};
  uint32_t size = 0;
  for (int i = 0; i < TRIES && size == 0; ++i) {
    size = change_file(a, b, result, most < ROOM ? (uint32_t)most : ROOM, &random);
  }
  memcpy(out, size != 0 ? result : a.bytes, size != 0 ? size : a.size);
  return size != 0 ? size : a.size;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed) {
  return mutate(aligned(first, data, size), (blob){NULL, 0}, data, max_size, seed);
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1, const uint8_t *data2, size_t size2, uint8_t *out,
                                 size_t max_out_size, unsigned int seed) {
  return mutate(aligned(first, data1, size1), aligned(second, data2, size2), out, max_out_size, seed);
}
