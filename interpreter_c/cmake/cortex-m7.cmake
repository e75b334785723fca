# SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0
# Cortex-M7 with a single-precision FPU.
set(DQNN_CPU "-mcpu=cortex-m7 -mfloat-abi=hard -mfpu=fpv5-sp-d16")
include(${CMAKE_CURRENT_LIST_DIR}/arm-none-eabi.cmake)
