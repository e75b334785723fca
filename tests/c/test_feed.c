/* Inputs that are fed by rows (SPEC.md section 5): outputs and calls do not depend on how many rows come at a time, and
 * layers run before the last row is there; misuse is refused and changes nothing; so are files whose strip lies where
 * it may not; what is accepted runs inside its memory and gives the bytes of the same nodes run once. */
#include <stdlib.h>
#include <string.h>

#include "dqnn/dqnn_kernels.h"
#include "plans.h"
#include "segments.h"

enum {
  CALLS = 32, /* that the loader has checked */
  ROWS = 16,
  ROW_BYTES = 16,
  BYTES_IN = ROWS * ROW_BYTES,
  BYTES_OUT = 128,
  NO = DQNN_NONE
};

static uint32_t calls;
static uint8_t image[2][BYTES_IN], expected[2][BYTES_OUT];

static void count(void *context, uint32_t node, uint16_t kernel, bool begin) {
  (void)context, (void)node, (void)kernel;
  calls += begin;
}

static dqnn_options options_with(const dqnn_segments *segments) {
  return (dqnn_options){
      .kernels = dqnn_all_kernels, .kernel_count = dqnn_all_kernel_count, .segments = segments, .profile = count};
}

/* An interpreter in a heap block of exactly the memory it asks for. */
typedef struct {
  void *memory;
  dqnn_interpreter *it;
} loaded;

static dqnn_status load(loaded *l, blob b, const dqnn_segments *segments, dqnn_fault *fault) {
  const dqnn_options options = options_with(segments);
  dqnn_requirements need;
  CHECK_EQUAL(dqnn_requirements_of(b.bytes, b.size, &need), DQNN_OK);
  if (posix_memalign(&l->memory, DQNN_ALIGNMENT, need.memory_bytes) != 0) {
    abort();
  }
  return dqnn_init(&l->it, l->memory, need.memory_bytes, b.bytes, b.size, &options, fault);
}

static loaded load_fed(blob b) {
  loaded l;
  CHECK_EQUAL(load(&l, b, &dqnn_fed_strips, NULL), DQNN_OK);
  return l;
}

static void check_output(const dqnn_interpreter *it, int frame) {
  dqnn_tensor t;
  CHECK_EQUAL(dqnn_output(it, 0, &t), DQNN_OK);
  CHECK_EQUAL(t.bytes, BYTES_OUT);
  CHECK(memcmp(t.data, expected[frame], BYTES_OUT) == 0);
}

/* The nodes run once: images and what they give. */
static void compute_expected(const char *directory) {
  blob b = blob_load(directory, "whole.dqnn");
  loaded l;
  dqnn_tensor t;
  CHECK_EQUAL(load(&l, b, NULL, NULL), DQNN_OK);
  for (int frame = 0; frame < 2; ++frame) {
    for (uint32_t i = 0; i < BYTES_IN; ++i) {
      image[frame][i] = (uint8_t)(i * 37 + i / 13 + (uint32_t)frame * 91);
    }
    CHECK_EQUAL(dqnn_input(l.it, 0, &t), DQNN_OK);
    memcpy(t.data, image[frame], BYTES_IN);
    CHECK_EQUAL(dqnn_invoke(l.it), DQNN_OK);
    CHECK_EQUAL(dqnn_output(l.it, 0, &t), DQNN_OK);
    memcpy(expected[frame], t.data, BYTES_OUT);
  }
  free(l.memory);
  blob_free(b);
}

/* ---- feeding ---- */

static void feed_copies(dqnn_interpreter *it, const uint8_t *rows, uint32_t at_a_time) {
  for (uint32_t y = 0; y < ROWS; y += at_a_time) {
    const uint32_t part = ROWS - y < at_a_time ? ROWS - y : at_a_time;
    CHECK_EQUAL(dqnn_feed_rows(it, rows + y * ROW_BYTES, part), DQNN_OK);
  }
}

/* Written where they belong, as a DMA would. */
static void feed_in_place(dqnn_interpreter *it, const uint8_t *rows, uint32_t at_a_time) {
  uint32_t y = 0;
  dqnn_tensor t;
  while (dqnn_feed(it, &t) == DQNN_OK && t.dims[0] != 0) {
    const uint32_t part = t.dims[0] < at_a_time ? t.dims[0] : at_a_time;
    CHECK_EQUAL(t.bytes, t.dims[0] * ROW_BYTES);
    memcpy(t.data, rows + y * ROW_BYTES, part * ROW_BYTES);
    CHECK_EQUAL(dqnn_fed(it, part), DQNN_OK);
    y += part;
  }
  CHECK_EQUAL(y, ROWS);
}

static void test_any_number_of_rows(blob b) {
  static void (*const ways[])(dqnn_interpreter * it, const uint8_t *rows, uint32_t at_a_time) = {feed_copies,
                                                                                                 feed_in_place};
  loaded l = load_fed(b);
  for (uint32_t way = 0; way < 2; ++way) {
    for (uint32_t rows = 1; rows <= ROWS; ++rows) {
      for (int frame = 0; frame < 2; ++frame) {
        calls = 0;
        ways[way](l.it, image[frame], rows);
        CHECK_EQUAL(dqnn_invoke(l.it), DQNN_OK);
        check_output(l.it, frame);
        CHECK_EQUAL(calls, CALLS);
      }
    }
  }
  free(l.memory);
}

static void test_begins_before_the_frame_is_complete(blob b) {
  loaded l = load_fed(b);
  calls = 0;
  CHECK_EQUAL(dqnn_feed_rows(l.it, image[0], ROWS / 2), DQNN_OK);
  CHECK(calls >= CALLS / 3 && calls < CALLS / 2);
  free(l.memory);
}

static void test_what_feed_describes(blob b) {
  loaded l = load_fed(b);
  dqnn_tensor rows, input;
  CHECK_EQUAL(dqnn_feed(l.it, &rows), DQNN_OK);
  CHECK_EQUAL(dqnn_input(l.it, 0, &input), DQNN_OK);
  CHECK(rows.data == input.data && strcmp(rows.name, "image") == 0);
  CHECK_EQUAL(rows.dims[0], 2);
  CHECK_EQUAL(input.dims[0], ROWS);
  CHECK_EQUAL(input.bytes, 2 * ROW_BYTES);
  CHECK_EQUAL(dqnn_fed(l.it, 1), DQNN_OK);
  CHECK_EQUAL(dqnn_feed(l.it, &rows), DQNN_OK);
  CHECK(rows.dims[0] == 1 && (uint8_t *)rows.data == (uint8_t *)input.data + ROW_BYTES);
  free(l.memory);
}

/* ---- misuse ---- */

static void test_misuse(blob b) {
  loaded l = load_fed(b);
  dqnn_tensor t;
  CHECK_EQUAL(dqnn_invoke(l.it), DQNN_ERROR_NO_INPUT); /* before any row */
  CHECK_EQUAL(dqnn_feed_rows(l.it, image[0], 0), DQNN_OK);
  CHECK_EQUAL(dqnn_feed_rows(l.it, image[0], 5), DQNN_OK);
  CHECK_EQUAL(dqnn_invoke(l.it), DQNN_ERROR_NO_INPUT); /* before the last one */
  CHECK_EQUAL(dqnn_fed(l.it, 3), DQNN_ERROR_ARGUMENT); /* more than there is room for */
  CHECK_EQUAL(dqnn_fed(l.it, UINT32_MAX), DQNN_ERROR_ARGUMENT);
  CHECK_EQUAL(dqnn_feed_rows(l.it, image[0], ROWS - 5 + 1), DQNN_ERROR_ARGUMENT);
  CHECK_EQUAL(dqnn_feed_rows(l.it, image[0] + (size_t)5 * ROW_BYTES, ROWS - 5), DQNN_OK); /* as if nothing had been */
  CHECK_EQUAL(dqnn_feed_rows(l.it, image[0], 1), DQNN_ERROR_ARGUMENT);                    /* after the last one */
  CHECK_EQUAL(dqnn_fed(l.it, 1), DQNN_ERROR_ARGUMENT);
  CHECK_EQUAL(dqnn_feed(l.it, &t), DQNN_OK);
  CHECK(t.dims[0] == 0 && t.bytes == 0);
  CHECK_EQUAL(dqnn_invoke(l.it), DQNN_OK);
  check_output(l.it, 0);
  CHECK_EQUAL(dqnn_invoke(l.it), DQNN_ERROR_NO_INPUT); /* the frame is used up */
  check_output(l.it, 0);
  free(l.memory);
}

static void test_lost_frame(blob b) {
  loaded l = load_fed(b);
  CHECK_EQUAL(dqnn_feed_rows(l.it, image[0], 9), DQNN_OK);
  CHECK_EQUAL(dqnn_feed_anew(l.it), DQNN_OK);
  CHECK_EQUAL(dqnn_feed_rows(l.it, image[1], ROWS), DQNN_OK);
  CHECK_EQUAL(dqnn_invoke(l.it), DQNN_OK);
  check_output(l.it, 1);
  free(l.memory);
}

static void check_not_fed(dqnn_interpreter *it) {
  dqnn_tensor t;
  CHECK_EQUAL(dqnn_feed(it, &t), DQNN_ERROR_ARGUMENT);
  CHECK_EQUAL(dqnn_fed(it, 0), DQNN_ERROR_ARGUMENT);
  CHECK_EQUAL(dqnn_feed_rows(it, image[0], 1), DQNN_ERROR_ARGUMENT);
  CHECK_EQUAL(dqnn_feed_anew(it), DQNN_ERROR_ARGUMENT);
}

static void test_arguments(const char *directory, blob fed) {
  static const char *const names[] = {"whole.dqnn", "segments.dqnn", "floats.dqnn"};
  for (int i = 0; i < 3; ++i) {
    blob b = blob_load(directory, names[i]);
    loaded l = load_fed(b);
    check_not_fed(l.it);
    CHECK_EQUAL(dqnn_invoke(l.it), DQNN_OK); /* dqnn_fed_strips runs what dqnn_strips runs */
    free(l.memory);
    blob_free(b);
  }
  check_not_fed(NULL);
  loaded l = load_fed(fed);
  CHECK_EQUAL(dqnn_feed(l.it, NULL), DQNN_ERROR_ARGUMENT);
  CHECK_EQUAL(dqnn_feed_rows(l.it, NULL, 1), DQNN_ERROR_ARGUMENT);
  free(l.memory);
}

static void test_firmware_that_does_not_feed(blob b) {
  dqnn_options options = options_with(&dqnn_strips);
  dqnn_fault fault;
  CHECK_EQUAL(dqnn_verify(b.bytes, b.size, &options, &fault), DQNN_ERROR_SEGMENTS);
  CHECK_EQUAL(fault.check, DQNN_CHECK_fed_input);
  options.segments = NULL;
  CHECK_EQUAL(dqnn_verify(b.bytes, b.size, &options, &fault), DQNN_ERROR_SEGMENTS);
  CHECK_EQUAL(fault.check, 0);
}

static void test_self_tests_do_not_feed(blob b) {
  loaded l = load_fed(b);
  uint32_t tests = 1;
  CHECK_EQUAL(dqnn_self_test(l.it, &tests), DQNN_OK);
  CHECK_EQUAL(tests, 0);
  free(l.memory);
}

/* ---- files that are refused ---- */

static void more_rows_than_there_are(blob b) {
  blob_tensor(b, 0)->rows = 17;
}
static void strip_on_what_leaves(blob b) {
  blob_tensor(b, 3)->offset = 16;
}
static void strip_on_a_strip(blob b) {
  blob_tensor(b, 1)->offset = 16;
}
static void scratch_on_the_strip(blob b) {
  blob_set32(blob_field(b, 1, DQNN_NODE_SCRATCH_OFFSET), 16);
  blob_set32(blob_field(b, 1, DQNN_NODE_SCRATCH_BYTES), 16);
}
static void read_behind_the_segment(blob b) {
  *blob_element(b, 3, DQNN_NODE_INPUTS, 0) = 0;
}
static void read_in_no_segment(blob b) {
  for (uint32_t i = 0; i < 3; ++i) {
    blob_set16(blob_field(b, i, DQNN_NODE_ROWS), 0);
    blob_tensor(b, i + 1)->rows = 0;
  }
  blob_prefix(b)->arena_bytes = 1024;
}
static void read_in_another_segment(blob b) { /* its second and third node */
  blob_set16(blob_field(b, 0, DQNN_NODE_SEGMENT), 1);
  blob_set16(blob_field(b, 1, DQNN_NODE_SEGMENT), 2);
  *blob_element(b, 1, DQNN_NODE_INPUTS, 0) = 0;
  blob_tensor(b, 1)->rows = 0;
  blob_tensor(b, 1)->offset = 256;
  blob_prefix(b)->arena_bytes = 512;
}
static void also_an_output(blob b) {
  blob_set16(blob_port(b, blob_model(b).outputs, 0), 0);
}
static void narrow_rows(blob b) { /* rows of 12 bytes */
  for (uint32_t i = 0; i < 5; ++i) {
    blob_tensor(b, i)->dims[1] = 3;
  }
  blob_set16(blob_field(b, 1, DQNN_NODE_ROWS), 1);
}

static const refusal refusals[] = {
    REFUSAL(more_rows_than_there_are, TENSOR, tensor_rows, NO),
    REFUSAL(strip_on_what_leaves, GRAPH, segment_overlap, 2),
    REFUSAL(strip_on_a_strip, GRAPH, segment_overlap, 0),
    REFUSAL(scratch_on_the_strip, GRAPH, segment_overlap, 1),
    REFUSAL(read_behind_the_segment, TENSOR, tensor_rows, 3),
    REFUSAL(read_in_no_segment, TENSOR, tensor_rows, 0),
    REFUSAL(read_in_another_segment, TENSOR, tensor_rows, 1),
    REFUSAL(also_an_output, GRAPH, overwritten_before_use, NO),
    REFUSAL(narrow_rows, GRAPH, segment_place, 0),
};

static void check_refusal(blob b, const refusal *r) {
  const dqnn_options options = options_with(&dqnn_fed_strips);
  const dqnn_fault fault = check_refused(b, &options, r);
  dqnn_fault again;
  loaded l;
  CHECK_EQUAL(load(&l, b, &dqnn_fed_strips, &again), r->status);
  CHECK(memcmp(&fault, &again, sizeof fault) == 0);
  test_label = NULL;
  free(l.memory);
}

static void test_refusals(blob good) {
  for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; ++i) {
    blob b = blob_copy(good.bytes, good.size);
    refusals[i].change(b);
    check_refusal(b, &refusals[i]);
    blob_free(b);
  }
}

/* Files that make_blobs.py wrote wrong: two inputs, a window that the strip cannot hold. */
static void test_refused_files(const char *directory) {
  static const refusal files[] = {
      {"fed_twice.dqnn", NULL, DQNN_ERROR_TENSOR, DQNN_CHECK_tensor_rows, 0},
      {"fed_short.dqnn", NULL, DQNN_ERROR_GRAPH, DQNN_CHECK_segment_stalls, 0},
  };
  for (size_t i = 0; i < 2; ++i) {
    blob b = blob_load(directory, files[i].name);
    check_refusal(b, &files[i]);
    blob_free(b);
  }
}

/* ---- plans at random ---- */

static void change_at_random(blob b, uint32_t *state) {
  uint32_t node = draw(state, 4), tensor = draw(state, 5);
  switch (draw(state, 4)) {
    case 0:
      blob_set16(blob_field(b, node, DQNN_NODE_ROWS), draw(state, 6));
      break;
    case 1:
      blob_set16(blob_field(b, node, DQNN_NODE_SEGMENT), draw(state, 5));
      break;
    case 2:
      blob_tensor(b, tensor)->rows = (uint16_t)draw(state, 9);
      break;
    default:
      blob_tensor(b, tensor)->offset = 16 * draw(state, 16);
  }
}

/* Rows in parts of any size, tried with too many now and then. */
static void feed_at_random(dqnn_interpreter *it, uint32_t *state) {
  for (uint32_t y = 0; y < ROWS;) {
    uint32_t part = draw(state, ROWS + 2);
    dqnn_status status = dqnn_feed_rows(it, image[0] + y * ROW_BYTES, part);
    CHECK_EQUAL(status, part <= ROWS - y ? DQNN_OK : DQNN_ERROR_ARGUMENT);
    y += status == DQNN_OK ? part : 0;
  }
}

static void run_at_random(dqnn_interpreter *it, uint32_t *state) {
  dqnn_tensor t;
  CHECK_EQUAL(dqnn_input(it, 0, &t), DQNN_OK);
  if (dqnn_feed(it, &t) == DQNN_OK) {
    feed_at_random(it, state);
  } else {
    memcpy(t.data, image[0], BYTES_IN);
  }
  CHECK_EQUAL(dqnn_invoke(it), DQNN_OK);
  check_output(it, 0);
}

/* Whatever is accepted runs inside its memory (the sanitizers look), and its output is what its nodes compute. */
static void test_random_plans(blob good) {
  const dqnn_options options = options_with(&dqnn_fed_strips);
  uint32_t state = 1, accepted = 0;
  for (int round = 0; round < 20000; ++round) {
    blob b = blob_copy(good.bytes, good.size);
    dqnn_fault fault;
    loaded l;
    for (uint32_t changes = 1 + draw(&state, 3); changes > 0; --changes) {
      change_at_random(b, &state);
    }
    blob_seal(b);
    bool verified = dqnn_verify(b.bytes, b.size, &options, &fault) == DQNN_OK;
    CHECK_EQUAL(load(&l, b, &dqnn_fed_strips, &fault) == DQNN_OK, verified);
    if (verified) {
      ++accepted;
      run_at_random(l.it, &state);
    }
    free(l.memory);
    blob_free(b);
  }
  CHECK(accepted > 1000 && accepted < 19000);
}

int main(int argc, char **argv) {
  const char *directory = argc > 1 ? argv[1] : ".";
  blob fed = blob_load(directory, "fed.dqnn");
  compute_expected(directory);
  test_any_number_of_rows(fed);
  test_begins_before_the_frame_is_complete(fed);
  test_what_feed_describes(fed);
  test_misuse(fed);
  test_lost_frame(fed);
  test_arguments(directory, fed);
  test_firmware_that_does_not_feed(fed);
  test_self_tests_do_not_feed(fed);
  test_refusals(fed);
  test_refused_files(directory);
  test_random_plans(fed);
  blob_free(fed);
  return test_failures != 0;
}
