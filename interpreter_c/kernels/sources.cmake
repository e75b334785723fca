# Kernel sources by instruction set, paths from interpreter_c. One list per entry of DQNN_ISAS (dqnn.h); `ref` is always built. A variable
# DQNN_OPTIONS_<isa> holds the compiler options that the files of an instruction set need.
set(DQNN_SOURCES_plan
  kernels/plan_bitsliced.c
  kernels/plan_common.c
  kernels/plan_conv.c
  kernels/plan_elementwise.c
  kernels/plan_movement.c
  kernels/plan_pool.c
  kernels/plan_scratch.c
)
set(DQNN_SOURCES_ref
  kernels/ref/conv.c
  kernels/ref/conv_bitsliced.c
  kernels/ref/conv_float.c
  kernels/ref/conv_int.c
  kernels/ref/depthwise_bits.c
  kernels/ref/elementwise.c
  kernels/ref/movement.c
  kernels/ref/pool.c
  kernels/ref/sink.c
)
set(DQNN_SOURCES_portable
  kernels/opt/conv_bitsliced.c
  kernels/opt/conv_blocks.c
  kernels/opt/conv_first.c
  kernels/opt/conv_first_s8.c
  kernels/opt/conv_float.c
  kernels/opt/conv_horizontal.c
  kernels/opt/conv_pairs.c
  kernels/opt/depthwise_bitsliced.c
  kernels/opt/depthwise_int.c
  kernels/opt/elementwise.c
)
set(DQNN_SOURCES_thumb2
)
set(DQNN_SOURCES_dsp
)
set(DQNN_SOURCES_mve
)
set(DQNN_SOURCES_avx2
  kernels/wide/conv_bitsliced_avx2.c
)
set(DQNN_OPTIONS_avx2 -mavx2 -mbmi2 -mpopcnt)
set(DQNN_SOURCES_avx512
  kernels/wide/conv_bitsliced_avx512.c
)
set(DQNN_OPTIONS_avx512 -mavx512f -mavx512bw -mavx512vl -mbmi2 -mpopcnt)
