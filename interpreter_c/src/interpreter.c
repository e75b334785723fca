/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* The public API: lays out the caller's memory (arena, then state, unless that lies apart), loads a file into it and
 * runs it. State is one pointer per node; everything else is read from the file on each call, which costs some 300 to
 * 500 instructions per node on a Cortex-M4 and saves RAM. */
#include <string.h>

#include "segments.h"

static uint32_t state_bytes(const dqnn_model *model) {
  uint32_t longest = dqnn_fb_u16(model->root, DQNN_MODEL_LONGEST_SEGMENT);
  uint32_t table = longest != 0 ? dqnn_segment_bytes(longest) : 0;
  return (uint32_t)(sizeof(dqnn_interpreter) + model->node_count * sizeof(const dqnn_variant *)) + table;
}

dqnn_status dqnn_requirements_of(const void *blob, size_t size, dqnn_requirements *out) {
  if (out == NULL) {
    return DQNN_ERROR_ARGUMENT;
  }
  dqnn_model model;
  dqnn_status status = dqnn_model_open(&model, blob, size, NULL);
  if (status == DQNN_OK) {
    uint32_t arena = model.prefix->arena_bytes, state = state_bytes(&model);
    *out = (dqnn_requirements){arena + state,     arena, state, model.node_count, model.tensor_count, model.input_count,
                               model.output_count};
  }
  return status;
}

/* What dqnn_verify and dqnn_init have in common before the graph is looked at. */
static dqnn_status open_file(dqnn_model *model, const void *blob, size_t size, const dqnn_options *options,
                             dqnn_fault *fault) {
  fault->node = fault->kernel = fault->tensor = DQNN_NONE;
  fault->check = 0;
  if (options == NULL || options->kernels == NULL) {
    return DQNN_ERROR_ARGUMENT;
  }
  return dqnn_model_open(model, blob, size, options);
}

dqnn_status dqnn_verify(const void *blob, size_t size, const dqnn_options *options, dqnn_fault *fault) {
  dqnn_model model;
  dqnn_fault unwanted;
  fault = fault != NULL ? fault : &unwanted;
  dqnn_status status = open_file(&model, blob, size, options, fault);
  return status == DQNN_OK ? dqnn_model_verify(&model, options, NULL, fault) : status;
}

/* Where the state goes in the caller's memory. */
static dqnn_status place_state(const dqnn_model *model, uint8_t *mem, size_t bytes, const dqnn_options *options,
                               dqnn_interpreter **self) {
  uint32_t arena_bytes = model->prefix->arena_bytes;
  if (mem == NULL || (uintptr_t)mem % DQNN_ALIGNMENT != 0) {
    return mem == NULL ? DQNN_ERROR_ARGUMENT : DQNN_ERROR_ALIGNMENT;
  }
  if (bytes < arena_bytes) {
    return DQNN_ERROR_MEMORY;
  }
  size_t room = options->state_bytes;
  *self = options->state;
  if (*self == NULL) {
    *self = (void *)(mem + arena_bytes);
    room = bytes - arena_bytes;
  }
  if (room < state_bytes(model)) {
    return DQNN_ERROR_MEMORY;
  }
  return (uintptr_t)*self % _Alignof(dqnn_interpreter) != 0 ? DQNN_ERROR_ALIGNMENT : DQNN_OK;
}

DQNN_RARE dqnn_status dqnn_init(dqnn_interpreter **it, void *mem, size_t bytes, const void *blob, size_t size,
                                const dqnn_options *options, dqnn_fault *fault) {
  if (it == NULL) {
    return DQNN_ERROR_ARGUMENT;
  }
  *it = NULL;
  dqnn_model model;
  dqnn_fault unwanted;
  dqnn_interpreter *self = NULL;
  fault = fault != NULL ? fault : &unwanted;
  dqnn_status status = open_file(&model, blob, size, options, fault);
  if (status == DQNN_OK) {
    status = place_state(&model, mem, bytes, options, &self); /* before anything that may take long */
  }
  if (status == DQNN_OK) {
    status = dqnn_model_verify(&model, options, self->variants, fault);
  }
  if (status != DQNN_OK) {
    return status;
  }
  memset(mem, 0, model.prefix->arena_bytes);
  self->model = model;
  self->arena = mem;
  self->profile = options->profile;
  self->profile_context = options->profile_context;
  *it = self;
  return DQNN_OK;
}

dqnn_status dqnn_invoke(dqnn_interpreter *it) {
  if (it == NULL) {
    return DQNN_ERROR_ARGUMENT;
  }
  uint32_t i = 0;
  for (; i < it->model.node_count; ++i) {
    const void *node = dqnn_model_node(&it->model, i);
    dqnn_call call;
    if (dqnn_rows_of_call(node) != 0) {
      i = dqnn_table_of(it)->segments->run(it, i, &call);
      continue;
    }
    dqnn_model_bind(&it->model, i, it->arena, &call);
    call.params = dqnn_params(node, it->variants[i]->family);
    dqnn_run_call(it, i, &call);
  }
  return (dqnn_status)(i >> DQNN_STATUS_AT);
}

/* As bits: a field that is absent reads as 0. */
static void port_float(const void *port, uint32_t slot, float *out) {
  uint32_t bits = dqnn_fb_u32(port, slot);
  memcpy(out, &bits, sizeof bits);
}

static uint8_t port_byte(const void *port, uint32_t slot) {
  const uint8_t *field = dqnn_fb_inline(port, slot);
  return field != NULL ? *field : 0;
}

static void describe(const dqnn_interpreter *it, const dqnn_tensor_def *def, dqnn_tensor *out) {
  out->data = it->arena + def->offset;
  out->bytes = dqnn_bytes_of(def);
  memcpy(out->dims, def->dims, sizeof def->dims + sizeof def->scale + sizeof def->zero_point); /* alike in both */
  out->dtype = def->dtype;
  out->rank = def->rank;
}

static dqnn_status describe_port(const dqnn_interpreter *it, uint32_t i, dqnn_tensor *out, bool output) {
  if (it == NULL || out == NULL || i >= (output ? it->model.output_count : it->model.input_count)) {
    return DQNN_ERROR_ARGUMENT;
  }
  const void *port = dqnn_fb_table(output ? it->model.outputs : it->model.inputs, i);
  describe(it, &it->model.tensors[dqnn_fb_u16(port, DQNN_PORT_TENSOR)], out);
  out->name = dqnn_fb_string(port, DQNN_PORT_NAME);
  port_float(port, DQNN_PORT_SAMPLE_SCALE, &out->sample_scale);
  port_float(port, DQNN_PORT_SAMPLE_OFFSET, &out->sample_offset);
  port_float(port, DQNN_PORT_INVERSE, &out->inverse);
  out->rounding = port_byte(port, DQNN_PORT_ROUNDING);
  out->u8 = port_byte(port, DQNN_PORT_U8);
  return DQNN_OK;
}

dqnn_status dqnn_input(const dqnn_interpreter *it, uint32_t i, dqnn_tensor *out) {
  return describe_port(it, i, out, false);
}

dqnn_status dqnn_output(const dqnn_interpreter *it, uint32_t i, dqnn_tensor *out) {
  return describe_port(it, i, out, true);
}

dqnn_status dqnn_tensor_at(const dqnn_interpreter *it, uint32_t i, dqnn_tensor *out) {
  if (it == NULL || out == NULL || i >= it->model.tensor_count) {
    return DQNN_ERROR_ARGUMENT;
  }
  memset(out, 0, sizeof *out); /* what only ports have */
  out->name = "";
  describe(it, &it->model.tensors[i], out);
  return DQNN_OK;
}

dqnn_status dqnn_rows_made(const dqnn_interpreter *it, uint32_t i, uint32_t *first, dqnn_tensor *out) {
  if (it == NULL || first == NULL || i >= it->model.node_count) {
    return DQNN_ERROR_ARGUMENT;
  }
  const void *node = dqnn_model_node(&it->model, i);
  dqnn_status status = dqnn_tensor_at(it, dqnn_fb_u16(node, DQNN_NODE_OUTPUT), out);
  *first = 0;
  if (status == DQNN_OK && dqnn_rows_of_call(node) != 0) {
    const dqnn_segment *s = (const void *)dqnn_table_of(it);
    describe(it, &s->out, out);
    *first = s->spans[i - s->begin].made;
  }
  return status;
}

dqnn_status dqnn_node(const dqnn_interpreter *it, uint32_t i, dqnn_node_info *out) {
  if (it == NULL || out == NULL || i >= it->model.node_count) {
    return DQNN_ERROR_ARGUMENT;
  }
  const void *node = dqnn_model_node(&it->model, i);
  out->layer = dqnn_fb_string(node, DQNN_NODE_LAYER);
  out->inputs = dqnn_fb_vector(node, DQNN_NODE_INPUTS, &out->input_count);
  out->output = dqnn_fb_u16(node, DQNN_NODE_OUTPUT);
  out->scratch_offset = dqnn_fb_u32(node, DQNN_NODE_SCRATCH_OFFSET);
  out->scratch_bytes = dqnn_fb_u32(node, DQNN_NODE_SCRATCH_BYTES);
  out->kernel = it->variants[i]->id;
  out->isa = it->variants[i]->isa;
  return DQNN_OK;
}

dqnn_status dqnn_model_of(const dqnn_interpreter *it, dqnn_model_info *out) {
  if (it == NULL || out == NULL) {
    return DQNN_ERROR_ARGUMENT;
  }
  const dqnn_model *model = &it->model;
  out->file = model->prefix;
  out->name = dqnn_fb_string(model->root, DQNN_MODEL_NAME);
  out->producer = dqnn_fb_string(model->root, DQNN_MODEL_PRODUCER);
  out->arena = it->arena;
  out->arena_bytes = model->prefix->arena_bytes;
  out->state_bytes = state_bytes(model);
  out->file_bytes = model->prefix->total_bytes;
  out->model_id = model->prefix->model_id;
  out->model_version = model->prefix->model_version;
  out->nodes = model->node_count;
  out->tensors = model->tensor_count;
  out->inputs = model->input_count;
  out->outputs = model->output_count;
  return DQNN_OK;
}
