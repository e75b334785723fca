# SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0
# WebAssembly without a C library: clang and wasm-ld (Debian: clang, lld). Sign extension and bulk memory are in every browser since 2021.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR wasm32)
set(CMAKE_C_COMPILER clang)
set(CMAKE_C_COMPILER_TARGET wasm32)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
set(CMAKE_C_FLAGS_INIT "-msign-ext -mbulk-memory -ffreestanding -isystem ${CMAKE_CURRENT_LIST_DIR}/freestanding")
set(CMAKE_C_FLAGS_RELEASE "-O2 -DNDEBUG" CACHE STRING "") # not _INIT: CMake would append its own -O3
