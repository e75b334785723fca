# SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0
# The emulated boards: name of the QEMU machine, toolchain file in interpreter_c/cmake, instruction sets, nanoseconds of a SysTick tick,
# then origin and length of the memories for code, data and the model. The model is loaded into its own memory beside the firmware, as it would
# be flashed. exporter/targets/emulated.py reads this file too: one board to a line.
set(DQNN_BOARDS
  "microbit   cortex-m0plus portable,packed          62.5  0x00000000 0x0001E000 0x20000000 0x00004000 0x0001E000 0x00022000"
  "mps2-an385 cortex-m3     portable,packed          40    0x00000000 0x00400000 0x20000000 0x00400000 0x21000000 0x01000000"
  "mps2-an386 cortex-m4     portable,winograd,packed 40    0x00000000 0x00400000 0x20000000 0x00400000 0x21000000 0x01000000"
  "mps2-an500 cortex-m7     portable,winograd,packed 40    0x00000000 0x00400000 0x20000000 0x00400000 0x60000000 0x01000000"
  "mps2-an505 cortex-m33    portable,winograd,packed 50    0x10000000 0x00400000 0x38000000 0x00200000 0x80000000 0x01000000"
  "mps3-an547 cortex-m55    portable,packed,mve      31.25 0x10000000 0x00080000 0x31000000 0x00200000 0x70000000 0x01000000"
)
