# SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0
# Cortex-M55: Helium (MVE) with floats.
set(DQNN_CPU "-mcpu=cortex-m55 -mfloat-abi=hard")
include(${CMAKE_CURRENT_LIST_DIR}/arm-none-eabi.cmake)
