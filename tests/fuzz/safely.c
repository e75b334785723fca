/* See safely.h. */
#include "safely.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dqnn/dqnn_kernels.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GUARDED 1
#elif __has_feature(memory_sanitizer)
#define FORGETFUL 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define GUARDED 1
#endif
#ifdef GUARDED
#include <sanitizer/asan_interface.h>
#else
#define GUARDED 0
#define ASAN_POISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
#endif
#ifdef FORGETFUL
#include <sanitizer/msan_interface.h>
#else
#define __msan_poison(at, bytes) ((void)(at), (void)(bytes))
#endif

enum { MARGIN = GUARDED ? 1 << 20 : 64, MOST_VARIANTS = 1024, MOST_KERNELS = 192 };

/* Memory for an interpreter, in the middle of what nobody may touch. Reused: allocating would take most of the time. */
static _Alignas(64) uint8_t room[MARGIN + SAFELY_MEMORY + MARGIN];
static uint8_t *const memory = room + MARGIN;

/* What ref computed, port by port. */
static uint8_t expected[SAFELY_MEMORY];

static const dqnn_variant *const *kernels = dqnn_all_kernels;
static uint32_t kernel_count;
static uint32_t runs[MOST_VARIANTS];
static uint16_t variant_of[MOST_KERNELS][DQNN_ISA_NUMBER];
static uint32_t isas; /* compiled, and known to this processor */

/* One file and what is being done with it. */
typedef struct {
  blob file;
  uint32_t luck; /* depends on the file's bytes */
  dqnn_model model;
  dqnn_requirements need;
  dqnn_interpreter *it;
  bool open; /* what a variant gives need not be what ref gives */
} trial;

static void require(bool condition, const char *what) {
  if (!condition) {
    (void)fprintf(stderr, "API contradicts itself: %s\n", what);
    abort();
  }
}

uint32_t safely_runs(uint32_t variant) {
  return runs[variant];
}

static void prepare(void) {
  if (isas != 0) {
    return;
  }
  kernel_count = kernels == dqnn_all_kernels ? dqnn_all_kernel_count : kernel_count;
  for (uint32_t i = 0; i < kernel_count; ++i) {
    const dqnn_variant *variant = kernels[i];
    variant_of[variant->id][variant->isa] = (uint16_t)i;
    isas |= 1u << variant->isa;
  }
  isas &= dqnn_host_isas();
  ASAN_POISON_MEMORY_REGION(room, sizeof room);
}

bool safely_guards(void) {
  return GUARDED != 0;
}

uint32_t safely_isas(void) {
  prepare();
  return isas;
}

void safely_use(const dqnn_variant *const *set, uint32_t count) {
  kernels = set;
  kernel_count = count;
}

/* ---- cost ---- */

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
    uint32_t family = kernels[variant_of[dqnn_fb_u16(node, DQNN_NODE_KERNEL)][DQNN_ISA_ref]]->family;
    uint32_t channels = family == DQNN_FAMILY_depthwise || family == DQNN_FAMILY_depthwisez
                            ? 1
                            : def->dims[def->rank - 1] / conv->groups;
    return work / 8 * conv->kernel_h * conv->kernel_w * conv->pool_h * conv->pool_w * (channels + 7);
  }
  const dqnn_pool_params *pool = dqnn_fb_inline(node, DQNN_NODE_pool);
  return pool != NULL ? work * pool->kernel_h * pool->kernel_w : work;
}

static bool affordable(const trial *t, double most) {
  double work = 0;
  for (uint32_t i = 0; i < t->model.node_count; ++i) {
    work += work_of(&t->model, i);
  }
  return t->need.memory_bytes <= SAFELY_MEMORY && work <= most;
}

/* ---- guards around a node ---- */

static void allow(const void *at, uint32_t bytes) {
  if (at != NULL) {
    ASAN_UNPOISON_MEMORY_REGION(at, bytes);
  }
}

static uint32_t bytes_of(const dqnn_tensor_def *def) {
  return dqnn_bytes_of(def); /* of strips, what memory holds */
}

/* Variants that put all to use that a file gives, and not only what they need (kernel.h): depthwise weights of 4 or 2
 * bits are unpacked for as many outputs as there is room for, whichever variant leaves that to `packed`. */
static bool takes_more(const dqnn_call *call, uint16_t kernel, uint8_t isa) {
  const bool by_windows = kernel == DQNN_KERNEL_conv_s8_s1_s1 || kernel == DQNN_KERNEL_conv_s8_s1_s8 ||
                          kernel == DQNN_KERNEL_conv_s8_s1_f32;
  const bool by_channels = (kernel >= DQNN_KERNEL_depthwise_s8_s1_s1 && kernel <= DQNN_KERNEL_depthwise_s8_s8_f32) ||
                           kernel == DQNN_KERNEL_depthwisez_s8_s8_s8 || kernel == DQNN_KERNEL_depthwisez_s8_s8_f32;
  const bool unpacked = by_channels && ((const dqnn_conv_params *)call->params)->weight_bits != 0;
  return isa == DQNN_ISA_winograd || unpacked || ((by_windows || by_channels) && isa == DQNN_ISA_portable);
}

/* What the variant that runs says it needs: a file gives what the neediest one does. */
static uint32_t scratch_of(const trial *t, uint32_t node, uint32_t given) {
  dqnn_node_info info;
  dqnn_call call;
  dqnn_plan plan = {.work = UINT32_MAX};
  if (!GUARDED || given == 0) {
    return given;
  }
  require(dqnn_node(t->it, node, &info) == DQNN_OK, "node");
  const dqnn_variant *variant = kernels[variant_of[info.kernel][info.isa]];
  dqnn_model_bind(&t->model, node, NULL, &call);
  call.params = dqnn_params(dqnn_model_node(&t->model, node), variant->family);
  require(dqnn_plan_with(variant->plan, &call, &plan) == DQNN_CHECK_none, "a plan that changes");
  require(plan.scratch[info.isa] <= given, "a variant without its scratch");
  return takes_more(&call, info.kernel, info.isa) ? given : plan.scratch[info.isa];
}

/* A hostile file may keep other things among its data: what the kernel is handed besides stays readable. */
static void guard(trial *t, uint32_t node) {
  dqnn_call call;
  uint32_t in[DQNN_MAX_INPUTS];
  dqnn_model_bind(&t->model, node, memory, &call);
  uint32_t out = bytes_of(call.out_def), scratch = scratch_of(t, node, call.scratch_bytes);
  for (uint32_t i = 0; i < call.inputs; ++i) {
    in[i] = bytes_of(call.in_def[i]);
  }
  uint32_t slot = DQNN_NODE_FIRST_PARAMS;
  const void *params = NULL, *table = dqnn_model_node(&t->model, node);
  while (slot < DQNN_NODE_PARAMS_END && (params = dqnn_fb_inline(table, slot)) == NULL) {
    ++slot;
  }
  ASAN_POISON_MEMORY_REGION(memory, t->need.arena_bytes);
  ASAN_POISON_MEMORY_REGION(t->model.data, t->model.data_bytes);
  for (uint32_t i = 0; i < call.inputs; ++i) {
    allow(call.in[i], in[i]);
  }
  allow(call.out, out);
  allow(call.scratch, scratch);
  for (uint32_t i = 0; i < call.constant_count; ++i) {
    allow(call.constants[i], call.constant_bytes[i]);
  }
  allow(t->model.tensors, t->model.tensor_count * (uint32_t)sizeof *t->model.tensors);
  if (params != NULL) {
    allow(params, blob_params_bytes(slot));
  }
}

#if defined(__ARM_FP)
/* First layers of floats take signs of differences: with numbers that are none, either bit may come. */
static bool is_open(const trial *t, uint32_t node, uint16_t kernel) {
  dqnn_call call;
  dqnn_model_bind(&t->model, node, memory, &call);
  bool open = false;
  for (uint32_t i = 0; kernel == DQNN_KERNEL_conv_f32_s1_s1 && i < bytes_of(call.in_def[0]) / 4; ++i) {
    float value = ((const float *)call.in[0])[i];
    open |= !(value - value == 0.0f);
  }
  return open;
}
#else
static bool is_open(const trial *t, uint32_t node, uint16_t kernel) {
  (void)t, (void)node, (void)kernel;
  return false;
}
#endif

static void on_node(void *context, uint32_t node, uint16_t kernel, bool begin) {
  trial *t = context;
  if (begin) {
    t->open |= is_open(t, node, kernel);
    guard(t, node);
  } else {
    allow(memory, t->need.arena_bytes);
    allow(t->model.data, t->model.data_bytes);
  }
}

/* ---- inputs and outputs ---- */

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

static uint32_t next(uint32_t *state) {
  *state = *state * 1664525u + 1013904223u;
  return *state >> 8;
}

/* Half of the files meet wild bytes, with many NaNs among the floats; the others floats as a network has them. */
static void fill(const dqnn_tensor *tensor, bool wild, uint32_t *state) {
  uint8_t *bytes = tensor->data;
  float *floats = tensor->data;
  if (!wild && tensor->dtype == DQNN_F32) {
    for (uint32_t k = 0; k < tensor->bytes / 4; ++k) {
      floats[k] = (float)((int32_t)(next(state) % 2048) - 1024) / 256.0f;
    }
    return;
  }
  for (uint32_t k = 0; k < tensor->bytes; ++k) {
    uint32_t number = next(state);
    bytes[k] = wild && number % 5 == 0 ? 0xFF : (uint8_t)(number >> 8);
  }
  clear_tails(tensor);
}

/* Rows of an input that is fed, some at a time: how many depends on the file. False: it is not fed. */
static bool feed(const trial *t, uint32_t *state) {
  dqnn_tensor rows;
  bool fed = false;
  for (uint32_t round = t->luck / 128; dqnn_feed(t->it, &rows) == DQNN_OK && rows.dims[0] != 0; ++round) {
    const uint32_t part = 1 + round % rows.dims[0];
    require(dqnn_invoke(t->it) == DQNN_ERROR_NO_INPUT, "invoke before the last row");
    require(dqnn_fed(t->it, rows.dims[0] + 1 + round) == DQNN_ERROR_ARGUMENT, "more rows than there is room for");
    rows.bytes = rows.bytes / rows.dims[0] * part;
    rows.dims[0] = part;
    fill(&rows, t->luck / 64 % 2 != 0, state);
    require(dqnn_fed(t->it, part) == DQNN_OK, "fed");
    fed = true;
  }
  return fed;
}

static void fill_inputs(const trial *t) {
  dqnn_tensor tensor;
  uint32_t state = 12345;
  const bool fed = feed(t, &state);
  for (uint32_t i = 0; !fed && dqnn_input(t->it, i, &tensor) == DQNN_OK; ++i) {
    fill(&tensor, t->luck / 64 % 2 != 0, &state);
  }
}

static uint32_t word_at(const uint8_t *bytes, uint32_t at, uint32_t end, uint8_t dtype) {
  uint32_t word = 0;
  memcpy(&word, bytes + at, end - at < 4 ? end - at : 4);
  bool is_nan = dtype == DQNN_F32 && (word & 0x7FFFFFFF) > 0x7F800000;
  return is_nan ? 0x7FC00000 : word; /* which NaN is left open */
}

static void compare(const dqnn_tensor *tensor, uint32_t port, const uint8_t *wanted, const char *who) {
  for (uint32_t k = 0; k < tensor->bytes; k += 4) {
    if (word_at(tensor->data, k, tensor->bytes, tensor->dtype) != word_at(wanted, k, tensor->bytes, tensor->dtype)) {
      (void)fprintf(stderr, "%s and ref differ: output %u, byte %u of %u\n", who, (unsigned)port, (unsigned)k,
                    (unsigned)tensor->bytes);
      abort();
    }
  }
}

/* Keeps the outputs as what is expected, or compares them with it. */
static void judge(const trial *t, bool keep, const char *who) {
  dqnn_tensor tensor;
  uint32_t at = 0;
  for (uint32_t i = 0; dqnn_output(t->it, i, &tensor) == DQNN_OK && tensor.bytes <= sizeof expected - at; ++i) {
    if (keep || t->open) {
      memcpy(expected + at, tensor.data, tensor.bytes);
    } else {
      compare(&tensor, i, expected + at, who);
    }
    at += tensor.bytes;
  }
}

/* ---- running ---- */

/* The payload's checksum is not computed again and again. */
static dqnn_options options_for(trial *t, uint32_t isa_mask) {
  return (dqnn_options){.kernels = kernels,
                        .kernel_count = kernel_count,
                        .isa_mask = isa_mask,
                        .flags = DQNN_FLAG_SKIP_PAYLOAD_CHECKSUM,
                        .profile = on_node,
                        .profile_context = t,
                        .segments = &dqnn_fed_strips};
}

/* Which instruction sets the chosen variants belong to; counts them as run. */
static uint32_t chosen(const trial *t) {
  dqnn_node_info node;
  uint32_t mask = 0;
  for (uint32_t i = 0; dqnn_node(t->it, i, &node) == DQNN_OK; ++i) {
    mask |= 1u << node.isa;
    ++runs[variant_of[node.kernel][node.isa]];
  }
  return mask;
}

/* The state behind the arena is the interpreter's own: no kernel writes to it. Segments do, to their table behind it.
 */
static void invoke(trial *t) {
  uint8_t before[256];
  uint32_t bytes = (uint32_t)(sizeof(dqnn_interpreter) + t->need.nodes * sizeof(void *));
  bytes = bytes < sizeof before ? bytes : sizeof before;
  memcpy(before, memory + t->need.arena_bytes, bytes);
  fill_inputs(t);
  require(dqnn_invoke(t->it) == DQNN_OK, "invoke failed");
  require(memcmp(before, memory + t->need.arena_bytes, bytes) == 0, "a kernel wrote to the state");
}

/* Init zeroes the arena; kernels must not need that. MemorySanitizer takes it for never written. */
static void soil(const trial *t) {
  memset(memory, 0xA5, t->need.arena_bytes);
  __msan_poison(memory, t->need.arena_bytes);
}

static void run_ref(trial *t) {
  dqnn_options options = options_for(t, 1u << DQNN_ISA_ref);
  require(dqnn_init(&t->it, memory, t->need.memory_bytes, t->file.bytes, t->file.size, &options, NULL) == DQNN_OK,
          "ref refuses");
  (void)chosen(t);
  soil(t);
  invoke(t);
  judge(t, true, "ref");
}

static void run_isa(trial *t, uint32_t isa) {
  dqnn_options options = options_for(t, 1u << isa);
  require(dqnn_init(&t->it, memory, t->need.memory_bytes, t->file.bytes, t->file.size, &options, NULL) == DQNN_OK,
          "a variant refuses");
  if ((chosen(t) & 1u << isa) != 0) {
    soil(t);
    invoke(t);
    judge(t, false, dqnn_isa_name(isa));
  }
}

/* The instruction sets that a file's kernels have variants for. */
static uint32_t isas_of(const trial *t) {
  uint32_t mask = 0;
  for (uint32_t i = 0; i < kernel_count; ++i) {
    uint32_t kernel = kernels[i]->id;
    mask |= (t->model.prefix->kernels[kernel / 32] >> kernel % 32 & 1u) << kernels[i]->isa;
  }
  return mask & isas;
}

static void run_others(trial *t) {
  uint32_t wanted = isas_of(t);
  for (uint32_t isa = DQNN_ISA_ref + 1; isa < DQNN_ISA_NUMBER; ++isa) {
    if ((wanted >> isa & 1u) != 0) {
      run_isa(t, isa);
    }
  }
}

/* ---- everything that can be asked ---- */

static uint32_t touch(const void *bytes, size_t count) {
  const uint8_t *b = bytes;
  uint32_t sum = 0;
  for (size_t i = 0; i < count; ++i) {
    sum += b[i];
  }
  return sum;
}

static void ask_ports(const dqnn_interpreter *it, const dqnn_model_info *info) {
  dqnn_tensor tensor;
  for (uint32_t i = 0; i < info->inputs; ++i) {
    require(dqnn_input(it, i, &tensor) == DQNN_OK && strlen(tensor.name) < info->file_bytes, "input");
  }
  for (uint32_t i = 0; i < info->outputs; ++i) {
    require(dqnn_output(it, i, &tensor) == DQNN_OK && strlen(tensor.name) < info->file_bytes, "output");
  }
  for (uint32_t i = 0; i < info->tensors; ++i) {
    require(dqnn_tensor_at(it, i, &tensor) == DQNN_OK, "tensor");
    uint8_t *data = tensor.data;
    require(data >= info->arena && tensor.bytes <= (size_t)(info->arena + info->arena_bytes - data),
            "a tensor's place");
  }
  require(dqnn_input(it, info->inputs, &tensor) == DQNN_ERROR_ARGUMENT, "an input too many");
  require(dqnn_output(it, info->outputs, &tensor) == DQNN_ERROR_ARGUMENT, "an output too many");
  require(dqnn_tensor_at(it, info->tensors, &tensor) == DQNN_ERROR_ARGUMENT, "a tensor too many");
}

static void ask_nodes(const dqnn_interpreter *it, const dqnn_model_info *info) {
  dqnn_node_info node;
  for (uint32_t i = 0; i < info->nodes; ++i) {
    require(dqnn_node(it, i, &node) == DQNN_OK && strlen(node.layer) < info->file_bytes, "node");
    for (uint32_t k = 0; k < node.input_count; ++k) {
      require(node.inputs[k] < info->tensors, "a node's input");
    }
    require(node.output < info->tensors && node.scratch_bytes <= info->arena_bytes - node.scratch_offset,
            "a node's output or scratch");
    require(strcmp(dqnn_kernel_name(node.kernel), "unknown") != 0, "a node's kernel");
  }
  require(dqnn_node(it, info->nodes, &node) == DQNN_ERROR_ARGUMENT, "a node too many");
}

static void ask(const trial *t) {
  dqnn_model_info info;
  require(dqnn_model_of(t->it, &info) == DQNN_OK, "model_of");
  require(strlen(info.name) < info.file_bytes && strlen(info.producer) < info.file_bytes, "names");
  require(info.arena_bytes + info.state_bytes == t->need.memory_bytes && info.arena == memory, "sizes");
  ask_ports(t->it, &info);
  ask_nodes(t->it, &info);
}

typedef struct {
  const trial *trial;
  bool answer;
  uint32_t calls, sum;
} signature_state;

static bool on_signature(void *context, const void *file, size_t file_bytes, const void *signature,
                         size_t signature_bytes) {
  signature_state *s = context;
  require(file == s->trial->file.bytes && (signature != NULL) == (signature_bytes != 0 || signature != NULL),
          "signature");
  require(file_bytes <= s->trial->file.size && signature_bytes <= s->trial->file.size - file_bytes,
          "the signature's place");
  s->sum += touch(file, file_bytes) + (signature != NULL ? touch(signature, signature_bytes) : 0);
  ++s->calls;
  return s->answer;
}

/* A hook that accepts changes nothing; one that refuses is the only reason for a refusal. */
static void try_signatures(trial *t, dqnn_status verified) {
  for (int answer = 0; answer < 2; ++answer) {
    signature_state state = {.trial = t, .answer = answer != 0};
    dqnn_options options = options_for(t, 0);
    options.signature = on_signature;
    options.signature_context = &state;
    dqnn_status status = dqnn_verify(t->file.bytes, t->file.size, &options, NULL);
    require(state.calls <= 1 && (state.calls == 1 || status == verified), "the hook was left out");
    require(state.calls == 0 || status == (state.answer ? verified : DQNN_ERROR_SIGNATURE), "the hook's answer");
  }
}

/* Only some of the variants: the file runs as ever, or lacks a kernel. */
static void try_subset(trial *t) {
  static const dqnn_variant *some[MOST_VARIANTS];
  uint32_t state = t->luck, count = 0;
  for (uint32_t i = 0; i < kernel_count; ++i) {
    if (next(&state) % 3 != 0 && (isas >> kernels[i]->isa & 1u) != 0) {
      some[count++] = kernels[i];
    }
  }
  dqnn_options options = options_for(t, 0);
  options.kernels = some;
  options.kernel_count = count;
  dqnn_status status = dqnn_init(&t->it, memory, t->need.memory_bytes, t->file.bytes, t->file.size, &options, NULL);
  require(status == DQNN_OK || status == DQNN_ERROR_KERNEL_MISSING, "a kernel set changed the verdict");
  if (status == DQNN_OK) {
    invoke(t);
    judge(t, false, "a kernel set");
  }
}

/* A hostile file may hold any number of tests, each of which is a run. */
static void try_self_tests(trial *t) {
  const uint32_t most = 4;
  uint32_t there, told;
  (void)dqnn_fb_vector(t->model.root, DQNN_MODEL_SELF_TESTS, &there);
  if (there <= most) {
    dqnn_status status = dqnn_self_test(t->it, &told);
    require(status == DQNN_OK || status == DQNN_ERROR_SELF_TEST || status == DQNN_ERROR_STRUCTURE, "self-tests");
    require(told == there && (told != 0 || status == DQNN_OK), "the number of self-tests");
  }
}

/* A little less of the file, of the memory, of the time that checking takes. */
static void try_less(trial *t) {
  dqnn_options options = options_for(t, 0);
  uint32_t total = t->model.prefix->total_bytes;
  require(dqnn_verify(t->file.bytes, total - 1, &options, NULL) == DQNN_ERROR_TRUNCATED, "a truncated file");
  dqnn_status status = dqnn_init(&t->it, memory, t->need.memory_bytes - 1, t->file.bytes, t->file.size, &options, NULL);
  require(status == DQNN_ERROR_MEMORY && t->it == NULL, "too little memory");
  options.work_limit = 1 + t->luck / 4 % 64;
  status = dqnn_verify(t->file.bytes, t->file.size, &options, NULL);
  require(status == DQNN_OK || status == DQNN_ERROR_WORK, "a limit changed the verdict");
}

/* ---- the whole ---- */

/* Sizes and verdict, without any memory. Where the payload's checksum is wrong, the rest must be safe to look at
 * nevertheless. */
static dqnn_status examine(trial *t, dqnn_status *sized) {
  dqnn_options options = options_for(t, 0);
  dqnn_fault fault;
  *sized = dqnn_requirements_of(t->file.bytes, t->file.size, &t->need);
  options.flags = *sized == DQNN_OK ? options.flags : 0;
  dqnn_status verified = dqnn_verify(t->file.bytes, t->file.size, &options, &fault);
  require(*sized == DQNN_OK || *sized == verified, "requirements and verify disagree");
  require(strcmp(dqnn_status_name(verified), "unknown") != 0, "a status without name");
  require(strcmp(dqnn_check_name(fault.check), "unknown") != 0, "a check without name");
  if (verified == DQNN_ERROR_CHECKSUM) {
    options.flags = DQNN_FLAG_SKIP_PAYLOAD_CHECKSUM;
    (void)dqnn_verify(t->file.bytes, t->file.size, &options, &fault);
  }
  return verified;
}

/* A refusal leaves no handle. */
static void refuse(trial *t, dqnn_status verified) {
  dqnn_options options = options_for(t, 0);
  options.flags = verified == DQNN_ERROR_CHECKSUM ? 0 : options.flags;
  ASAN_UNPOISON_MEMORY_REGION(memory, 256);
  dqnn_status status = dqnn_init(&t->it, memory, 256, t->file.bytes, t->file.size, &options, NULL);
  ASAN_POISON_MEMORY_REGION(memory, 256);
  require(status != DQNN_OK && t->it == NULL, "a handle after a failure");
  require(status == verified || status == DQNN_ERROR_MEMORY, "verify and init disagree");
}

static void accept(trial *t) {
  ASAN_UNPOISON_MEMORY_REGION(memory, t->need.memory_bytes);
  run_ref(t);
  ask(t);
  run_others(t);
  if (t->luck % 4 == 1) {
    try_subset(t);
  }
  if (t->luck % 4 == 2) {
    try_less(t);
  }
  if (t->luck % 4 == 3) {
    try_self_tests(t);
  }
  ASAN_POISON_MEMORY_REGION(memory, t->need.memory_bytes);
}

static uint32_t luck_of(blob file) {
  uint32_t hash = 2166136261u;
  for (uint32_t i = 0; i < file.size && i < sizeof(dqnn_prefix); ++i) { /* its checksums depend on all of the file */
    hash = (hash ^ file.bytes[i]) * 16777619u;
  }
  return hash >> 8;
}

static safely_result run(blob file, bool invoked, double most) {
  trial t = {.file = file, .luck = luck_of(file)};
  dqnn_status sized, verified;
  prepare();
  verified = examine(&t, &sized);
  if (sized == DQNN_OK) {
    if (t.luck % 4 == 0) {
      try_signatures(&t, verified);
    }
    const dqnn_options options = {.flags = DQNN_FLAG_SKIP_PAYLOAD_CHECKSUM};
    require(dqnn_model_open(&t.model, file.bytes, file.size, &options) == DQNN_OK, "opened before");
  }
  if (t.luck / 8 % SAFELY_PATIENCE == 0 && most < SAFELY_MUCH_WORK) {
    most = SAFELY_MUCH_WORK;
  }
  invoked = invoked && verified == DQNN_OK && affordable(&t, most);
  if (invoked) {
    accept(&t);
  } else if (verified != DQNN_OK) {
    refuse(&t, verified);
  }
  return (safely_result){verified == DQNN_OK, invoked};
}

safely_result safely_run(blob file, bool invoke) {
  return run(file, invoke, SAFELY_WORK);
}

safely_result safely_run_patiently(blob file) {
  return run(file, true, SAFELY_ANY_WORK);
}
