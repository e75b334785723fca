# Cortex-M0 and M0+: no FPU, no DSP extension, faults on unaligned access.
set(DQNN_CPU "-mcpu=cortex-m0plus")
include(${CMAKE_CURRENT_LIST_DIR}/arm-none-eabi.cmake)
