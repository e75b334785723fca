# SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0
# Cortex-M0 and M0+: no FPU, no DSP extension, faults on unaligned access.
set(DQNN_CPU "-mcpu=cortex-m0plus")
include(${CMAKE_CURRENT_LIST_DIR}/arm-none-eabi.cmake)
