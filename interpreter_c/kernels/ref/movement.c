/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* concat, pad, view, reshape, gather: output elements in order, each copied as it is stored; constant. */
#include "elements.h"

/* What output element `at` is, as stored. */
typedef uint32_t (*source)(const dqnn_call *call, const ref_index *at);

static void run(const dqnn_call *call, source from) {
  const dqnn_tensor_def *out = call->out_def;
  ref_raw_writer writer = ref_raw_writer_of(call);
  ref_index at = {{0, 0, 0, 0}};
  do {
    ref_put_raw(&writer, from(call, &at));
    if (ref_row_ends(out, &at)) {
      ref_end_raw_row(&writer);
    }
  } while (ref_next(out, &at));
}

static uint32_t element(const dqnn_call *call, uint32_t input, const ref_index *at) {
  const dqnn_tensor_def *def = call->in_def[input];
  return ref_raw(def, call->in[input], ref_row_of(def, at), at->i[def->rank - 1]);
}

static uint32_t concat_source(const dqnn_call *call, const ref_index *at) {
  uint32_t axis = ((const dqnn_concat_params *)call->params)->axis, input = 0;
  ref_index from = *at;
  while (from.i[axis] >= call->in_def[input]->dims[axis]) {
    from.i[axis] -= call->in_def[input++]->dims[axis];
  }
  return element(call, input, &from);
}

static uint32_t pad_source(const dqnn_call *call, const ref_index *at) {
  const dqnn_pad_params *p = (const dqnn_pad_params *)call->params;
  const dqnn_tensor_def *in = call->in_def[0];
  ref_index from = *at;
  for (uint32_t k = 0; k < in->rank; ++k) {
    from.i[k] -= p->before[k]; /* wraps to a large number in front of the input */
    if (from.i[k] >= in->dims[k]) {
      return ref_raw_of(p->value, in->dtype);
    }
  }
  return element(call, 0, &from);
}

static uint32_t view_source(const dqnn_call *call, const ref_index *at) {
  const dqnn_view_params *p = (const dqnn_view_params *)call->params;
  ref_index from = {{0, 0, 0, 0}};
  for (uint32_t k = 0; k < call->out_def->rank; ++k) {
    from.i[p->axis[k]] = p->start[k] + at->i[k] / p->repeat[k] * p->step[k];
  }
  return element(call, 0, &from);
}

void dqnn_run_concat_s1_ref(const dqnn_call *call) {
  run(call, concat_source);
}
DQNN_SAME_RUN(dqnn_run_concat_s8_ref, dqnn_run_concat_s1_ref)
DQNN_SAME_RUN(dqnn_run_concat_f32_ref, dqnn_run_concat_s1_ref)
void dqnn_run_pad_s1_ref(const dqnn_call *call) {
  run(call, pad_source);
}
DQNN_SAME_RUN(dqnn_run_pad_s8_ref, dqnn_run_pad_s1_ref)
DQNN_SAME_RUN(dqnn_run_pad_f32_ref, dqnn_run_pad_s1_ref)
void dqnn_run_view_s1_ref(const dqnn_call *call) {
  run(call, view_source);
}
DQNN_SAME_RUN(dqnn_run_view_s8_ref, dqnn_run_view_s1_ref)
DQNN_SAME_RUN(dqnn_run_view_f32_ref, dqnn_run_view_s1_ref)

void dqnn_run_reshape_s1_ref(const dqnn_call *call) {
  const dqnn_tensor_def *in = call->in_def[0], *out = call->out_def;
  ref_raw_writer writer = ref_raw_writer_of(call);
  ref_index from = {{0, 0, 0, 0}};
  for (uint32_t row = 0; row < dqnn_rows(out); ++row) {
    for (uint32_t i = 0; i < dqnn_last(out); ++i) {
      ref_put_raw(&writer, element(call, 0, &from));
      ref_next(in, &from);
    }
    ref_end_raw_row(&writer);
  }
}

static uint32_t gather_source(const dqnn_call *call, const ref_index *at) {
  uint32_t axes = ((const dqnn_gather_params *)call->params)->axes, constant = 0;
  ref_index from = *at;
  for (uint32_t k = 0; k < call->out_def->rank; ++k) {
    if (axes >> k & 1u) {
      from.i[k] = ((const uint32_t *)call->constants[constant++])[at->i[k]];
    }
  }
  return element(call, 0, &from);
}

void dqnn_run_gather_s1_ref(const dqnn_call *call) {
  run(call, gather_source);
}
DQNN_SAME_RUN(dqnn_run_gather_s8_ref, dqnn_run_gather_s1_ref)
DQNN_SAME_RUN(dqnn_run_gather_f32_ref, dqnn_run_gather_s1_ref)

static void run_constant(const dqnn_call *call) {
  memcpy(call->out, call->constants[0], call->constant_bytes[0]);
}

void dqnn_run_constant_s1_ref(const dqnn_call *call) {
  run_constant(call);
}
DQNN_SAME_RUN(dqnn_run_constant_s8_ref, dqnn_run_constant_s1_ref)
DQNN_SAME_RUN(dqnn_run_constant_f32_ref, dqnn_run_constant_s1_ref)
