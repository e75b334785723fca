/* Many interpreters in one arena, each with a state of its own: `test_shared_arena FILE...`. Run one after the other,
 * in changing order and with the arena spoilt in between, they give what each gives in memory that is its alone, and
 * leave each other's state as it was. Every block is as large as is promised to suffice and not a byte larger. */
#include <stdlib.h>
#include <string.h>

#include "blob.h"
#include "dqnn/dqnn_kernels.h"
#include "test.h"

enum { MOST_FILES = 64, MOST_BYTES = 1 << 16, ROUNDS = 3 };

typedef struct {
  const char *name;
  blob file, state, state_after_init;
  dqnn_requirements need;
  dqnn_interpreter *it;
  blob expected; /* the bytes of all outputs */
} resident;

static dqnn_options all_kernels(void) {
  return (dqnn_options){.kernels = dqnn_all_kernels, .kernel_count = dqnn_all_kernel_count};
}

/* Samples that depend on the file alone; bits are all +1, whose tail bits are 0 in any shape. */
static void write_inputs(const resident *r) {
  uint32_t random = r->file.size;
  dqnn_tensor t;
  for (uint32_t i = 0; dqnn_input(r->it, i, &t) == DQNN_OK; ++i) {
    memset(t.data, 0, t.bytes);
    for (uint32_t k = 0; t.dtype != DQNN_S1 && k < t.bytes; k += t.dtype == DQNN_F32 ? 4 : 1) {
      random = random * 1664525u + 1013904223u;
      float real = (float)(random >> 16) / 32768.0f - 1.0f;
      int8_t code = (int8_t)(random >> 24);
      memcpy((uint8_t *)t.data + k, t.dtype == DQNN_F32 ? (const void *)&real : &code, t.dtype == DQNN_F32 ? 4 : 1);
    }
  }
}

static uint32_t read_outputs(const resident *r, uint8_t *bytes) {
  uint32_t total = 0;
  dqnn_tensor t;
  for (uint32_t i = 0; dqnn_output(r->it, i, &t) == DQNN_OK; ++i) {
    CHECK(total + t.bytes <= MOST_BYTES);
    memcpy(bytes + total, t.data, t.bytes);
    total += t.bytes;
  }
  return total;
}

static uint32_t infer(const resident *r, uint8_t *bytes) {
  write_inputs(r);
  CHECK_EQUAL(dqnn_invoke(r->it), DQNN_OK);
  return read_outputs(r, bytes);
}

/* What the file gives in memory of its own. */
static void open_alone(resident *r, const char *name) {
  static uint8_t bytes[MOST_BYTES];
  const dqnn_options options = all_kernels();
  r->name = test_label = name;
  r->file = blob_load("", name);
  CHECK_EQUAL(dqnn_requirements_of(r->file.bytes, r->file.size, &r->need), DQNN_OK);
  blob memory = blob_copy(NULL, r->need.memory_bytes);
  CHECK_EQUAL(dqnn_init(&r->it, memory.bytes, memory.size, r->file.bytes, r->file.size, &options, NULL), DQNN_OK);
  uint32_t total = infer(r, bytes);
  r->expected = blob_copy(bytes, total);
  blob_free(memory);
}

static void move_in(resident *r, blob arena) {
  dqnn_options options = all_kernels();
  test_label = r->name;
  r->state = blob_copy(NULL, r->need.state_bytes);
  options.state = r->state.bytes;
  options.state_bytes = r->state.size;
  CHECK_EQUAL(dqnn_init(&r->it, arena.bytes, arena.size, r->file.bytes, r->file.size, &options, NULL), DQNN_OK);
  r->state_after_init = blob_copy(r->state.bytes, r->state.size);
}

static void use(const resident *r, blob arena) {
  static uint8_t bytes[MOST_BYTES];
  test_label = r->name;
  uint32_t total = infer(r, bytes);
  CHECK_EQUAL(total, r->expected.size);
  CHECK(memcmp(bytes, r->expected.bytes, total) == 0);
  memset(arena.bytes, 0xA5, arena.size);
}

int main(int argc, char **argv) {
  static resident residents[MOST_FILES];
  uint32_t count = (uint32_t)argc - 1, arena_bytes = 0;
  CHECK(count > 1 && count <= MOST_FILES);
  for (uint32_t i = 0; i < count; ++i) {
    open_alone(&residents[i], argv[i + 1]);
    arena_bytes = residents[i].need.arena_bytes > arena_bytes ? residents[i].need.arena_bytes : arena_bytes;
  }
  blob arena = blob_copy(NULL, arena_bytes);
  for (uint32_t i = 0; i < count; ++i) {
    move_in(&residents[i], arena);
  }
  for (uint32_t round = 0; round < ROUNDS * count; ++round) {
    use(&residents[(round * 7 + round / count) % count], arena);
  }
  for (uint32_t i = 0; i < count; ++i) {
    resident *r = &residents[i];
    test_label = r->name;
    CHECK(memcmp(r->state.bytes, r->state_after_init.bytes, r->state.size) == 0);
    blob_free(r->file);
    blob_free(r->state);
    blob_free(r->state_after_init);
    blob_free(r->expected);
  }
  blob_free(arena);
  return test_failures != 0;
}
