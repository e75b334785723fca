/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Checks what a structurally sound file means, so that no later invoke can leave its buffers: tensors, memory plan,
 * order of nodes, then each node's kernel with its plan(). This is the only place for these checks; run functions and
 * the interpreter rely on them. Needs no memory: the question "is this tensor still intact here?" is answered by
 * walking back through the nodes.
 *
 * Time is bounded, whatever the file says: walks and plans pay for their steps (dqnn_config.h) from one account. */
#include <string.h>

#include "model.h"

/* A checking function returns the failed check of checks.def, or 0. */
typedef uint16_t check;

enum { CONSTANT_ALIGNMENT = 8 };

static bool placed(uint32_t offset, uint32_t bytes, uint32_t limit, uint32_t alignment) {
  return offset % alignment == 0 && offset <= limit && bytes <= limit - offset;
}

/* ---- tensors and constants ---- */

static check quantization_check(const dqnn_tensor_def *def) {
  uint32_t scale;
  memcpy(&scale, &def->scale, sizeof scale); /* as bits: no float arithmetic on cores that have none */
  bool good = def->dtype == DQNN_S8 ? scale - 1 < 0x7F800000u - 1 && def->zero_point >= -128 && def->zero_point <= 127
                                    : scale == 0x3F800000u && def->zero_point == 0;
  return good ? 0 : DQNN_CHECK_tensor_quantization;
}

static check form_check(const dqnn_tensor_def *def) {
  if (def->dtype > DQNN_F32) {
    return DQNN_CHECK_tensor_dtype;
  }
  if (def->rank < 1 || def->rank > 4) {
    return DQNN_CHECK_tensor_rank;
  }
  for (uint32_t k = def->rank; k < 4; ++k) {
    if (def->dims[k] != 1) {
      return DQNN_CHECK_tensor_rank;
    }
  }
  return quantization_check(def);
}

uint32_t dqnn_bytes_of(const dqnn_tensor_def *def) {
  uint32_t elements = 1, bytes = def->dtype == DQNN_F32 ? 4 : 1;
  for (uint32_t k = 0; k < def->rank; ++k) {
    uint32_t dim = k == 0 && def->rows != 0 ? def->rows : def->dims[k];
    uint32_t room = def->dtype == DQNN_S1 && k + 1u == def->rank ? (dim / 32 + (dim % 32 != 0)) * 4 : dim;
    uint64_t most = (uint64_t)elements * dim | (uint64_t)bytes * room;
    if (most > INT32_MAX) {
      return 0;
    }
    elements *= dim;
    bytes *= room;
  }
  return bytes;
}

/* Bytes of a sound tensor of which memory holds at most so many rows. */
static uint32_t sound_bytes(const dqnn_tensor_def *def, uint32_t most_rows, uint16_t *failed) {
  *failed = def->rows > most_rows ? DQNN_CHECK_tensor_rows : form_check(def);
  uint32_t bytes = *failed == 0 ? dqnn_bytes_of(def) : 0;
  if (*failed == 0 && bytes == 0) {
    *failed = DQNN_CHECK_tensor_size;
  }
  return bytes;
}

uint32_t dqnn_tensor_bytes(const dqnn_tensor_def *def, uint16_t *failed) {
  return sound_bytes(def, 0, failed);
}

static check tensors_check(const dqnn_model *model, dqnn_fault *fault) {
  for (uint32_t i = 0; i < model->tensor_count; ++i) {
    const dqnn_tensor_def *def = &model->tensors[i];
    uint16_t failed;
    uint32_t bytes = sound_bytes(def, def->dims[0], &failed);
    if (failed == 0 && !placed(def->offset, bytes, model->prefix->arena_bytes, DQNN_ALIGNMENT)) {
      failed = DQNN_CHECK_tensor_place;
    }
    if (failed != 0) {
      fault->tensor = (uint16_t)i;
      return failed;
    }
  }
  for (uint32_t i = 0; i < model->constant_count; ++i) { /* without data there is no place for an empty one either */
    if (model->data == NULL ||
        !placed(model->constants[i].offset, model->constants[i].bytes, model->data_bytes, CONSTANT_ALIGNMENT)) {
      fault->tensor = (uint16_t)i;
      return DQNN_CHECK_constant_place;
    }
  }
  return 0;
}

/* ---- graph and memory plan; from here on all tensors are sound ---- */

bool dqnn_overlaps(const dqnn_tensor_def *tensor, uint32_t offset, uint32_t bytes) {
  return bytes != 0 && tensor->offset < offset + bytes && offset < tensor->offset + dqnn_bytes_of(tensor);
}

static bool overlap(const dqnn_tensor_def *a, const dqnn_tensor_def *b) {
  return dqnn_overlaps(a, b->offset, dqnn_bytes_of(b));
}

bool dqnn_overlaps_scratch(const dqnn_tensor_def *tensor, const void *node) {
  return dqnn_overlaps(tensor, dqnn_fb_u32(node, DQNN_NODE_SCRATCH_OFFSET), dqnn_fb_u32(node, DQNN_NODE_SCRATCH_BYTES));
}

static const dqnn_tensor_def *output_of(const dqnn_model *model, uint32_t node) {
  return &model->tensors[dqnn_fb_u16(dqnn_model_node(model, node), DQNN_NODE_OUTPUT)];
}

static const dqnn_tensor_def *input_of(const dqnn_model *model, uint32_t port) {
  return &model->tensors[dqnn_port_tensor(model->inputs, port)];
}

/* Do all indices of a vector name something? */
static DQNN_APART bool indices_valid(const void *node, uint32_t slot, uint32_t most, uint32_t limit) {
  uint32_t count;
  const uint16_t *index = dqnn_fb_vector(node, slot, &count);
  if (count > most) {
    return false;
  }
  for (uint32_t k = 0; k < count; ++k) {
    if (index[k] >= limit) {
      return false;
    }
  }
  return true;
}

static check indices_check(const dqnn_model *model, const void *node) {
  if (!indices_valid(node, DQNN_NODE_INPUTS, DQNN_MAX_INPUTS, model->tensor_count) ||
      dqnn_fb_u16(node, DQNN_NODE_OUTPUT) >= model->tensor_count) {
    return DQNN_CHECK_tensor_index;
  }
  bool good = indices_valid(node, DQNN_NODE_CONSTANTS, DQNN_MAX_CONSTANTS, model->constant_count);
  return good ? 0 : DQNN_CHECK_constant_index;
}

enum { STEPS_OF_VISIT = 8 }; /* what looking at a node or port and at the memory it writes costs (dqnn_config.h) */

bool dqnn_pay(dqnn_checker *c, uint32_t steps) {
  c->plan.work -= steps < c->plan.work ? steps : c->plan.work;
  return c->plan.work != 0;
}

/* Do bits lie alike in rows of both lengths? Bits behind a row are 0, so that rows must be whole words or equally long.
 */
static bool same_rows(const dqnn_tensor_def *a, const dqnn_tensor_def *b) {
  uint32_t length_a = a->dims[a->rank - 1], length_b = b->dims[b->rank - 1];
  return a->dtype != DQNN_S1 || length_a == length_b || (length_a | length_b) % 32 == 0;
}

/* Two names of the same bytes: how a reshape without a node appears in a file. */
static bool same_storage(const dqnn_tensor_def *a, const dqnn_tensor_def *b) {
  return a->dtype == b->dtype && a->offset == b->offset && a->rows == b->rows && dqnn_bytes_of(a) == dqnn_bytes_of(b) &&
         same_rows(a, b);
}

/* What writes tensors, in order: the model inputs, then the nodes. */
static const dqnn_tensor_def *written_by(const dqnn_model *model, uint32_t writer) {
  return writer < model->input_count ? input_of(model, writer) : output_of(model, writer - model->input_count);
}

/* Whether one of the first writers names exactly this tensor, so that it is no mere alias of another. */
static bool has_writer(const dqnn_model *model, const dqnn_tensor_def *tensor, uint32_t writers) {
  while (writers-- > 0) {
    if (written_by(model, writers) == tensor) {
      return true;
    }
  }
  return false;
}

/* Walks back to the node or model input that wrote the tensor, and counts the nodes and inputs looked at. */
static check walk_back(const dqnn_model *model, const dqnn_tensor_def *tensor, uint32_t writers, uint32_t *visits) {
  uint32_t bytes = dqnn_bytes_of(tensor);
  while (writers-- > 0) {
    ++*visits;
    const dqnn_tensor_def *written = written_by(model, writers);
    if (written == tensor) {
      return 0;
    }
    if (same_storage(written, tensor)) {
      *visits += writers;
      if (!has_writer(model, tensor, writers)) {
        return 0;
      }
    }
    bool node = writers >= model->input_count;
    if (dqnn_overlaps(written, tensor->offset, bytes) ||
        (node && dqnn_overlaps_scratch(tensor, dqnn_model_node(model, writers - model->input_count)))) {
      return node ? DQNN_CHECK_overwritten_before_use : DQNN_CHECK_defined_before_use;
    }
  }
  return DQNN_CHECK_defined_before_use;
}

/* Is the tensor intact before node number `before` runs? */
uint16_t dqnn_intact_check(dqnn_checker *c, const dqnn_tensor_def *tensor, uint32_t before) {
  uint32_t visits = 0;
  check failed = walk_back(c->model, tensor, c->model->input_count + before, &visits);
  failed = dqnn_pay(c, STEPS_OF_VISIT * visits) ? failed : DQNN_CHECK_work;
  if (failed != 0) {
    c->fault->tensor = (uint16_t)(tensor - c->model->tensors);
  }
  return failed;
}

const void *dqnn_blame(dqnn_checker *c) {
  const void *node = dqnn_model_node(c->model, c->node);
  c->fault->node = (uint16_t)c->node;
  c->fault->kernel = (uint16_t)dqnn_fb_u16(node, DQNN_NODE_KERNEL);
  return node;
}

/* Indices, and memory: scratch apart from everything, inputs intact. Which of them the output may share bytes with,
 * plan() decides; of nodes in segments, segments.c asks what enters. */
static check node_check(dqnn_checker *c) {
  const void *node = dqnn_blame(c);
  check failed = indices_check(c->model, node);
  if (failed != 0) {
    return failed;
  }
  dqnn_model_bind(c->model, c->node, NULL, &c->call);
  if (!placed(dqnn_fb_u32(node, DQNN_NODE_SCRATCH_OFFSET), c->call.scratch_bytes, c->model->prefix->arena_bytes,
              DQNN_ALIGNMENT)) {
    return DQNN_CHECK_scratch_place;
  }
  failed = dqnn_overlaps_scratch(c->call.out_def, node) ? DQNN_CHECK_scratch_overlap : 0;
  for (uint32_t k = 0; failed == 0 && k < c->call.inputs; ++k) {
    if (dqnn_overlaps_scratch(c->call.in_def[k], node)) {
      failed = DQNN_CHECK_scratch_overlap;
    } else if (dqnn_rows_of_call(node) == 0) {
      failed = dqnn_intact_check(c, c->call.in_def[k], c->node);
    }
  }
  return failed;
}

static check inputs_check(const dqnn_model *model, dqnn_fault *fault) {
  for (uint32_t i = 0; i < model->input_count; ++i) {
    uint32_t tensor = dqnn_port_tensor(model->inputs, i);
    check failed = tensor < model->tensor_count ? 0 : DQNN_CHECK_port_tensor;
    for (uint32_t k = 0; failed == 0 && k < i; ++k) {
      failed = overlap(&model->tensors[tensor], input_of(model, k)) ? DQNN_CHECK_port_overlap : 0;
    }
    if (failed != 0) {
      fault->tensor = (uint16_t)i;
      return failed;
    }
  }
  return 0;
}

static check nodes_check(dqnn_checker *c) {
  for (c->node = 0; c->node < c->model->node_count; ++c->node) {
    check failed = node_check(c);
    if (failed != 0) {
      return failed;
    }
  }
  c->fault->node = c->fault->kernel = DQNN_NONE;
  return 0;
}

static check outputs_check(dqnn_checker *c) {
  const dqnn_model *model = c->model;
  for (uint32_t i = 0; i < model->output_count; ++i) {
    uint32_t tensor = dqnn_port_tensor(model->outputs, i);
    if (tensor >= model->tensor_count) {
      c->fault->tensor = (uint16_t)i;
      return DQNN_CHECK_port_tensor;
    }
    check failed = dqnn_intact_check(c, &model->tensors[tensor], model->node_count);
    if (failed != 0) {
      return failed;
    }
  }
  return 0;
}

static check bitmap_check(const dqnn_model *model) {
  uint32_t used[6] = {0};
  for (uint32_t i = 0; i < model->node_count; ++i) {
    uint32_t kernel = dqnn_fb_u16(dqnn_model_node(model, i), DQNN_NODE_KERNEL);
    if (kernel >= 32 * 6) {
      return DQNN_CHECK_kernel_bitmap;
    }
    used[kernel / 32] |= 1u << kernel % 32;
  }
  return memcmp(used, model->prefix->kernels, sizeof used) == 0 ? 0 : DQNN_CHECK_kernel_bitmap;
}

/* Apart, as the next: their locals would lie on the stack below every plan(). */
static DQNN_RARE check graph_check(dqnn_checker *c) {
  check failed = tensors_check(c->model, c->fault);
  if (failed == 0) {
    failed = inputs_check(c->model, c->fault);
  }
  if (failed == 0) {
    failed = nodes_check(c);
  }
  if (failed == 0) {
    failed = outputs_check(c);
  }
  if (failed == 0) {
    failed = bitmap_check(c->model);
  }
  return failed;
}

/* ---- kernels ---- */

/* The first variant of the call's kernel that the mask allows and that wants no more scratch than there is. */
static const dqnn_variant *choose(const dqnn_checker *c, uint32_t mask, uint32_t scratch_bytes) {
  for (uint32_t i = 0; i < c->options->kernel_count; ++i) {
    const dqnn_variant *variant = c->options->kernels[i];
    if (variant->id == c->call.kernel && (mask >> variant->isa & 1) != 0 &&
        c->plan.scratch[variant->isa] <= scratch_bytes) {
      return variant;
    }
  }
  return NULL;
}

/* Instruction sets that may be used: ref always. */
static uint32_t allowed_isas(const dqnn_options *options) {
  return (options->isa_mask != 0 ? options->isa_mask : dqnn_host_isas()) | 1u << DQNN_ISA_ref;
}

/* The parameters in this slot, and no others. */
static check params_check(const void *node, uint32_t wanted) {
  for (uint32_t slot = DQNN_NODE_FIRST_PARAMS; slot < DQNN_NODE_PARAMS_END; ++slot) {
    if ((dqnn_fb_inline(node, slot) != NULL) != (slot == wanted)) {
      return DQNN_CHECK_params_present;
    }
  }
  return 0;
}

/* The output may begin where input 0 begins and share as many bytes as plan() allowed. If plan() says that it consists
 * of its inputs, each of them may lie at its place in it. Else they must be apart. */
static DQNN_APART check in_place_check(const dqnn_call *call, const dqnn_plan *plan) {
  const dqnn_tensor_def *output = call->out_def;
  uint32_t at = output->offset; /* of part k; cannot wrap where it counts: the parts are as long as the output */
  uint32_t out_bytes = dqnn_bytes_of(output);
  for (uint32_t k = 0; k < call->inputs; ++k) {
    const dqnn_tensor_def *input = call->in_def[k];
    uint32_t bytes = dqnn_bytes_of(input), allowed = k == 0 ? plan->overlap_bytes : 0;
    bool shared = input->offset == output->offset && (bytes <= allowed || out_bytes <= allowed);
    bool part = plan->parts != 0 && input->offset == at;
    if (!shared && !part && dqnn_overlaps(input, output->offset, out_bytes)) {
      return DQNN_CHECK_output_overlap;
    }
    at += bytes;
  }
  return 0;
}

dqnn_status dqnn_kernel_check(dqnn_checker *c) {
  const void *node = dqnn_blame(c);
  c->variant = choose(c, UINT32_MAX, UINT32_MAX);
  if (c->variant == NULL) {
    return DQNN_ERROR_KERNEL_MISSING;
  }
  const uint32_t slot = dqnn_params_slot(c->variant->family);
  check failed = params_check(node, slot);
  if (failed == 0) {
    if (c->call.params == NULL) {
      c->call.params = dqnn_fb_inline(node, slot);
    }
    failed = (check)dqnn_plan_with(c->variant->plan, &c->call, &c->plan);
  }
  if (failed == 0) {
    failed = in_place_check(&c->call, &c->plan);
  }
  if (failed == 0) {
    c->variant = choose(c, allowed_isas(c->options), c->call.scratch_bytes);
    failed = c->variant != NULL ? 0 : DQNN_CHECK_no_variant;
    if (c->variants != NULL) {
      c->variants[c->node] = c->variant;
    }
  }
  c->fault->check = failed;
  return dqnn_status_of(failed);
}

/* Steps that checking may take. */
static uint32_t work_limit(const dqnn_model *model, const dqnn_options *options) {
  uint32_t bytes = model->prefix->total_bytes;
  uint32_t most = bytes > UINT32_MAX / DQNN_WORK_PER_BYTE ? UINT32_MAX : bytes * DQNN_WORK_PER_BYTE;
  return options->work_limit != 0 ? options->work_limit : most;
}

dqnn_status dqnn_model_verify(const dqnn_model *model, const dqnn_options *options, const dqnn_variant **variants,
                              dqnn_fault *fault) {
  dqnn_checker c;
  c.model = model;
  c.options = options;
  c.variants = variants;
  c.fault = fault;
  c.plan.work = work_limit(model, options);
  fault->check = graph_check(&c);
  dqnn_status status = dqnn_status_of(fault->check);
  for (c.node = 0; status == DQNN_OK && c.node < model->node_count; ++c.node) {
    if (dqnn_rows_of_call(dqnn_model_node(model, c.node)) == 0) {
      dqnn_model_bind(model, c.node, NULL, &c.call);
      status = dqnn_kernel_check(&c);
    } else {
      status = options->segments != NULL ? options->segments->check(&c) : DQNN_ERROR_SEGMENTS;
    }
  }
  return status;
}
