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
  if (def->dtype > DQNN_F32 || def->reserved != 0) {
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
    uint32_t dim = def->dims[k];
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

uint32_t dqnn_tensor_bytes(const dqnn_tensor_def *def, uint16_t *failed) {
  *failed = form_check(def);
  uint32_t bytes = *failed == 0 ? dqnn_bytes_of(def) : 0;
  if (*failed == 0 && bytes == 0) {
    *failed = DQNN_CHECK_tensor_size;
  }
  return bytes;
}

static check tensors_check(const dqnn_model *model, dqnn_fault *fault) {
  for (uint32_t i = 0; i < model->tensor_count; ++i) {
    const dqnn_tensor_def *def = &model->tensors[i];
    uint16_t failed;
    uint32_t bytes = dqnn_tensor_bytes(def, &failed);
    if (failed == 0 && !placed(def->offset, bytes, model->prefix->arena_bytes, DQNN_ALIGNMENT)) {
      failed = DQNN_CHECK_tensor_place;
    }
    if (failed != 0) {
      fault->tensor = (uint16_t)i;
      return failed;
    }
  }
  for (uint32_t i = 0; i < model->constant_count; ++i) {
    if (!placed(model->constants[i].offset, model->constants[i].bytes, model->data_bytes, CONSTANT_ALIGNMENT)) {
      fault->tensor = (uint16_t)i;
      return DQNN_CHECK_constant_place;
    }
  }
  return 0;
}

/* ---- graph and memory plan; from here on all tensors are sound ---- */

/* Does the tensor share memory with `bytes` bytes at `offset`? No sum can wrap: both lie in the arena. */
static bool overlaps(const dqnn_tensor_def *tensor, uint32_t offset, uint32_t bytes) {
  return bytes != 0 && tensor->offset < offset + bytes && offset < tensor->offset + dqnn_bytes_of(tensor);
}

static bool overlap(const dqnn_tensor_def *a, const dqnn_tensor_def *b) {
  return overlaps(a, b->offset, dqnn_bytes_of(b));
}

static bool overlaps_scratch(const dqnn_tensor_def *tensor, const void *node) {
  return overlaps(tensor, dqnn_fb_u32(node, DQNN_NODE_SCRATCH_OFFSET), dqnn_fb_u32(node, DQNN_NODE_SCRATCH_BYTES));
}

static const dqnn_tensor_def *output_of(const dqnn_model *model, uint32_t node) {
  return &model->tensors[dqnn_fb_u16(dqnn_model_node(model, node), DQNN_NODE_OUTPUT)];
}

static const dqnn_tensor_def *input_of(const dqnn_model *model, uint32_t port) {
  return &model->tensors[dqnn_port_tensor(model->inputs, port)];
}

static bool indices_valid(const uint16_t *index, uint32_t count, uint32_t most, uint32_t limit) {
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
  uint32_t count;
  const uint16_t *index = dqnn_fb_vector(node, DQNN_NODE_INPUTS, &count);
  if (!indices_valid(index, count, DQNN_MAX_INPUTS, model->tensor_count) ||
      dqnn_fb_u16(node, DQNN_NODE_OUTPUT) >= model->tensor_count) {
    return DQNN_CHECK_tensor_index;
  }
  index = dqnn_fb_vector(node, DQNN_NODE_CONSTANTS, &count);
  if (!indices_valid(index, count, DQNN_MAX_CONSTANTS, model->constant_count)) {
    return DQNN_CHECK_constant_index;
  }
  return 0;
}

/* Memory of one node: scratch apart from everything. Which inputs the output may share bytes with, plan() decides. */
static check node_memory_check(const dqnn_model *model, const void *node, const dqnn_call *call) {
  if (!placed(dqnn_fb_u32(node, DQNN_NODE_SCRATCH_OFFSET), call->scratch_bytes, model->prefix->arena_bytes,
              DQNN_ALIGNMENT)) {
    return DQNN_CHECK_scratch_place;
  }
  for (uint32_t k = 0; k < call->inputs; ++k) {
    if (overlaps_scratch(call->in_def[k], node)) {
      return DQNN_CHECK_scratch_overlap;
    }
  }
  return overlaps_scratch(call->out_def, node) ? DQNN_CHECK_scratch_overlap : 0;
}

enum { STEPS_OF_VISIT = 8 }; /* what looking at a node or port and at the memory it writes costs (dqnn_config.h) */

/* False once there is no work left. */
static bool pay(uint32_t *work, uint32_t steps) {
  *work -= steps < *work ? steps : *work;
  return *work != 0;
}

/* Do bits lie alike in rows of both lengths? Bits behind a row are 0, so that rows must be whole words or equally long.
 */
static bool same_rows(const dqnn_tensor_def *a, const dqnn_tensor_def *b) {
  uint32_t length_a = a->dims[a->rank - 1], length_b = b->dims[b->rank - 1];
  return a->dtype != DQNN_S1 || length_a == length_b || (length_a | length_b) % 32 == 0;
}

/* Two names of the same bytes: how a reshape without a node appears in a file. */
static bool same_storage(const dqnn_tensor_def *a, const dqnn_tensor_def *b) {
  return a->dtype == b->dtype && a->offset == b->offset && dqnn_bytes_of(a) == dqnn_bytes_of(b) && same_rows(a, b);
}

/* Whether a node before `before` or a model input names exactly this tensor, so that it is no mere alias of another. */
static bool has_writer(const dqnn_model *model, const dqnn_tensor_def *tensor, uint32_t before, uint32_t *visits) {
  *visits += before + model->input_count;
  for (uint32_t i = 0; i < before + model->input_count; ++i) {
    if ((i < before ? output_of(model, i) : input_of(model, i - before)) == tensor) {
      return true;
    }
  }
  return false;
}

/* Walks back to the node or model input that wrote the tensor, and counts the nodes and inputs looked at. */
static check walk_back(const dqnn_model *model, const dqnn_tensor_def *tensor, uint32_t before, uint32_t *visits) {
  uint32_t bytes = dqnn_bytes_of(tensor);
  while (before-- > 0) {
    ++*visits;
    const dqnn_tensor_def *output = output_of(model, before);
    if (output == tensor) {
      return 0;
    }
    if (same_storage(output, tensor) && !has_writer(model, tensor, before, visits)) {
      return 0;
    }
    if (overlaps(output, tensor->offset, bytes) || overlaps_scratch(tensor, dqnn_model_node(model, before))) {
      return DQNN_CHECK_overwritten_before_use;
    }
  }
  *visits += model->input_count;
  for (uint32_t i = 0; i < model->input_count; ++i) {
    if (same_storage(input_of(model, i), tensor)) {
      return 0;
    }
  }
  return DQNN_CHECK_defined_before_use;
}

/* Is the tensor intact before node number `before` runs? */
static check intact_check(const dqnn_model *model, uint32_t tensor, uint32_t before, uint32_t *work,
                          dqnn_fault *fault) {
  uint32_t visits = 0;
  check failed = walk_back(model, &model->tensors[tensor], before, &visits);
  failed = pay(work, STEPS_OF_VISIT * visits) ? failed : DQNN_CHECK_work;
  if (failed != 0) {
    fault->tensor = (uint16_t)tensor;
  }
  return failed;
}

static check node_check(const dqnn_model *model, uint32_t i, uint32_t *work, dqnn_fault *fault) {
  const void *node = dqnn_model_node(model, i);
  check failed = indices_check(model, node);
  if (failed != 0) {
    return failed;
  }
  dqnn_call call;
  dqnn_model_bind(model, i, NULL, &call);
  failed = node_memory_check(model, node, &call);
  for (uint32_t k = 0; failed == 0 && k < call.inputs; ++k) {
    failed = intact_check(model, (uint32_t)(call.in_def[k] - model->tensors), i, work, fault);
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

static uint32_t kernel_of(const dqnn_model *model, uint32_t node) {
  return dqnn_fb_u16(dqnn_model_node(model, node), DQNN_NODE_KERNEL);
}

/* What fails from here on is due to a node. */
static void blame(dqnn_fault *fault, const dqnn_model *model, uint32_t i) {
  fault->node = (uint16_t)i;
  fault->kernel = (uint16_t)kernel_of(model, i);
}

static check nodes_check(const dqnn_model *model, uint32_t *work, dqnn_fault *fault) {
  for (uint32_t i = 0; i < model->node_count; ++i) {
    blame(fault, model, i);
    check failed = node_check(model, i, work, fault);
    if (failed != 0) {
      return failed;
    }
  }
  fault->node = fault->kernel = DQNN_NONE;
  return 0;
}

static check outputs_check(const dqnn_model *model, uint32_t *work, dqnn_fault *fault) {
  for (uint32_t i = 0; i < model->output_count; ++i) {
    uint32_t tensor = dqnn_port_tensor(model->outputs, i);
    if (tensor >= model->tensor_count) {
      fault->tensor = (uint16_t)i;
      return DQNN_CHECK_port_tensor;
    }
    check failed = intact_check(model, tensor, model->node_count, work, fault);
    if (failed != 0) {
      return failed;
    }
  }
  return 0;
}

static check bitmap_check(const dqnn_model *model) {
  uint32_t used[6] = {0};
  for (uint32_t i = 0; i < model->node_count; ++i) {
    uint32_t kernel = kernel_of(model, i);
    if (kernel >= 32 * 6) {
      return DQNN_CHECK_kernel_bitmap;
    }
    used[kernel / 32] |= 1u << kernel % 32;
  }
  return memcmp(used, model->prefix->kernels, sizeof used) == 0 ? 0 : DQNN_CHECK_kernel_bitmap;
}

static check graph_check(const dqnn_model *model, uint32_t *work, dqnn_fault *fault) {
  check failed = tensors_check(model, fault);
  if (failed == 0) {
    failed = inputs_check(model, fault);
  }
  if (failed == 0) {
    failed = nodes_check(model, work, fault);
  }
  if (failed == 0) {
    failed = outputs_check(model, work, fault);
  }
  if (failed == 0) {
    failed = bitmap_check(model);
  }
  return failed;
}

/* ---- kernels ---- */

/* The first variant of a kernel that the mask allows and that wants no more scratch than the file gives. */
static const dqnn_variant *choose(const dqnn_options *options, const dqnn_call *call, const dqnn_plan *plan,
                                  uint32_t mask) {
  for (uint32_t i = 0; i < options->kernel_count; ++i) {
    const dqnn_variant *variant = options->kernels[i];
    if (variant->kernel->id == call->kernel && (mask >> variant->isa & 1) != 0 &&
        plan->scratch[variant->isa] <= call->scratch_bytes) {
      return variant;
    }
  }
  return NULL;
}

/* Instruction sets that may be used: ref always. */
static uint32_t allowed_isas(const dqnn_options *options) {
  return (options->isa_mask != 0 ? options->isa_mask : dqnn_host_isas()) | 1u << DQNN_ISA_ref;
}

static check params_check(const void *node, uint32_t family) {
  for (uint32_t slot = DQNN_NODE_FIRST_PARAMS; slot < DQNN_NODE_SLOTS; ++slot) {
    bool present = dqnn_fb_inline(node, slot) != NULL;
    if (present != (slot == dqnn_params_slot(family))) {
      return DQNN_CHECK_params_present;
    }
  }
  return 0;
}

/* The output may begin where input 0 begins and share as many bytes as plan() allowed. If plan() says that it consists
 * of its inputs, each of them may lie at its place in it. Else they must be apart. */
static check in_place_check(const dqnn_call *call, const dqnn_plan *plan) {
  const dqnn_tensor_def *output = call->out_def;
  uint32_t at = output->offset; /* of part k; cannot wrap where it counts: the parts are as long as the output */
  uint32_t out_bytes = dqnn_bytes_of(output);
  for (uint32_t k = 0; k < call->inputs; ++k) {
    const dqnn_tensor_def *input = call->in_def[k];
    uint32_t bytes = dqnn_bytes_of(input), allowed = k == 0 ? plan->overlap_bytes : 0;
    bool shared = input->offset == output->offset && (bytes <= allowed || out_bytes <= allowed);
    bool part = plan->parts != 0 && input->offset == at;
    if (!shared && !part && overlaps(input, output->offset, out_bytes)) {
      return DQNN_CHECK_output_overlap;
    }
    at += bytes;
  }
  return 0;
}

static dqnn_status kernel_check(const dqnn_model *model, const dqnn_options *options, uint32_t i,
                                const dqnn_variant **chosen, uint32_t *work, dqnn_fault *fault) {
  dqnn_call call;
  dqnn_plan plan = {.work = *work};
  dqnn_model_bind(model, i, NULL, &call);
  const dqnn_variant *any = choose(options, &call, &plan, UINT32_MAX);
  if (any == NULL) {
    return DQNN_ERROR_KERNEL_MISSING;
  }
  const dqnn_kernel *kernel = any->kernel;
  const void *node = dqnn_model_node(model, i);
  fault->check = params_check(node, kernel->family);
  if (fault->check != 0) {
    return DQNN_ERROR_GRAPH;
  }
  call.params = dqnn_params(node, kernel->family);
  dqnn_status status = kernel->plan(&call, &plan);
  *work = plan.work;
  fault->check = plan.check;
  if (status != DQNN_OK) {
    return status;
  }
  fault->check = in_place_check(&call, &plan);
  if (fault->check != 0) {
    return DQNN_ERROR_GRAPH;
  }
  *chosen = choose(options, &call, &plan, allowed_isas(options));
  fault->check = *chosen != NULL ? 0 : DQNN_CHECK_no_variant;
  return *chosen != NULL ? DQNN_OK : DQNN_ERROR_KERNEL_MISSING;
}

static dqnn_status load_status(check failed) {
  switch (failed) {
#define DQNN_LOAD_CHECK(number, name, status, text) \
  case DQNN_CHECK_##name:                           \
    return DQNN_ERROR_##status;
#include "checks.def"
    default:
      return DQNN_OK;
  }
}

/* Steps that checking may take. */
static uint32_t work_limit(const dqnn_model *model, const dqnn_options *options) {
  uint32_t bytes = model->prefix->total_bytes;
  uint32_t most = bytes > UINT32_MAX / DQNN_WORK_PER_BYTE ? UINT32_MAX : bytes * DQNN_WORK_PER_BYTE;
  return options->work_limit != 0 ? options->work_limit : most;
}

dqnn_status dqnn_model_verify(const dqnn_model *model, const dqnn_options *options, const dqnn_variant **variants,
                              dqnn_fault *fault) {
  uint32_t work = work_limit(model, options);
  fault->check = graph_check(model, &work, fault);
  dqnn_status status = load_status(fault->check);
  for (uint32_t i = 0; status == DQNN_OK && i < model->node_count; ++i) {
    const dqnn_variant *chosen;
    blame(fault, model, i);
    status = kernel_check(model, options, i, &chosen, &work, fault);
    if (status == DQNN_OK && variants != NULL) {
      variants[i] = chosen;
    }
  }
  return status;
}
