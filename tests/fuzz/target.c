/* What all libFuzzer targets do with a file: run it safely (safely.h). At the end it says how many files were accepted
 * and how many reached their kernels. */
#include <stdio.h>
#include <stdlib.h>

#include "safely.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned long files, accepted, invoked;

static void tell(void) {
  (void)fprintf(stderr, "files: %lu, accepted: %lu, run: %lu\n", files, accepted, invoked);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  (void)argc, (void)argv;
  return atexit(tell);
}

/* libFuzzer hands over a heap block of its own, exactly as long as the file and aligned as malloc does. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  safely_result result = safely_run((blob){(uint8_t *)(uintptr_t)data, (uint32_t)size}, true);
  ++files;
  accepted += result.accepted;
  invoked += result.invoked;
  return 0;
}
