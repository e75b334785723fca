// The kernel table, the plan functions and single kernel calls: what the exporter and the kernel tests use. The
// exporter thereby asks the code that the device runs.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <stdexcept>
#include <tuple>
#include <utility>

#include "../kernels/limits.h"
#include "support.h"

extern "C" {
#include "../kernels/scratch.h"
}

namespace dqnn {

using namespace nb::literals;

namespace {

// ---- the kernel table ----

struct KernelRow {
  uint16_t id;
  const char *name, *family, *input, *weights, *output;
};

#define DQNN_KERNEL(id, name, family, input, weights, output, variants) {id, #name, #family, #input, #weights, #output},
constexpr KernelRow kKernels[] = {
#include "dqnn/kernels.def"
};

const KernelRow &kernel_row(unsigned id) {
  for (const KernelRow &row : kKernels) {
    if (row.id == id) {
      return row;
    }
  }
  throw nb::value_error(("no kernel has id " + std::to_string(id)).c_str());
}

const dqnn_variant *find_variant(unsigned kernel_id, const char *isa) {
  for (uint32_t i = 0; i < dqnn_all_kernel_count; ++i) {
    const dqnn_variant *variant = dqnn_all_kernels[i];
    if (variant->id != kernel_id) {
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
      if (dqnn_all_kernels[i]->id == row.id) {
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

nb::dict limits() {
  nb::dict found;
  found["inputs"] = static_cast<uint32_t>(DQNN_MAX_INPUTS);
  found["bitsliced_taps"] = static_cast<uint32_t>(DQNN_MOST_TAPS);
  found["kernel_size"] = std::numeric_limits<decltype(dqnn_conv_params::kernel_h)>::max();
  found["shift"] = static_cast<uint32_t>(DQNN_MOST_SHIFT);
  found["wide_shift"] = static_cast<uint32_t>(DQNN_MOST_WIDE_SHIFT);
  return found;
}

// ---- one kernel call ----

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

// The struct as a file holds it, for those who build a call in another memory.
nb::bytes tensor_def_bytes(const TensorDef &source) {
  const dqnn_tensor_def def = tensor_def(source);
  return nb::bytes(reinterpret_cast<const char *>(&def), sizeof def);
}

// A dqnn_call with aligned, guarded copies of everything it points to.
class Call {
 public:
  Call(unsigned kernel_id, const std::vector<TensorDef> &inputs, const TensorDef &output,
       const std::vector<nb::bytes> &constants, const nb::bytes &params)
      : params_(params), out_def_(tensor_def(output)) {
    if (inputs.size() > DQNN_MAX_INPUTS) {
      throw nb::value_error("a kernel has at most 16 inputs");
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
    plan.work = UINT32_MAX;
    const dqnn_check check = dqnn_plan_with(function, &call_, &plan);
    if (check != DQNN_CHECK_none) {
      raise_plan_error(row_->name, dqnn_status_of(check), check);
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

std::tuple<uint32_t, uint32_t, bool> plan(unsigned kernel_id, const std::vector<TensorDef> &inputs,
                                          const TensorDef &output, const std::vector<nb::bytes> &constants,
                                          const nb::bytes &params) {
  const dqnn_plan_fn function = find_variant(kernel_id, nullptr)->plan;
  const dqnn_plan result = Call(kernel_id, inputs, output, constants, params).plan(function);
  return {result.scratch_bytes, result.overlap_bytes, result.parts != 0};
}

nb::dict scratch(unsigned kernel_id, const std::vector<TensorDef> &inputs, const TensorDef &output,
                 const std::vector<nb::bytes> &constants, const nb::bytes &params) {
  const dqnn_plan_fn function = find_variant(kernel_id, nullptr)->plan;
  const dqnn_plan result = Call(kernel_id, inputs, output, constants, params).plan(function);
  nb::dict needs;
  for (uint32_t isa = 0; isa < DQNN_ISA_NUMBER; ++isa) {
    if (result.scratch[isa] != UINT32_MAX) {
      needs[dqnn_isa_name(isa)] = result.scratch[isa];
    }
  }
  return needs;
}

// A pass transforms the input once: fewer passes take more memory and less time.
std::vector<std::pair<uint32_t, uint32_t>> winograd_choices(unsigned kernel_id, const std::vector<TensorDef> &inputs,
                                                            const TensorDef &output,
                                                            const std::vector<nb::bytes> &constants,
                                                            const nb::bytes &params) {
  const dqnn_plan_fn function = find_variant(kernel_id, nullptr)->plan;
  Call call(kernel_id, inputs, output, constants, params);
  const uint32_t least = call.plan(function).scratch[DQNN_ISA_winograd];
  std::vector<std::pair<uint32_t, uint32_t>> choices;
  if (least == 0 || least == UINT32_MAX) {  // no convolution, or not one of those
    return choices;
  }
  const uint32_t all = dqnn_winograd_bytes(&call.raw(), 1);
  choices.emplace_back(all, 1);
  for (uint32_t passes = 2, last = all; last > least; ++passes) {
    const uint32_t bytes = dqnn_winograd_bytes(&call.raw(), passes);
    if (bytes < last) {
      choices.emplace_back(bytes, passes);
      last = bytes;
    }
  }
  return choices;
}

uint32_t vector_scratch(unsigned kernel_id, const std::vector<TensorDef> &inputs, const TensorDef &output,
                        const std::vector<nb::bytes> &constants, const nb::bytes &params) {
  const dqnn_variant *variant = find_variant(kernel_id, nullptr);
  Call call(kernel_id, inputs, output, constants, params);
  call.plan(variant->plan);
  const bool conv = variant->family == DQNN_FAMILY_conv || variant->family == DQNN_FAMILY_convz;
  return conv ? dqnn_vector_scratch(&call.raw()) : 0;
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

// Puts the inputs numbered in `parts` where the output holds them.
void move_parts(Call &call, const std::vector<nb::bytes> &inputs, const std::vector<size_t> &parts) {
  dqnn_call &raw = call.raw();
  auto *at = static_cast<uint8_t *>(raw.out);
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (std::find(parts.begin(), parts.end(), i) != parts.end()) {
      std::memcpy(at, inputs[i].c_str(), inputs[i].size());
      raw.in[i] = at;
    }
    at += inputs[i].size();
  }
}

// Runs once with all memory that the kernel must not read filled with `fill`.
nb::bytes run_once(Call &call, const dqnn_variant *variant, const std::vector<nb::bytes> &inputs,
                   uint32_t scratch_bytes, const Placement &place, const std::vector<size_t> &parts, uint8_t fill) {
  std::vector<Guarded> in;
  in.emplace_back(static_cast<size_t>(place.span()), fill);
  uint8_t *first = in[0].data() + place.before();
  if (!inputs.empty()) {
    std::memcpy(first, inputs[0].c_str(), inputs[0].size());
  }
  for (size_t i = 1; i < inputs.size(); ++i) {
    in.emplace_back(inputs[i]);
  }
  Guarded separate(place.offset ? 0 : static_cast<size_t>(place.out_bytes), fill);
  Guarded scratch(scratch_bytes, fill);
  dqnn_call &raw = call.raw();
  raw.in[0] = inputs.empty() ? nullptr : first;
  for (size_t i = 1; i < inputs.size(); ++i) {
    raw.in[i] = in[i].data();
  }
  raw.out = place.offset ? first + *place.offset : separate.data();
  move_parts(call, inputs, parts);
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
                     const std::vector<nb::bytes> &constants, const nb::bytes &params, std::optional<int64_t> output_at,
                     const std::vector<size_t> &parts, std::optional<uint32_t> given) {
  const dqnn_variant *variant = find_variant(kernel_id, isa.c_str());
  (void)isa_mask_of({isa});
  if (inputs.size() != defs.size()) {
    throw nb::value_error("as many inputs as definitions are needed");
  }
  Call call(kernel_id, defs, output, constants, params);
  const dqnn_plan plan = call.plan(variant->plan);
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].size() != call.in_bytes(i)) {
      throw nb::value_error(("input " + std::to_string(i) + " has " + std::to_string(inputs[i].size()) +
                             " bytes, its definition says " + std::to_string(call.in_bytes(i)))
                                .c_str());
    }
  }
  const Placement place{output_at, inputs.empty() ? 0 : static_cast<int64_t>(call.in_bytes(0)),
                        static_cast<int64_t>(call.out_bytes())};
  place.check(plan.overlap_bytes);
  if (!parts.empty() && plan.parts == 0) {
    throw nb::value_error("plan allows no input to be a part of the output");
  }
  // Exactly the scratch that this variant needs: guards show whether it was content with it.
  const uint32_t least = plan.scratch[variant->isa], scratch_bytes = given.value_or(least);
  if (least == UINT32_MAX || scratch_bytes < least) {
    throw nb::value_error((std::string(call.name()) + " (" + isa + ") does not take this call").c_str());
  }
  nb::bytes result = run_once(call, variant, inputs, scratch_bytes, place, parts, 0x5A);
  const nb::bytes again = run_once(call, variant, inputs, scratch_bytes, place, parts, 0xA5);
  if (std::memcmp(result.c_str(), again.c_str(), result.size()) != 0) {
    throw std::runtime_error(std::string(call.name()) + " (" + isa + "): the output depends on uninitialised memory");
  }
  return result;
}

}  // namespace

void define_kernels(nb::module_ &m) {
  m.def("kernels", &kernels, "Every kernel of kernels.def with the variants in this build, best first.");
  m.def(
      "host_isas", [] { return isa_names(host_isa_mask()); }, "Instruction sets that this machine can run.");
  m.def("limits", &limits,
        "What kernels take at most: inputs of a call, taps of a bit-sliced window, height and width of a convolution's "
        "kernel, shift of a fixed-point requantization, of one in 64 bits.");
  m.def("tensor_def_bytes", &tensor_def_bytes, "tensor"_a, "A tensor's definition as it lies in a file.");
  m.def("plan", &plan, "kernel_id"_a, "inputs"_a, "output"_a, "constants"_a, "params"_a,
        "Asks a kernel's C plan function: (scratch bytes, overlap bytes, inputs may be parts of the output), or raises "
        "PlanError.");
  m.def("scratch", &scratch, "kernel_id"_a, "inputs"_a, "output"_a, "constants"_a, "params"_a,
        "Bytes of scratch that the variant of each instruction set needs, by its name; also of those not in this "
        "build. One that does not take the call is missing. plan() gives the largest but for `winograd`.");
  m.def("winograd_choices", &winograd_choices, "kernel_id"_a, "inputs"_a, "output"_a, "constants"_a, "params"_a,
        "(bytes of scratch, how often the input is transformed then) that `winograd` can make something of, most "
        "memory first; empty where it does not take the call.");
  m.def(
      "vector_scratch", &vector_scratch, "kernel_id"_a, "inputs"_a, "output"_a, "constants"_a, "params"_a,
      "Bytes of scratch with which `mve` and, on a Cortex-M55, `packed` are fastest; 0 where more than they need is of "
      "no use.");
  m.def("run_kernel", &run_kernel, "kernel_id"_a, "isa"_a, "inputs"_a, "input_defs"_a, "output_def"_a, "constants"_a,
        "params"_a, "output_at"_a.none() = nb::none(), "parts"_a = std::vector<size_t>{},
        "scratch_bytes"_a.none() = nb::none(),
        "Plans and runs one kernel in guarded memory, with as much scratch as it needs or what is given. output_at "
        "places the output at that offset from input 0; the "
        "inputs "
        "numbered in parts lie in the output.");
}

}  // namespace dqnn
