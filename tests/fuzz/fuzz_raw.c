/* libFuzzer target: any bytes, taken as a file. Shows that nothing a reader is handed can harm it; the checksums keep
 * it from going deep, which fuzz_mutate.c makes up for. */
#include "blob.h"
#include "safely.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  blob b = blob_copy(data, (uint32_t)size);
  (void)safely_run(b.bytes, b.size, true);
  blob_free(b);
  return 0;
}
