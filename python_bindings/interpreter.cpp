// dqnn._core.Interpreter: one file with memory to run it, on stored bytes. Whatever takes long releases the GIL.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>
#include <tuple>

#include "support.h"

namespace dqnn {

using namespace nb::literals;

namespace {

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

dqnn_options options_for(uint32_t isa_mask) {
  dqnn_options options{};
  options.kernels = dqnn_all_kernels;
  options.kernel_count = dqnn_all_kernel_count;
  options.isa_mask = isa_mask;
  options.segments = &dqnn_fed_strips;
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

nb::tuple dims_of(const dqnn_tensor &tensor) {
  nb::list dims;
  for (uint32_t i = 0; i < tensor.rank; ++i) {
    dims.append(tensor.dims[i]);
  }
  return nb::tuple(dims);
}

nb::dict port_of(const dqnn_tensor &tensor) {
  nb::dict port;
  port["name"] = text_of(tensor.name);
  port["shape"] = dims_of(tensor);
  port["dtype"] = static_cast<int>(tensor.dtype);
  port["scale"] = static_cast<double>(tensor.scale);
  port["zero_point"] = tensor.zero_point;
  port["bytes"] = tensor.bytes;
  port["sample_scale"] = static_cast<double>(tensor.sample_scale);
  port["sample_offset"] = static_cast<double>(tensor.sample_offset);
  port["rounding"] = static_cast<int>(tensor.rounding);
  port["inverse"] = static_cast<double>(tensor.inverse);
  port["u8"] = tensor.u8 != 0;
  return port;
}

// Of a whole tensor, also if memory never holds all its rows.
size_t whole_bytes(const dqnn_tensor &tensor) {
  const size_t last = tensor.dims[tensor.rank - 1];
  size_t bytes = tensor.dtype == DQNN_S1 ? (last + 31) / 32 * 4 : tensor.dtype == DQNN_F32 ? 4 * last : last;
  for (uint32_t k = 0; k + 1 < tensor.rank; ++k) {
    bytes *= tensor.dims[k];
  }
  return bytes;
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

  size_t output_bytes(uint32_t node) const {
    dqnn_node_info info{};
    dqnn_tensor tensor{};
    (void)dqnn_node(it, node, &info);
    (void)dqnn_tensor_at(it, info.output, &tensor);
    return whole_bytes(tensor);
  }

  // Takes all memory before the run: nothing may be thrown through C.
  void prepare(const dqnn_interpreter *interpreter, uint32_t nodes) {
    it = interpreter;
    seconds.resize(nodes);
    outputs.resize(nodes);
    for (uint32_t node = 0; keep_outputs && node < nodes; ++node) {
      outputs[node].resize(output_bytes(node));
    }
  }

  void end(uint32_t node) noexcept {
    seconds[node] += std::chrono::duration<double>(Clock::now() - start).count();
    if (keep_outputs) {
      dqnn_tensor rows{};
      uint32_t first = 0;
      (void)dqnn_rows_made(it, node, &first, &rows);
      std::memcpy(outputs[node].data() + size_t{first} * (rows.bytes / rows.dims[0]), rows.data, rows.bytes);
    }
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

// The right to use an interpreter. Waits without the GIL: whoever has it may compute for long.
class Turn {
 public:
  explicit Turn(std::mutex &mutex) : lock_(mutex) {
  }

 private:
  nb::gil_scoped_release release_;
  std::lock_guard<std::mutex> lock_;
};

// The bytes of all inputs.
using Inputs = std::vector<std::vector<uint8_t>>;

// A batch on its way through several threads: thread t runs samples first[t] .. first[t + 1].
struct Batch {
  std::vector<const uint8_t *> in;
  std::vector<uint8_t *> out;
  std::vector<size_t> first;
  std::atomic<bool> stop{false};
};

// Threads that are waited for, also if starting one of them fails.
class Workers {
 public:
  explicit Workers(Batch &batch) : batch_(batch) {
  }
  Workers(const Workers &) = delete;
  Workers &operator=(const Workers &) = delete;
  ~Workers() {
    if (!complete_) {
      batch_.stop = true;
    }
    for (std::thread &thread : threads_) {
      thread.join();
    }
  }
  template <typename Work>
  void start(Work work) {
    complete_ = false;
    threads_.emplace_back(work);
    complete_ = true;
  }

 private:
  Batch &batch_;
  std::vector<std::thread> threads_;
  bool complete_ = true;
};

class Interpreter {
 public:
  Interpreter(nb::handle source, const std::optional<std::vector<std::string>> &isas)
      : isa_mask_(isas ? isa_mask_of(*isas) | 1u : host_isa_mask()) {
    const View view(source);
    blob_ = Memory(view.data(), view.size());
    need_ = requirements_of(blob_);
    verify_blob();  // a file that is refused gets no memory, however much it asks for
    main_ = make(nullptr);
    (void)dqnn_model_of(main_.it, &model_);
    for (uint32_t i = 0; i < need_.inputs; ++i) {
      in_.emplace_back();
      (void)dqnn_input(main_.it, i, &in_.back());
      in_.back().bytes = static_cast<uint32_t>(whole_bytes(in_.back()));
      staged_.emplace_back(in_.back().bytes, uint8_t{0});
    }
    dqnn_tensor rows{};
    fed_ = dqnn_feed(main_.it, &rows) == DQNN_OK;
    for (uint32_t i = 0; i < need_.outputs; ++i) {
      out_.emplace_back();
      (void)dqnn_output(main_.it, i, &out_.back());
    }
  }

  std::vector<nb::dict> inputs() const {
    return ports(in_);
  }
  std::vector<nb::dict> outputs() const {
    return ports(out_);
  }

  // Inputs are kept here, zeros to begin with, and copied in by invoke: the interpreter reuses their memory.
  void set_input(size_t i, nb::handle source) {
    if (i >= in_.size()) {
      throw nb::index_error("input index out of range");
    }
    const View view(source);
    expect_bytes("input", i, view.size(), in_[i].bytes);
    const Turn turn(mutex_);
    std::memcpy(staged_[i].data(), view.data(), view.size());
  }

  // Rows of the next frame, where the model is fed; how many it still needs.
  size_t feed_rows(nb::handle source) {
    if (!fed_) {
      throw std::runtime_error("this model's input is not fed by rows (export with feed_rows)");
    }
    const View view(source);
    const size_t row = in_[0].bytes / in_[0].dims[0], count = view.size() / row;
    const Turn turn(mutex_);
    if (view.size() % row != 0 || count > in_[0].dims[0] - fed_rows_) {
      const std::string message = "the input takes rows of " + std::to_string(row) + " bytes, " +
                                  std::to_string(in_[0].dims[0] - fed_rows_) + " more until invoke(), got " +
                                  std::to_string(view.size()) + " bytes";
      throw std::invalid_argument(message);
    }
    (void)dqnn_feed_rows(main_.it, view.data(), static_cast<uint32_t>(count));
    fed_rows_ += count;
    return in_[0].dims[0] - fed_rows_;
  }

  void feed_anew() {
    const Turn turn(mutex_);
    fed_rows_ = 0;
    (void)dqnn_feed_anew(main_.it);
  }

  // With the rows that were fed, if any were.
  void invoke() {
    const Turn turn(mutex_);
    if (fed_rows_ == 0) {
      copy_inputs(staged_, main_);
    }
    if (dqnn_invoke(main_.it) == DQNN_ERROR_NO_INPUT) {
      throw std::runtime_error("the frame that is being fed needs " + std::to_string(in_[0].dims[0] - fed_rows_) +
                               " more rows");
    }
    fed_rows_ = 0;
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
    uint8_t *bytes = writable(result);
    const Turn turn(mutex_);
    std::memcpy(bytes, out_[i].data, out_[i].bytes);
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
      expect_bytes("batch of input", i, views[i].size(), batch_bytes(count, in_[i]));
      batch.in.push_back(views[i].data());
    }
    std::vector<nb::bytearray> results;
    for (const dqnn_tensor &tensor : out_) {
      results.push_back(make_bytearray(batch_bytes(count, tensor)));
      batch.out.push_back(writable(results.back()));
    }
    threads = std::max<size_t>(1, std::min(threads, count));
    for (size_t t = 0; t <= threads; ++t) {
      batch.first.push_back(count / threads * t + std::min(t, count % threads));
    }
    run_batch(batch, threads);
    return results;
  }

  std::vector<double> profile(size_t repeats) {
    if (repeats == 0) {
      throw nb::value_error("a profile needs at least one run");
    }
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
    size_t touched = 0;
    const Inputs inputs = snapshot();
    for (const uint8_t colour : {0xA5, 0x5A}) {
      Instance instance = make(nullptr);
      uint8_t *arena = instance.memory.data();
      std::memset(arena, colour, need_.arena_bytes);
      const nb::gil_scoped_release release;
      copy_inputs(inputs, instance);
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
  void verify_blob() const {
    const dqnn_options options = options_for(isa_mask_);
    dqnn_fault fault = kNoFault;
    dqnn_status status = DQNN_OK;
    {
      const nb::gil_scoped_release release;
      status = dqnn_verify(blob_.data(), blob_.size(), &options, &fault);
    }
    if (status != DQNN_OK) {
      raise_blob_error(status, fault);
    }
  }

  // The file has been checked, and nobody else can write to this copy of it.
  Instance make(Recorder *recorder) const {
    dqnn_options options = options_for(isa_mask_);
    options.flags = DQNN_FLAG_SKIP_PAYLOAD_CHECKSUM;
    options.profile = recorder == nullptr ? nullptr : on_node;
    options.profile_context = recorder;
    dqnn_fault fault = kNoFault;
    Instance instance{Memory(need_.memory_bytes), nullptr};
    const dqnn_status status = dqnn_init(&instance.it, instance.memory.data(), instance.memory.size(), blob_.data(),
                                         blob_.size(), &options, &fault);
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
      Workers workers(batch);
      for (size_t t = 1; t < threads; ++t) {
        workers.start([this, &batch, &instances, t] { (void)run_part(batch, instances[t], t, false); });
      }
      interrupted = !run_part(batch, instances[0], 0, true);
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
      write_input(instance, i, batch.in[i] + sample * in_[i].bytes);
    }
    (void)dqnn_invoke(instance.it);
    for (uint32_t i = 0; i < out_.size(); ++i) {
      (void)dqnn_output(instance.it, i, &tensor);
      std::memcpy(batch.out[i] + sample * tensor.bytes, tensor.data, tensor.bytes);
    }
  }

  void record(Recorder &recorder, size_t repeats) {
    const Instance instance = make(&recorder);
    recorder.prepare(instance.it, need_.nodes);
    const Inputs inputs = snapshot();
    const nb::gil_scoped_release release;
    for (size_t i = 0; i < repeats; ++i) {
      copy_inputs(inputs, instance);
      (void)dqnn_invoke(instance.it);
    }
  }

  // The inputs of one moment, for a run beside the others.
  Inputs snapshot() {
    const Turn turn(mutex_);
    return staged_;
  }

  void copy_inputs(const Inputs &inputs, const Instance &instance) const {
    for (uint32_t i = 0; i < inputs.size(); ++i) {
      write_input(instance, i, inputs[i].data());
    }
  }

  void write_input(const Instance &instance, uint32_t i, const uint8_t *bytes) const {
    dqnn_tensor tensor{};
    (void)dqnn_input(instance.it, i, &tensor);
    if (fed_) {
      (void)dqnn_feed_rows(instance.it, bytes, tensor.dims[0]);
    } else {
      std::memcpy(tensor.data, bytes, tensor.bytes);
    }
  }

  static size_t batch_bytes(size_t count, const dqnn_tensor &tensor) {
    if (count > static_cast<size_t>(PY_SSIZE_T_MAX) / tensor.bytes) {
      throw nb::value_error("the batch is too large");
    }
    return count * tensor.bytes;
  }

  static void expect_bytes(const char *what, size_t i, size_t got, size_t expected) {
    if (got == expected) {
      return;
    }
    const std::string message = std::string(what) + " " + std::to_string(i) + " takes " + std::to_string(expected) +
                                " bytes, got " + std::to_string(got);
    throw nb::value_error(message.c_str());
  }

  static std::vector<nb::dict> ports(const std::vector<dqnn_tensor> &tensors) {
    std::vector<nb::dict> result;
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
  bool fed_ = false;
  size_t fed_rows_ = 0;
  Inputs staged_;
  std::atomic<bool> invoked_{false};
  std::mutex mutex_, pool_mutex_;
  std::vector<Instance> pool_;
};

}  // namespace

void define_interpreter(nb::module_ &m) {
  m.def("verify", &verify, "blob"_a, "Checks a file as dqnn_init does; raises BlobError.");
  m.def("requirements", &requirements, "blob"_a, "Memory that a file needs; raises BlobError.");

  nb::class_<Interpreter>(m, "Interpreter", "One file with memory to run it; works on stored bytes.")
      .def(nb::init<nb::handle, const std::optional<std::vector<std::string>> &>(), "blob"_a,
           "isas"_a.none() = nb::none())
      .def("inputs", &Interpreter::inputs, "(name, dims, dtype, scale, zero_point, bytes) of each input.")
      .def("outputs", &Interpreter::outputs, "(name, dims, dtype, scale, zero_point, bytes) of each output.")
      .def("set_input", &Interpreter::set_input, "index"_a, "data"_a, "Copies the stored bytes of one input.")
      .def("get_output", &Interpreter::get_output, "index"_a, "Stored bytes of one output.")
      .def("feed_rows", &Interpreter::feed_rows, "rows"_a,
           "Stored bytes of the next rows of an input that is fed; how many are still missing.")
      .def("feed_anew", &Interpreter::feed_anew, "Forgets the rows that were fed.")
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

}  // namespace dqnn
