/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Names of the enums, for messages. A file of its own, so that firmware which prints none links no string. */
#include "kernel.h"

#define NUMBER_OF(array) (sizeof(array) / sizeof((array)[0]))

typedef struct {
  uint16_t code;
  const char *name, *text;
} entry;

static const entry status_entries[] = {
    {DQNN_OK, "ok", "success"},
    {DQNN_ERROR_ARGUMENT, "argument", "an argument is NULL or an index is out of range"},
    {DQNN_ERROR_ALIGNMENT, "alignment", "file or memory is not 16-byte aligned"},
    {DQNN_ERROR_MEMORY, "memory", "memory is smaller than the file needs"},
    {DQNN_ERROR_TRUNCATED, "truncated", "file is truncated"},
    {DQNN_ERROR_MAGIC, "magic", "not a .dqnn file"},
    {DQNN_ERROR_CHECKSUM, "checksum", "file is corrupt (checksum)"},
    {DQNN_ERROR_STRUCTURE, "structure", "file is malformed (offsets or sizes out of bounds)"},
    {DQNN_ERROR_TENSOR, "tensor", "file has an invalid tensor or constant"},
    {DQNN_ERROR_GRAPH, "graph", "file has an invalid graph or memory plan"},
    {DQNN_ERROR_KERNEL_SHAPE, "kernel_shape", "a kernel refused the shapes or types"},
    {DQNN_ERROR_KERNEL_PARAM, "kernel_param", "a kernel refused the parameters"},
    {DQNN_ERROR_KERNEL_CONSTANT, "kernel_constant", "a kernel refused the constants"},
    {DQNN_ERROR_SIGNATURE, "signature", "signature was refused"},
    {DQNN_ERROR_WORK, "work", "file takes too long to check"},
    {DQNN_ERROR_FORMAT_VERSION, "format_version", "file format is newer than this runtime"},
    {DQNN_ERROR_RUNTIME_VERSION, "runtime_version", "file needs a newer runtime"},
    {DQNN_ERROR_KERNEL_MISSING, "kernel_missing", "a kernel the file needs is not in the kernel set"},
    {DQNN_ERROR_SEGMENTS, "segments", "nodes run for some rows at a time, which this runtime was built without"},
    {DQNN_ERROR_UNSUPPORTED, "unsupported", "the device does not know this request, or has no means for it"},
    {DQNN_ERROR_RANGE, "range", "an index, offset or length of a request is out of range"},
    {DQNN_ERROR_NO_MODEL, "no_model", "no model is loaded"},
    {DQNN_ERROR_NO_INPUT, "no_input", "an input was not written since the last run, or not all its rows were fed"},
    {DQNN_ERROR_SLOT_SIZE, "slot_size", "the file is larger than a slot"},
    {DQNN_ERROR_SLOT_ORDER, "slot_order", "a step before this one is missing, or an unconfirmed model runs"},
    {DQNN_ERROR_SLOT_FLASH, "slot_flash", "the flash did not take what was written"},
    {DQNN_ERROR_SLOT_DOWNGRADE, "slot_downgrade", "the model's version is lower than that of the confirmed one"},
    {DQNN_ERROR_SLOT_WORN, "slot_worn", "the slot was erased as often as is allowed"},
    {DQNN_ERROR_SLOT_NO_OTHER, "slot_no_other", "there is no other model to go back to"},
    {DQNN_ERROR_SELF_TEST, "self_test", "the model's outputs differ from those that its file expects"},
};

static const entry check_entries[] = {
    {DQNN_CHECK_none, "none", "no particular check"},
#define DQNN_LOAD_CHECK(number, name, status, text) {DQNN_CHECK_##name, #name, text},
#define DQNN_CHECK(number, name, status, text) {DQNN_CHECK_##name, #name, text},
#include "checks.def"
};

#define ISA_ENTRY(name, number) {number, #name, #name},
static const entry isa_entries[] = {DQNN_ISAS(ISA_ENTRY)};

#define DQNN_KERNEL(id, name, family, input, weights, output, variants) {id, #name, #name},
static const entry kernel_entries[] = {
#include "dqnn/kernels.def"
};

static const entry unknown = {0, "unknown", "unknown"};

static const entry *find(const entry *entries, size_t count, uint32_t code) {
  for (size_t i = 0; i < count; ++i) {
    if (entries[i].code == code) {
      return &entries[i];
    }
  }
  return &unknown;
}

const char *dqnn_status_str(dqnn_status status) {
  return find(status_entries, NUMBER_OF(status_entries), (uint32_t)status)->text;
}

const char *dqnn_status_name(dqnn_status status) {
  return find(status_entries, NUMBER_OF(status_entries), (uint32_t)status)->name;
}

const char *dqnn_check_str(uint32_t check) {
  return find(check_entries, NUMBER_OF(check_entries), check)->text;
}

const char *dqnn_check_name(uint32_t check) {
  return find(check_entries, NUMBER_OF(check_entries), check)->name;
}

const char *dqnn_isa_name(uint32_t isa) {
  return find(isa_entries, NUMBER_OF(isa_entries), isa)->name;
}

const char *dqnn_kernel_name(uint32_t kernel) {
  return find(kernel_entries, NUMBER_OF(kernel_entries), kernel)->name;
}
