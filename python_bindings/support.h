// What the parts of dqnn._core share: memory, buffers of Python, errors.
#ifndef DQNN_PYTHON_SUPPORT_H
#define DQNN_PYTHON_SUPPORT_H

#include <nanobind/nanobind.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

extern "C" {
#include "dqnn/dqnn.h"
#include "dqnn/dqnn_kernels.h"
#include "kernel.h"
}

namespace dqnn {

namespace nb = nanobind;

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

// ---- names ----

// A name from the file, which may hold any bytes.
nb::str text_of(const char *name);

// Instruction sets that this machine can run (fewer with DQNN_ISAS in the environment), and the mask of some by name
// (nb::value_error for others).
uint32_t host_isa_mask();
std::vector<std::string> isa_names(uint32_t mask);
uint32_t isa_mask_of(const std::vector<std::string> &names, uint32_t usable = host_isa_mask());

// ---- errors: PlanError and BlobError, with attributes that a program can read ----

constexpr dqnn_fault kNoFault = {DQNN_NONE, DQNN_NONE, DQNN_NONE, DQNN_CHECK_none};

[[noreturn]] void raise_plan_error(const char *kernel, dqnn_status status, uint16_t check);
[[noreturn]] void raise_blob_error(dqnn_status status, const dqnn_fault &fault);

// ---- the parts of the module ----

void define_errors(nb::module_ &m);
void define_kernels(nb::module_ &m);
void define_interpreter(nb::module_ &m);
void define_device(nb::module_ &m);

}  // namespace dqnn

#endif
