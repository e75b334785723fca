# Kernel sources by instruction set, paths from interpreter_c. One list per entry of DQNN_ISAS (dqnn.h); `ref` is always built. A variable
# DQNN_OPTIONS_<isa> holds the compiler options that the files of an instruction set need.
set(DQNN_SOURCES_plan
  kernels/plan_common.c
  kernels/plan_conv.c
  kernels/plan_scratch.c
)
set(DQNN_SOURCES_ref
)
set(DQNN_SOURCES_portable
)
set(DQNN_SOURCES_thumb2
)
set(DQNN_SOURCES_dsp
)
set(DQNN_SOURCES_mve
)
set(DQNN_SOURCES_avx2
)
set(DQNN_OPTIONS_avx2 -mavx2 -mbmi2 -mpopcnt)
set(DQNN_SOURCES_avx512
)
