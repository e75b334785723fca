/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Self-tests of a file: optional, and read by nothing else, so that their structure is checked here and not by the
 * loader. */
#include <string.h>

#include "model.h"

static const dqnn_fb_field fields[DQNN_SELFTEST_SLOTS] = {
    {DQNN_FB_VECTOR, sizeof(uint16_t), sizeof(uint16_t)},
    {DQNN_FB_VECTOR, sizeof(uint16_t), sizeof(uint16_t)},
};

typedef dqnn_status (*port_fn)(const dqnn_interpreter *it, uint32_t i, dqnn_tensor *out);

/* The constant that a test holds for port i, of the port's size; NULL if there is none. */
static const uint8_t *constant_for(const dqnn_model *model, const void *test, uint32_t slot, uint32_t i,
                                   const dqnn_tensor *tensor) {
  uint32_t count;
  const uint16_t *index = dqnn_fb_vector(test, slot, &count);
  if (i >= count || index[i] >= model->constant_count || model->constants[index[i]].bytes != tensor->bytes) {
    return NULL;
  }
  return model->data + model->constants[index[i]].offset;
}

/* Sets all inputs as the test says, or compares all outputs with it. */
static dqnn_status each_port(const dqnn_interpreter *it, const dqnn_model *model, const void *test, uint32_t slot) {
  const bool inputs = slot == DQNN_SELFTEST_INPUTS;
  const port_fn port = inputs ? dqnn_input : dqnn_output;
  dqnn_tensor tensor;
  for (uint32_t i = 0; port(it, i, &tensor) == DQNN_OK; ++i) {
    const uint8_t *constant = constant_for(model, test, slot, i, &tensor);
    if (constant == NULL) {
      return DQNN_ERROR_STRUCTURE;
    }
    if (inputs) {
      memcpy(tensor.data, constant, tensor.bytes);
    } else if (memcmp(tensor.data, constant, tensor.bytes) != 0) {
      return DQNN_ERROR_SELF_TEST;
    }
  }
  return DQNN_OK;
}

static dqnn_status run_test(dqnn_interpreter *it, const dqnn_model *model, const void *test) {
  dqnn_status status = each_port(it, model, test, DQNN_SELFTEST_INPUTS);
  if (status != DQNN_OK) {
    return status;
  }
  (void)dqnn_invoke(it);
  return each_port(it, model, test, DQNN_SELFTEST_OUTPUTS);
}

dqnn_status dqnn_self_test(dqnn_interpreter *it, uint32_t *tests) {
  const dqnn_options options = {.flags = DQNN_FLAG_SKIP_PAYLOAD_CHECKSUM}; /* dqnn_init has looked at it */
  dqnn_model_info info;
  dqnn_model model;
  uint32_t count = 0;
  dqnn_status status = dqnn_model_of(it, &info);
  if (status == DQNN_OK) {
    status = dqnn_model_open(&model, info.file, info.file_bytes, &options);
  }
  if (status == DQNN_OK) {
    const uint32_t payload = model.prefix->payload_offset;
    const dqnn_fb fb = {(const uint8_t *)info.file + payload, dqnn_payload_end(model.prefix) - payload};
    const uint32_t *vector = dqnn_fb_vector(model.root, DQNN_MODEL_SELF_TESTS, &count);
    if (!dqnn_fb_check_tables(&fb, model.root, DQNN_MODEL_SELF_TESTS, fields, DQNN_SELFTEST_SLOTS)) {
      status = DQNN_ERROR_STRUCTURE;
    }
    for (uint32_t i = 0; i < count && status == DQNN_OK; ++i) {
      status = run_test(it, &model, dqnn_fb_table(vector, i));
    }
  }
  if (tests != NULL) {
    *tests = count;
  }
  return status;
}
