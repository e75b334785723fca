# SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0
# As in ../qemu_mps2/boards.cmake. The clock is the cycle counter, which counts instructions in QEMU.
set(DQNN_BOARDS
  "riscv32 riscv32 portable,packed 1 0x80000000 0x00400000 0x80400000 0x00400000 0x81000000 0x01000000"
)
