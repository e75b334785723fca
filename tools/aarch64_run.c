/* Runs a .dqnn file: aarch64_run FILE ISA-MASK TIMES. Inputs come from stdin, one after the other; outputs of the last
 * run go to stdout, and to stderr which variant each node runs. tools/aarch64.py has it run by QEMU. */
#include <stdio.h>
#include <stdlib.h>

#include "dqnn/dqnn.h"
#include "dqnn/dqnn_kernels.h"

enum { ROOM = 1 << 24 };
static _Alignas(64) uint8_t file[ROOM], memory[ROOM];

static int fail(const char *what) {
  (void)fprintf(stderr, "%s\n", what);
  return 1;
}

static size_t read_file(const char *name) {
  FILE *from = fopen(name, "rb");
  size_t size = from ? fread(file, 1, sizeof file, from) : 0;
  return from && fclose(from) == 0 ? size : 0;
}

static void list_variants(dqnn_interpreter *it) {
  dqnn_node_info node;
  for (uint32_t i = 0; dqnn_node(it, i, &node) == DQNN_OK; i++) {
    (void)fprintf(stderr, "%s %s\n", dqnn_kernel_name(node.kernel), dqnn_isa_name(node.isa));
  }
}

int main(int argc, char **argv) {
  dqnn_options options = {.kernels = dqnn_all_kernels, .kernel_count = dqnn_all_kernel_count, .segments = &dqnn_strips};
  dqnn_interpreter *it;
  dqnn_tensor tensor;
  if (argc != 4) {
    return fail("usage: aarch64_run FILE ISA-MASK TIMES");
  }
  size_t size = read_file(argv[1]);
  options.isa_mask = (uint32_t)strtoul(argv[2], NULL, 0);
  dqnn_status status = dqnn_init(&it, memory, sizeof memory, file, size, &options, NULL);
  if (status != DQNN_OK) {
    return fail(dqnn_status_str(status));
  }
  list_variants(it);
  for (uint32_t i = 0; dqnn_input(it, i, &tensor) == DQNN_OK; i++) {
    if (fread(tensor.data, 1, tensor.bytes, stdin) != tensor.bytes) {
      return fail("too few inputs");
    }
  }
  for (long n = strtol(argv[3], NULL, 10); n > 0; n--) {
    if (dqnn_invoke(it) != DQNN_OK) {
      return fail("invoke");
    }
  }
  for (uint32_t i = 0; dqnn_output(it, i, &tensor) == DQNN_OK; i++) {
    if (fwrite(tensor.data, 1, tensor.bytes, stdout) != tensor.bytes) {
      return fail("stdout");
    }
  }
  return 0;
}
