// dqnn._core.Device: the link and the store of interpreter_c as a board would have them, on memory that behaves like
// flash. What arrives on a wire goes in, what the device answers comes out: `dqnn serve` puts a socket around it.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <optional>
#include <stdexcept>

#include "support.h"

extern "C" {
#include "dqnn/dqnn_link.h"
#include "dqnn/dqnn_store.h"
}

namespace dqnn {

using namespace nb::literals;

namespace {

constexpr uint8_t kErased = 0xFF;
constexpr uint32_t kSlots = 2;
constexpr uint32_t kNanoseconds = 1000000000;

Memory copy_of(nb::handle source) {
  const View view(source);
  return Memory(view.data(), view.size());
}

class Device {
 public:
  Device(std::optional<nb::object> factory, uint32_t slot_bytes, uint32_t erase_bytes, uint32_t program_bytes,
         uint32_t memory_bytes, uint32_t frame_bytes, std::string core, std::string board)
      : factory_(factory ? copy_of(*factory) : Memory()),
        flash_(size_t{kSlots} * slot_bytes),
        memory_(memory_bytes),
        frame_(frame_bytes),
        core_(std::move(core)),
        board_(std::move(board)) {
    std::memset(flash_.data(), kErased, flash_.size());
    options_.kernels = dqnn_all_kernels;
    options_.kernel_count = dqnn_all_kernel_count;
    options_.isa_mask = host_isa_mask();
    options_.segments = &dqnn_strips;
    store_config_ = {};
    store_config_.context = this;
    store_config_.base = flash_.data();
    store_config_.slot_offset[1] = slot_bytes;
    store_config_.slot_bytes = slot_bytes;
    store_config_.erase_bytes = erase_bytes;
    store_config_.program_bytes = program_bytes;
    store_config_.erased = kErased;
    store_config_.erase = on_erase;
    store_config_.program = on_program;
    store_config_.factory = factory_.data();
    store_config_.factory_bytes = static_cast<uint32_t>(factory_.size());
    link_config_ = {};
    link_config_.context = this;
    link_config_.read = on_read;
    link_config_.write = on_write;
    link_config_.clock = on_clock;
    link_config_.clock_hz = kNanoseconds;
    link_config_.reset = on_reset;
    link_config_.options = &options_;
    link_config_.memory = memory_.data();
    link_config_.memory_bytes = memory_bytes;
    link_config_.frame = frame_.data();
    link_config_.frame_bytes = frame_bytes;
    link_config_.slots = &slots_;
    link_config_.core = core_.c_str();
    link_config_.board = board_.c_str();
    if (!start()) {
      throw nb::value_error("the sizes of slots, units, memory or frame do not fit together");
    }
  }
  Device(const Device &) = delete;
  Device &operator=(const Device &) = delete;

  // Does all that has arrived.
  nb::bytes feed(nb::handle source) {
    const View view(source);
    {
      const nb::gil_scoped_release release;
      const std::lock_guard<std::mutex> lock(mutex_);
      arriving_ = view.data();
      left_ = view.size();
      leaving_.clear();
      while (dqnn_link_poll(&link_)) {
        if (reset_) {
          (void)start();
        }
      }
    }
    return nb::bytes(reinterpret_cast<const char *>(leaving_.data()), leaving_.size());
  }

  void restart() {
    const std::lock_guard<std::mutex> lock(mutex_);
    (void)start();
  }

  nb::bytes flash() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return nb::bytes(reinterpret_cast<const char *>(flash_.data()), flash_.size());
  }

  // As if the device had been switched on with it.
  void set_flash(nb::handle source) {
    const View view(source);
    if (view.size() != flash_.size()) {
      throw nb::value_error("the flash has another size");
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    std::memcpy(flash_.data(), view.data(), view.size());
    (void)start();
  }

 private:
  bool start() {
    reset_ = false;
    if (dqnn_store_open(&store_, &store_config_) != DQNN_OK) {
      return false;
    }
    slots_ = dqnn_store_slots(&store_);
    return dqnn_link_init(&link_, &link_config_, nullptr, 0) == DQNN_OK;
  }

  static uint32_t on_read(void *context, uint8_t *data, uint32_t bytes) {
    auto *self = static_cast<Device *>(context);
    const size_t count = std::min<size_t>(bytes, self->left_);
    std::memcpy(data, self->arriving_, count);
    self->arriving_ += count;
    self->left_ -= count;
    return static_cast<uint32_t>(count);
  }

  static void on_write(void *context, const uint8_t *data, uint32_t bytes) {
    auto *self = static_cast<Device *>(context);
    self->leaving_.insert(self->leaving_.end(), data, data + bytes);
  }

  static uint32_t on_clock(void *) {
    using std::chrono::nanoseconds;
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return static_cast<uint32_t>(std::chrono::duration_cast<nanoseconds>(now).count());
  }

  static void on_reset(void *context) {
    static_cast<Device *>(context)->reset_ = true;
  }

  static bool on_erase(void *context, uint32_t offset) {
    auto *self = static_cast<Device *>(context);
    std::memset(self->flash_.data() + offset, kErased, self->store_config_.erase_bytes);
    return true;
  }

  // NOR flash: bits only ever fall.
  static bool on_program(void *context, uint32_t offset, const void *data, uint32_t bytes) {
    uint8_t *place = static_cast<Device *>(context)->flash_.data() + offset;
    for (uint32_t i = 0; i < bytes; ++i) {
      place[i] = static_cast<uint8_t>(place[i] & static_cast<const uint8_t *>(data)[i]);
    }
    return true;
  }

  Memory factory_, flash_, memory_, frame_;
  std::string core_, board_;
  dqnn_options options_{};
  dqnn_store_config store_config_{};
  dqnn_link_config link_config_{};
  dqnn_store store_{};
  dqnn_slots slots_{};
  dqnn_link link_{};
  const uint8_t *arriving_ = nullptr;
  size_t left_ = 0;
  std::vector<uint8_t> leaving_;
  bool reset_ = false;
  std::mutex mutex_;
};

}  // namespace

void define_device(nb::module_ &m) {
  m.attr("LINK_PROTOCOL") = DQNN_LINK_PROTOCOL;
  m.attr("STORE_JOURNAL_BYTES") = DQNN_STORE_JOURNAL_BYTES;
  m.def(
      "status",
      [](uint32_t code) {
        const auto status = static_cast<dqnn_status>(code);
        return nb::make_tuple(dqnn_status_name(status), dqnn_status_str(status));
      },
      "code"_a, "Name and text of a dqnn_status.");
  m.def(
      "check", [](uint32_t code) { return nb::make_tuple(dqnn_check_name(code), dqnn_check_str(code)); }, "code"_a,
      "Name and text of a check.");
  m.def(
      "isas", [](uint32_t mask) { return isa_names(mask); }, "mask"_a, "Names of the instruction sets in a mask.");
  nb::class_<Device>(m, "Device",
                     "A board that is not there: the link and the store on memory that behaves like flash.")
      .def(nb::init<std::optional<nb::object>, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t, std::string,
                    std::string>(),
           "factory"_a.none(), "slot_bytes"_a, "erase_bytes"_a, "program_bytes"_a, "memory_bytes"_a, "frame_bytes"_a,
           "core"_a, "board"_a)
      .def("feed", &Device::feed, "data"_a, "Hands over what arrived, gives what the device sends.")
      .def("restart", &Device::restart, "Switches it off and on.")
      .def("flash", &Device::flash, "What both slots hold.")
      .def("set_flash", &Device::set_flash, "data"_a, "Switches it on with another flash.");
}

}  // namespace dqnn
