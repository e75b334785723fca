# SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0
# Boards with a link: name, sources beside cortex_m.c, toolchain file in interpreter_c/cmake, instruction sets, where its slots are (flash, or
# RAM for emulated ones, which cannot write their flash), then origin and length of the memories for code, data, the interpreter and
# a model that is flashed with the firmware.
#
# "Not run on silicon": reviewed against reference manuals and vendors' headers, never tried on the board.
set(DQNN_LINK_BOARDS
  # QEMU (tests/qemu/test_link.py)
  "mps2-an385        mps2        cortex-m3 portable,packed          ram   0x00000000 0x00400000 0x20000000 0x00200000 0x20200000 0x00200000 0x21000000 0x01000000"
  "mps2-an386        mps2        cortex-m4 portable,winograd,packed ram   0x00000000 0x00400000 0x20000000 0x00200000 0x20200000 0x00200000 0x21000000 0x01000000"
  "mps2-an500        mps2        cortex-m7 portable,winograd,packed ram   0x00000000 0x00400000 0x20000000 0x00200000 0x20200000 0x00200000 0x60000000 0x01000000"
  "netduinoplus2     stm32f405   cortex-m4 portable,winograd,packed ram   0x08000000 0x00040000 0x20000000 0x00018000 0x20018000 0x00008000 0x08040000 0x00080000"
  "olimex-stm32-h405 stm32f405   cortex-m4 portable,winograd,packed ram   0x08000000 0x00040000 0x20000000 0x00018000 0x20018000 0x00008000 0x08040000 0x00080000"
  "b-l475e-iot01a    stm32l475   cortex-m4 portable,winograd,packed ram   0x08000000 0x00040000 0x20000000 0x00018000 0x10000000 0x00008000 0x08040000 0x00040000"
  # Not run on silicon
  "stm32f405         stm32f405   cortex-m4 portable,winograd,packed flash 0x08000000 0x00040000 0x20000000 0x00020000 0x10000000 0x00010000 0x08040000 0x00080000"
  "stm32l475-iot     stm32l475   cortex-m4 portable,winograd,packed flash 0x08000000 0x00040000 0x10000000 0x00008000 0x20000000 0x00018000 0x08040000 0x00040000"
  "stm32f746-disco   stm32f746   cortex-m7 portable,winograd,packed flash 0x08000000 0x00040000 0x20000000 0x00010000 0x20010000 0x00040000 0x08040000 0x00040000"
  "nucleo-l4r5zi     stm32l4r5   cortex-m4 portable,winograd,packed flash 0x08000000 0x00040000 0x20000000 0x00030000 0x20040000 0x00060000 0x08040000 0x000C0000"
)
