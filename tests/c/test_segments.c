/* Segments (SPEC.md section 5): a file whose nodes run for some rows at a time gives the bytes of the same nodes run
 * once, in a third of the arena; what would read or write where it may not is refused, and so is every change of the
 * plan that does not keep all rows; what is accepted runs inside its memory and gives the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "dqnn/dqnn_kernels.h"
#include "plans.h"
#include "segments.h"

enum { BYTES_OUT = 128, NO = DQNN_NONE };

static dqnn_options options_with(const dqnn_segments *segments) {
  return (dqnn_options){.kernels = dqnn_all_kernels, .kernel_count = dqnn_all_kernel_count, .segments = segments};
}

/* Outputs of the file for some image, in a heap block of exactly the memory it asks for. */
static dqnn_status run(blob b, dqnn_options options, uint8_t *out, dqnn_fault *fault) {
  dqnn_requirements need;
  dqnn_interpreter *it = NULL;
  dqnn_tensor t;
  void *memory = NULL;
  CHECK_EQUAL(dqnn_requirements_of(b.bytes, b.size, &need), DQNN_OK);
  if (posix_memalign(&memory, DQNN_ALIGNMENT, need.memory_bytes) != 0) {
    abort();
  }
  dqnn_status status = dqnn_init(&it, memory, need.memory_bytes, b.bytes, b.size, &options, fault);
  for (int round = 0; status == DQNN_OK && round < 2; ++round) { /* the second one finds what the first one left */
    CHECK_EQUAL(dqnn_input(it, 0, &t), DQNN_OK);
    for (uint32_t i = 0; i < t.bytes; ++i) {
      ((uint8_t *)t.data)[i] = (uint8_t)(i * 37 + i / 13);
    }
    CHECK_EQUAL(dqnn_invoke(it), DQNN_OK);
    CHECK_EQUAL(dqnn_output(it, 0, &t), DQNN_OK);
    if (t.bytes == BYTES_OUT) {
      memcpy(out, t.data, BYTES_OUT);
    }
  }
  free(memory);
  return status;
}

static void test_same_bytes(const char *directory) {
  blob parts = blob_load(directory, "segments.dqnn"), whole = blob_load(directory, "whole.dqnn");
  uint8_t out[2][BYTES_OUT];
  dqnn_fault fault;
  CHECK_EQUAL(run(whole, options_with(NULL), out[0], &fault), DQNN_OK);
  CHECK_EQUAL(run(parts, options_with(&dqnn_strips), out[1], &fault), DQNN_OK);
  CHECK(memcmp(out[0], out[1], BYTES_OUT) == 0);
  CHECK_EQUAL(blob_prefix(parts)->arena_bytes, 352);
  CHECK_EQUAL(blob_prefix(whole)->arena_bytes, 1024);
  blob_free(parts);
  blob_free(whole);
}

/* Its state then has no room for the table, and what memory ends with is the state. */
static void test_no_longest_segment(const char *directory) {
  blob parts = blob_load(directory, "segments.dqnn");
  uint8_t out[BYTES_OUT];
  dqnn_options options = options_with(&dqnn_strips);
  dqnn_fault fault, verified;
  *(uint16_t *)(uintptr_t)dqnn_fb_inline(blob_model(parts).root, DQNN_MODEL_LONGEST_SEGMENT) = 0;
  blob_seal(parts);
  dqnn_status status = dqnn_verify(parts.bytes, parts.size, &options, &verified);
  CHECK(status != DQNN_OK);
  CHECK_EQUAL(run(parts, options, out, &fault), status);
  CHECK_EQUAL(fault.check, verified.check);
  blob_free(parts);
}

static void test_state(const char *directory) {
  blob parts = blob_load(directory, "segments.dqnn"), whole = blob_load(directory, "whole.dqnn");
  dqnn_requirements with, without;
  CHECK_EQUAL(dqnn_requirements_of(parts.bytes, parts.size, &with), DQNN_OK);
  CHECK_EQUAL(dqnn_requirements_of(whole.bytes, whole.size, &without), DQNN_OK);
  CHECK_EQUAL(with.state_bytes - without.state_bytes, dqnn_segment_bytes(3));
  blob_free(parts);
  blob_free(whole);
}

static void test_without_the_object(const char *directory) {
  blob b = blob_load(directory, "segments.dqnn");
  dqnn_options options = options_with(NULL);
  dqnn_fault fault;
  CHECK_EQUAL(dqnn_verify(b.bytes, b.size, &options, &fault), DQNN_ERROR_SEGMENTS);
  blob_free(b);
}

static uint32_t begun[4], ended[4];

static void count(void *context, uint32_t node, uint16_t kernel, bool begin) {
  (void)context, (void)kernel;
  ++(begin ? begun : ended)[node];
}

static void test_profile(const char *directory) {
  static const uint32_t calls[4] = {8, 8, 8, 1}; /* 2, 2, 1 and all rows at a time */
  blob b = blob_load(directory, "segments.dqnn");
  dqnn_options options = options_with(&dqnn_strips);
  uint8_t out[BYTES_OUT];
  dqnn_fault fault;
  options.profile = count;
  CHECK_EQUAL(run(b, options, out, &fault), DQNN_OK);
  for (uint32_t i = 0; i < 4; ++i) {
    CHECK(begun[i] >= 2 * calls[i]); /* runs twice */
    CHECK_EQUAL(begun[i], ended[i]);
  }
  CHECK_EQUAL(begun[3], 2);
  blob_free(b);
}

/* ---- files that are refused ---- */

static void node16(blob b, uint32_t node, uint32_t slot, uint32_t value) {
  blob_set16(blob_field(b, node, slot), value);
}

static void more_rows_than_there_are(blob b) {
  blob_tensor(b, 1)->rows = 17;
}
static void no_segment_begins(blob b) {
  node16(b, 0, DQNN_NODE_SEGMENT, 0);
}
static void longer_than_the_model_says(blob b) {
  node16(b, 0, DQNN_NODE_SEGMENT, 4);
}
static void too_long(blob b) {
  node16(b, 0, DQNN_NODE_SEGMENT, 33);
}
static void begins_inside(blob b) {
  node16(b, 1, DQNN_NODE_SEGMENT, 1);
}
static void rows_outside(blob b) {
  node16(b, 3, DQNN_NODE_ROWS, 1);
}
static void behind_the_last(blob b) {
  node16(b, 3, DQNN_NODE_ROWS, 1);
  node16(b, 3, DQNN_NODE_SEGMENT, 2);
}
static void no_rows(blob b) {
  node16(b, 1, DQNN_NODE_ROWS, 0);
}
static void too_few_rows(blob b) {
  blob_tensor(b, 1)->rows = 2; /* of a window of 3 */
}
static void strip_outside(blob b) {
  *blob_element(b, 3, DQNN_NODE_INPUTS, 0) = 2;
}
static void strip_enters(blob b) {
  blob_tensor(b, 0)->rows = 4;
}
static void strip_leaves(blob b) {
  blob_set16(blob_port(b, blob_model(b).outputs, 0), 2);
}
static void reads_the_future(blob b) {
  *blob_element(b, 0, DQNN_NODE_INPUTS, 0) = 2;
}
static void reads_itself(blob b) {
  *blob_element(b, 0, DQNN_NODE_INPUTS, 0) = 1;
}
static void strips_meet(blob b) {
  blob_tensor(b, 2)->offset = 304;
}
static void strip_on_what_enters(blob b) {
  blob_tensor(b, 1)->offset = 240;
}
static void leaves_on_a_strip(blob b) {
  blob_tensor(b, 3)->offset = 224;
}
static void leaves_on_living_rows(blob b) {
  blob_tensor(b, 3)->offset = 80;
}
static void scratch_on_a_strip(blob b) { /* of another node */
  blob_set32(blob_field(b, 0, DQNN_NODE_SCRATCH_OFFSET), 320);
  blob_set32(blob_field(b, 0, DQNN_NODE_SCRATCH_BYTES), 16);
}
static void scratch_on_what_enters(blob b) {
  blob_set32(blob_field(b, 1, DQNN_NODE_SCRATCH_OFFSET), 0);
  blob_set32(blob_field(b, 1, DQNN_NODE_SCRATCH_BYTES), 16);
}
static void overwritten_before(blob b) { /* node 3 leads, and writes on what the segment reads */
  *blob_element(b, 3, DQNN_NODE_INPUTS, 0) = 0;
}
static void narrow_rows(blob b) { /* rows of 12 bytes */
  for (uint32_t i = 0; i < 5; ++i) {
    blob_tensor(b, i)->dims[1] = 3;
  }
}
static void rank_of_vectors(blob b) {
  dqnn_tensor_def *t = blob_tensor(b, 1);
  t->rank = 1, t->dims[0] = 256, t->dims[1] = t->dims[2] = 1;
}
static void no_such_shape(blob b) {
  blob_tensor(b, 2)->dims[0] = 14;
}

static const refusal refusals[] = {
    REFUSAL(more_rows_than_there_are, TENSOR, tensor_rows, NO),
    REFUSAL(no_segment_begins, GRAPH, segment_nodes, 0),
    REFUSAL(longer_than_the_model_says, GRAPH, segment_nodes, 0),
    REFUSAL(too_long, GRAPH, segment_nodes, 0),
    REFUSAL(begins_inside, GRAPH, segment_nodes, 1),
    REFUSAL(rows_outside, GRAPH, segment_nodes, 3),
    REFUSAL(behind_the_last, GRAPH, segment_nodes, 3),
    REFUSAL(too_few_rows, GRAPH, segment_stalls, 0),
    REFUSAL(strip_outside, TENSOR, tensor_rows, 3),
    REFUSAL(strip_enters, SEGMENTS, fed_input, 0),
    REFUSAL(strip_leaves, TENSOR, tensor_rows, 0),
    REFUSAL(reads_the_future, GRAPH, segment_call, 0),
    REFUSAL(reads_itself, GRAPH, segment_call, 0),
    REFUSAL(strips_meet, GRAPH, segment_overlap, 1),
    REFUSAL(strip_on_what_enters, GRAPH, segment_overlap, 0),
    REFUSAL(leaves_on_a_strip, GRAPH, segment_overlap, 2),
    REFUSAL(leaves_on_living_rows, GRAPH, segment_overlap, 2),
    REFUSAL(scratch_on_a_strip, GRAPH, segment_overlap, 0),
    REFUSAL(scratch_on_what_enters, GRAPH, segment_overlap, 1),
    REFUSAL(narrow_rows, GRAPH, segment_place, 0),
    REFUSAL(rank_of_vectors, GRAPH, segment_call, 0),
    REFUSAL(no_such_shape, KERNEL_SHAPE, window_outside, 2),
    REFUSAL(no_rows, GRAPH, segment_call, 1),
    REFUSAL(overwritten_before, GRAPH, overwritten_before_use, 3),
};

static void test_refusals(const char *directory) {
  dqnn_options options = options_with(&dqnn_strips);
  for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; ++i) {
    blob b = blob_load(directory, "segments.dqnn");
    uint8_t out[BYTES_OUT];
    dqnn_fault again;
    refusals[i].change(b);
    const dqnn_fault fault = check_refused(b, &options, &refusals[i]);
    CHECK_EQUAL(run(b, options, out, &again), refusals[i].status);
    CHECK(memcmp(&fault, &again, sizeof fault) == 0);
    blob_free(b);
  }
  test_label = NULL;
}

/* ---- plans at random ---- */

static void change_at_random(blob b, uint32_t *state) {
  uint32_t node = draw(state, 4), tensor = draw(state, 5);
  switch (draw(state, 4)) {
    case 0:
      node16(b, node, DQNN_NODE_ROWS, draw(state, 3) != 0 ? draw(state, 6) : draw(state, 65536));
      break;
    case 1:
      node16(b, node, DQNN_NODE_SEGMENT, draw(state, 5));
      break;
    case 2:
      blob_tensor(b, tensor)->rows = (uint16_t)draw(state, 9);
      break;
    default:
      blob_tensor(b, tensor)->offset = 16 * draw(state, 24);
  }
}

/* Whatever is accepted runs inside its memory (the sanitizers look), and its output is what its nodes compute: all
 * plans order the same calls. */
static void test_random_plans(const char *directory) {
  blob good = blob_load(directory, "segments.dqnn"), whole = blob_load(directory, "whole.dqnn");
  dqnn_options options = options_with(&dqnn_strips);
  uint8_t expected[BYTES_OUT], out[BYTES_OUT];
  dqnn_fault fault;
  uint32_t state = 1, accepted = 0;
  CHECK_EQUAL(run(whole, options, expected, &fault), DQNN_OK);
  for (int round = 0; round < 20000; ++round) {
    blob b = blob_copy(good.bytes, good.size);
    for (uint32_t changes = 1 + draw(&state, 3); changes > 0; --changes) {
      change_at_random(b, &state);
    }
    blob_seal(b);
    bool verified = dqnn_verify(b.bytes, b.size, &options, &fault) == DQNN_OK;
    CHECK_EQUAL(run(b, options, out, &fault) == DQNN_OK, verified);
    if (verified) {
      ++accepted;
      CHECK(memcmp(out, expected, BYTES_OUT) == 0);
    }
    blob_free(b);
  }
  CHECK(accepted > 1000 && accepted < 19000);
  blob_free(good);
  blob_free(whole);
}

int main(int argc, char **argv) {
  const char *directory = argc > 1 ? argv[1] : ".";
  test_same_bytes(directory);
  test_no_longest_segment(directory);
  test_state(directory);
  test_without_the_object(directory);
  test_profile(directory);
  test_refusals(directory);
  test_random_plans(directory);
  return test_failures != 0;
}
