/* What dqnn.wasm exports. An instance of the module holds one model, in memory of its own that JavaScript lays out
 * behind __heap_base: file, arena and state, staged inputs. Structs never cross the border: a call selects one, and a
 * function for each field reads it, so that their layout stands in dqnn.h alone. Addresses are 16-byte aligned. */
#include "dqnn/dqnn.h"
#include "dqnn/dqnn_kernels.h"
#include "dqnn/dqnn_values.h"

#define EXPORT(name) __attribute__((export_name(#name)))

/* Called before and after each node while `watch` is on. */
__attribute__((import_module("dqnn"), import_name("on_node"))) void on_node(uint32_t node, uint32_t begin);

static dqnn_interpreter *it;
static dqnn_requirements need;
static dqnn_model_info model;
static dqnn_fault fault;
static dqnn_tensor tensor;
static dqnn_node_info node;
static uint32_t first_row;
static bool watched;

static void hook(void *context, uint32_t index, uint16_t kernel, bool begin) {
  (void)context;
  (void)kernel;
  if (watched) {
    on_node(index, begin);
  }
}

static dqnn_options options_for(uint32_t isa_mask) {
  const dqnn_options options = {
      .kernels = dqnn_all_kernels,
      .kernel_count = dqnn_all_kernel_count,
      .isa_mask = isa_mask,
      .profile = hook,
      .segments = &dqnn_fed_strips,
  };
  return options;
}

/* ---- a file ---- */

EXPORT(requirements) uint32_t requirements(const void *blob, uint32_t size) {
  fault = (dqnn_fault){DQNN_NONE, DQNN_NONE, DQNN_NONE, 0};
  return dqnn_requirements_of(blob, size, &need);
}

EXPORT(verify) uint32_t verify(const void *blob, uint32_t size, uint32_t isa_mask) {
  const dqnn_options options = options_for(isa_mask);
  return dqnn_verify(blob, size, &options, &fault);
}

/* Of a file that was verified, whose checksum has been looked at. */
EXPORT(init) uint32_t init(void *memory, uint32_t bytes, const void *blob, uint32_t size, uint32_t isa_mask) {
  dqnn_options options = options_for(isa_mask);
  options.flags = DQNN_FLAG_SKIP_PAYLOAD_CHECKSUM;
  const dqnn_status status = dqnn_init(&it, memory, bytes, blob, size, &options, &fault);
  (void)dqnn_model_of(it, &model);
  return status;
}

EXPORT(invoke) uint32_t invoke(void) {
  return dqnn_invoke(it);
}

EXPORT(watch) void watch(uint32_t on) {
  watched = on != 0;
}

/* ---- what the functions below read ---- */

EXPORT(select_input) uint32_t select_input(uint32_t i) {
  return dqnn_input(it, i, &tensor);
}
EXPORT(select_output) uint32_t select_output(uint32_t i) {
  return dqnn_output(it, i, &tensor);
}
EXPORT(select_tensor) uint32_t select_tensor(uint32_t i) {
  return dqnn_tensor_at(it, i, &tensor);
}
EXPORT(select_node) uint32_t select_node(uint32_t i) {
  return dqnn_node(it, i, &node);
}
/* In on_node at the end of node i: the rows that it has just made. */
EXPORT(select_rows_made) uint32_t select_rows_made(uint32_t i) {
  return dqnn_rows_made(it, i, &first_row, &tensor);
}

#define FIELD(type, of, name)                     \
  EXPORT(of##_##name) type of##_##name##_(void) { \
    return of.name;                               \
  }

FIELD(uint32_t, need, memory_bytes)
FIELD(uint32_t, need, arena_bytes)
FIELD(uint32_t, need, state_bytes)
FIELD(uint32_t, need, nodes)
FIELD(uint32_t, need, tensors)
FIELD(uint32_t, need, inputs)
FIELD(uint32_t, need, outputs)

FIELD(uint32_t, fault, node)
FIELD(uint32_t, fault, kernel)
FIELD(uint32_t, fault, tensor)
FIELD(uint32_t, fault, check)

FIELD(const char *, model, name)
FIELD(const char *, model, producer)
FIELD(const uint8_t *, model, arena)
FIELD(uint32_t, model, file_bytes)
FIELD(uint32_t, model, model_id)
FIELD(uint32_t, model, model_version)

FIELD(const void *, tensor, data)
FIELD(uint32_t, tensor, bytes)
FIELD(float, tensor, scale)
FIELD(int32_t, tensor, zero_point)
FIELD(uint32_t, tensor, dtype)
FIELD(uint32_t, tensor, rank)
FIELD(const char *, tensor, name)
FIELD(float, tensor, sample_scale)
FIELD(float, tensor, sample_offset)
FIELD(float, tensor, inverse)
FIELD(uint32_t, tensor, rounding)
FIELD(uint32_t, tensor, u8)

FIELD(const char *, node, layer)
FIELD(uint32_t, node, input_count)
FIELD(uint32_t, node, output)
FIELD(uint32_t, node, scratch_offset)
FIELD(uint32_t, node, scratch_bytes)
FIELD(uint32_t, node, kernel)
FIELD(uint32_t, node, isa)

EXPORT(tensor_dim) uint32_t tensor_dim(uint32_t i) {
  return tensor.dims[i];
}
EXPORT(node_input) uint32_t node_input(uint32_t i) {
  return node.inputs[i];
}
EXPORT(rows_first) uint32_t rows_first(void) {
  return first_row;
}

/* ---- rows of an input that is fed ---- */

/* Whether the model's input is: the rows that come next are selected. */
EXPORT(select_feed) uint32_t select_feed(void) {
  return dqnn_feed(it, &tensor);
}
EXPORT(feed_rows) uint32_t feed_rows(const void *rows, uint32_t count) {
  return dqnn_feed_rows(it, rows, count);
}
EXPORT(feed_anew) uint32_t feed_anew(void) {
  return dqnn_feed_anew(it);
}

/* ---- values: `at` is memory for rows like those of the tensor that was selected last, which may be a strip ---- */

static dqnn_tensor rows_at(void *at, uint32_t count) {
  dqnn_tensor rows = tensor;
  const uint32_t last = rows.dims[rows.rank - 1u];
  const uint32_t row = rows.rank == 1 ? 1 : rows.dims[1] * rows.dims[2] * rows.dims[3];
  if (rows.rank > 1) {
    rows.dims[0] = count / row;
  }
  rows.data = at;
  rows.bytes = count / last * (rows.dtype == DQNN_S1 ? (last + 31) / 32 * 4 : rows.dtype == DQNN_F32 ? 4 * last : last);
  return rows;
}

EXPORT(store_f32) uint32_t store_f32(void *at, const float *values, uint32_t count) {
  const dqnn_tensor to = rows_at(at, count);
  return dqnn_tensor_store_f32(&to, values, count);
}

EXPORT(load_f32) uint32_t load_f32(void *at, float *values, uint32_t count) {
  const dqnn_tensor from = rows_at(at, count);
  return dqnn_tensor_load_f32(&from, values, count);
}

/* ---- names and constants ---- */

EXPORT(host_isas) uint32_t host_isas(void) {
  return dqnn_host_isas();
}
EXPORT(none) uint32_t none(void) {
  return DQNN_NONE;
}
EXPORT(version) uint32_t version(void) {
  return dqnn_version();
}
EXPORT(status_str) const char *status_str(uint32_t status) {
  return dqnn_status_str((dqnn_status)status);
}
EXPORT(status_name) const char *status_name(uint32_t status) {
  return dqnn_status_name((dqnn_status)status);
}
EXPORT(check_str) const char *check_str(uint32_t check) {
  return dqnn_check_str(check);
}
EXPORT(check_name) const char *check_name(uint32_t check) {
  return dqnn_check_name(check);
}
EXPORT(isa_name) const char *isa_name(uint32_t isa) {
  return dqnn_isa_name(isa);
}
EXPORT(kernel_name) const char *kernel_name(uint32_t kernel) {
  return dqnn_kernel_name(kernel);
}
