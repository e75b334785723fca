# What every firmware consists of besides its startup code: the interpreter with all kernels, and the runner.
set(DQNN_RUNNER_SOURCES
  ${CMAKE_CURRENT_LIST_DIR}/paint.c
  ${CMAKE_CURRENT_LIST_DIR}/runner.c
  ${CMAKE_CURRENT_LIST_DIR}/semihosting.c
)
set(DQNN_INTERPRETER_DIR ${CMAKE_CURRENT_LIST_DIR}/../..)

# Adds the library with those of the instruction sets (separated by commas) that have sources.
function(dqnn_add_interpreter isas)
  include(${DQNN_INTERPRETER_DIR}/kernels/sources.cmake)
  string(REPLACE "," ";" isas "${isas}")
  set(DQNN_ISAS "")
  foreach(isa IN LISTS isas)
    if(DQNN_SOURCES_${isa})
      list(APPEND DQNN_ISAS ${isa})
    endif()
  endforeach()
  add_subdirectory(${DQNN_INTERPRETER_DIR} interpreter)
endfunction()
