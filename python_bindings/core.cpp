// dqnn._core: the C interpreter as Python sees it. It marshals and nothing else: bytes in, bytes out. Real values,
// names and messages for users are made in dqnn/interpreter.py. kernels.cpp, interpreter.cpp and device.cpp define what
// the module has; dqnn/_core.pyi lists it.
#include "support.h"

NB_MODULE(_core, m) {
  m.doc() = "The C interpreter of dqnn: kernel table, plan functions, and interpreters on raw bytes.";
  m.attr("FORMAT_VERSION") = DQNN_FORMAT_VERSION;
  m.attr("RUNTIME_VERSION") = DQNN_RUNTIME_VERSION;
  m.attr("ALIGNMENT") = DQNN_ALIGNMENT;
  dqnn::define_errors(m);
  dqnn::define_kernels(m);
  dqnn::define_interpreter(m);
  dqnn::define_device(m);
}
