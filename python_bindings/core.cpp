// dqnn._core: the C interpreter as Python sees it. It marshals and nothing else: bytes in, bytes out. Real values,
// names and messages for users are made in dqnn/interpreter.py.
//
// The kernel table and the plan functions are those of the C sources, so that the exporter asks the code that the
// device runs. Everything that takes long releases the GIL.
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

extern "C" {
#include "dqnn/dqnn.h"
#include "dqnn/dqnn_kernels.h"
#include "kernel.h"
}

namespace nb = nanobind;
using namespace nb::literals;

namespace {

// ---- memory ----

// Zeroed memory at a 16-byte aligned address.
class Memory {
 public:
  Memory() = default;
  explicit Memory(size_t bytes) : bytes_(bytes), data_(static_cast<uint8_t *>(::operator new(bytes, kAlign))) {
    std::memset(data_.get(), 0, bytes);
  }
  Memory(const void *source, size_t bytes) : Memory(bytes) {
    if (bytes != 0) {
      std::memcpy(data_.get(), source, bytes);
    }
  }
  uint8_t *data() const {
    return data_.get();
  }
  size_t size() const {
    return bytes_;
  }

 private:
  static constexpr std::align_val_t kAlign{DQNN_ALIGNMENT};
  struct Free {
    void operator()(uint8_t *p) const {
      ::operator delete(p, kAlign);
    }
  };
  size_t bytes_ = 0;
  std::unique_ptr<uint8_t, Free> data_;
};

// Memory between two guards, to see whether a kernel writes outside its buffers.
class Guarded {
 public:
  explicit Guarded(size_t bytes, uint8_t fill = 0) : bytes_(bytes), memory_(bytes + 2 * kGuard) {
    std::memset(memory_.data(), kPattern, memory_.size());
    if (bytes != 0) {
      std::memset(data(), fill, bytes);
    }
  }
  explicit Guarded(const nb::bytes &source) : Guarded(source.size()) {
    if (bytes_ != 0) {
      std::memcpy(data(), source.c_str(), bytes_);
    }
  }
  uint8_t *data() const {
    return memory_.data() + kGuard;
  }
  size_t size() const {
    return bytes_;
  }
  bool intact() const {
    const uint8_t *end = data() + bytes_;
    const auto ok = [](uint8_t b) { return b == kPattern; };
    return std::all_of(memory_.data(), memory_.data() + kGuard, ok) && std::all_of(end, end + kGuard, ok);
  }

 private:
  static constexpr size_t kGuard = 64;
  static constexpr uint8_t kPattern = 0xD7;
  size_t bytes_;
  Memory memory_;
};

// A contiguous view of any Python buffer: bytes, bytearray, memoryview, numpy array.
class View {
 public:
  explicit View(nb::handle source) {
    if (PyObject_GetBuffer(source.ptr(), &view_, PyBUF_C_CONTIGUOUS) != 0) {
      throw nb::python_error();
    }
  }
  View(View &&other) noexcept : view_(other.view_), owner_(std::exchange(other.owner_, false)) {
  }
  View(const View &) = delete;
  View &operator=(const View &) = delete;
  View &operator=(View &&) = delete;
  ~View() {
    if (owner_) {
      PyBuffer_Release(&view_);
    }
  }
  const uint8_t *data() const {
    return static_cast<const uint8_t *>(view_.buf);
  }
  size_t size() const {
    return static_cast<size_t>(view_.len);
  }

 private:
  Py_buffer view_{};
  bool owner_ = true;
};

nb::bytearray make_bytearray(size_t bytes) {
  PyObject *object = PyByteArray_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(bytes));
  if (object == nullptr) {
    throw nb::python_error();
  }
  return nb::steal<nb::bytearray>(object);
}

uint8_t *writable(const nb::bytearray &array) {
  return reinterpret_cast<uint8_t *>(PyByteArray_AsString(array.ptr()));
}

// A name from the file, which may hold any bytes.
nb::str text_of(const char *name) {
  PyObject *object = PyUnicode_DecodeUTF8(name, static_cast<Py_ssize_t>(std::strlen(name)), "replace");
  if (object == nullptr) {
    throw nb::python_error();
  }
  return nb::steal<nb::str>(object);
}

// ---- errors: classes made in NB_MODULE, with attributes that a program can read ----

PyObject *plan_error_class = nullptr;
PyObject *blob_error_class = nullptr;

[[noreturn]] void raise(PyObject *type, const nb::object &error) {
  PyErr_SetObject(type, error.ptr());
  throw nb::python_error();
}

nb::object optional_index(uint16_t index) {
  return index == DQNN_NONE ? nb::object(nb::none()) : nb::int_(index);
}

[[noreturn]] void raise_plan_error(const char *kernel, dqnn_status status, uint16_t check) {
  const std::string message = std::string(kernel) + " refuses the call: " + dqnn_check_str(check) + " (" +
                              dqnn_status_name(status) + ", " + dqnn_check_name(check) + ")";
  nb::object error = nb::borrow(plan_error_class)(message);
  error.attr("status") = dqnn_status_name(status);
  error.attr("check") = dqnn_check_name(check);
  raise(plan_error_class, error);
}

std::string fault_place(const dqnn_fault &fault) {
  std::string place;
  const auto add = [&place](const std::string &part) { place += (place.empty() ? "" : ", ") + part; };
  if (fault.check != DQNN_CHECK_none) {
    add(std::string("check ") + dqnn_check_name(fault.check));
  }
  if (fault.node != DQNN_NONE) {
    add("node " + std::to_string(fault.node));
  }
  if (fault.kernel != DQNN_NONE) {
    const std::string name = dqnn_kernel_name(fault.kernel);
    add("kernel " + (name == "unknown" ? "id " + std::to_string(fault.kernel) : name));
  }
  if (fault.tensor != DQNN_NONE) {
    add("index " + std::to_string(fault.tensor));
  }
  return place;
}

[[noreturn]] void raise_blob_error(dqnn_status status, const dqnn_fault &fault) {
  std::string message = dqnn_status_str(status);
  if (fault.check != DQNN_CHECK_none) {
    message += std::string(": ") + dqnn_check_str(fault.check);
  }
  const std::string place = fault_place(fault);
  if (!place.empty()) {
    message += " (" + place + ")";
  }
  nb::object error = nb::borrow(blob_error_class)(message);
  error.attr("status") = dqnn_status_name(status);
  error.attr("code") = static_cast<int>(status);
  error.attr("node") = optional_index(fault.node);
  error.attr("kernel") = fault.kernel == DQNN_NONE ? nb::object(nb::none()) : nb::str(dqnn_kernel_name(fault.kernel));
  error.attr("tensor") = optional_index(fault.tensor);
  error.attr("check") = dqnn_check_name(fault.check);
  error.attr("detail") = message;
  raise(blob_error_class, error);
}

constexpr dqnn_fault kNoFault = {DQNN_NONE, DQNN_NONE, DQNN_NONE, DQNN_CHECK_none};

// ---- the kernel table ----

struct KernelRow {
  uint16_t id;
  const char *name, *family, *input, *weights, *output;
};

#define DQNN_KERNEL(id, name, family, input, weights, output) {id, #name, #family, #input, #weights, #output},
constexpr KernelRow kKernels[] = {
#include "kernels.def"
};

const KernelRow &kernel_row(unsigned id) {
  for (const KernelRow &row : kKernels) {
    if (row.id == id) {
      return row;
    }
  }
  throw nb::value_error(("no kernel has id " + std::to_string(id)).c_str());
}

// Instruction sets that this machine can run.
uint32_t host_isa_mask() {
  uint32_t mask = (1u << DQNN_ISA_ref) | (1u << DQNN_ISA_portable);
#if defined(__x86_64__) && defined(__GNUC__)
  // As many features as the options in interpreter_c/kernels/sources.cmake let the compiler use.
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt")) {
    mask |= 1u << DQNN_ISA_avx2;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")) {
      mask |= 1u << DQNN_ISA_avx512;
    }
  }
#endif
  return mask;
}

std::vector<std::string> isa_names(uint32_t mask) {
  std::vector<std::string> names;
  for (uint32_t isa = 0; isa < DQNN_ISA_NUMBER; ++isa) {
    if ((mask >> isa & 1u) != 0) {
      names.emplace_back(dqnn_isa_name(isa));
    }
  }
  return names;
}

uint32_t isa_mask_of(const std::vector<std::string> &names) {
  const uint32_t usable = host_isa_mask();
  uint32_t mask = 0;
  for (const std::string &name : names) {
    uint32_t isa = 0;
    while (isa < DQNN_ISA_NUMBER && name != dqnn_isa_name(isa)) {
      ++isa;
    }
    if (isa == DQNN_ISA_NUMBER) {
      throw nb::value_error(("unknown instruction set '" + name + "'").c_str());
    }
    if ((usable >> isa & 1u) == 0) {
      throw nb::value_error(("this machine cannot run '" + name + "'").c_str());
    }
    mask |= 1u << isa;
  }
  return mask;
}

const dqnn_variant *find_variant(unsigned kernel_id, const char *isa) {
  for (uint32_t i = 0; i < dqnn_all_kernel_count; ++i) {
    const dqnn_variant *variant = dqnn_all_kernels[i];
    if (variant->kernel->id != kernel_id) {
      continue;
    }
    if (isa == nullptr || std::strcmp(dqnn_isa_name(variant->isa), isa) == 0) {
      return variant;
    }
  }
  const std::string name = kernel_row(kernel_id).name;
  throw nb::value_error((name + " has no variant '" + (isa == nullptr ? "" : isa) + "' in this build").c_str());
}

nb::list kernels() {
  nb::list rows;
  for (const KernelRow &row : kKernels) {
    nb::list variants;
    for (uint32_t i = 0; i < dqnn_all_kernel_count; ++i) {
      if (dqnn_all_kernels[i]->kernel->id == row.id) {
        variants.append(dqnn_isa_name(dqnn_all_kernels[i]->isa));
      }
    }
    nb::dict entry;
    entry["id"] = row.id;
    entry["name"] = row.name;
    entry["family"] = row.family;
    entry["input"] = row.input;
    entry["weights"] = row.weights;
    entry["output"] = row.output;
    entry["variants"] = variants;
    rows.append(entry);
  }
  return rows;
}

// ---- one kernel call ----

using TensorDef = std::tuple<nb::tuple, int, double, int>;  // dims, dtype, scale, zero point

dqnn_tensor_def tensor_def(const TensorDef &source) {
  const auto &[dims, dtype, scale, zero_point] = source;
  if (dims.size() == 0 || dims.size() > 4) {
    throw nb::value_error("a tensor has 1 to 4 dimensions");
  }
  dqnn_tensor_def def{};
  std::fill(std::begin(def.dims), std::end(def.dims), 1u);
  for (size_t i = 0; i < dims.size(); ++i) {
    def.dims[i] = nb::cast<uint32_t>(dims[i]);
  }
  def.scale = static_cast<float>(scale);
  def.zero_point = zero_point;
  def.dtype = static_cast<uint8_t>(dtype);
  def.rank = static_cast<uint8_t>(dims.size());
  return def;
}

// A dqnn_call with aligned, guarded copies of everything it points to.
class Call {
 public:
  Call(unsigned kernel_id, const std::vector<TensorDef> &inputs, const TensorDef &output,
       const std::vector<nb::bytes> &constants, const nb::bytes &params)
      : params_(params), out_def_(tensor_def(output)) {
    if (inputs.empty() || inputs.size() > DQNN_MAX_INPUTS) {
      throw nb::value_error("a kernel has 1 to 16 inputs");
    }
    if (constants.size() > DQNN_MAX_CONSTANTS) {
      throw nb::value_error("a kernel has at most 6 constants");
    }
    row_ = &kernel_row(kernel_id);
    in_defs_.reserve(inputs.size());
    for (const TensorDef &input : inputs) {
      in_defs_.push_back(tensor_def(input));
    }
    for (const nb::bytes &constant : constants) {
      constants_.emplace_back(constant);
    }
    fill(kernel_id);
  }

  dqnn_plan plan(dqnn_plan_fn function) {
    dqnn_plan plan{};
    const dqnn_status status = function(&call_, &plan);
    if (status != DQNN_OK) {
      raise_plan_error(row_->name, status, plan.check);
    }
    return plan;
  }

  size_t in_bytes(size_t i) const {
    return tensor_bytes(in_defs_[i]);
  }
  size_t out_bytes() const {
    return tensor_bytes(out_def_);
  }
  dqnn_call &raw() {
    return call_;
  }
  const char *name() const {
    return row_->name;
  }
  bool intact() const {
    return params_.intact() && std::all_of(constants_.begin(), constants_.end(), [](auto &c) { return c.intact(); });
  }

 private:
  void fill(unsigned kernel_id) {
    call_.kernel = static_cast<uint16_t>(kernel_id);
    call_.params = params_.size() == 0 ? nullptr : params_.data();
    call_.inputs = static_cast<uint8_t>(in_defs_.size());
    call_.out_def = &out_def_;
    for (size_t i = 0; i < in_defs_.size(); ++i) {
      call_.in_def[i] = &in_defs_[i];
    }
    call_.constant_count = static_cast<uint8_t>(constants_.size());
    for (size_t i = 0; i < constants_.size(); ++i) {
      call_.constants[i] = constants_[i].data();
      call_.constant_bytes[i] = static_cast<uint32_t>(constants_[i].size());
    }
  }

  size_t tensor_bytes(const dqnn_tensor_def &def) const {
    uint16_t check = DQNN_CHECK_none;
    const uint32_t bytes = dqnn_tensor_bytes(&def, &check);
    if (bytes == 0) {
      raise_plan_error(row_->name, DQNN_ERROR_TENSOR, check);
    }
    return bytes;
  }

  Guarded params_;
  std::vector<dqnn_tensor_def> in_defs_;
  dqnn_tensor_def out_def_;
  std::vector<Guarded> constants_;
  const KernelRow *row_ = nullptr;
  dqnn_call call_{};
};

std::tuple<uint32_t, uint32_t> plan(unsigned kernel_id, const std::vector<TensorDef> &inputs, const TensorDef &output,
                                    const std::vector<nb::bytes> &constants, const nb::bytes &params) {
  const dqnn_plan_fn function = find_variant(kernel_id, nullptr)->kernel->plan;
  const dqnn_plan result = Call(kernel_id, inputs, output, constants, params).plan(function);
  return {result.scratch_bytes, result.overlap_bytes};
}

// Where the output of a kernel test lies: a buffer of its own, or at `offset` from the start of input 0.
struct Placement {
  std::optional<int64_t> offset;
  int64_t in_bytes, out_bytes;

  int64_t before() const {
    return offset ? std::max<int64_t>(0, -*offset) : 0;
  }
  int64_t span() const {
    return offset ? std::max(in_bytes, *offset + out_bytes) + before() : in_bytes;
  }
  void check(uint32_t overlap) const {
    if (!offset) {
      return;
    }
    if (*offset % static_cast<int64_t>(DQNN_ALIGNMENT) != 0) {
      throw nb::value_error("output_at must be a multiple of 16");
    }
    const int64_t shared_end = std::min(in_bytes, *offset + out_bytes);
    if (overlap != UINT32_MAX && shared_end > static_cast<int64_t>(overlap) && *offset < in_bytes) {
      throw nb::value_error("output_at overlaps more of input 0 than plan allows");
    }
  }
};

// Runs once with all memory that the kernel must not read filled with `fill`.
nb::bytes run_once(Call &call, const dqnn_variant *variant, const std::vector<nb::bytes> &inputs,
                   uint32_t scratch_bytes, const Placement &place, uint8_t fill) {
  std::vector<Guarded> in;
  in.emplace_back(static_cast<size_t>(place.span()), fill);
  uint8_t *first = in[0].data() + place.before();
  std::memcpy(first, inputs[0].c_str(), inputs[0].size());
  for (size_t i = 1; i < inputs.size(); ++i) {
    in.emplace_back(inputs[i]);
  }
  Guarded separate(place.offset ? 0 : static_cast<size_t>(place.out_bytes), fill);
  Guarded scratch(scratch_bytes, fill);
  dqnn_call &raw = call.raw();
  raw.in[0] = first;
  for (size_t i = 1; i < inputs.size(); ++i) {
    raw.in[i] = in[i].data();
  }
  raw.out = place.offset ? first + *place.offset : separate.data();
  raw.scratch = scratch.data();
  raw.scratch_bytes = scratch_bytes;
  variant->run(&raw);
  const std::string who = std::string(call.name()) + " (" + dqnn_isa_name(variant->isa) + ")";
  const bool guards = std::all_of(in.begin(), in.end(), [](auto &g) { return g.intact(); });
  if (!guards || !separate.intact() || !scratch.intact() || !call.intact()) {
    throw std::runtime_error(who + " wrote outside its buffers");
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    if ((i > 0 || !place.offset) && std::memcmp(raw.in[i], inputs[i].c_str(), inputs[i].size()) != 0) {
      throw std::runtime_error(who + " changed its input " + std::to_string(i));
    }
  }
  return nb::bytes(raw.out, static_cast<size_t>(place.out_bytes));
}

nb::bytes run_kernel(unsigned kernel_id, const std::string &isa, const std::vector<nb::bytes> &inputs,
                     const std::vector<TensorDef> &defs, const TensorDef &output,
                     const std::vector<nb::bytes> &constants, const nb::bytes &params,
                     std::optional<int64_t> output_at) {
  const dqnn_variant *variant = find_variant(kernel_id, isa.c_str());
  (void)isa_mask_of({isa});
  if (inputs.size() != defs.size()) {
    throw nb::value_error("as many inputs as definitions are needed");
  }
  Call call(kernel_id, defs, output, constants, params);
  const dqnn_plan plan = call.plan(variant->kernel->plan);
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].size() != call.in_bytes(i)) {
      throw nb::value_error(("input " + std::to_string(i) + " has " + std::to_string(inputs[i].size()) +
                             " bytes, its definition says " + std::to_string(call.in_bytes(i)))
                                .c_str());
    }
  }
  const Placement place{output_at, static_cast<int64_t>(call.in_bytes(0)), static_cast<int64_t>(call.out_bytes())};
  place.check(plan.overlap_bytes);
  nb::bytes result = run_once(call, variant, inputs, plan.scratch_bytes, place, 0x5A);
  const nb::bytes again = run_once(call, variant, inputs, plan.scratch_bytes, place, 0xA5);
  if (std::memcmp(result.c_str(), again.c_str(), result.size()) != 0) {
    throw std::runtime_error(std::string(call.name()) + " (" + isa + "): the output depends on uninitialised memory");
  }
  return result;
}

// ---- whole files ----

dqnn_options options_for(uint32_t isa_mask) {
  dqnn_options options{};
  options.kernels = dqnn_all_kernels;
  options.kernel_count = dqnn_all_kernel_count;
  options.isa_mask = isa_mask;
  return options;
}

void verify(nb::handle source) {
  const View view(source);
  const Memory blob(view.data(), view.size());
  const dqnn_options options = options_for(host_isa_mask());
  dqnn_fault fault = kNoFault;
  const dqnn_status status = dqnn_verify(blob.data(), blob.size(), &options, &fault);
  if (status != DQNN_OK) {
    raise_blob_error(status, fault);
  }
}

dqnn_requirements requirements_of(const Memory &blob) {
  dqnn_requirements need{};
  const dqnn_status status = dqnn_requirements_of(blob.data(), blob.size(), &need);
  if (status != DQNN_OK) {
    raise_blob_error(status, kNoFault);
  }
  return need;
}

nb::dict requirements(nb::handle source) {
  const View view(source);
  const dqnn_requirements need = requirements_of(Memory(view.data(), view.size()));
  nb::dict result;
  result["memory_bytes"] = need.memory_bytes;
  result["arena_bytes"] = need.arena_bytes;
  result["state_bytes"] = need.state_bytes;
  result["nodes"] = need.nodes;
  result["tensors"] = need.tensors;
  result["inputs"] = need.inputs;
  result["outputs"] = need.outputs;
  return result;
}

using Port = std::tuple<nb::str, nb::tuple, int, double, int, size_t>;  // name, dims, dtype, scale, zero point, bytes

nb::tuple dims_of(const dqnn_tensor &tensor) {
  nb::list dims;
  for (uint32_t i = 0; i < tensor.rank; ++i) {
    dims.append(tensor.dims[i]);
  }
  return nb::tuple(dims);
}

Port port_of(const dqnn_tensor &tensor) {
  return {text_of(tensor.name), dims_of(tensor), tensor.dtype, static_cast<double>(tensor.scale),
          tensor.zero_point,    tensor.bytes};
}

// One interpreter in memory of its own.
struct Instance {
  Memory memory;
  dqnn_interpreter *it = nullptr;
};

// What the profile hook fills: the time of every node, or the bytes of every node's output.
struct Recorder {
  using Clock = std::chrono::steady_clock;
  const dqnn_interpreter *it = nullptr;
  bool keep_outputs = false;
  Clock::time_point start;
  std::vector<double> seconds;
  std::vector<std::vector<uint8_t>> outputs;

  void end(uint32_t node) {
    seconds[node] += std::chrono::duration<double>(Clock::now() - start).count();
    if (!keep_outputs) {
      return;
    }
    dqnn_node_info info{};
    dqnn_tensor tensor{};
    if (dqnn_node(it, node, &info) != DQNN_OK || dqnn_tensor_at(it, info.output, &tensor) != DQNN_OK) {
      return;
    }
    const auto *bytes = static_cast<const uint8_t *>(tensor.data);
    outputs[node].assign(bytes, bytes + tensor.bytes);
  }
};

void on_node(void *context, uint32_t node, uint16_t, bool begin) {
  auto *recorder = static_cast<Recorder *>(context);
  if (begin) {
    recorder->start = Recorder::Clock::now();
  } else {
    recorder->end(node);
  }
}

// A batch on its way through several threads: thread t runs samples first[t] .. first[t + 1].
struct Batch {
  std::vector<const uint8_t *> in;
  std::vector<uint8_t *> out;
  std::vector<size_t> first;
  std::atomic<bool> stop{false};
};

class Interpreter {
 public:
  Interpreter(nb::handle source, const std::optional<std::vector<std::string>> &isas)
      : isa_mask_(isas ? isa_mask_of(*isas) | 1u : host_isa_mask()) {
    const View view(source);
    blob_ = Memory(view.data(), view.size());
    need_ = requirements_of(blob_);
    main_ = make(nullptr);
    (void)dqnn_model_of(main_.it, &model_);
    for (uint32_t i = 0; i < need_.inputs; ++i) {
      in_.emplace_back();
      (void)dqnn_input(main_.it, i, &in_.back());
      staged_.emplace_back(in_.back().bytes);
    }
    for (uint32_t i = 0; i < need_.outputs; ++i) {
      out_.emplace_back();
      (void)dqnn_output(main_.it, i, &out_.back());
    }
    is_set_.resize(in_.size());
  }

  std::vector<Port> inputs() const {
    return ports(in_);
  }
  std::vector<Port> outputs() const {
    return ports(out_);
  }

  // Inputs are kept here and copied in by invoke: the interpreter reuses their memory.
  void set_input(size_t i, nb::handle source) {
    if (i >= in_.size()) {
      throw nb::index_error("input index out of range");
    }
    const View view(source);
    expect_bytes("input", i, view.size(), in_[i].bytes);
    const std::lock_guard<std::mutex> lock(mutex_);
    std::memcpy(staged_[i].data(), view.data(), view.size());
    is_set_[i] = true;
  }

  void invoke() {
    expect_all_set();
    const nb::gil_scoped_release release;
    const std::lock_guard<std::mutex> lock(mutex_);
    copy_inputs(main_);
    (void)dqnn_invoke(main_.it);
    invoked_ = true;
  }

  nb::bytearray get_output(size_t i) {
    if (i >= out_.size()) {
      throw nb::index_error("output index out of range");
    }
    if (!invoked_) {
      throw std::runtime_error("invoke() has not run yet");
    }
    nb::bytearray result = make_bytearray(out_[i].bytes);
    const std::lock_guard<std::mutex> lock(mutex_);
    std::memcpy(writable(result), out_[i].data, out_[i].bytes);
    return result;
  }

  std::vector<nb::bytearray> invoke_batch(const std::vector<nb::object> &sources, size_t count, size_t threads) {
    if (sources.size() != in_.size()) {
      throw nb::value_error("one buffer per input is needed");
    }
    Batch batch;
    std::vector<View> views;
    for (size_t i = 0; i < sources.size(); ++i) {
      views.emplace_back(sources[i]);
      expect_bytes("batch of input", i, views[i].size(), count * in_[i].bytes);
      batch.in.push_back(views[i].data());
    }
    std::vector<nb::bytearray> results;
    for (const dqnn_tensor &tensor : out_) {
      results.push_back(make_bytearray(count * tensor.bytes));
      batch.out.push_back(writable(results.back()));
    }
    threads = std::max<size_t>(1, std::min(threads, count));
    for (size_t t = 0; t <= threads; ++t) {
      batch.first.push_back(count * t / threads);
    }
    run_batch(batch, threads);
    return results;
  }

  std::vector<double> profile(size_t repeats) {
    Recorder recorder;
    record(recorder, repeats);
    for (double &seconds : recorder.seconds) {
      seconds /= static_cast<double>(repeats);
    }
    return recorder.seconds;
  }

  std::vector<nb::bytes> trace() {
    Recorder recorder;
    recorder.keep_outputs = true;
    record(recorder, 1);
    std::vector<nb::bytes> result;
    for (const auto &output : recorder.outputs) {
      result.emplace_back(output.data(), output.size());
    }
    return result;
  }

  // Bytes of the arena, from its start, that invoke touches: seen by painting it, twice, with different colours.
  size_t high_water() {
    expect_all_set();
    size_t touched = 0;
    for (const uint8_t colour : {0xA5, 0x5A}) {
      Instance instance = make(nullptr);
      uint8_t *arena = instance.memory.data();
      std::memset(arena, colour, need_.arena_bytes);
      copy_inputs(instance);
      (void)dqnn_invoke(instance.it);
      size_t end = need_.arena_bytes;
      while (end > touched && arena[end - 1] == colour) {
        --end;
      }
      touched = end;
    }
    return touched;
  }

  nb::list nodes() const {
    nb::list result;
    for (uint32_t i = 0; i < need_.nodes; ++i) {
      dqnn_node_info info{};
      (void)dqnn_node(main_.it, i, &info);
      nb::list inputs;
      for (uint32_t k = 0; k < info.input_count; ++k) {
        inputs.append(info.inputs[k]);
      }
      nb::dict node;
      node["layer"] = text_of(info.layer);
      node["kernel"] = dqnn_kernel_name(info.kernel);
      node["kernel_id"] = info.kernel;
      node["isa"] = dqnn_isa_name(info.isa);
      node["inputs"] = inputs;
      node["output"] = info.output;
      node["scratch_offset"] = info.scratch_offset;
      node["scratch_bytes"] = info.scratch_bytes;
      result.append(node);
    }
    return result;
  }

  nb::list tensors() const {
    nb::list result;
    for (uint32_t i = 0; i < need_.tensors; ++i) {
      dqnn_tensor tensor{};
      (void)dqnn_tensor_at(main_.it, i, &tensor);
      nb::dict entry;
      entry["dims"] = dims_of(tensor);
      entry["dtype"] = tensor.dtype;
      entry["scale"] = static_cast<double>(tensor.scale);
      entry["zero_point"] = tensor.zero_point;
      entry["bytes"] = tensor.bytes;
      entry["offset"] = static_cast<uint8_t *>(tensor.data) - model_.arena;
      result.append(entry);
    }
    return result;
  }

  nb::dict model() const {
    nb::dict result;
    result["name"] = text_of(model_.name);
    result["producer"] = text_of(model_.producer);
    result["file_bytes"] = model_.file_bytes;
    result["arena_bytes"] = need_.arena_bytes;
    result["state_bytes"] = need_.state_bytes;
    result["memory_bytes"] = need_.memory_bytes;
    result["model_id"] = model_.model_id;
    result["model_version"] = model_.model_version;
    return result;
  }

  nb::bytes blob() const {
    return nb::bytes(blob_.data(), blob_.size());
  }

 private:
  // No Python here: called without the GIL too. The file was accepted before, so only memory can lack.
  Instance make_unchecked(Recorder *recorder, dqnn_status &status, dqnn_fault &fault) const {
    dqnn_options options = options_for(isa_mask_);
    options.profile = recorder == nullptr ? nullptr : on_node;
    options.profile_context = recorder;
    Instance instance{Memory(need_.memory_bytes), nullptr};
    status = dqnn_init(&instance.it, instance.memory.data(), instance.memory.size(), blob_.data(), blob_.size(),
                       &options, &fault);
    return instance;
  }

  Instance make(Recorder *recorder) const {
    dqnn_status status = DQNN_OK;
    dqnn_fault fault = kNoFault;
    Instance instance = make_unchecked(recorder, status, fault);
    if (status != DQNN_OK) {
      raise_blob_error(status, fault);
    }
    return instance;
  }

  // Interpreters for batches are kept: setting one up checks the whole file.
  Instance borrow() {
    {
      const std::lock_guard<std::mutex> lock(pool_mutex_);
      if (!pool_.empty()) {
        Instance instance = std::move(pool_.back());
        pool_.pop_back();
        return instance;
      }
    }
    return make(nullptr);
  }

  void give_back(Instance &&instance) {
    const std::lock_guard<std::mutex> lock(pool_mutex_);
    pool_.push_back(std::move(instance));
  }

  void run_batch(Batch &batch, size_t threads) {
    std::vector<Instance> instances;
    for (size_t t = 0; t < threads; ++t) {
      instances.push_back(borrow());
    }
    bool interrupted = false;
    {
      const nb::gil_scoped_release release;
      std::vector<std::thread> workers;
      for (size_t t = 1; t < threads; ++t) {
        workers.emplace_back([this, &batch, &instances, t] { (void)run_part(batch, instances[t], t, false); });
      }
      interrupted = !run_part(batch, instances[0], 0, true);
      for (std::thread &worker : workers) {
        worker.join();
      }
    }
    for (Instance &instance : instances) {
      give_back(std::move(instance));
    }
    if (interrupted) {
      throw nb::python_error();
    }
  }

  // Thread 0 is the caller's: several times a second it looks whether the user pressed Ctrl-C.
  bool run_part(Batch &batch, const Instance &instance, size_t thread, bool watch_signals) const {
    using Clock = std::chrono::steady_clock;
    Clock::time_point last = Clock::now();
    for (size_t sample = batch.first[thread]; sample < batch.first[thread + 1] && !batch.stop; ++sample) {
      run_sample(batch, instance, sample);
      if (watch_signals && Clock::now() - last > std::chrono::milliseconds(100)) {
        const nb::gil_scoped_acquire acquire;
        if (PyErr_CheckSignals() != 0) {
          batch.stop = true;
          return false;
        }
        last = Clock::now();
      }
    }
    return true;
  }

  void run_sample(const Batch &batch, const Instance &instance, size_t sample) const {
    dqnn_tensor tensor{};
    for (uint32_t i = 0; i < in_.size(); ++i) {
      (void)dqnn_input(instance.it, i, &tensor);
      std::memcpy(tensor.data, batch.in[i] + sample * tensor.bytes, tensor.bytes);
    }
    (void)dqnn_invoke(instance.it);
    for (uint32_t i = 0; i < out_.size(); ++i) {
      (void)dqnn_output(instance.it, i, &tensor);
      std::memcpy(batch.out[i] + sample * tensor.bytes, tensor.data, tensor.bytes);
    }
  }

  void record(Recorder &recorder, size_t repeats) {
    expect_all_set();
    recorder.seconds.resize(need_.nodes);
    recorder.outputs.resize(need_.nodes);
    const Instance instance = make(&recorder);
    recorder.it = instance.it;
    const nb::gil_scoped_release release;
    for (size_t i = 0; i < repeats; ++i) {
      copy_inputs(instance);
      (void)dqnn_invoke(instance.it);
    }
  }

  void copy_inputs(const Instance &instance) const {
    for (uint32_t i = 0; i < staged_.size(); ++i) {
      dqnn_tensor tensor{};
      (void)dqnn_input(instance.it, i, &tensor);
      std::memcpy(tensor.data, staged_[i].data(), staged_[i].size());
    }
  }

  void expect_all_set() const {
    for (size_t i = 0; i < is_set_.size(); ++i) {
      if (!is_set_[i]) {
        const std::string name = nb::cast<std::string>(text_of(in_[i].name));
        throw std::runtime_error("input '" + name + "' has not been set");
      }
    }
  }

  static void expect_bytes(const char *what, size_t i, size_t got, size_t expected) {
    if (got == expected) {
      return;
    }
    const std::string message = std::string(what) + " " + std::to_string(i) + " takes " + std::to_string(expected) +
                                " bytes, got " + std::to_string(got);
    throw nb::value_error(message.c_str());
  }

  static std::vector<Port> ports(const std::vector<dqnn_tensor> &tensors) {
    std::vector<Port> result;
    for (const dqnn_tensor &tensor : tensors) {
      result.push_back(port_of(tensor));
    }
    return result;
  }

  uint32_t isa_mask_;
  Memory blob_;
  dqnn_requirements need_{};
  dqnn_model_info model_{};
  Instance main_;
  std::vector<dqnn_tensor> in_, out_;
  std::vector<Memory> staged_;
  std::vector<bool> is_set_;
  std::atomic<bool> invoked_{false};
  std::mutex mutex_, pool_mutex_;
  std::vector<Instance> pool_;
};

void define_errors(nb::module_ &m) {
  plan_error_class = PyErr_NewExceptionWithDoc("dqnn._core.PlanError",
                                               "A kernel's plan function refused a call. Attributes: status, check.",
                                               PyExc_ValueError, nullptr);
  blob_error_class = PyErr_NewExceptionWithDoc("dqnn._core.BlobError",
                                               "A file was refused. Attributes: status, code, node, kernel, tensor, "
                                               "check, detail; None where it does not apply.",
                                               PyExc_ValueError, nullptr);
  if (plan_error_class == nullptr || blob_error_class == nullptr) {
    throw nb::python_error();
  }
  m.attr("PlanError") = nb::borrow(plan_error_class);
  m.attr("BlobError") = nb::borrow(blob_error_class);
}

}  // namespace

NB_MODULE(_core, m) {
  m.doc() = "The C interpreter of dqnn: kernel table, plan functions, and interpreters on raw bytes.";
  define_errors(m);
  m.attr("FORMAT_VERSION") = DQNN_FORMAT_VERSION;
  m.attr("RUNTIME_VERSION") = DQNN_RUNTIME_VERSION;
  m.attr("ALIGNMENT") = DQNN_ALIGNMENT;

  m.def("kernels", &kernels, "Every kernel of kernels.def with the variants in this build, best first.");
  m.def(
      "host_isas", [] { return isa_names(host_isa_mask()); }, "Instruction sets that this machine can run.");
  m.def("plan", &plan, "kernel_id"_a, "inputs"_a, "output"_a, "constants"_a, "params"_a,
        "Asks a kernel's C plan function: (scratch bytes, overlap bytes), or raises PlanError.");
  m.def("run_kernel", &run_kernel, "kernel_id"_a, "isa"_a, "inputs"_a, "input_defs"_a, "output_def"_a, "constants"_a,
        "params"_a, "output_at"_a.none() = nb::none(),
        "Plans and runs one kernel in guarded memory. output_at places the output at that offset from input 0.");
  m.def("verify", &verify, "blob"_a, "Checks a file as dqnn_init does; raises BlobError.");
  m.def("requirements", &requirements, "blob"_a, "Memory that a file needs; raises BlobError.");

  nb::class_<Interpreter>(m, "Interpreter", "One file with memory to run it; works on stored bytes.")
      .def(nb::init<nb::handle, const std::optional<std::vector<std::string>> &>(), "blob"_a,
           "isas"_a.none() = nb::none())
      .def("inputs", &Interpreter::inputs, "(name, dims, dtype, scale, zero_point, bytes) of each input.")
      .def("outputs", &Interpreter::outputs, "(name, dims, dtype, scale, zero_point, bytes) of each output.")
      .def("set_input", &Interpreter::set_input, "index"_a, "data"_a, "Copies the stored bytes of one input.")
      .def("get_output", &Interpreter::get_output, "index"_a, "Stored bytes of one output.")
      .def("invoke", &Interpreter::invoke, "Runs the model once.")
      .def("invoke_batch", &Interpreter::invoke_batch, "inputs"_a, "count"_a, "threads"_a,
           "Runs `count` samples that lie one after the other in each input's buffer.")
      .def("profile", &Interpreter::profile, "repeats"_a, "Seconds per node, averaged.")
      .def("trace", &Interpreter::trace, "Runs once and gives the stored bytes of every node's output.")
      .def("high_water", &Interpreter::high_water, "Bytes of the arena that a run touches, seen by painting it.")
      .def("nodes", &Interpreter::nodes, "Every node: layer, kernel, variant, tensors, scratch.")
      .def("tensors", &Interpreter::tensors, "Every tensor: shape, type, quantization, place in the arena.")
      .def("model", &Interpreter::model, "Name, producer, ids and sizes.")
      .def("blob", &Interpreter::blob, "The file.");
}
