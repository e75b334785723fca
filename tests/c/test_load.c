/* Opening a file: every status of prefix, checksums, signature and structure, in the promised order; and truncation at
 * every length. */
#include <string.h>

#include "blob.h"
#include "stubs.h"
#include "test.h"

static dqnn_status verify(blob b) {
  dqnn_options options = stub_options();
  dqnn_requirements need;
  dqnn_status status = dqnn_verify(b.bytes, b.size, &options, NULL);
  dqnn_status other = dqnn_requirements_of(b.bytes, b.size, &need);
  CHECK_EQUAL(other, status); /* all errors tested here are found by both */
  return status;
}

typedef struct {
  const char *name;
  void (*edit)(dqnn_prefix *prefix);
  bool seal; /* recompute checksums after the edit */
  dqnn_status status;
} prefix_case;

static void magic(dqnn_prefix *p) {
  p->magic ^= 1u << 24;
}
static void no_edit(dqnn_prefix *p) {
  (void)p;
}
static void format(dqnn_prefix *p) {
  p->format_version = 2;
}
static void format_zero(dqnn_prefix *p) {
  p->format_version = 0;
}
static void runtime(dqnn_prefix *p) {
  p->runtime_version = DQNN_RUNTIME_VERSION + 1;
}
static void longer(dqnn_prefix *p) {
  p->total_bytes += 1;
}
static void huge(dqnn_prefix *p) {
  p->total_bytes = UINT32_MAX;
}
static void empty(dqnn_prefix *p) {
  p->total_bytes = 0;
}
static void payload_early(dqnn_prefix *p) {
  p->payload_offset = 48;
}
static void payload_odd(dqnn_prefix *p) {
  p->payload_offset = 72;
}
static void payload_late(dqnn_prefix *p) {
  p->payload_offset = p->total_bytes / 16 * 16 + 16;
}
static void payload_end(dqnn_prefix *p) {
  p->total_bytes = p->payload_offset;
}
static void signature_early(dqnn_prefix *p) {
  p->signature_offset = 32;
}
static void signature_late(dqnn_prefix *p) {
  p->signature_offset = p->total_bytes + 1;
}
static void flags(dqnn_prefix *p) {
  p->flags = 1;
}
static void arena_odd(dqnn_prefix *p) {
  p->arena_bytes += 8;
}
static void arena_huge(dqnn_prefix *p) {
  p->arena_bytes = 0x80000000u;
}
static void model_id(dqnn_prefix *p) {
  ++p->model_id;
}

static const prefix_case prefix_cases[] = {
    {"unchanged", no_edit, false, DQNN_OK},
    {"unchanged, sealed", no_edit, true, DQNN_OK},
    {"magic", magic, true, DQNN_ERROR_MAGIC},
    {"magic before checksum", magic, false, DQNN_ERROR_MAGIC},
    {"prefix checksum", model_id, false, DQNN_ERROR_CHECKSUM},
    {"model id is free", model_id, true, DQNN_OK},
    {"checksum before version", format, false, DQNN_ERROR_CHECKSUM},
    {"format version", format, true, DQNN_ERROR_FORMAT_VERSION},
    {"format version 0", format_zero, true, DQNN_ERROR_FORMAT_VERSION},
    {"runtime version", runtime, true, DQNN_ERROR_RUNTIME_VERSION},
    {"total bytes + 1", longer, true, DQNN_ERROR_TRUNCATED},
    {"total bytes 2^32-1", huge, true, DQNN_ERROR_TRUNCATED},
    {"total bytes 0", empty, true, DQNN_ERROR_STRUCTURE},
    {"payload in the prefix", payload_early, true, DQNN_ERROR_STRUCTURE},
    {"payload unaligned", payload_odd, true, DQNN_ERROR_STRUCTURE},
    {"payload after the end", payload_late, true, DQNN_ERROR_STRUCTURE},
    {"payload empty", payload_end, true, DQNN_ERROR_STRUCTURE},
    {"signature in the prefix", signature_early, true, DQNN_ERROR_STRUCTURE},
    {"signature after the end", signature_late, true, DQNN_ERROR_STRUCTURE},
    {"flags", flags, true, DQNN_ERROR_STRUCTURE},
    {"arena unaligned", arena_odd, true, DQNN_ERROR_STRUCTURE},
    {"arena 2^31", arena_huge, true, DQNN_ERROR_STRUCTURE},
};

static void test_prefix(blob original) {
  for (size_t i = 0; i < sizeof prefix_cases / sizeof prefix_cases[0]; ++i) {
    const prefix_case *c = &prefix_cases[i];
    blob b = blob_copy(original.bytes, original.size);
    test_label = c->name;
    c->edit(blob_prefix(b));
    if (c->seal) {
      blob_seal(b);
    }
    CHECK_EQUAL(verify(b), c->status);
    blob_free(b);
  }
  test_label = NULL;
}

/* The flag skips the payload's checksum and nothing else. */
static void test_payload_checksum(blob original) {
  blob b = blob_copy(original.bytes, original.size);
  uint32_t weight = (uint32_t)(blob_model(b).data - b.bytes), root = (uint32_t)sizeof(dqnn_prefix);
  dqnn_options options = stub_options();
  options.flags = DQNN_FLAG_SKIP_PAYLOAD_CHECKSUM;
  b.bytes[weight] ^= 1;
  CHECK_EQUAL(verify(b), DQNN_ERROR_CHECKSUM);
  CHECK_EQUAL(dqnn_verify(b.bytes, b.size, &options, NULL), DQNN_OK);
  b.bytes[root + 3] ^= 0x40; /* the root table far behind the end */
  CHECK_EQUAL(verify(b), DQNN_ERROR_CHECKSUM);
  CHECK_EQUAL(dqnn_verify(b.bytes, b.size, &options, NULL), DQNN_ERROR_STRUCTURE);
  b.bytes[root + 3] ^= 0x40;
  blob_prefix(b)->model_id ^= 1; /* the prefix's own is never skipped */
  CHECK_EQUAL(dqnn_verify(b.bytes, b.size, &options, NULL), DQNN_ERROR_CHECKSUM);
  blob_free(b);
}

/* Every length around what the fast way takes, at every alignment. */
static void test_crc(void) {
  uint8_t bytes[128];
  uint32_t random = 1;
  for (uint32_t i = 0; i < sizeof bytes; ++i) {
    random = random * 1664525u + 1013904223u;
    bytes[i] = (uint8_t)(random >> 24);
  }
  blob b = blob_copy(bytes, sizeof bytes);
  for (uint32_t start = 0; start < 8; ++start) {
    for (uint32_t count = 0; count <= b.size - start; ++count) {
      CHECK_EQUAL(dqnn_crc32(b.bytes + start, count), blob_crc(b.bytes + start, count));
    }
  }
  for (uint32_t bit = 0; bit < 8 * b.size; ++bit) { /* each bit alone */
    memset(b.bytes, 0, b.size);
    b.bytes[bit / 8] = (uint8_t)(1u << bit % 8);
    CHECK_EQUAL(dqnn_crc32(b.bytes, b.size), blob_crc(b.bytes, b.size));
  }
  blob_free(b);
}

typedef struct {
  const void *data;
  uint32_t bytes, change, calls;
} unit_state;

static uint32_t on_checksum(void *context, const void *data, uint32_t bytes) {
  unit_state *s = context;
  ++s->calls;
  s->data = data;
  s->bytes = bytes;
  return dqnn_crc32(data, bytes) ^ s->change;
}

/* The hook is asked for the payload and believed; it is not asked where the flag says so. */
static void test_checksum_unit(blob b) {
  dqnn_options options = stub_options();
  unit_state s = {0};
  const dqnn_prefix *prefix = blob_prefix(b);
  options.checksum = on_checksum;
  options.checksum_context = &s;
  CHECK_EQUAL(dqnn_verify(b.bytes, b.size, &options, NULL), DQNN_OK);
  CHECK_EQUAL(s.calls, 1);
  CHECK(s.data == b.bytes + prefix->payload_offset && s.bytes == dqnn_payload_end(prefix) - prefix->payload_offset);
  s.change = 1;
  CHECK_EQUAL(dqnn_verify(b.bytes, b.size, &options, NULL), DQNN_ERROR_CHECKSUM);
  options.flags = DQNN_FLAG_SKIP_PAYLOAD_CHECKSUM;
  CHECK_EQUAL(dqnn_verify(b.bytes, b.size, &options, NULL), DQNN_OK);
  CHECK_EQUAL(s.calls, 2);
}

/* A shorter file that says so itself: bytes of the signature may be gone, none of the payload. */
static void test_shorter(blob original, uint32_t size, uint32_t least) {
  blob b = blob_copy(original.bytes, size);
  blob_prefix(b)->total_bytes = size;
  blob_seal(b);
  CHECK_EQUAL(verify(b), size >= least ? DQNN_OK : DQNN_ERROR_STRUCTURE);
  blob_free(b);
}

static void test_truncation(blob original) {
  uint32_t signature = blob_prefix(original)->signature_offset;
  for (uint32_t size = 0; size < original.size; ++size) {
    blob b = blob_copy(original.bytes, size);
    CHECK_EQUAL(verify(b), DQNN_ERROR_TRUNCATED);
    blob_free(b);
    if (size > sizeof(dqnn_prefix)) {
      test_shorter(original, size, signature != 0 ? signature : original.size);
    }
  }
}

static void test_surplus(blob original) {
  uint8_t bytes[4096];
  memcpy(bytes, original.bytes, original.size);
  memset(bytes + original.size, 0xA5, 100);
  blob b = blob_copy(bytes, original.size + 100);
  CHECK_EQUAL(verify(b), DQNN_OK); /* flash continues behind the file */
  blob_free(b);
}

static void test_alignment(blob original) {
  uint8_t bytes[4096 + 16];
  for (uint32_t shift = 1; shift < 16; ++shift) {
    blob b = blob_copy(bytes, original.size + 16);
    memcpy(b.bytes + shift, original.bytes, original.size);
    CHECK_EQUAL(verify((blob){b.bytes + shift, original.size}), DQNN_ERROR_ALIGNMENT);
    blob_free(b);
  }
}

typedef struct {
  bool answer;
  int calls;
  const uint8_t *file, *signature;
  size_t file_bytes, signature_bytes;
} signature_state;

static bool on_signature(void *context, const void *file, size_t file_bytes, const void *signature,
                         size_t signature_bytes) {
  signature_state *s = context;
  ++s->calls;
  s->file = file;
  s->file_bytes = file_bytes;
  s->signature = signature;
  s->signature_bytes = signature_bytes;
  return s->answer;
}

static void test_signature(blob unsigned_file, blob signed_file) {
  dqnn_options options = stub_options();
  signature_state s = {.answer = true};
  CHECK_EQUAL(dqnn_verify(signed_file.bytes, signed_file.size, &options, NULL), DQNN_OK); /* no hook: ignored */
  options.signature = on_signature;
  options.signature_context = &s;
  CHECK_EQUAL(dqnn_verify(signed_file.bytes, signed_file.size, &options, NULL), DQNN_OK);
  CHECK_EQUAL(s.calls, 1);
  CHECK(s.file == signed_file.bytes && s.signature == s.file + s.file_bytes);
  CHECK_EQUAL(s.file_bytes + s.signature_bytes, signed_file.size);
  CHECK(s.signature_bytes == 27 && memcmp(s.signature, "a signature", 11) == 0);
  s.answer = false;
  CHECK_EQUAL(dqnn_verify(signed_file.bytes, signed_file.size, &options, NULL), DQNN_ERROR_SIGNATURE);
  s = (signature_state){.answer = false};
  CHECK_EQUAL(dqnn_verify(unsigned_file.bytes, unsigned_file.size, &options, NULL), DQNN_ERROR_SIGNATURE);
  CHECK(s.signature == NULL && s.signature_bytes == 0 && s.file_bytes == unsigned_file.size);
  signed_file.bytes[200] ^= 1; /* checksums first: the hook sees no broken file */
  s = (signature_state){.answer = true};
  CHECK_EQUAL(dqnn_verify(signed_file.bytes, signed_file.size, &options, NULL), DQNN_ERROR_CHECKSUM);
  CHECK_EQUAL(s.calls, 0);
  signed_file.bytes[200] ^= 1;
}

/* Single faults in the FlatBuffer itself. Positions are found through the reader. */
typedef struct {
  const char *name;
  uint32_t (*place)(blob b); /* offset in the file of a 32-bit word */
  uint32_t value;
} structure_case;

static uint32_t offset_in(blob b, const void *p) {
  return (uint32_t)((const uint8_t *)p - b.bytes);
}
static uint32_t root_offset(blob b) {
  return blob_prefix(b)->payload_offset;
}
static uint32_t root_table(blob b) {
  return offset_in(b, blob_model(b).root);
}
static uint32_t node_offset(blob b) {
  return offset_in(b, blob_model(b).nodes);
}
static uint32_t node_count(blob b) {
  return node_offset(b) - 4;
}
static uint32_t node_table(blob b) {
  dqnn_model model = blob_model(b);
  return offset_in(b, dqnn_model_node(&model, 0));
}
static uint32_t node_vtable(blob b) {
  uint32_t table = node_table(b);
  return table - *(const uint32_t *)(const void *)(b.bytes + table);
}

static uint32_t tensor_count(blob b) {
  return offset_in(b, blob_model(b).tensors) - 4;
}
static uint32_t data_count(blob b) {
  return offset_in(b, blob_model(b).data) - 4;
}
static uint32_t inputs_count(blob b) {
  return offset_in(b, blob_element(b, 0, DQNN_NODE_INPUTS, 0)) - 4;
}
static uint32_t inputs_offset(blob b) {
  dqnn_model model = blob_model(b);
  return offset_in(b, dqnn_fb_inline(dqnn_model_node(&model, 0), DQNN_NODE_INPUTS));
}
static uint32_t name_length(blob b) {
  return offset_in(b, dqnn_fb_string(blob_model(b).root, DQNN_MODEL_NAME)) - 4;
}

static const structure_case structure_cases[] = {
    {"identifier", NULL, 0},
    {"root offset 0", root_offset, 0},
    {"root offset beyond the end", root_offset, 0x7FFFFFFF},
    {"root offset negative", root_offset, 0xFFFFFFFC},
    {"root offset unaligned", root_offset, 10},
    {"root vtable before the start", root_table, 0x7FFFFFFF},
    {"root vtable behind the end", root_table, 0x80000000},
    {"root vtable unaligned", root_table, 1},
    {"root vtable is the table", root_table, 0},
    {"node offset 0", node_offset, 0},
    {"node offset beyond the end", node_offset, 0x10000},
    {"node count", node_count, 0x40000000},
    {"node count + many", node_count, 5000},
    {"node vtable", node_table, 0x10000},
    {"tensor count", tensor_count, 0x08000001},
    {"tensor count + many", tensor_count, 100},
    {"data count", data_count, 0x10000001},
    {"node inputs count", inputs_count, 0x80000001},
    {"node inputs offset 0", inputs_offset, 0},
    {"node inputs offset beyond the end", inputs_offset, 0x7FFFFFF0},
    {"node inputs offset unaligned", inputs_offset, 6},
    {"string not terminated", name_length, 3},
    {"string length wraps", name_length, 0xFFFFFFFF},
};

static void test_structure(blob original) {
  for (size_t i = 0; i < sizeof structure_cases / sizeof structure_cases[0]; ++i) {
    const structure_case *c = &structure_cases[i];
    blob b = blob_copy(original.bytes, original.size);
    test_label = c->name;
    uint32_t at = c->place != NULL ? c->place(b) : root_offset(b) + 4;
    blob_set32(b.bytes + at, c->value);
    blob_seal(b);
    CHECK_EQUAL(verify(b), DQNN_ERROR_STRUCTURE);
    blob_free(b);
  }
  test_label = NULL;
}

/* Sizes in a vtable: its own, the table's, and the offset of the first field. */
static void test_vtable(blob original) {
  static const struct {
    const char *name;
    uint32_t word, value;
  } vtables[] = {
      {"vtable reaches out of the buffer", 0, 0xFFFE},
      {"vtable of odd size", 0, 35},
      {"vtable too short", 0, 2},
      {"table reaches out of the buffer", 1, 0xFFFF},
      {"table too short", 1, 3},
      {"fields outside the table", 1, 8},
      {"field on the vtable offset", 2, 2},
      {"field unaligned", 2, 5},
      {"field outside the table", 2, 0xFFF0},
  };
  for (size_t i = 0; i < sizeof vtables / sizeof vtables[0]; ++i) {
    blob b = blob_copy(original.bytes, original.size);
    test_label = vtables[i].name;
    blob_set16(b.bytes + node_vtable(b) + 2 * vtables[i].word, vtables[i].value);
    blob_seal(b);
    CHECK_EQUAL(verify(b), DQNN_ERROR_STRUCTURE);
    blob_free(b);
  }
  test_label = NULL;
}

/* A sound payload at an offset of 72: every word of it would be read unaligned. */
static void test_shifted_payload(blob original) {
  uint8_t bytes[4096] = {0};
  memcpy(bytes, original.bytes, sizeof(dqnn_prefix));
  memcpy(bytes + 72, original.bytes + 64, original.size - 64);
  blob b = blob_copy(bytes, original.size + 8);
  blob_prefix(b)->payload_offset = 72;
  blob_prefix(b)->total_bytes = b.size;
  blob_seal(b);
  CHECK_EQUAL(verify(b), DQNN_ERROR_STRUCTURE);
  blob_free(b);
}

static void test_arguments(blob b) {
  dqnn_options options = stub_options(), empty_set = {0};
  dqnn_requirements need;
  CHECK_EQUAL(dqnn_requirements_of(NULL, 64, &need), DQNN_ERROR_ARGUMENT);
  CHECK_EQUAL(dqnn_requirements_of(b.bytes, b.size, NULL), DQNN_ERROR_ARGUMENT);
  CHECK_EQUAL(dqnn_verify(NULL, 64, &options, NULL), DQNN_ERROR_ARGUMENT);
  CHECK_EQUAL(dqnn_verify(b.bytes, b.size, NULL, NULL), DQNN_ERROR_ARGUMENT);
  CHECK_EQUAL(dqnn_verify(b.bytes, b.size, &empty_set, NULL), DQNN_ERROR_ARGUMENT);
  CHECK_EQUAL(dqnn_verify(b.bytes, b.size, &options, NULL), DQNN_OK);
}

int main(int argc, char **argv) {
  const char *directory = argc > 1 ? argv[1] : ".";
  stubs_reset();
  blob floats = blob_load(directory, "floats.dqnn"), signed_file = blob_load(directory, "signed.dqnn");
  test_prefix(floats);
  test_crc();
  test_payload_checksum(floats);
  test_checksum_unit(floats);
  test_checksum_unit(signed_file);
  test_truncation(floats);
  test_truncation(signed_file);
  test_surplus(floats);
  test_alignment(floats);
  test_signature(floats, signed_file);
  test_structure(floats);
  test_vtable(floats);
  test_shifted_payload(floats);
  test_arguments(floats);
  blob_free(floats);
  blob_free(signed_file);
  return test_failures != 0;
}
