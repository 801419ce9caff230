# SPDX-License-Identifier: Apache-2.0
# The real shim on the simulated GPU. The bats files use these programs as tenants.
foreach(name shim_apis shim_guest shim_killed shim_many shim_told)
	add_executable(integration_${name} ${name}.c)
	target_link_libraries(integration_${name} PRIVATE test_programs)
	set_target_properties(integration_${name} PROPERTIES
		OUTPUT_NAME ${name}
		RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests/programs)
	add_dependencies(integration_${name} lithos_shim lithos_sim)
endforeach()

lithos_bats_test(shim_doors)
lithos_bats_test(shim_faults)
lithos_bats_test(shim_load)
lithos_bats_test(shim_quota)
lithos_bats_test(shim_stats)
lithos_bats_test(shim_topology)

# A driver that lacks almost everything, for shim_faults.
add_library(shim_tiny_driver MODULE shim_tiny_driver.c)
target_link_libraries(shim_tiny_driver PRIVATE lithos_flags lithos_cuda)
set_target_properties(shim_tiny_driver PROPERTIES C_VISIBILITY_PRESET default
	LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)

# The probe without a shim around it.
add_executable(integration_topo_probe topo_probe.c)
target_link_libraries(integration_topo_probe PRIVATE lithos_flags lithos_cuda lithos_hw lithos_sched
	lithos_base ${CMAKE_DL_LIBS})
set_target_properties(integration_topo_probe PROPERTIES
	RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
add_dependencies(integration_topo_probe lithos_sim)
foreach(chip h100 h200 small)
	lithos_sim_test(topo_probe_${chip} NATIVE
		COMMAND integration_topo_probe ${sim_dir}/libcuda.so.1 ENV LITHOS_SIM_GPU=${chip})
endforeach()
