#include "stubs.h"

#include <string.h>

stub_state stubs;

void stubs_reset(void) {
  memset(&stubs, 0, sizeof stubs);
  stubs.overlap_bytes = UINT32_MAX;
  stubs.scratch_bytes = 32;
  stubs.other_scratch_bytes = 32;
}

static dqnn_check plan(const dqnn_call *call, dqnn_plan *result) {
  ++stubs.plans;
  result->overlap_bytes = stubs.overlap_bytes;
  result->parts = stubs.parts;
  if (call->kernel == STUB_SOFTMAX) {
    result->scratch[DQNN_ISA_portable] = stubs.scratch_bytes;
    result->scratch[DQNN_ISA_mve] = stubs.other_scratch_bytes;
  }
  if (stubs.only != 0 && stubs.only != call->kernel) {
    return DQNN_CHECK_none;
  }
  return stubs.check;
}

static void trace(const dqnn_call *call, char letter) {
  size_t length = strlen(stubs.trace);
  stubs.trace[length] = letter;
  stubs.calls[length % 8] = *call;
}

static void run_unary(const dqnn_call *call) {
  trace(call, 'u');
}

static void run_prelu(const dqnn_call *call) {
  trace(call, 'p');
}

static void run_softmax(const dqnn_call *call) {
  trace(call, 's');
}

static void run_softmax_portable(const dqnn_call *call) {
  trace(call, 'S');
}

static void run_softmax_mve(const dqnn_call *call) {
  trace(call, 'M');
}

static void run_binary(const dqnn_call *call) {
  trace(call, 'b');
}

static const dqnn_variant unary_ref = {plan, run_unary, STUB_UNARY, DQNN_FAMILY_unary, DQNN_ISA_ref};
static const dqnn_variant prelu_ref = {plan, run_prelu, STUB_PRELU, DQNN_FAMILY_prelu, DQNN_ISA_ref};
static const dqnn_variant softmax_portable = {plan, run_softmax_portable, STUB_SOFTMAX, DQNN_FAMILY_softmax,
                                              DQNN_ISA_portable};
static const dqnn_variant softmax_mve = {plan, run_softmax_mve, STUB_SOFTMAX, DQNN_FAMILY_softmax, DQNN_ISA_mve};
static const dqnn_variant softmax_ref = {plan, run_softmax, STUB_SOFTMAX, DQNN_FAMILY_softmax, DQNN_ISA_ref};
static const dqnn_variant binary_ref = {plan, run_binary, STUB_BINARY, DQNN_FAMILY_binary, DQNN_ISA_ref};

const dqnn_variant *const stub_kernels[STUB_VARIANTS] = {&unary_ref,   &prelu_ref,   &softmax_portable,
                                                         &softmax_mve, &softmax_ref, &binary_ref};

dqnn_options stub_options(void) {
  dqnn_options options = {.kernels = stub_kernels, .kernel_count = STUB_VARIANTS};
  return options;
}
