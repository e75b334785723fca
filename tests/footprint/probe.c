/* What a firmware links: everything between the two #ifs is measured by measure.py, which says what KERNELS is. Not
 * meant to run. */
#include "dqnn/dqnn_kernels.h"

extern const uint8_t model[];
extern uint8_t memory[];

static const dqnn_variant *const kernels[] = {
#ifdef KERNELS
    KERNELS
#else
    0
#endif
};

dqnn_status entry(size_t size, size_t bytes, float **input, float **output) {
#ifdef ALL_KERNELS
  const dqnn_options options = {.kernels = dqnn_all_kernels, .kernel_count = dqnn_all_kernel_count};
#else
  const dqnn_options options = {.kernels = kernels, .kernel_count = sizeof kernels / sizeof kernels[0]};
#endif
  (void)kernels;
  dqnn_interpreter *it;
  dqnn_requirements need;
  dqnn_tensor tensor;
  dqnn_fault fault;
  dqnn_status status = dqnn_requirements_of(model, size, &need);
  if (status != DQNN_OK) {
    return status;
  }
  status = dqnn_init(&it, memory, bytes, model, size, &options, &fault);
  if (status != DQNN_OK) {
    return status;
  }
  (void)dqnn_input(it, 0, &tensor);
  *input = tensor.data;
  (void)dqnn_output(it, 0, &tensor);
  *output = tensor.data;
  return dqnn_invoke(it);
}
