# The interpreter as a component of ESP-IDF, with its portable kernels, link and store (what is not called is not linked). The repository's
# CMakeLists.txt includes this where ESP-IDF builds it, also while components are only listed.
set(dqnn_c ${CMAKE_CURRENT_LIST_DIR}/../../interpreter_c)
include(${dqnn_c}/kernels/sources.cmake)
set(dqnn_sources)
foreach(group core plan ref portable link store)
  list(APPEND dqnn_sources ${DQNN_SOURCES_${group}})
endforeach()
list(TRANSFORM dqnn_sources PREPEND ${dqnn_c}/)
idf_component_register(SRCS ${dqnn_sources} INCLUDE_DIRS ${dqnn_c}/include)
if(NOT CMAKE_BUILD_EARLY_EXPANSION)
  target_compile_options(${COMPONENT_LIB} PRIVATE -O2 -ffp-contract=off) # same bits everywhere
endif()
