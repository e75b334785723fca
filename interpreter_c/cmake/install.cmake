# SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0
# What `cmake --install` puts where, and the package that find_package(dqnn) reads. DQNN_HAVE_* of the build travel with dqnn::dqnn, so
# that a kernel set compiles to what the library has.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/dqnn)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/dqnnConfig.cmake.in dqnnConfig.cmake INSTALL_DESTINATION ${package})
write_basic_package_version_file(dqnnConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(TARGETS dqnn dqnn_link dqnn_store EXPORT dqnnTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/dqnn DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT dqnnTargets NAMESPACE dqnn:: DESTINATION ${package})
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/dqnnConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/dqnnConfigVersion.cmake DESTINATION ${package})
