/* Files that once broke the interpreter, each named after what broke (make_regressions.py): either refused, by the
 * check named here, or run by every variant of this build with the bytes of `ref`. */
#include <stdlib.h>
#include <string.h>

#include "blob.h"
#include "dqnn/dqnn_kernels.h"
#include "test.h"

typedef struct {
  const char *name;
  dqnn_status status;
  uint16_t check;
} regression;

#define REFUSED(name, status, check) \
  { name ".dqnn", DQNN_ERROR_##status, DQNN_CHECK_##check }
#define ACCEPTED(name) \
  { name ".dqnn", DQNN_OK, DQNN_CHECK_none }

static const regression regressions[] = {
    REFUSED("pool_wraps_conv_s8_s8_s8", KERNEL_PARAM, pool),
    REFUSED("pool_wraps_conv_f32_f32_f32", KERNEL_PARAM, pool),
    REFUSED("pool_wraps_conv_f32_s1_f32", KERNEL_PARAM, pool),
    REFUSED("pool_wraps_conv_s8_s1_s8", KERNEL_PARAM, pool),
    REFUSED("pool_wraps_convh_s1_s1_s8", KERNEL_PARAM, pool),
    REFUSED("pool_wraps_conv_s1_s1_s1", KERNEL_PARAM, pool),
    REFUSED("pool_wraps_conv_s1_s1_s8", KERNEL_PARAM, pool),
    REFUSED("pool_wraps_depthwise_s1_s1_s1", KERNEL_PARAM, pool),
    REFUSED("pool_wraps_depthwise_s8_s8_s8", KERNEL_PARAM, pool),
    ACCEPTED("row_step_wraps_conv_s8_s8_s8"),
    ACCEPTED("row_step_wraps_conv_f32_f32_f32"),
    ACCEPTED("row_step_wraps_conv_s8_s1_s8"),
    ACCEPTED("row_step_wraps_convh_s1_s1_s8"),
    ACCEPTED("row_step_wraps_depthwise_s1_s1_s1"),
    ACCEPTED("row_step_wraps_depthwise_s8_s8_s8"),
    ACCEPTED("row_step_wraps_depthwise_f32_f32_f32"),
    ACCEPTED("columns_3000"),
    ACCEPTED("columns_4096"),
    ACCEPTED("columns_8191"),
    ACCEPTED("scratch_short"),
    ACCEPTED("ports_256"),
    REFUSED("ports_257", STRUCTURE, none),
    REFUSED("bits_renamed", GRAPH, defined_before_use),
    ACCEPTED("words_renamed"),
    REFUSED("constant_nowhere", TENSOR, constant_place),
    REFUSED("fed_by_nobody", TENSOR, tensor_rows),
};

static dqnn_options options_for(uint32_t isa_mask) {
  return (dqnn_options){.kernels = dqnn_all_kernels,
                        .kernel_count = dqnn_all_kernel_count,
                        .isa_mask = isa_mask,
                        .segments = &dqnn_fed_strips};
}

static uint32_t next(uint32_t *state) {
  *state = *state * 1664525u + 1013904223u;
  return *state >> 8;
}

static void fill_input(const dqnn_tensor *t) {
  uint32_t state = 12345, last = t->dims[t->rank - 1], words = (last + 31) / 32;
  for (uint32_t i = 0; i < t->bytes; ++i) {
    ((uint8_t *)t->data)[i] = (uint8_t)next(&state);
  }
  for (uint32_t i = 0; t->dtype == DQNN_F32 && i < t->bytes / 4; ++i) {
    ((float *)t->data)[i] = (float)(int32_t)(next(&state) % 2000) / 8.0f - 100.0f;
  }
  for (uint32_t i = words - 1; t->dtype == DQNN_S1 && last % 32 != 0 && i < t->bytes / 4; i += words) {
    ((uint32_t *)t->data)[i] &= (1u << last % 32) - 1;
  }
}

/* Runs the file in a heap block of exactly its size, whose bytes are `fill` at first; returns a sum over its outputs.
 */
static uint32_t run(blob b, uint32_t isa_mask, uint8_t fill) {
  dqnn_options options = options_for(isa_mask);
  dqnn_requirements need;
  dqnn_interpreter *it = NULL;
  void *memory = NULL;
  CHECK_EQUAL(dqnn_requirements_of(b.bytes, b.size, &need), DQNN_OK);
  if (posix_memalign(&memory, DQNN_ALIGNMENT, need.memory_bytes) != 0) {
    abort();
  }
  CHECK_EQUAL(dqnn_init(&it, memory, need.memory_bytes, b.bytes, b.size, &options, NULL), DQNN_OK);
  memset(memory, fill, need.arena_bytes);
  dqnn_tensor t;
  for (uint32_t i = 0; dqnn_input(it, i, &t) == DQNN_OK; ++i) {
    fill_input(&t);
  }
  CHECK_EQUAL(dqnn_invoke(it), DQNN_OK);
  uint32_t sum = 0;
  for (uint32_t i = 0; dqnn_output(it, i, &t) == DQNN_OK; ++i) {
    sum = sum * 31 + blob_crc(t.data, t.bytes);
  }
  free(memory);
  return sum;
}

static void compare_variants(blob b) {
  uint32_t expected = run(b, 1u << DQNN_ISA_ref, 0x5A);
  CHECK_EQUAL(run(b, 1u << DQNN_ISA_ref, 0xA5), expected);
  uint32_t usable = dqnn_host_isas();
  for (uint32_t isa = 1; isa < DQNN_ISA_NUMBER; ++isa) {
    if ((usable >> isa & 1) != 0) {
      CHECK_EQUAL(run(b, 1u << isa, 0x5A), expected);
      CHECK_EQUAL(run(b, 1u << isa, 0xA5), expected);
    }
  }
}

static void test(const char *directory, const regression *r) {
  blob b = blob_load(directory, r->name);
  dqnn_options options = options_for(0);
  dqnn_fault fault;
  test_label = r->name;
  dqnn_status status = dqnn_verify(b.bytes, b.size, &options, &fault);
  CHECK_EQUAL(status, r->status);
  CHECK_EQUAL(fault.check, r->check);
  if (status == DQNN_OK) {
    compare_variants(b);
  }
  blob_free(b);
}

/* The instruction set that runs node 0. */
static uint8_t isa_chosen(blob b, uint32_t isa_mask) {
  static _Alignas(16) uint8_t memory[1 << 16];
  dqnn_options options = options_for(isa_mask);
  dqnn_interpreter *it = NULL;
  dqnn_node_info node = {.isa = 0xFF};
  CHECK_EQUAL(dqnn_init(&it, memory, sizeof memory, b.bytes, b.size, &options, NULL), DQNN_OK);
  CHECK_EQUAL(dqnn_node(it, 0, &node), DQNN_OK);
  return node.isa;
}

/* What one variant lacks is no loss for the others. */
static void test_scratch_short(const char *directory) {
  enum { PORTABLE = 1 << DQNN_ISA_portable, AVX2 = 1 << DQNN_ISA_avx2 };
  blob b = blob_load(directory, "scratch_short.dqnn");
  CHECK_EQUAL(isa_chosen(b, PORTABLE), DQNN_ISA_ref);
  CHECK((dqnn_host_isas() & AVX2) == 0 || isa_chosen(b, PORTABLE | AVX2) == DQNN_ISA_avx2);
  blob_free(b);
}

static dqnn_status status_within(blob b, uint32_t work_limit) {
  dqnn_options options = options_for(0);
  dqnn_fault fault;
  options.work_limit = work_limit;
  dqnn_status status = dqnn_verify(b.bytes, b.size, &options, &fault);
  CHECK_EQUAL(fault.check, status == DQNN_OK ? DQNN_CHECK_none : DQNN_CHECK_work);
  return status;
}

/* The time that checking takes is bounded: by the size of the file, or by the caller. */
static void test_work(const char *directory) {
  static const struct {
    const char *name;
    uint32_t enough;   /* steps; one takes about 1 ns */
    dqnn_status usual; /* with the default limit */
  } files[] = {
      {"border_walk.dqnn", 1000, DQNN_OK},
      {"nodes_in_a_row.dqnn", 100 * 1000, DQNN_OK},
      {"nodes_looking_back.dqnn", 0, DQNN_ERROR_WORK}, /* a thousand million, not tried */
      {"nodes_sharing.dqnn", 12 * 1000 * 1000, DQNN_ERROR_WORK},
  };
  for (size_t i = 0; i < sizeof files / sizeof files[0]; ++i) {
    blob b = blob_load(directory, files[i].name);
    test_label = files[i].name;
    CHECK_EQUAL(status_within(b, 0), files[i].usual);
    CHECK(files[i].enough == 0 || status_within(b, files[i].enough) == DQNN_OK);
    CHECK_EQUAL(status_within(b, 100), DQNN_ERROR_WORK);
    blob_free(b);
  }
}

int main(int argc, char **argv) {
  const char *directory = argc > 1 ? argv[1] : ".";
  for (size_t i = 0; i < sizeof regressions / sizeof regressions[0]; ++i) {
    test(directory, &regressions[i]);
  }
  test_scratch_short(directory);
  test_work(directory);
  return test_failures != 0;
}
