/* Runs a file the way firmware would, on heap blocks of exactly the promised sizes so that AddressSanitizer sees every
 * stray access: requirements, verify, init, fill inputs, invoke twice. Shared by the fuzz targets and by the byte
 * sweep. */
#ifndef DQNN_FUZZ_SAFELY_H
#define DQNN_FUZZ_SAFELY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
  bool accepted; /* by dqnn_init, or would have been with more memory */
  bool invoked;
} safely_result;

/* blob must be 16-byte aligned. Aborts if the API contradicts itself: dqnn_verify and dqnn_init disagree, a handle
 * after a failure, ... Files that want more than SAFELY_MEMORY bytes, or more than about SAFELY_WORK operations, are
 * checked but not run. */
enum { SAFELY_MEMORY = 1 << 22 };
#define SAFELY_WORK 4.0e7
safely_result safely_run(const uint8_t *blob, size_t size, bool invoke);

#endif
