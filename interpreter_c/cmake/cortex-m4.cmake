# SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0
# Cortex-M4F: DSP extension, single-precision FPU.
set(DQNN_CPU "-mcpu=cortex-m4 -mfloat-abi=hard -mfpu=fpv4-sp-d16")
include(${CMAKE_CURRENT_LIST_DIR}/arm-none-eabi.cmake)
