# SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0
# RISC-V rv32imac, bare metal, soft float.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR riscv32)
set(CMAKE_C_COMPILER riscv64-unknown-elf-gcc)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
set(CMAKE_C_FLAGS_INIT "-march=rv32imac -mabi=ilp32 -ffreestanding -isystem ${CMAKE_CURRENT_LIST_DIR}/freestanding")
set(CMAKE_C_FLAGS_RELEASE "-O2 -DNDEBUG" CACHE STRING "") # not _INIT: CMake would append its own -O3
set(CMAKE_EXE_LINKER_FLAGS_INIT "-Wl,--gc-sections")
