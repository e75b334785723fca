# SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0
# Cortex-M3: no FPU.
set(DQNN_CPU "-mcpu=cortex-m3")
include(${CMAKE_CURRENT_LIST_DIR}/arm-none-eabi.cmake)
