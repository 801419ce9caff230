# SPDX-License-Identifier: Apache-2.0
# How much device memory a tenant has, as lithos status tells.
add_executable(integration_memory_holder memory_holder.c)
target_link_libraries(integration_memory_holder PRIVATE test_programs)
set_target_properties(integration_memory_holder PROPERTIES
	OUTPUT_NAME memory_holder
	RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests/programs)
add_dependencies(integration_memory_holder lithos_shim lithos_sim)
lithos_bats_test(memory THREADS)
