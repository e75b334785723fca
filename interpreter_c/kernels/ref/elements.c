/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* affine, lut, unary, prelu, softmax, layernorm, binary. */
#include "elements.h"
#include "../../src/numerics.h"
#include "sink.h"

/* --- affine: the epilogue on each element --- */

static void run_affine(const dqnn_call *call) {
  const dqnn_tensor_def *in = call->in_def[0];
  const dqnn_channel_params *p = (const dqnn_channel_params *)call->params;
  ref_sink sink = ref_sink_of(call, 0, p->requant, p->act_min, p->act_max);
  uint32_t rows = dqnn_rows(in), last = dqnn_last(in);
  sink.per_channel = p->per_channel;
  for (uint32_t row = 0; row < rows; ++row) {
    for (uint32_t c = 0; c < last; ++c) {
      if (in->dtype == DQNN_F32) {
        ref_put_float(&sink, c, ref_float(in, call->in[0], row, c));
      } else {
        ref_put_int(&sink, c, ref_integer(in, call->in[0], row, c));
      }
    }
    ref_end_cell(&sink);
  }
}

void dqnn_run_affine_s1_s1_ref(const dqnn_call *call) {
  run_affine(call);
}
DQNN_SAME_RUN(dqnn_run_affine_s1_s8_ref, dqnn_run_affine_s1_s1_ref)
DQNN_SAME_RUN(dqnn_run_affine_s1_f32_ref, dqnn_run_affine_s1_s1_ref)
DQNN_SAME_RUN(dqnn_run_affine_s8_s1_ref, dqnn_run_affine_s1_s1_ref)
DQNN_SAME_RUN(dqnn_run_affine_s8_s8_ref, dqnn_run_affine_s1_s1_ref)
DQNN_SAME_RUN(dqnn_run_affine_s8_f32_ref, dqnn_run_affine_s1_s1_ref)
DQNN_SAME_RUN(dqnn_run_affine_f32_s1_ref, dqnn_run_affine_s1_s1_ref)
DQNN_SAME_RUN(dqnn_run_affine_f32_s8_ref, dqnn_run_affine_s1_s1_ref)
DQNN_SAME_RUN(dqnn_run_affine_f32_f32_ref, dqnn_run_affine_s1_s1_ref)

/* --- one element after the other --- */

static uint32_t elements(const dqnn_call *call) {
  return dqnn_rows(call->in_def[0]) * dqnn_last(call->in_def[0]);
}

void dqnn_run_lut_s8_ref(const dqnn_call *call) {
  const int8_t *in = (const int8_t *)call->in[0], *table = (const int8_t *)call->constants[0];
  int8_t *out = (int8_t *)call->out;
  for (uint32_t i = 0, count = elements(call); i < count; ++i) {
    out[i] = table[in[i] + 128];
  }
}

void dqnn_run_unary_f32_ref(const dqnn_call *call) {
  const dqnn_unary_params *p = (const dqnn_unary_params *)call->params;
  const float *in = (const float *)call->in[0];
  float *out = (float *)call->out;
  for (uint32_t i = 0, count = elements(call); i < count; ++i) {
    out[i] = dqnn_unary(p->kind, p->alpha, in[i]);
  }
}

void dqnn_run_prelu_f32_ref(const dqnn_call *call) {
  const float *in = (const float *)call->in[0], *alpha = (const float *)call->constants[0];
  float *out = (float *)call->out;
  uint32_t alphas = call->constant_bytes[0] / 4; /* one per channel, or one per element */
  for (uint32_t i = 0, count = elements(call); i < count; ++i) {
    out[i] = in[i] < 0.0f ? alpha[i % alphas] * in[i] : in[i];
  }
}

static void softmax_row(const float *in, float *out, uint32_t count) {
  float most = in[0], sum = 0.0f;
  for (uint32_t i = 1; i < count; ++i) {
    most = most < in[i] ? in[i] : most;
  }
  for (uint32_t i = 0; i < count; ++i) {
    out[i] = dqnn_exp(in[i] - most);
  }
  for (uint32_t i = 0; i < count; ++i) {
    sum = sum + out[i];
  }
  for (uint32_t i = 0; i < count; ++i) {
    out[i] = out[i] / sum;
  }
}

void dqnn_run_softmax_f32_ref(const dqnn_call *call) {
  uint32_t rows = dqnn_rows(call->in_def[0]), last = dqnn_last(call->in_def[0]);
  for (uint32_t row = 0; row < rows; ++row) {
    softmax_row((const float *)call->in[0] + row * last, (float *)call->out + row * last, last);
  }
}

/* in and out may be the same */
static void norm_row(const float *in, float *out, uint32_t count, const float *gamma, const float *beta,
                     float epsilon) {
  float sum = 0.0f, squares = 0.0f;
  for (uint32_t i = 0; i < count; ++i) {
    sum = sum + in[i];
  }
  float mean = sum / (float)count;
  for (uint32_t i = 0; i < count; ++i) {
    float apart = in[i] - mean;
    squares = squares + apart * apart;
  }
  float factor = 1.0f / dqnn_sqrt(squares / (float)count + epsilon);
  for (uint32_t i = 0; i < count; ++i) {
    out[i] = (in[i] - mean) * factor * gamma[i] + beta[i];
  }
}

void dqnn_run_layernorm_f32_ref(const dqnn_call *call) {
  const float *gamma = (const float *)call->constants[0], *beta = (const float *)call->constants[1];
  float epsilon = *(const float *)call->constants[2];
  uint32_t rows = dqnn_rows(call->in_def[0]), last = dqnn_last(call->in_def[0]);
  for (uint32_t row = 0; row < rows; ++row) {
    norm_row((const float *)call->in[0] + row * last, (float *)call->out + row * last, last, gamma, beta, epsilon);
  }
}

/* --- binary --- */

/* The element of input n that output index `at` meets: dimensions of 1 are repeated. */
static float operand(const dqnn_call *call, uint32_t n, const ref_index *at) {
  const dqnn_tensor_def *def = call->in_def[n];
  ref_index from;
  for (uint32_t k = 0; k < def->rank; ++k) {
    from.i[k] = def->dims[k] == 1 ? 0 : at->i[k];
  }
  return ref_real(def, call->in[n], ref_row_of(def, &from), from.i[def->rank - 1]);
}

static float combine(uint8_t kind, float a, float b) {
  switch (kind) {
    case DQNN_ADD:
      return a + b;
    case DQNN_SUB:
      return a - b;
    case DQNN_MUL:
      return a * b;
    case DQNN_MAXIMUM:
      return a < b ? b : a;
    default:
      return b < a ? b : a;
  }
}

static void run_binary(const dqnn_call *call) {
  static const float one = 1.0f, nothing = -0.0f; /* r + -0.0 is r, also for r = -0.0 */
  const dqnn_binary_params *p = (const dqnn_binary_params *)call->params;
  ref_sink sink = ref_sink_of(call, 0, DQNN_REQUANT_AFFINE, p->act_min, p->act_max);
  ref_index at = {{0, 0, 0, 0}};
  sink.per_channel = p->per_channel;
  if (sink.dtype != DQNN_S1) { /* f32: r; s8: r * inverse scale */
    sink.first = sink.dtype == DQNN_S8 ? sink.first : &one;
    sink.second = &nothing;
  }
  do {
    float result = combine(p->kind, operand(call, 0, &at), operand(call, 1, &at));
    ref_put_float(&sink, at.i[call->out_def->rank - 1], result);
    if (ref_row_ends(call->out_def, &at)) {
      ref_end_cell(&sink);
    }
  } while (ref_next(call->out_def, &at));
}

void dqnn_run_binary_s1_ref(const dqnn_call *call) {
  run_binary(call);
}
DQNN_SAME_RUN(dqnn_run_binary_s8_ref, dqnn_run_binary_s1_ref)
DQNN_SAME_RUN(dqnn_run_binary_f32_ref, dqnn_run_binary_s1_ref)
