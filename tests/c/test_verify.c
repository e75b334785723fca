/* What a sound structure may not say: one case per check of checks.def that verify.c makes, each a single edit of
 * floats.dqnn, and the fault report that comes with it. */
#include <string.h>

#include "blob.h"
#include "stubs.h"
#include "test.h"

typedef struct {
  const char *name;
  void (*edit)(blob b);
  dqnn_status status;
  uint16_t check, node, tensor; /* expected in the fault */
} verify_case;

#define NO DQNN_NONE
#define TENSOR_CASE(name, edit, check, tensor) \
  { name, edit, DQNN_ERROR_TENSOR, DQNN_CHECK_##check, NO, tensor }
#define GRAPH_CASE(name, edit, check, node, tensor) \
  { name, edit, DQNN_ERROR_GRAPH, DQNN_CHECK_##check, node, tensor }

static void nothing(blob b) {
  (void)b;
}
static void dtype(blob b) {
  blob_tensor(b, 5)->dtype = 3;
}
static void tensor_rows(blob b) {
  blob_tensor(b, 5)->rows = 5; /* of 2 */
}
static void rank_zero(blob b) {
  blob_tensor(b, 0)->rank = 0;
}
static void rank_five(blob b) {
  blob_tensor(b, 0)->rank = 5;
}
static void rank_low(blob b) {
  blob_tensor(b, 3)->rank = 1;
}
static void dim_zero(blob b) {
  blob_tensor(b, 3)->dims[0] = 0;
}
static void dim_last_zero(blob b) {
  blob_tensor(b, 3)->dims[1] = 0;
}
static void dims_wrap(blob b) {
  blob_tensor(b, 3)->dims[0] = blob_tensor(b, 3)->dims[1] = 0x10000;
}
static void dims_huge(blob b) {
  blob_tensor(b, 3)->dims[0] = blob_tensor(b, 3)->dims[1] = UINT32_MAX;
}
static void dims_bytes(blob b) {
  blob_tensor(b, 0)->dims[0] = 0x20000000;
}
static void dims_bits(blob b) {
  dqnn_tensor_def *t = blob_tensor(b, 3);
  t->dtype = DQNN_S1; /* 2^28 bytes, but 2^31 elements */
  t->dims[0] = 0x04000000;
  t->dims[1] = 32;
}
static void scale_zero(blob b) {
  blob_tensor(b, 1)->scale = 0.0f;
}
static void scale_two(blob b) {
  blob_tensor(b, 1)->scale = 2.0f;
}
static void zero_point(blob b) {
  blob_tensor(b, 1)->zero_point = 1;
}
static void s8(blob b, float scale, int32_t zero) {
  dqnn_tensor_def *t = blob_tensor(b, 4);
  t->dtype = DQNN_S8;
  t->scale = scale;
  t->zero_point = zero;
}
static void s8_scale_zero(blob b) {
  s8(b, 0.0f, 0);
}
static void s8_scale_negative(blob b) {
  s8(b, -1.0f, 0);
}
static void s8_scale_infinite(blob b) {
  s8(b, (float)1e300, 0);
}
static void s8_scale_nan(blob b) {
  s8(b, 1.0f, 0);
  memset(&blob_tensor(b, 4)->scale, 0x7F, 3);
  ((uint8_t *)&blob_tensor(b, 4)->scale)[3] = 0x7F;
  blob_set32((uint8_t *)&blob_tensor(b, 4)->scale, 0x7FC00000);
}
static void s8_zero_low(blob b) {
  s8(b, 1.0f, -129);
}
static void s8_zero_high(blob b) {
  s8(b, 1.0f, 128);
}
static void place_odd(blob b) {
  blob_tensor(b, 5)->offset = 88;
}
static void place_late(blob b) {
  blob_tensor(b, 5)->offset = 112;
}
static void place_wraps(blob b) {
  blob_tensor(b, 5)->offset = 0xFFFFFFF0;
}
static void arena_small(blob b) {
  blob_prefix(b)->arena_bytes = 112;
}
static void constant_odd(blob b) {
  blob_constant(b, 0)->offset = 4;
}
static void constant_long(blob b) {
  blob_constant(b, 0)->bytes = 17;
}
static void constant_late(blob b) {
  blob_constant(b, 0)->offset = 16;
}
static void constant_wraps(blob b) {
  blob_constant(b, 0)->offset = 0xFFFFFFF0;
}

static void input_port(blob b) {
  blob_set16(blob_port(b, blob_model(b).inputs, 0), 6);
}
static void output_port(blob b) {
  blob_set16(blob_port(b, blob_model(b).outputs, 1), 0xFFFF);
}
static void node_input(blob b) {
  *blob_element(b, 2, DQNN_NODE_INPUTS, 1) = 6;
}
static void node_output(blob b) {
  blob_set16(blob_field(b, 3, DQNN_NODE_OUTPUT), 6);
}
static void node_constant(blob b) {
  *blob_element(b, 3, DQNN_NODE_CONSTANTS, 0) = 1;
}
static void scratch_odd(blob b) {
  blob_set32(blob_field(b, 1, DQNN_NODE_SCRATCH_OFFSET), 100);
}
static void scratch_long(blob b) {
  blob_set32(blob_field(b, 1, DQNN_NODE_SCRATCH_BYTES), 33);
}
static void scratch_wraps(blob b) {
  blob_set32(blob_field(b, 1, DQNN_NODE_SCRATCH_BYTES), 0xFFFFFFF0);
}
static void scratch_on_input(blob b) {
  blob_set32(blob_field(b, 1, DQNN_NODE_SCRATCH_OFFSET), 16);
}
static void scratch_on_output(blob b) {
  blob_set32(blob_field(b, 1, DQNN_NODE_SCRATCH_OFFSET), 48);
}
static void scratch_on_live(blob b) {
  blob_set32(blob_field(b, 2, DQNN_NODE_SCRATCH_OFFSET), 96); /* between definition and use of nothing: fine */
  blob_set32(blob_field(b, 2, DQNN_NODE_SCRATCH_BYTES), 32);
  blob_set32(blob_field(b, 3, DQNN_NODE_SCRATCH_OFFSET), 32); /* on tensor 3, which is a model output */
  blob_set32(blob_field(b, 3, DQNN_NODE_SCRATCH_BYTES), 1);
}
static void output_on_second(blob b) {
  blob_tensor(b, 4)->offset = 0;
}
static void output_shifted(blob b) {
  blob_tensor(b, 5)->offset = 80;
}
static void undefined(blob b) {
  *blob_element(b, 0, DQNN_NODE_INPUTS, 0) = 3;
}
static void own_output(blob b) {
  *blob_element(b, 2, DQNN_NODE_INPUTS, 1) = 4;
}
static void output_never(blob b) {
  blob_tensor(b, 5)->offset = 64; /* node 3 in place; then port 1 asks for a tensor that no node writes */
  blob_set16(blob_port(b, blob_model(b).outputs, 1), 4);
}
static void overwritten(blob b) {
  *blob_element(b, 2, DQNN_NODE_INPUTS, 1) = 0;
}
static void overwritten_by_scratch(blob b) {
  blob_set32(blob_field(b, 0, DQNN_NODE_SCRATCH_OFFSET), 32);
  blob_set32(blob_field(b, 0, DQNN_NODE_SCRATCH_BYTES), 32);
  blob_tensor(b, 2)->offset = 32;
  blob_tensor(b, 3)->offset = 64;
  blob_tensor(b, 4)->offset = 96;
  blob_tensor(b, 5)->offset = 0;
}
static void unlist(blob b, uint32_t kernel) {
  blob_prefix(b)->kernels[kernel / 32] &= ~(1u << kernel % 32);
}
static void params_other(blob b) {
  blob_set16(blob_field(b, 3, DQNN_NODE_KERNEL), STUB_UNARY);
  unlist(b, STUB_PRELU);
}
static void params_surplus(blob b) {
  blob_set16(blob_field(b, 0, DQNN_NODE_KERNEL), STUB_SOFTMAX);
  unlist(b, STUB_UNARY);
}
static void bitmap_more(blob b) {
  blob_prefix(b)->kernels[0] |= 1;
}
static void bitmap_less(blob b) {
  unlist(b, STUB_UNARY);
}
static void kernel_beyond(blob b) {
  blob_set16(blob_field(b, 0, DQNN_NODE_KERNEL), 192);
}
static void kernel_unknown(blob b) {
  blob_set16(blob_field(b, 3, DQNN_NODE_KERNEL), 191);
  unlist(b, STUB_PRELU);
  blob_prefix(b)->kernels[5] |= 1u << 31;
}

static const verify_case cases[] = {
    {"unchanged", nothing, DQNN_OK, 0, 3, NO},
    TENSOR_CASE("dtype 3", dtype, tensor_dtype, 5),
    TENSOR_CASE("rows", tensor_rows, tensor_rows, 5),
    TENSOR_CASE("rank 0", rank_zero, tensor_rank, 0),
    TENSOR_CASE("rank 5", rank_five, tensor_rank, 0),
    TENSOR_CASE("dimension beyond the rank", rank_low, tensor_rank, 3),
    TENSOR_CASE("dimension 0", dim_zero, tensor_size, 3),
    TENSOR_CASE("last dimension 0", dim_last_zero, tensor_size, 3),
    TENSOR_CASE("dimensions wrap to 0", dims_wrap, tensor_size, 3),
    TENSOR_CASE("dimensions 2^32-1", dims_huge, tensor_size, 3),
    TENSOR_CASE("2^31 bytes", dims_bytes, tensor_size, 0),
    TENSOR_CASE("2^31 elements of s1", dims_bits, tensor_size, 3),
    TENSOR_CASE("f32 scale 0", scale_zero, tensor_quantization, 1),
    TENSOR_CASE("f32 scale 2", scale_two, tensor_quantization, 1),
    TENSOR_CASE("f32 zero point", zero_point, tensor_quantization, 1),
    TENSOR_CASE("s8 scale 0", s8_scale_zero, tensor_quantization, 4),
    TENSOR_CASE("s8 scale negative", s8_scale_negative, tensor_quantization, 4),
    TENSOR_CASE("s8 scale infinite", s8_scale_infinite, tensor_quantization, 4),
    TENSOR_CASE("s8 scale NaN", s8_scale_nan, tensor_quantization, 4),
    TENSOR_CASE("s8 zero point -129", s8_zero_low, tensor_quantization, 4),
    TENSOR_CASE("s8 zero point 128", s8_zero_high, tensor_quantization, 4),
    TENSOR_CASE("tensor unaligned", place_odd, tensor_place, 5),
    TENSOR_CASE("tensor reaches out of the arena", place_late, tensor_place, 5),
    TENSOR_CASE("tensor offset wraps", place_wraps, tensor_place, 5),
    TENSOR_CASE("arena too small", arena_small, tensor_place, 5),
    TENSOR_CASE("constant unaligned", constant_odd, constant_place, 0),
    TENSOR_CASE("constant too long", constant_long, constant_place, 0),
    TENSOR_CASE("constant behind the data", constant_late, constant_place, 0),
    TENSOR_CASE("constant offset wraps", constant_wraps, constant_place, 0),
    GRAPH_CASE("input port", input_port, port_tensor, NO, 0),
    GRAPH_CASE("output port", output_port, port_tensor, NO, 1),
    GRAPH_CASE("node input index", node_input, tensor_index, 2, NO),
    GRAPH_CASE("node output index", node_output, tensor_index, 3, NO),
    GRAPH_CASE("node constant index", node_constant, constant_index, 3, NO),
    GRAPH_CASE("scratch unaligned", scratch_odd, scratch_place, 1, NO),
    GRAPH_CASE("scratch reaches out of the arena", scratch_long, scratch_place, 1, NO),
    GRAPH_CASE("scratch wraps", scratch_wraps, scratch_place, 1, NO),
    GRAPH_CASE("scratch on the input", scratch_on_input, scratch_overlap, 1, NO),
    GRAPH_CASE("scratch on the output", scratch_on_output, scratch_overlap, 1, NO),
    GRAPH_CASE("scratch on a model output", scratch_on_live, overwritten_before_use, NO, 3),
    GRAPH_CASE("output on input 1", output_on_second, output_overlap, 2, NO),
    GRAPH_CASE("output shifted against input 0", output_shifted, output_overlap, 3, NO),
    GRAPH_CASE("tensor used before its node", undefined, defined_before_use, 0, 3),
    GRAPH_CASE("node reads its own output", own_output, defined_before_use, 2, 4),
    GRAPH_CASE("model output overwritten in place", output_never, overwritten_before_use, NO, 4),
    GRAPH_CASE("tensor used after it was overwritten in place", overwritten, overwritten_before_use, 2, 0),
    GRAPH_CASE("tensor overwritten by scratch", overwritten_by_scratch, overwritten_before_use, 1, 2),
    GRAPH_CASE("no parameters", params_other, params_present, 3, NO),
    GRAPH_CASE("parameters of another family", params_surplus, params_present, 0, NO),
    GRAPH_CASE("bitmap lists an unused kernel", bitmap_more, kernel_bitmap, NO, NO),
    GRAPH_CASE("bitmap lacks a kernel", bitmap_less, kernel_bitmap, NO, NO),
    GRAPH_CASE("kernel id beyond the bitmap", kernel_beyond, kernel_bitmap, NO, NO),
    {"kernel not in the set", kernel_unknown, DQNN_ERROR_KERNEL_MISSING, 0, 3, NO},
};

static dqnn_status verify(blob b, dqnn_fault *fault) {
  dqnn_options options = stub_options();
  return dqnn_verify(b.bytes, b.size, &options, fault);
}

static void test_cases(blob original) {
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
    const verify_case *c = &cases[i];
    blob b = blob_copy(original.bytes, original.size);
    test_label = c->name;
    c->edit(b);
    blob_seal(b);
    dqnn_fault fault;
    CHECK_EQUAL(verify(b, &fault), c->status);
    CHECK_EQUAL(fault.check, c->check);
    CHECK_EQUAL(fault.node, c->node);
    CHECK_EQUAL(fault.tensor, c->tensor);
    blob_free(b);
  }
  test_label = NULL;
}

/* In place, as far as plan() says: node 0 works on 32 shared bytes. */
static void test_in_place(blob b) {
  dqnn_fault fault;
  stubs.overlap_bytes = 32;
  CHECK_EQUAL(verify(b, &fault), DQNN_OK);
  stubs.overlap_bytes = 31;
  CHECK_EQUAL(verify(b, &fault), DQNN_ERROR_GRAPH);
  CHECK_EQUAL(fault.check, DQNN_CHECK_output_overlap);
  CHECK_EQUAL(fault.node, 0);
  stubs_reset();
}

static uint16_t check_parts(blob original, uint32_t first, uint32_t second, uint32_t second_offset) {
  blob b = blob_copy(original.bytes, original.size);
  blob_tensor(b, 4)->offset = 0;
  blob_tensor(b, 4)->dims[0] = 4;
  *blob_element(b, 2, DQNN_NODE_INPUTS, 0) = (uint16_t)first;
  *blob_element(b, 2, DQNN_NODE_INPUTS, 1) = (uint16_t)second;
  blob_tensor(b, 3)->offset = second_offset;
  blob_set16(blob_port(b, blob_model(b).outputs, 1), 5); /* tensor 3 may die at node 2 */
  blob_seal(b);
  dqnn_fault fault;
  dqnn_status status = verify(b, &fault);
  CHECK_EQUAL(status, fault.check == 0 ? DQNN_OK : DQNN_ERROR_GRAPH);
  CHECK_EQUAL(fault.node, fault.check == 0 ? 3 : 2);
  blob_free(b);
  return fault.check;
}

/* Node 2 joins tensors 2 (bytes 0..31) and 3 (at 32) to tensor 4 (0..63): only where plan() says that they are its
 * parts, and only in this order and at these places. */
static void test_parts(blob b) {
  CHECK_EQUAL(check_parts(b, 2, 3, 32), DQNN_CHECK_output_overlap);
  stubs.parts = 1;
  CHECK_EQUAL(check_parts(b, 2, 3, 32), 0);
  CHECK_EQUAL(check_parts(b, 2, 3, 64), 0); /* tensor 3 apart: to be copied */
  CHECK_EQUAL(check_parts(b, 2, 3, 48), DQNN_CHECK_output_overlap);
  CHECK_EQUAL(check_parts(b, 3, 2, 32), DQNN_CHECK_output_overlap);
  CHECK_EQUAL(check_parts(b, 2, 2, 64), DQNN_CHECK_output_overlap); /* the second is not at its place */
  stubs_reset();
}

static void test_plan_refuses(blob b) {
  dqnn_fault fault;
  stubs.check = DQNN_CHECK_kind;
  stubs.only = STUB_BINARY;
  CHECK_EQUAL(verify(b, &fault), DQNN_ERROR_KERNEL_PARAM);
  CHECK_EQUAL(fault.check, DQNN_CHECK_kind);
  CHECK_EQUAL(fault.node, 2);
  CHECK_EQUAL(fault.kernel, STUB_BINARY);
  CHECK_EQUAL(stubs.plans, 3);
  stubs_reset();
}

/* Two model inputs on the same bytes. */
static void test_port_overlap(blob original) {
  blob b = blob_copy(original.bytes, original.size);
  dqnn_model model = blob_model(b);
  dqnn_fault fault;
  /* The vector of outputs has two ports: borrow it as the inputs. */
  uint8_t *slot = b.bytes + ((const uint8_t *)dqnn_fb_inline(model.root, DQNN_MODEL_INPUTS) - b.bytes);
  blob_set32(slot, (uint32_t)((const uint8_t *)model.outputs - 4 - slot));
  blob_set16(blob_port(b, model.outputs, 0), 0);
  blob_set16(blob_port(b, model.outputs, 1), 1);
  blob_seal(b);
  CHECK_EQUAL(verify(b, &fault), DQNN_ERROR_GRAPH);
  CHECK_EQUAL(fault.check, DQNN_CHECK_port_overlap);
  blob_free(b);
}

/* More indices than a call has room for. */
static void test_crowded(const char *directory, const char *name, uint16_t check, uint16_t node) {
  blob b = blob_load(directory, name);
  dqnn_fault fault;
  CHECK_EQUAL(verify(b, &fault), DQNN_ERROR_GRAPH);
  CHECK_EQUAL(fault.check, check);
  CHECK_EQUAL(fault.node, node);
  blob_free(b);
}

int main(int argc, char **argv) {
  stubs_reset();
  const char *directory = argc > 1 ? argv[1] : ".";
  blob floats = blob_load(directory, "floats.dqnn");
  test_cases(floats);
  test_in_place(floats);
  test_parts(floats);
  test_plan_refuses(floats);
  test_port_overlap(floats);
  test_crowded(directory, "crowded.dqnn", DQNN_CHECK_tensor_index, 2);
  test_crowded(directory, "constants.dqnn", DQNN_CHECK_constant_index, 3);
  blob_free(floats);
  return test_failures != 0;
}
