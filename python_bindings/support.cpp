// Names, instruction sets and errors of dqnn._core.
#include "support.h"

#include <nanobind/stl/string.h>

#include <cstdlib>
#include <sstream>

namespace dqnn {

namespace {

PyObject *plan_error_class = nullptr;
PyObject *blob_error_class = nullptr;

[[noreturn]] void raise(PyObject *type, const nb::object &error) {
  PyErr_SetObject(type, error.ptr());
  throw nb::python_error();
}

nb::object optional_index(uint16_t index) {
  return index == DQNN_NONE ? nb::object(nb::none()) : nb::int_(index);
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

}  // namespace

void raise_plan_error(const char *kernel, dqnn_status status, uint16_t check) {
  const std::string message = std::string(kernel) + " refuses the call: " + dqnn_check_str(check) + " (" +
                              dqnn_status_name(status) + ", " + dqnn_check_name(check) + ")";
  nb::object error = nb::borrow(plan_error_class)(message);
  error.attr("status") = dqnn_status_name(status);
  error.attr("check") = dqnn_check_name(check);
  raise(plan_error_class, error);
}

void raise_blob_error(dqnn_status status, const dqnn_fault &fault) {
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

// A name from the file, which may hold any bytes.
nb::str text_of(const char *name) {
  PyObject *object = PyUnicode_DecodeUTF8(name, static_cast<Py_ssize_t>(std::strlen(name)), "replace");
  if (object == nullptr) {
    throw nb::python_error();
  }
  return nb::steal<nb::str>(object);
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

uint32_t isa_mask_of(const std::vector<std::string> &names, uint32_t usable) {
  uint32_t mask = 0;
  for (const std::string &name : names) {
    uint32_t isa = 0;
    while (isa < DQNN_ISA_NUMBER && name != dqnn_isa_name(isa)) {
      ++isa;
    }
    if (isa == DQNN_ISA_NUMBER || (usable >> isa & 1u) == 0) {
      const std::string problem = isa == DQNN_ISA_NUMBER ? "unknown instruction set" : "this machine cannot run";
      std::string accepted;
      for (const std::string &known : isa_names(usable)) {
        accepted += (accepted.empty() ? "" : ", ") + known;
      }
      throw nb::value_error((problem + " '" + name + "'; accepted: " + accepted).c_str());
    }
    mask |= 1u << isa;
  }
  return mask;
}

// DQNN_ISAS=portable,avx2 in the environment: as on a processor that has only these, and ref. Read once.
static uint32_t masked_isas(const char *list, uint32_t usable) {
  std::vector<std::string> names;
  std::istringstream words(list);
  for (std::string name; std::getline(words, name, ',');) {
    names.push_back(name);
  }
  try {
    return isa_mask_of(names, usable) | 1u << DQNN_ISA_ref;
  } catch (const nb::builtin_exception &error) {
    throw nb::value_error((std::string("DQNN_ISAS: ") + error.what()).c_str());
  }
}

uint32_t host_isa_mask() {
  const char *list = std::getenv("DQNN_ISAS");
  static const uint32_t mask =
      list == nullptr || *list == '\0' ? dqnn_host_isas() : masked_isas(list, dqnn_host_isas());
  return mask;
}

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

}  // namespace dqnn
