/* The device's side of schema/LINK.md: frames whole, cut and damaged; every request with its refusals; repetitions;
 * what memory beside the model is used for. */
#include "dqnn/dqnn_link.h"

#include <stdlib.h>
#include <string.h>

#include "blob.h"
#include "dqnn/dqnn_kernels.h"
#include "test.h"
#include "wire.h"

enum { FLOATS = 8, NODES = 4, MEMORY = 4096, FRAME = 512 };

static wire w;
static const float sample[FLOATS] = {1.0f, -2.0f, 0.5f, 3.0f, -0.25f, 4.0f, -1.5f, 0.0f};

static dqnn_options all_kernels(void) {
  return (dqnn_options){.kernels = dqnn_all_kernels, .kernel_count = dqnn_all_kernel_count};
}

static uint32_t u32_at(const wire_answer *answer, uint32_t at) {
  uint32_t value;
  memcpy(&value, answer->data + at, sizeof value);
  return value;
}

static uint16_t u16_at(const wire_answer *answer, uint32_t at) {
  uint16_t value;
  memcpy(&value, answer->data + at, sizeof value);
  return value;
}

static uint64_t u64_at(const wire_answer *answer, uint32_t at) {
  uint64_t value;
  memcpy(&value, answer->data + at, sizeof value);
  return value;
}

/* What the model answers without a link: both outputs, and the output of each node. */
typedef struct {
  uint8_t outputs[2][32], nodes[NODES][32];
  dqnn_interpreter *it;
} expectation;

static void on_node(void *context, uint32_t node, uint16_t kernel, bool begin) {
  expectation *e = context;
  dqnn_node_info info;
  dqnn_tensor tensor;
  (void)kernel;
  if (!begin) {
    (void)dqnn_node(e->it, node, &info);
    (void)dqnn_tensor_at(e->it, info.output, &tensor);
    memcpy(e->nodes[node], tensor.data, tensor.bytes);
  }
}

static expectation expected(blob b, const float *x) {
  static _Alignas(16) uint8_t memory[MEMORY];
  expectation e = {0};
  dqnn_options options = all_kernels();
  dqnn_tensor tensor;
  options.profile = on_node;
  options.profile_context = &e;
  CHECK_EQUAL(dqnn_init(&e.it, memory, sizeof memory, b.bytes, b.size, &options, NULL), DQNN_OK);
  (void)dqnn_input(e.it, 0, &tensor);
  memcpy(tensor.data, x, tensor.bytes);
  (void)dqnn_invoke(e.it);
  for (uint32_t i = 0; i < 2; ++i) {
    (void)dqnn_output(e.it, i, &tensor);
    memcpy(e.outputs[i], tensor.data, tensor.bytes);
  }
  return e;
}

static void open_with(blob b, uint32_t memory, uint32_t frame) {
  wire_open(&w, all_kernels(), memory, frame, NULL, b.bytes, b.size);
}

static uint32_t needed(blob b) {
  dqnn_requirements need;
  CHECK_EQUAL(dqnn_requirements_of(b.bytes, b.size, &need), DQNN_OK);
  return need.memory_bytes;
}

static uint16_t write_input(const float *x) {
  return wire_ask(&w, NULL, LINK_WRITE, 0, 0, x, FLOATS * sizeof *x);
}

static uint16_t invoke(wire_answer *a, uint16_t node, uint32_t offset, uint32_t runs) {
  return wire_ask(&w, a, LINK_INVOKE, node, offset, &runs, sizeof runs);
}

static uint16_t read_bytes(wire_answer *a, uint16_t index, uint32_t offset, uint16_t bytes) {
  return wire_ask(&w, a, LINK_READ, index, offset, &bytes, sizeof bytes);
}

/* ---- what there is ---- */

static void test_config(blob b) {
  open_with(b, MEMORY, FRAME);
  dqnn_link link;
  dqnn_link_config good = w.config, c = good;
  CHECK_EQUAL(dqnn_link_init(NULL, &c, NULL, 0), DQNN_ERROR_ARGUMENT);
  CHECK_EQUAL(dqnn_link_init(&link, NULL, NULL, 0), DQNN_ERROR_ARGUMENT);
  c.read = NULL;
  CHECK_EQUAL(dqnn_link_init(&link, &c, NULL, 0), DQNN_ERROR_ARGUMENT);
  c = good;
  c.write = NULL;
  CHECK_EQUAL(dqnn_link_init(&link, &c, NULL, 0), DQNN_ERROR_ARGUMENT);
  c = good;
  c.options = NULL;
  CHECK_EQUAL(dqnn_link_init(&link, &c, NULL, 0), DQNN_ERROR_ARGUMENT);
  c = good;
  c.frame_bytes = DQNN_LINK_FRAME_MIN - 1;
  CHECK_EQUAL(dqnn_link_init(&link, &c, NULL, 0), DQNN_ERROR_ARGUMENT);
  c.frame_bytes = DQNN_LINK_FRAME_MAX + 1;
  CHECK_EQUAL(dqnn_link_init(&link, &c, NULL, 0), DQNN_ERROR_ARGUMENT);
  c = good;
  c.memory = (uint8_t *)c.memory + 8;
  CHECK_EQUAL(dqnn_link_init(&link, &c, NULL, 0), DQNN_ERROR_ALIGNMENT);
  c = good;
  c.frame = (uint8_t *)c.frame + 4;
  CHECK_EQUAL(dqnn_link_init(&link, &c, NULL, 0), DQNN_ERROR_ALIGNMENT);
  wire_close(&w);
}

static void test_hello(blob b) {
  wire_answer a;
  open_with(b, MEMORY, DQNN_LINK_FRAME_MIN);
  wire_send_raw(&w, "noise\0", 6);
  CHECK_EQUAL(wire_ask(&w, &a, LINK_HELLO, 0, 0, NULL, 0), DQNN_OK);
  CHECK_EQUAL(u16_at(&a, 0), DQNN_LINK_PROTOCOL);
  CHECK_EQUAL(u16_at(&a, 2), DQNN_LINK_FRAME_MIN);
  CHECK_EQUAL(u32_at(&a, 4), 1); /* this request */
  CHECK_EQUAL(u32_at(&a, 8), 1); /* the noise */
  CHECK_EQUAL(u32_at(&a, 12), 168000000);
  CHECK_EQUAL(u32_at(&a, 16), MEMORY);
  CHECK(u32_at(&a, 20) == 0 && u16_at(&a, 24) == 0 && u16_at(&a, 26) == 0);
  CHECK_EQUAL(u16_at(&a, 28), DQNN_FORMAT_VERSION);
  CHECK_EQUAL(u16_at(&a, 30), DQNN_RUNTIME_VERSION);
  CHECK_EQUAL(u16_at(&a, 32), 1);
  CHECK((u32_at(&a, 36) & 1u << DQNN_ISA_ref) != 0);
  CHECK_EQUAL(u32_at(&a, 40), 0xFFFFFFFF); /* kernels 0 to 31 */
  CHECK(strcmp((char *)a.data + 64, "cortex-m4") == 0);
  CHECK(strcmp((char *)a.data + 74, "a board whose name i") == 0); /* 20 characters */
  CHECK_EQUAL(a.bytes, 64 + 10 + 21);
  wire_close(&w);
}

static void test_model(blob b) {
  wire_answer a;
  open_with(b, MEMORY, FRAME);
  CHECK_EQUAL(wire_ask(&w, &a, LINK_MODEL, 0, 0, NULL, 0), DQNN_OK);
  CHECK_EQUAL(u16_at(&a, 0), DQNN_OK);
  CHECK_EQUAL(u16_at(&a, 10), 7);
  CHECK_EQUAL(u32_at(&a, 12), b.size);
  CHECK_EQUAL(u32_at(&a, 16), blob_prefix(b)->prefix_crc);
  CHECK_EQUAL(u32_at(&a, 20), 0x1234);
  CHECK_EQUAL(u32_at(&a, 24) + u32_at(&a, 28), needed(b));
  CHECK_EQUAL(u32_at(&a, 32), MEMORY - ((needed(b) + 7) & ~7u) - NODES * 8 - FLOATS * 4);
  CHECK(u16_at(&a, 36) == NODES && u16_at(&a, 38) == 1 && u16_at(&a, 40) == 2 && u16_at(&a, 42) == 3);
  CHECK(strcmp((char *)a.data + 44, "test") == 0 && a.bytes == 49);
  CHECK(dqnn_link_interpreter(&w.link) != NULL);
  wire_close(&w);
}

/* A refused file, and none: the link works and says why. */
static void test_no_model(blob b) {
  wire_answer a;
  blob bad = blob_copy(b.bytes, b.size);
  bad.bytes[b.size - 1] ^= 1;
  uint32_t one = 1;
  for (int absent = 0; absent < 2; ++absent) {
    wire_open(&w, all_kernels(), MEMORY, FRAME, NULL, absent ? NULL : bad.bytes, bad.size);
    CHECK_EQUAL(wire_ask(&w, &a, LINK_MODEL, 0, 0, NULL, 0), DQNN_OK);
    CHECK_EQUAL(u16_at(&a, 0), absent ? DQNN_ERROR_NO_MODEL : DQNN_ERROR_CHECKSUM);
    CHECK_EQUAL(u16_at(&a, 2), DQNN_NONE);
    CHECK(u32_at(&a, 12) == 0 && u32_at(&a, 16) == 0 && u16_at(&a, 36) == 0 && a.bytes == 45);
    CHECK_EQUAL(write_input(sample), DQNN_ERROR_NO_MODEL);
    CHECK_EQUAL(wire_ask(&w, NULL, LINK_INVOKE, 0, 0, &one, 4), DQNN_ERROR_NO_MODEL);
    CHECK_EQUAL(wire_ask(&w, NULL, LINK_READ, 0, 0, &one, 2), DQNN_ERROR_NO_MODEL);
    CHECK_EQUAL(wire_ask(&w, &a, LINK_NODES, 0, 0, NULL, 0), DQNN_OK);
    CHECK(a.bytes == 0 && a.value == 0);
    CHECK(dqnn_link_interpreter(&w.link) == NULL);
    wire_close(&w);
  }
  blob_free(bad);
}

static void test_unsupported(blob b) {
  open_with(b, MEMORY, FRAME);
  w.config.reset = NULL;
  for (uint32_t command = 0; command < 128; ++command) {
    if (command == 0 || command >= LINK_RESET) {
      CHECK_EQUAL(wire_ask(&w, NULL, (uint8_t)command, 0, 0, NULL, 0), DQNN_ERROR_UNSUPPORTED);
    }
  }
  wire_close(&w);
}

/* ---- running ---- */

static void test_run(blob b) {
  wire_answer a;
  expectation e = expected(b, sample);
  open_with(b, MEMORY, FRAME);
  CHECK_EQUAL(invoke(&a, 0xFFFF, 0, 1), DQNN_ERROR_NO_INPUT);
  CHECK_EQUAL(wire_ask(&w, &a, LINK_WRITE, 0, 0, sample, 20), DQNN_OK); /* in parts */
  CHECK_EQUAL(a.value, 32);
  CHECK_EQUAL(invoke(&a, 0xFFFF, 0, 1), DQNN_ERROR_NO_INPUT);
  CHECK_EQUAL(wire_ask(&w, NULL, LINK_WRITE, 0, 20, (const uint8_t *)sample + 20, 12), DQNN_OK);
  for (uint32_t runs = 1; runs < 4; ++runs) { /* inputs are kept */
    CHECK_EQUAL(invoke(&a, 0xFFFF, 0, runs), DQNN_OK);
    CHECK(a.value == 0 && a.bytes == 8);
    for (uint16_t i = 0; i < 2; ++i) {
      CHECK_EQUAL(read_bytes(&a, i, 0, 100), DQNN_OK);
      CHECK(a.value == 32 && a.bytes == 32 && memcmp(a.data, e.outputs[i], 32) == 0);
    }
  }
  CHECK_EQUAL(read_bytes(&a, 1, 28, 100), DQNN_OK);
  CHECK(a.bytes == 4 && memcmp(a.data, e.outputs[1] + 28, 4) == 0);
  CHECK_EQUAL(read_bytes(&a, 1, 4, 3), DQNN_OK);
  CHECK(a.bytes == 3 && memcmp(a.data, e.outputs[1] + 4, 3) == 0);
  CHECK_EQUAL(read_bytes(&a, 0, UINT32_MAX, 100), DQNN_OK);
  CHECK_EQUAL(a.bytes, 0);
  CHECK_EQUAL(read_bytes(&a, 2, 0, 100), DQNN_ERROR_RANGE);
  wire_close(&w);
}

static void test_ranges(blob b) {
  static const uint8_t zeros[64] = {0};
  wire_answer a;
  open_with(b, MEMORY, FRAME);
  CHECK_EQUAL(wire_ask(&w, &a, LINK_WRITE, 1, 0, zeros, 32), DQNN_ERROR_RANGE);
  CHECK_EQUAL(wire_ask(&w, &a, LINK_WRITE, 0, 0, zeros, 33), DQNN_ERROR_RANGE);
  CHECK_EQUAL(wire_ask(&w, &a, LINK_WRITE, 0, 33, zeros, 0), DQNN_ERROR_RANGE);
  CHECK_EQUAL(wire_ask(&w, &a, LINK_WRITE, 0, UINT32_MAX, zeros, 2), DQNN_ERROR_RANGE);
  CHECK_EQUAL(wire_ask(&w, &a, LINK_WRITE, 0, 32, zeros, 0), DQNN_OK);
  CHECK_EQUAL(wire_ask(&w, &a, LINK_INVOKE, 0xFFFF, 0, zeros, 3), DQNN_ERROR_RANGE);
  CHECK_EQUAL(wire_ask(&w, &a, LINK_INVOKE, 0xFFFF, 0, zeros, 8), DQNN_ERROR_RANGE);
  CHECK_EQUAL(wire_ask(&w, &a, LINK_READ, 0, 0, zeros, 1), DQNN_ERROR_RANGE);
  CHECK_EQUAL(wire_ask(&w, &a, LINK_READ, 0, 0, zeros, 3), DQNN_ERROR_RANGE);
  CHECK_EQUAL(a.bytes, 0);
  wire_close(&w);
}

static void test_times(blob b) {
  wire_answer a, totals;
  open_with(b, MEMORY, FRAME);
  CHECK_EQUAL(write_input(sample), DQNN_OK);
  CHECK_EQUAL(invoke(&totals, 0xFFFF, 0, 3), DQNN_OK);
  CHECK_EQUAL(wire_ask(&w, &a, LINK_NODES, 0, 0, NULL, 0), DQNN_OK);
  CHECK(a.value == NODES && a.bytes == NODES * 16);
  for (uint32_t i = 0; i < NODES; ++i) {
    CHECK_EQUAL(u64_at(&a, 16 * i), 3 * w.tick);
    dqnn_node_info info;
    (void)dqnn_node(dqnn_link_interpreter(&w.link), i, &info);
    CHECK(u16_at(&a, 16 * i + 8) == info.kernel && a.data[16 * i + 10] == info.isa);
  }
  CHECK_EQUAL(u64_at(&totals, 0), 3 * (4 * NODES + 1) * w.tick);
  CHECK_EQUAL(wire_ask(&w, &a, LINK_NODES, 3, 0, NULL, 0), DQNN_OK);
  CHECK_EQUAL(a.bytes, 16);
  CHECK_EQUAL(wire_ask(&w, &a, LINK_NODES, 4, 0, NULL, 0), DQNN_OK);
  CHECK_EQUAL(a.bytes, 0);
  w.clock = UINT32_MAX - 25; /* the clock may wrap */
  CHECK_EQUAL(invoke(&totals, 0xFFFF, 0, 1), DQNN_OK);
  CHECK_EQUAL(u64_at(&totals, 0), (4 * NODES + 1) * w.tick);
  w.config.clock = NULL;
  CHECK_EQUAL(invoke(&totals, 0xFFFF, 0, 1), DQNN_OK);
  CHECK_EQUAL(u64_at(&totals, 0), 0);
  CHECK_EQUAL(wire_ask(&w, &a, LINK_HELLO, 0, 0, NULL, 0), DQNN_OK);
  CHECK_EQUAL(u32_at(&a, 12), 0);
  wire_close(&w);
}

/* More nodes than fit an answer come in several. */
static void test_nodes_in_parts(blob b) {
  wire_answer a;
  open_with(b, MEMORY, DQNN_LINK_FRAME_MIN);
  w.config.frame_bytes = 12 + 3 * 16;
  CHECK_EQUAL(wire_ask(&w, &a, LINK_NODES, 0, 0, NULL, 0), DQNN_OK);
  CHECK(a.bytes == 3 * 16 && a.value == NODES);
  CHECK_EQUAL(wire_ask(&w, &a, LINK_NODES, 3, 0, NULL, 0), DQNN_OK);
  CHECK_EQUAL(a.bytes, 16);
  CHECK_EQUAL(wire_ask(&w, &a, LINK_NODES, 0, 2, NULL, 0), DQNN_OK);
  CHECK_EQUAL(a.bytes, 2 * 16);
  wire_close(&w);
}

static void test_trace(blob b) {
  wire_answer a;
  expectation e = expected(b, sample);
  open_with(b, MEMORY, FRAME);
  CHECK_EQUAL(write_input(sample), DQNN_OK);
  for (uint16_t node = 0; node < NODES; ++node) {
    CHECK_EQUAL(invoke(&a, node, 0, 1), DQNN_OK);
    CHECK_EQUAL(a.value, 32);
    CHECK_EQUAL(read_bytes(&a, 0xFFFF, 0, 64), DQNN_OK);
    CHECK(a.value == 32 && a.bytes == 32 && memcmp(a.data, e.nodes[node], 32) == 0);
    CHECK_EQUAL(invoke(&a, node, 20, 1), DQNN_OK);
    CHECK_EQUAL(a.value, 12);
    CHECK_EQUAL(read_bytes(&a, 0xFFFF, 4, 64), DQNN_OK);
    CHECK(a.value == 32 && a.bytes == 8 && memcmp(a.data, e.nodes[node] + 24, 8) == 0);
  }
  CHECK_EQUAL(invoke(&a, 0, 33, 1), DQNN_OK);
  CHECK_EQUAL(a.value, 0);
  CHECK_EQUAL(invoke(&a, NODES, 0, 1), DQNN_OK); /* no such node */
  CHECK_EQUAL(a.value, 0);
  wire_close(&w);
}

/* Down to what the model alone needs: first the trace goes, then the copies, then the times. */
static void test_small_memory(blob b) {
  wire_answer a;
  expectation e = expected(b, sample);
  uint32_t least = needed(b), ticks = NODES * 8, copies = FLOATS * 4, rounded = (least + 7) & ~7u;
  for (uint32_t memory = least; memory < rounded + ticks + copies + 16; ++memory) {
    open_with(b, memory, FRAME);
    bool timed = memory >= rounded + ticks, keeps = memory >= rounded + ticks + copies;
    if (!timed && memory >= rounded + copies) { /* copies fit where times do not */
      keeps = true;
    }
    CHECK_EQUAL(wire_ask(&w, &a, LINK_MODEL, 0, 0, NULL, 0), DQNN_OK);
    CHECK_EQUAL(u16_at(&a, 42), (timed ? 1u : 0u) + (keeps ? 2u : 0u));
    CHECK_EQUAL(write_input(sample), DQNN_OK);
    CHECK_EQUAL(invoke(&a, 1, 0, 2), keeps ? DQNN_OK : DQNN_ERROR_NO_INPUT);
    CHECK_EQUAL(invoke(&a, 1, 0, 1), DQNN_OK);
    uint32_t captured = a.value;
    CHECK_EQUAL(read_bytes(&a, 0xFFFF, 0, 64), DQNN_OK);
    CHECK(a.bytes == captured && memcmp(a.data, e.nodes[1], captured) == 0);
    CHECK_EQUAL(read_bytes(&a, 0, 0, 64), DQNN_OK);
    CHECK(a.bytes == 32 && memcmp(a.data, e.outputs[0], 32) == 0);
    CHECK_EQUAL(invoke(&a, 0xFFFF, 0, 1), keeps ? DQNN_OK : DQNN_ERROR_NO_INPUT);
    wire_close(&w);
  }
  open_with(b, least - 1, FRAME);
  CHECK_EQUAL(wire_ask(&w, &a, LINK_MODEL, 0, 0, NULL, 0), DQNN_OK);
  CHECK_EQUAL(u16_at(&a, 0), DQNN_ERROR_MEMORY);
  wire_close(&w);
}

static uint32_t hook_calls;

static void on_application_node(void *context, uint32_t node, uint16_t kernel, bool begin) {
  (void)node, (void)kernel, (void)begin;
  CHECK(context == &w);
  ++hook_calls;
}

static void test_the_applications_hook_is_called(blob b) {
  dqnn_options options = all_kernels();
  options.profile = on_application_node;
  options.profile_context = &w;
  wire_open(&w, options, MEMORY, FRAME, NULL, b.bytes, b.size);
  CHECK_EQUAL(write_input(sample), DQNN_OK);
  CHECK_EQUAL(invoke(NULL, 0xFFFF, 0, 1), DQNN_OK);
  CHECK_EQUAL(hook_calls, 2 * NODES);
  wire_close(&w);
}

static void test_reset(blob b) {
  open_with(b, MEMORY, FRAME);
  CHECK_EQUAL(wire_ask(&w, NULL, LINK_RESET, 0, 0, NULL, 0), DQNN_OK);
  CHECK_EQUAL(w.resets, 1);
  wire_close(&w);
}

/* ---- frames ---- */

static uint32_t count_answers(void) {
  wire_answer a;
  uint32_t count = 0;
  wire_run(&w);
  while (wire_receive(&w, &a)) {
    ++count;
  }
  return count;
}

/* Every single byte of a request lost, doubled, or with a bit flipped: no answer, or the right one; and the next
 * request is understood. */
static void test_damage(blob b) {
  static uint8_t frame[256], damaged[256];
  open_with(b, MEMORY, FRAME);
  uint8_t data[60];
  for (uint32_t i = 0; i < sizeof data; ++i) {
    data[i] = (uint8_t)(i % 7);
  }
  wire_send(&w, LINK_WRITE, 1, 0, 0, data, 32);
  uint32_t bytes = w.sent;
  memcpy(frame, w.to_device, bytes);
  CHECK_EQUAL(count_answers(), 1);
  uint32_t heard = 0, before = w.link.dropped;
  for (uint32_t at = 0; at < bytes; ++at) {
    for (uint32_t way = 0; way < 10; ++way) { /* lost, doubled, bit 0 to 7 */
      uint32_t n = 0;
      for (uint32_t i = 0; i < bytes; ++i) {
        uint32_t copies = i != at ? 1 : way == 0 ? 0 : way == 1 ? 2 : 1;
        for (uint32_t k = 0; k < copies; ++k) {
          damaged[n++] = (uint8_t)(frame[i] ^ (i == at && way >= 2 ? 1u << (way - 2) : 0));
        }
      }
      wire_send_raw(&w, "", 1);
      wire_send_raw(&w, damaged, n);
      wire_send_raw(&w, "", 1);
      heard += count_answers();
      CHECK_EQUAL(wire_ask(&w, NULL, LINK_HELLO, 0, 0, NULL, 0), DQNN_OK);
    }
  }
  CHECK_EQUAL(heard, 2); /* the final zero lost or doubled harms nothing */
  CHECK(w.link.dropped - before >= (bytes - 1) * 10 - 8);
  wire_close(&w);
}

/* Any split of the stream, and any number of requests at once, give the same answers. */
static void test_fragments(blob b) {
  open_with(b, MEMORY, FRAME);
  for (uint32_t i = 0; i < 100; ++i) {
    wire_send(&w, LINK_READ, (uint8_t)i, 0, 0, "\x20", 2);
  }
  CHECK_EQUAL(count_answers(), 100);
  wire_send(&w, LINK_HELLO, 1, 0, 0, NULL, 0);
  uint32_t bytes = w.sent;
  for (uint32_t i = 0; i < bytes; ++i) {
    w.sent = i + 1;
    CHECK(count_answers() == (i + 1 == bytes));
  }
  wire_close(&w);
}

/* Contents of every length, with runs of every length without a zero: what comes back is what was sent. The longest
 * that is taken is the frame buffer's size. */
static void test_lengths(blob b) {
  static uint8_t data[1200];
  wire_answer a;
  enum { BUFFER = 1024 };
  open_with(b, MEMORY, BUFFER);
  for (uint32_t stride = 1; stride < 300; stride = stride * 2 + 1) {
    for (uint32_t i = 0; i < sizeof data; ++i) {
      data[i] = (i + 1) % stride == 0 ? 0 : (uint8_t)(i % 255 + 1);
    }
    for (uint32_t n = 0; n <= BUFFER; ++n) {
      wire_send(&w, 127, (uint8_t)n, 0, 0, data, n);
      CHECK_EQUAL(count_answers(), n <= BUFFER - DQNN_LINK_OVERHEAD);
    }
  }
  static _Alignas(16) uint8_t big[1 << 16]; /* answers: the spare memory is the tensor that is read */
  w.link.model.spare = big;
  for (uint32_t i = 0; i < sizeof big; ++i) {
    big[i] = (uint8_t)(i % 300 < 256 ? i % 256 : 1);
  }
  for (uint16_t n = 0; n <= BUFFER; ++n) {
    for (uint32_t offset = 0; offset < 300; offset += 43) {
      w.link.run.captured = 60000;
      CHECK_EQUAL(read_bytes(&a, 0xFFFF, offset, n), DQNN_OK);
      CHECK_EQUAL(a.bytes, n < BUFFER - DQNN_LINK_OVERHEAD ? n : BUFFER - DQNN_LINK_OVERHEAD);
      CHECK(memcmp(a.data, big + offset, a.bytes) == 0);
    }
  }
  wire_close(&w);
}

/* ---- repetition, and slots ---- */

typedef struct {
  uint32_t calls[8];
  dqnn_status status; /* that all answer */
  blob file;
  uint32_t offset, bytes;
  bool confirmed_the_running;
} slots_state;

static slots_state slots;

static dqnn_status slots_begin(void *context, uint32_t file_bytes) {
  slots_state *s = context;
  ++s->calls[0];
  s->bytes = file_bytes;
  return s->status;
}
static dqnn_status slots_block(void *context, uint32_t offset, const void *data, uint32_t bytes) {
  slots_state *s = context;
  ++s->calls[1];
  s->offset = offset;
  s->bytes = bytes;
  CHECK((uintptr_t)data % 8 == 0);
  CHECK(memcmp(data, "a block", bytes) == 0);
  return s->status;
}
static dqnn_status slots_verify(void *context, void *memory, size_t bytes, const dqnn_options *options,
                                dqnn_fault *fault) {
  slots_state *s = context;
  ++s->calls[2];
  memset(memory, 0x5A, bytes); /* may use all of it */
  CHECK(options == &w.options);
  *fault = (dqnn_fault){1, 2, 3, 4};
  return s->status;
}
static dqnn_status slots_activate(void *context) {
  slots_state *s = context;
  ++s->calls[3];
  return s->status;
}
static dqnn_status slots_confirm(void *context, dqnn_interpreter *it) {
  slots_state *s = context;
  ++s->calls[4];
  s->confirmed_the_running = it == dqnn_link_interpreter(&w.link);
  return s->status;
}
static dqnn_status slots_rollback(void *context) {
  slots_state *s = context;
  ++s->calls[5];
  return s->status;
}
static dqnn_status slots_start(void *context, dqnn_interpreter **it, void *memory, size_t bytes,
                               const dqnn_options *options, dqnn_fault *fault) {
  slots_state *s = context;
  ++s->calls[6];
  return dqnn_init(it, memory, bytes, s->file.bytes, s->file.size, options, fault);
}
static void slots_slot(void *context, uint32_t slot, dqnn_slot_info *out) {
  slots_state *s = context;
  ++s->calls[7];
  *out = (dqnn_slot_info){.state = DQNN_SLOT_TRIAL, .running = true, .generation = slot + 9, .wear = 77};
}

static const dqnn_slots all_slots = {
    .context = &slots,
    .file_bytes = 8192,
    .block_bytes = 8,
    .count = 2,
    .begin = slots_begin,
    .block = slots_block,
    .verify = slots_verify,
    .activate = slots_activate,
    .confirm = slots_confirm,
    .rollback = slots_rollback,
    .start = slots_start,
    .slot = slots_slot,
};

static void open_slots(blob b) {
  slots = (slots_state){.status = DQNN_OK, .file = b};
  wire_open(&w, all_kernels(), MEMORY, FRAME, &all_slots, NULL, 0);
  CHECK_EQUAL(slots.calls[6], 1);
}

static void test_slots(blob b) {
  wire_answer a;
  open_slots(b);
  CHECK_EQUAL(wire_ask(&w, &a, LINK_HELLO, 0, 0, NULL, 0), DQNN_OK);
  CHECK(u32_at(&a, 20) == 8192 && u16_at(&a, 24) == 8 && u16_at(&a, 26) == 2);
  CHECK_EQUAL(wire_ask(&w, &a, LINK_SLOT, 1, 0, NULL, 0), DQNN_OK);
  CHECK(a.bytes == 24 && a.data[0] == DQNN_SLOT_TRIAL && a.data[1] == 1 && u32_at(&a, 4) == 10 && u32_at(&a, 20) == 77);
  CHECK_EQUAL(wire_ask(&w, &a, LINK_SLOT, 2, 0, NULL, 0), DQNN_ERROR_RANGE);
  CHECK_EQUAL(wire_ask(&w, &a, LINK_BEGIN, 0, 5000, NULL, 0), DQNN_OK);
  CHECK_EQUAL(slots.bytes, 5000);
  CHECK_EQUAL(wire_ask(&w, &a, LINK_BLOCK, 0, 24, "a block", 7), DQNN_OK);
  CHECK(slots.offset == 24 && slots.bytes == 7);
  CHECK_EQUAL(wire_ask(&w, &a, LINK_VERIFY, 0, 0, NULL, 0), DQNN_OK);
  CHECK(a.bytes == 8 && u16_at(&a, 0) == 1 && u16_at(&a, 2) == 2 && u16_at(&a, 4) == 3 && u16_at(&a, 6) == 4);
  CHECK_EQUAL(slots.calls[6], 2); /* loaded anew: the check used its memory */
  CHECK_EQUAL(write_input(sample), DQNN_OK);
  CHECK_EQUAL(invoke(&a, 0xFFFF, 0, 1), DQNN_OK);
  CHECK_EQUAL(wire_ask(&w, &a, LINK_ACTIVATE, 0, 0, NULL, 0), DQNN_OK);
  CHECK_EQUAL(slots.calls[6], 3);
  CHECK_EQUAL(invoke(&a, 0xFFFF, 0, 1), DQNN_ERROR_NO_INPUT); /* another model's */
  CHECK_EQUAL(wire_ask(&w, &a, LINK_CONFIRM, 0, 0, NULL, 0), DQNN_OK);
  CHECK(slots.confirmed_the_running && slots.calls[6] == 3);
  CHECK_EQUAL(wire_ask(&w, &a, LINK_ROLLBACK, 0, 0, NULL, 0), DQNN_OK);
  CHECK_EQUAL(slots.calls[6], 4);
  wire_close(&w);
}

static void test_slots_refuse(blob b) {
  wire_answer a;
  open_slots(b);
  slots.status = DQNN_ERROR_SLOT_ORDER;
  for (uint8_t command = LINK_BEGIN; command <= LINK_ROLLBACK; ++command) {
    CHECK_EQUAL(wire_ask(&w, &a, command, 0, 0, "a block", command == LINK_BLOCK ? 7 : 0), DQNN_ERROR_SLOT_ORDER);
    CHECK_EQUAL(a.bytes, command == LINK_VERIFY ? 8 : 0);
  }
  CHECK_EQUAL(slots.calls[6], 2); /* after the check alone */
  slots.status = DQNN_OK;
  slots.file.size = 100; /* what is activated does not load */
  CHECK_EQUAL(wire_ask(&w, &a, LINK_ACTIVATE, 0, 0, NULL, 0), DQNN_ERROR_TRUNCATED);
  CHECK(dqnn_link_interpreter(&w.link) == NULL);
  wire_close(&w);
}

/* Each request sent three times: what must not be done again is done once, and all three answers are equal. */
static void test_repetition(blob b) {
  static const uint8_t once[] = {LINK_BEGIN, LINK_BLOCK, LINK_VERIFY, LINK_ACTIVATE, LINK_CONFIRM, LINK_ROLLBACK};
  wire_answer a[3], none;
  open_slots(b);
  for (uint32_t i = 0; i < sizeof once; ++i) {
    uint32_t before = slots.calls[i];
    for (int k = 0; k < 3; ++k) {
      wire_send(&w, once[i], (uint8_t)(10 + i), 0, 0, "a block", once[i] == LINK_BLOCK ? 7 : 0);
    }
    wire_run(&w);
    CHECK(wire_receive(&w, &a[0]) && wire_receive(&w, &a[1]) && wire_receive(&w, &a[2]) && !wire_receive(&w, &none));
    CHECK_EQUAL(slots.calls[i], before + 1);
    for (int k = 1; k < 3; ++k) {
      CHECK(a[k].status == a[0].status && a[k].sequence == a[0].sequence && a[k].bytes == a[0].bytes);
      CHECK(memcmp(a[k].data, a[0].data, a[0].bytes) == 0);
    }
    wire_send(&w, once[i], (uint8_t)(11 + i), 0, 0, "a block", once[i] == LINK_BLOCK ? 7 : 0); /* a new one */
    CHECK_EQUAL(count_answers(), 1);
    CHECK_EQUAL(slots.calls[i], before + 2);
  }
  CHECK_EQUAL(write_input(sample), DQNN_OK);
  uint32_t runs = 1, requests = w.link.requests;
  for (int k = 0; k < 3; ++k) {
    wire_send(&w, LINK_INVOKE, 200, 0xFFFF, 0, &runs, 4);
  }
  wire_run(&w);
  CHECK(wire_receive(&w, &a[0]) && wire_receive(&w, &a[1]) && wire_receive(&w, &a[2]));
  CHECK(u64_at(&a[2], 0) == u64_at(&a[0], 0) && u64_at(&a[0], 0) != 0);
  CHECK_EQUAL(w.link.requests, requests + 1);
  wire_close(&w);
}

int main(int count, char **arguments) {
  blob b = blob_load(count > 1 ? arguments[1] : "", "floats.dqnn");
  test_config(b);
  test_hello(b);
  test_model(b);
  test_no_model(b);
  test_unsupported(b);
  test_run(b);
  test_ranges(b);
  test_times(b);
  test_nodes_in_parts(b);
  test_trace(b);
  test_small_memory(b);
  test_the_applications_hook_is_called(b);
  test_reset(b);
  test_damage(b);
  test_fragments(b);
  test_lengths(b);
  test_slots(b);
  test_slots_refuse(b);
  test_repetition(b);
  blob_free(b);
  return test_failures;
}
