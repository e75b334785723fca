# clang compiles for an emulated board, the GNU Arm toolchain gives the C library and links. CORE: a file name in interpreter_c/cmake.
set(CORE cortex-m4 CACHE STRING "A core in interpreter_c/cmake")
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES CORE)
include(${CMAKE_CURRENT_LIST_DIR}/../../interpreter_c/cmake/${CORE}.cmake)

if(CORE STREQUAL "cortex-m55")
  set(CMAKE_C_COMPILER_TARGET thumbv8.1m.main-none-eabi)
else()
  set(CMAKE_C_COMPILER_TARGET thumbv7em-none-eabi)
endif()
set(CMAKE_C_COMPILER clang)
string(APPEND CMAKE_C_FLAGS_INIT " -fshort-enums") # as the C library has them
execute_process(COMMAND arm-none-eabi-gcc -print-sysroot OUTPUT_VARIABLE sysroot OUTPUT_STRIP_TRAILING_WHITESPACE)
if(NOT sysroot)
  set(sysroot /usr/lib/arm-none-eabi)
endif()
set(CMAKE_C_STANDARD_INCLUDE_DIRECTORIES ${sysroot}/include)
set(CMAKE_C_LINK_EXECUTABLE "arm-none-eabi-gcc ${DQNN_CPU} -mthumb <CMAKE_C_LINK_FLAGS> <LINK_FLAGS> <OBJECTS> -o <TARGET> <LINK_LIBRARIES>")
