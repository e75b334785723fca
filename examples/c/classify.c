/* Runs a .dqnn file on one input read from standard input and prints the outputs: the smallest complete user of the C
 * API.
 *
 *   cmake -S examples/c -B build/classify && cmake --build build/classify
 *   build/classify/classify model.dqnn < input.bin
 *
 * A PC has files and a heap; a microcontroller would point at flash and use a static array, nothing else would change.
 */
#include <stdio.h>
#include <stdlib.h>

#include "dqnn/dqnn.h"
#include "dqnn/dqnn_kernels.h"

/* The whole file in 16-byte aligned memory; NULL if it cannot be read. */
static void *read_file(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) {
    return NULL;
  }
  void *data = NULL;
  long end = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
  if (end > 0 && fseek(file, 0, SEEK_SET) == 0) {
    *size = (size_t)end;
    data = aligned_alloc(DQNN_ALIGNMENT, (*size + DQNN_ALIGNMENT - 1) / DQNN_ALIGNMENT * DQNN_ALIGNMENT);
    if (data != NULL && fread(data, 1, *size, file) != *size) {
      free(data);
      data = NULL;
    }
  }
  (void)fclose(file);
  return data;
}

static int run(const void *model, size_t size) {
  dqnn_requirements need;
  dqnn_status status = dqnn_requirements_of(model, size, &need);
  if (status != DQNN_OK) {
    (void)fprintf(stderr, "%s\n", dqnn_status_str(status));
    return 1;
  }
  size_t bytes = ((size_t)need.memory_bytes + DQNN_ALIGNMENT - 1) / DQNN_ALIGNMENT * DQNN_ALIGNMENT;
  void *memory = aligned_alloc(DQNN_ALIGNMENT, bytes);
  const dqnn_options options = {
      .kernels = dqnn_all_kernels, .kernel_count = dqnn_all_kernel_count, .segments = &dqnn_strips};
  dqnn_interpreter *it = NULL;
  dqnn_fault fault;
  status = memory == NULL ? DQNN_ERROR_MEMORY : dqnn_init(&it, memory, bytes, model, size, &options, &fault);
  if (status != DQNN_OK) {
    (void)fprintf(stderr, "%s\n", dqnn_status_str(status));
    free(memory);
    return 1;
  }
  dqnn_tensor input;
  dqnn_tensor output;
  (void)dqnn_input(it, 0, &input);
  (void)dqnn_output(it, 0, &output);
  int result = 1;
  if (output.dtype != DQNN_F32) {
    (void)fprintf(stderr, "this example prints float outputs only\n");
  } else if (fread(input.data, 1, input.bytes, stdin) != input.bytes) {
    (void)fprintf(stderr, "the model takes %u bytes\n", (unsigned)input.bytes);
  } else {
    (void)dqnn_invoke(it);
    const float *values = output.data;
    for (uint32_t i = 0; i < output.bytes / sizeof(float); i++) {
      printf("%u %.9g\n", (unsigned)i, (double)values[i]);
    }
    result = 0;
  }
  free(memory);
  return result;
}

int main(int argc, char **argv) {
  size_t size = 0;
  if (argc != 2) {
    (void)fprintf(stderr, "usage: classify model.dqnn < input.bin\n");
    return 2;
  }
  void *model = read_file(argv[1], &size);
  if (model == NULL) {
    (void)fprintf(stderr, "%s: cannot be read, or is empty\n", argv[1]);
    return 1;
  }
  int result = run(model, size);
  free(model);
  return result;
}
