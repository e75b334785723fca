# SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0
# What every firmware consists of besides its startup code: the interpreter with all kernels, and the runner, or another program.
set(DQNN_RUNNER ${CMAKE_CURRENT_LIST_DIR}/runner.c CACHE FILEPATH "The firmware's program: defines run() and run_crashed() of board.h")
set(DQNN_RUNNER_SOURCES
  ${CMAKE_CURRENT_LIST_DIR}/paint.c
  ${DQNN_RUNNER}
  ${CMAKE_CURRENT_LIST_DIR}/semihosting.c
)
set(DQNN_INTERPRETER_DIR ${CMAKE_CURRENT_LIST_DIR}/../..)

# Adds the library with these instruction sets (separated by commas).
function(dqnn_add_interpreter isas)
  string(REPLACE "," ";" DQNN_ISAS "${isas}")
  add_subdirectory(${DQNN_INTERPRETER_DIR} interpreter)
endfunction()
