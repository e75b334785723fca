/* See safely.h. */
#include "safely.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dqnn/dqnn_kernels.h"
#include "model.h"

static void require(bool condition, const char *what) {
  if (!condition) {
    (void)fprintf(stderr, "API contradicts itself: %s\n", what);
    abort();
  }
}

static void *allocate(size_t bytes) {
  void *memory = NULL;
  require(posix_memalign(&memory, DQNN_ALIGNMENT, bytes != 0 ? bytes : 1) == 0, "out of memory");
  return memory;
}

/* A rough count of a node's inner steps: hostile parameters may ask for hours of work, which is slow but safe. */
static double work_of(const dqnn_model *model, uint32_t i) {
  const void *node = dqnn_model_node(model, i);
  const dqnn_tensor_def *output = &model->tensors[dqnn_fb_u16(node, DQNN_NODE_OUTPUT)];
  double work = 8;
  for (int k = 0; k < 4; ++k) {
    work *= output->dims[k];
  }
  const dqnn_conv_params *conv = dqnn_fb_inline(node, DQNN_NODE_conv);
  if (conv != NULL) {
    uint32_t count;
    const uint16_t *input = dqnn_fb_vector(node, DQNN_NODE_INPUTS, &count);
    const dqnn_tensor_def *def = &model->tensors[input[0]];
    work *= (double)conv->kernel_h * conv->kernel_w * conv->pool_h * conv->pool_w * def->dims[def->rank - 1];
  }
  const dqnn_pool_params *pool = dqnn_fb_inline(node, DQNN_NODE_pool);
  return pool != NULL ? work * pool->kernel_h * pool->kernel_w : work;
}

static double total_work(const uint8_t *blob, size_t size) {
  dqnn_model model;
  double work = 0;
  require(dqnn_model_open(&model, blob, size, NULL) == DQNN_OK, "opened before");
  for (uint32_t i = 0; i < model.node_count; ++i) {
    work += work_of(&model, i);
  }
  return work;
}

/* Tail bits of s1 rows must be 0 for results to be defined. */
static void clear_tails(const dqnn_tensor *tensor) {
  uint32_t last = tensor->dims[tensor->rank - 1], words = (last + 31) / 32;
  uint32_t *row = tensor->data;
  if (tensor->dtype == DQNN_S1 && last % 32 != 0) {
    for (uint32_t i = words - 1; i < tensor->bytes / 4; i += words) {
      row[i] &= (1u << last % 32) - 1;
    }
  }
}

static void fill_inputs(const dqnn_interpreter *it, uint32_t pattern) {
  dqnn_tensor tensor;
  for (uint32_t i = 0; dqnn_input(it, i, &tensor) == DQNN_OK; ++i) {
    uint8_t *bytes = tensor.data;
    for (uint32_t k = 0; k < tensor.bytes; ++k) {
      pattern = pattern * 1664525u + 1013904223u;
      bytes[k] = pattern % 5 == 0 ? 0xFF : (uint8_t)(pattern >> 24); /* many NaNs among the floats */
    }
    clear_tails(&tensor);
  }
}

static uint32_t value_at(const dqnn_tensor *tensor, uint32_t at) {
  uint32_t word = 0;
  memcpy(&word, (const uint8_t *)tensor->data + at, tensor->bytes - at < 4 ? tensor->bytes - at : 4);
  bool is_nan = tensor->dtype == DQNN_F32 && (word & 0x7FFFFFFF) > 0x7F800000;
  return is_nan ? 0x7FC00000 : word; /* which NaN is left open */
}

/* Reads every output byte. */
static uint32_t sum_of_outputs(const dqnn_interpreter *it) {
  dqnn_tensor tensor;
  uint32_t sum = 0;
  for (uint32_t i = 0; dqnn_output(it, i, &tensor) == DQNN_OK; ++i) {
    for (uint32_t k = 0; k < tensor.bytes; k += 4) {
      sum = sum * 31 + value_at(&tensor, k);
    }
  }
  return sum;
}

static uint32_t run(dqnn_interpreter *it) {
  uint32_t sums[2];
  for (int k = 0; k < 2; ++k) {
    fill_inputs(it, 12345);
    require(dqnn_invoke(it) == DQNN_OK, "invoke failed");
    sums[k] = sum_of_outputs(it);
  }
  require(sums[0] == sums[1], "two equal runs differ"); /* no result depends on what was in the arena before */
  return sums[0];
}

/* The same file once more, with the reference kernels only: every variant must give the same bytes. */
static void compare_with_reference(const uint8_t *blob, size_t size, void *memory, size_t bytes, uint32_t sum) {
  const dqnn_options options = {
      .kernels = dqnn_all_kernels, .kernel_count = dqnn_all_kernel_count, .isa_mask = 1u << DQNN_ISA_ref};
  dqnn_interpreter *it;
  require(dqnn_init(&it, memory, bytes, blob, size, &options, NULL) == DQNN_OK, "ref refuses");
  require(run(it) == sum, "a variant and ref differ");
}

safely_result safely_run(const uint8_t *blob, size_t size, bool invoke) {
  safely_result result = {false, false};
  const dqnn_options options = {.kernels = dqnn_all_kernels, .kernel_count = dqnn_all_kernel_count};
  dqnn_requirements need = {0};
  dqnn_fault fault;
  dqnn_interpreter *it;
  dqnn_status sized = dqnn_requirements_of(blob, size, &need);
  dqnn_status verified = dqnn_verify(blob, size, &options, &fault);
  require(sized == DQNN_OK || sized == verified, "requirements and verify disagree");
  result.accepted = verified == DQNN_OK;
  bool affordable = sized == DQNN_OK && need.memory_bytes <= SAFELY_MEMORY;
  size_t bytes = affordable ? need.memory_bytes : 256;
  void *memory = allocate(bytes);
  memset(memory, 0xA5, bytes);
  dqnn_status status = dqnn_init(&it, memory, bytes, blob, size, &options, &fault);
  require(status == verified || (status == DQNN_ERROR_MEMORY && !affordable), "verify and init disagree");
  require((it != NULL) == (status == DQNN_OK), "a handle after a failure");
  require(!affordable || status != DQNN_ERROR_MEMORY, "requirements too small");
  if (it != NULL && invoke && total_work(blob, size) <= SAFELY_WORK) {
    compare_with_reference(blob, size, memory, bytes, run(it));
    result.invoked = true;
  }
  free(memory);
  return result;
}
