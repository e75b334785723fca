/* The public API on sound files: memory, ports, order and pointers of calls, choice of variants, hooks, information,
 * names. */
#include <stdlib.h>
#include <string.h>

#include "blob.h"
#include "stubs.h"
#include "test.h"

/* Memory of exactly the required size, filled with garbage. */
static uint8_t *memory_for(blob b, dqnn_requirements *need) {
  CHECK_EQUAL(dqnn_requirements_of(b.bytes, b.size, need), DQNN_OK);
  void *memory = NULL;
  if (posix_memalign(&memory, DQNN_ALIGNMENT, need->memory_bytes) != 0) {
    abort();
  }
  memset(memory, 0xA5, need->memory_bytes);
  return memory;
}

static void test_requirements(blob b) {
  dqnn_requirements need;
  free(memory_for(b, &need));
  CHECK_EQUAL(need.arena_bytes, 128);
  CHECK_EQUAL(need.memory_bytes, need.arena_bytes + need.state_bytes);
  CHECK_EQUAL(need.nodes, 4);
  CHECK_EQUAL(need.tensors, 6);
  CHECK_EQUAL(need.inputs, 1);
  CHECK_EQUAL(need.outputs, 2);
}

static void test_init_arguments(blob b) {
  dqnn_requirements need;
  uint8_t *memory = memory_for(b, &need);
  dqnn_options options = stub_options();
  dqnn_interpreter *it = (void *)memory;
  size_t bytes = need.memory_bytes;
  CHECK_EQUAL(dqnn_init(NULL, memory, bytes, b.bytes, b.size, &options, NULL), DQNN_ERROR_ARGUMENT);
  CHECK_EQUAL(dqnn_init(&it, NULL, bytes, b.bytes, b.size, &options, NULL), DQNN_ERROR_ARGUMENT);
  CHECK(it == NULL);
  CHECK_EQUAL(dqnn_init(&it, memory, bytes, NULL, b.size, &options, NULL), DQNN_ERROR_ARGUMENT);
  CHECK_EQUAL(dqnn_init(&it, memory, bytes, b.bytes, b.size, NULL, NULL), DQNN_ERROR_ARGUMENT);
  CHECK_EQUAL(dqnn_init(&it, memory + 8, bytes - 8, b.bytes, b.size, &options, NULL), DQNN_ERROR_ALIGNMENT);
  for (size_t less = 0; less < bytes; ++less) {
    it = (void *)memory;
    CHECK_EQUAL(dqnn_init(&it, memory, less, b.bytes, b.size, &options, NULL), DQNN_ERROR_MEMORY);
    CHECK(it == NULL);
  }
  free(memory);
}

/* Too little memory is reported before the graph is looked at, and nothing is written to it. */
static void test_short_memory_is_untouched(blob b) {
  dqnn_options options = stub_options();
  dqnn_interpreter *it;
  uint8_t *memory = NULL;
  if (posix_memalign((void **)&memory, DQNN_ALIGNMENT, 16) != 0) {
    abort();
  }
  memset(memory, 0xA5, 16);
  CHECK_EQUAL(dqnn_init(&it, memory, 16, b.bytes, b.size, &options, NULL), DQNN_ERROR_MEMORY);
  for (int i = 0; i < 16; ++i) {
    CHECK_EQUAL(memory[i], 0xA5);
  }
  stubs.check = DQNN_CHECK_output_shape;
  CHECK_EQUAL(dqnn_verify(b.bytes, b.size, &options, NULL), DQNN_ERROR_KERNEL_SHAPE);
  stubs_reset();
  stubs.check = DQNN_CHECK_output_shape;
  CHECK_EQUAL(dqnn_init(&it, memory, 16, b.bytes, b.size, &options, NULL), DQNN_ERROR_MEMORY);
  CHECK_EQUAL(stubs.plans, 0);
  stubs_reset();
  free(memory);
}

static void test_ports(const dqnn_interpreter *it, uint8_t *memory) {
  dqnn_tensor t;
  CHECK_EQUAL(dqnn_input(it, 0, &t), DQNN_OK);
  CHECK(t.data == memory && strcmp(t.name, "x") == 0);
  CHECK(t.rank == 1 && t.dims[0] == 8 && t.dims[3] == 1 && t.bytes == 32 && t.dtype == DQNN_F32);
  CHECK_EQUAL(dqnn_output(it, 1, &t), DQNN_OK);
  CHECK(t.data == memory + 32 && strcmp(t.name, "probabilities") == 0);
  CHECK(t.rank == 2 && t.dims[0] == 2 && t.dims[1] == 4 && t.zero_point == 0);
  CHECK_EQUAL(dqnn_input(it, 1, &t), DQNN_ERROR_ARGUMENT);
  CHECK_EQUAL(dqnn_output(it, 2, &t), DQNN_ERROR_ARGUMENT);
  CHECK_EQUAL(dqnn_output(it, 0, NULL), DQNN_ERROR_ARGUMENT);
  CHECK_EQUAL(dqnn_input(NULL, 0, &t), DQNN_ERROR_ARGUMENT);
  CHECK_EQUAL(dqnn_tensor_at(it, 2, &t), DQNN_OK);
  CHECK(t.data == memory && t.rank == 2 && t.name[0] == 0);
  CHECK_EQUAL(dqnn_tensor_at(it, 6, &t), DQNN_ERROR_ARGUMENT);
}

static void test_information(const dqnn_interpreter *it, const uint8_t *memory, blob b) {
  dqnn_model_info model;
  CHECK_EQUAL(dqnn_model_of(it, &model), DQNN_OK);
  CHECK(strcmp(model.name, "test") == 0 && strcmp(model.producer, "make_blobs.py") == 0);
  CHECK(model.arena == memory && model.arena_bytes == 128 && model.file_bytes == b.size);
  CHECK(model.model_id == 0x1234 && model.model_version == 7);
  CHECK(model.nodes == 4 && model.tensors == 6 && model.inputs == 1 && model.outputs == 2);
  CHECK_EQUAL(dqnn_model_of(it, NULL), DQNN_ERROR_ARGUMENT);
  dqnn_node_info node;
  CHECK_EQUAL(dqnn_node(it, 1, &node), DQNN_OK);
  CHECK(strcmp(node.layer, "softmax") == 0 && node.kernel == STUB_SOFTMAX && node.isa == DQNN_ISA_portable);
  CHECK(node.input_count == 1 && node.inputs[0] == 2 && node.output == 3);
  CHECK(node.scratch_offset == 96 && node.scratch_bytes == 32);
  CHECK_EQUAL(dqnn_node(it, 4, &node), DQNN_ERROR_ARGUMENT);
}

/* A pointer per node, and little else. */
static void test_state_size(blob b) {
  dqnn_requirements need;
  free(memory_for(b, &need));
  CHECK(need.state_bytes <= sizeof(dqnn_model) + (4 + need.nodes) * sizeof(void *));
}

static void test_calls(uint8_t *memory) {
  CHECK(strcmp(stubs.trace, "uSbp") == 0);
  const dqnn_call *softmax = &stubs.calls[1], *add = &stubs.calls[2], *prelu = &stubs.calls[3];
  CHECK(softmax->in[0] == memory && softmax->out == memory + 32 && softmax->scratch == memory + 96);
  CHECK(softmax->scratch_bytes == 32 && softmax->inputs == 1 && softmax->constant_count == 0);
  CHECK(softmax->params == NULL && softmax->kernel == STUB_SOFTMAX);
  CHECK(add->inputs == 2 && add->in[0] == memory + 32 && add->in[1] == memory && add->out == memory + 64);
  const dqnn_binary_params *params = add->params;
  CHECK(params->kind == DQNN_ADD && params->act_max > 1e38f);
  CHECK(prelu->constant_count == 1 && prelu->constant_bytes[0] == 16);
  CHECK((uintptr_t)prelu->constants[0] % 16 == 0);
  CHECK(((const float *)prelu->constants[0])[2] == 2.0f);
  CHECK(prelu->in_def[0]->dims[1] == 4 && prelu->out_def->offset == 96);
}

typedef struct {
  char events[64];
  int context;
} profile_state;

static void on_profile(void *context, uint32_t node, uint16_t kernel, bool begin) {
  profile_state *p = context;
  size_t length = strlen(p->events);
  p->events[length] = (char)((begin ? 'A' : 'a') + (int)node);
  CHECK(kernel == STUB_UNARY || kernel == STUB_SOFTMAX || kernel == STUB_BINARY || kernel == STUB_PRELU);
}

static void test_run(blob b) {
  dqnn_requirements need;
  uint8_t *memory = memory_for(b, &need);
  profile_state profile = {.context = 1};
  dqnn_options options = stub_options();
  options.profile = on_profile;
  options.profile_context = &profile;
  dqnn_interpreter *it;
  CHECK_EQUAL(dqnn_init(&it, memory, need.memory_bytes, b.bytes, b.size, &options, NULL), DQNN_OK);
  for (uint32_t i = 0; i < need.arena_bytes; ++i) {
    CHECK_EQUAL(memory[i], 0);
  }
  test_ports(it, memory);
  test_information(it, memory, b);
  CHECK_EQUAL(dqnn_invoke(it), DQNN_OK);
  CHECK_EQUAL(dqnn_invoke(NULL), DQNN_ERROR_ARGUMENT);
  test_calls(memory);
  CHECK(strcmp(profile.events, "AaBbCcDd") == 0);
  CHECK_EQUAL(stubs.plans, 4); /* at init only */
  stubs_reset();
  free(memory);
}

/* The state apart: alignment and size of both blocks, each to the byte; nothing behind either is touched, which
 * AddressSanitizer sees. */
static void test_state_apart(blob b) {
  dqnn_requirements need;
  free(memory_for(b, &need));
  blob arena = blob_copy(NULL, need.arena_bytes), state = blob_copy(NULL, need.state_bytes);
  dqnn_options options = stub_options();
  dqnn_interpreter *it;
  dqnn_model_info model;
  options.state = state.bytes;
  options.state_bytes = state.size;
  CHECK_EQUAL(dqnn_init(&it, arena.bytes, arena.size, b.bytes, b.size, &options, NULL), DQNN_OK);
  CHECK((void *)it == state.bytes);
  CHECK_EQUAL(dqnn_model_of(it, &model), DQNN_OK);
  CHECK(model.arena == arena.bytes && model.arena_bytes == arena.size && model.state_bytes == state.size);
  CHECK_EQUAL(dqnn_invoke(it), DQNN_OK);
  test_calls(arena.bytes);
  stubs_reset();
  CHECK_EQUAL(dqnn_init(&it, arena.bytes, arena.size - 1, b.bytes, b.size, &options, NULL), DQNN_ERROR_MEMORY);
  CHECK(it == NULL);
  CHECK_EQUAL(dqnn_init(&it, NULL, arena.size, b.bytes, b.size, &options, NULL), DQNN_ERROR_ARGUMENT);
  options.state_bytes = state.size - 1;
  CHECK_EQUAL(dqnn_init(&it, arena.bytes, 2 * arena.size, b.bytes, b.size, &options, NULL), DQNN_ERROR_MEMORY);
  options.state_bytes = state.size;
  for (uint32_t shift = 1; shift < _Alignof(void *); ++shift) {
    options.state = state.bytes + shift;
    CHECK_EQUAL(dqnn_init(&it, arena.bytes, arena.size, b.bytes, b.size, &options, NULL), DQNN_ERROR_ALIGNMENT);
  }
  CHECK_EQUAL(stubs.plans, 0);
  blob_free(arena);
  blob_free(state);
}

/* Which of softmax's variants (portable, mve, ref) is chosen where they need that much scratch; the file gives 32
 * bytes.
 */
static uint8_t isa_chosen(blob b, uint32_t mask, uint32_t portable, uint32_t mve, const dqnn_variant *const *kernels,
                          uint32_t count) {
  dqnn_requirements need;
  uint8_t *memory = memory_for(b, &need);
  dqnn_options options = {.kernels = kernels, .kernel_count = count, .isa_mask = mask};
  dqnn_interpreter *it;
  dqnn_fault fault;
  dqnn_node_info node = {.isa = 0xFF};
  stubs.scratch_bytes = portable;
  stubs.other_scratch_bytes = mve;
  dqnn_status status = dqnn_init(&it, memory, need.memory_bytes, b.bytes, b.size, &options, &fault);
  if (status == DQNN_OK) {
    CHECK_EQUAL(dqnn_node(it, 1, &node), DQNN_OK);
  } else {
    CHECK_EQUAL(status, DQNN_ERROR_KERNEL_MISSING);
    CHECK_EQUAL(fault.check, DQNN_CHECK_no_variant);
    CHECK_EQUAL(fault.node, 1);
  }
  stubs_reset();
  free(memory);
  return node.isa;
}

static void test_choice(blob b) {
  enum { PORTABLE = 1 << DQNN_ISA_portable, MVE = 1 << DQNN_ISA_mve };
  const dqnn_variant *const *all = stub_kernels;
  CHECK_EQUAL(isa_chosen(b, PORTABLE | MVE, 32, 32, all, STUB_VARIANTS), DQNN_ISA_portable);
  CHECK_EQUAL(isa_chosen(b, MVE, 32, 32, all, STUB_VARIANTS), DQNN_ISA_mve);
  CHECK_EQUAL(isa_chosen(b, 1u << DQNN_ISA_avx2, 32, 32, all, STUB_VARIANTS), DQNN_ISA_ref);
  CHECK_EQUAL(isa_chosen(b, 1u << DQNN_ISA_ref, 32, 32, all, STUB_VARIANTS), DQNN_ISA_ref);
  /* each variant by its own need: what the best one asks for takes nothing from the next */
  CHECK_EQUAL(isa_chosen(b, PORTABLE | MVE, 33, 32, all, STUB_VARIANTS), DQNN_ISA_mve);
  CHECK_EQUAL(isa_chosen(b, PORTABLE | MVE, UINT32_MAX, 0, all, STUB_VARIANTS), DQNN_ISA_mve);
  CHECK_EQUAL(isa_chosen(b, PORTABLE | MVE, 0, 33, all, STUB_VARIANTS), DQNN_ISA_portable);
  CHECK_EQUAL(isa_chosen(b, PORTABLE | MVE, 33, 33, all, STUB_VARIANTS), DQNN_ISA_ref);
  CHECK_EQUAL(isa_chosen(b, MVE, 0, 33, all, STUB_VARIANTS), DQNN_ISA_ref);
  /* by default nothing that the processor lacks, whatever the set has; asked for, it is */
  uint8_t best = (dqnn_host_isas() & PORTABLE) != 0 ? DQNN_ISA_portable : DQNN_ISA_ref;
  CHECK_EQUAL(isa_chosen(b, 0, 32, 32, all, STUB_VARIANTS), best);
  CHECK((dqnn_host_isas() & 1u << DQNN_ISA_ref) != 0 && (dqnn_host_isas() & MVE) == 0);
  CHECK_EQUAL(isa_chosen(b, 0, 33, 0, all, STUB_VARIANTS), DQNN_ISA_ref);
  CHECK_EQUAL(isa_chosen(b, MVE, 33, 0, all, STUB_VARIANTS), DQNN_ISA_mve);
  const dqnn_variant *const no_ref[] = {stub_kernels[0], stub_kernels[1], stub_kernels[2], stub_kernels[5]};
  CHECK_EQUAL(isa_chosen(b, PORTABLE, 32, 32, no_ref, 4), DQNN_ISA_portable);
  CHECK_EQUAL(isa_chosen(b, PORTABLE, 33, 32, no_ref, 4), 0xFF);
  CHECK_EQUAL(isa_chosen(b, MVE, 32, 32, no_ref, 4), 0xFF);
}

static void test_names(void) {
  CHECK_EQUAL(dqnn_version(), DQNN_VERSION);
  CHECK(strcmp(dqnn_status_name(DQNN_ERROR_KERNEL_SHAPE), "kernel_shape") == 0);
  CHECK(strcmp(dqnn_status_str(DQNN_OK), "success") == 0);
  CHECK(strcmp(dqnn_status_name((dqnn_status)0x7F), "unknown") == 0);
  CHECK(strcmp(dqnn_check_name(DQNN_CHECK_none), "none") == 0);
  CHECK(strcmp(dqnn_check_name(DQNN_CHECK_defined_before_use), "defined_before_use") == 0);
  CHECK(strstr(dqnn_check_str(DQNN_CHECK_output_overlap), "output") != NULL);
  CHECK(strcmp(dqnn_check_name(DQNN_CHECK_COUNT), "unknown") == 0);
  CHECK(strcmp(dqnn_isa_name(DQNN_ISA_mve), "mve") == 0);
  CHECK(strcmp(dqnn_kernel_name(STUB_SOFTMAX), "softmax_f32") == 0);
  CHECK(strcmp(dqnn_kernel_name(DQNN_NONE), "unknown") == 0);
  for (uint32_t check = 0; check < DQNN_CHECK_COUNT; ++check) {
    CHECK(strcmp(dqnn_check_name(check), "unknown") != 0);
  }
}

int main(int argc, char **argv) {
  blob floats = blob_load(argc > 1 ? argv[1] : ".", "floats.dqnn");
  stubs_reset();
  test_requirements(floats);
  test_init_arguments(floats);
  test_short_memory_is_untouched(floats);
  stubs_reset();
  test_run(floats);
  test_state_apart(floats);
  test_choice(floats);
  test_state_size(floats);
  test_names();
  blob_free(floats);
  return test_failures != 0;
}
