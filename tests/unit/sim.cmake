# SPDX-License-Identifier: Apache-2.0
# The engine with invented time, then programs on the simulated driver itself.
lithos_unit_test(sim_mask lithos_sim_device lithos_sim_kernel lithos_hw lithos_base)
lithos_unit_test(sim_grids lithos_sim_device lithos_sim_kernel lithos_hw lithos_base)
lithos_unit_test(sim_ptx lithos_sim_kernel lithos_hw lithos_base)
lithos_unit_test(sim_driver_streams lithos_sim lithos_cuda)
lithos_unit_test(sim_driver_graphs lithos_sim lithos_cuda lithos_hw)
lithos_unit_test(sim_driver_threads lithos_sim lithos_cuda)
lithos_unit_test(sim_driver_fork lithos_sim lithos_cuda)
lithos_unit_test(sim_qmd_real lithos_sim_device lithos_sim_kernel lithos_hw lithos_base)
lithos_unit_test(sim_driver_tools lithos_sim lithos_cuda lithos_hw)
lithos_unit_test(sim_driver_library lithos_sim lithos_cuda)
lithos_unit_test(sim_driver_occupancy lithos_sim lithos_cuda)
lithos_unit_test(sim_driver_memory lithos_sim lithos_cuda)
lithos_unit_test(sim_driver_nodes lithos_sim lithos_cuda)

# What LITHOS_SIM_KERNELS names in the test.
add_library(sim_kernels_object MODULE sim_kernels_object.c)
target_link_libraries(sim_kernels_object PRIVATE lithos_flags)
set_target_properties(sim_kernels_object PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
lithos_unit_test(sim_driver_kernels lithos_sim lithos_cuda)
target_compile_definitions(unit_sim_driver_kernels PRIVATE
	SIM_KERNELS_OBJECT="$<TARGET_FILE:sim_kernels_object>")
add_dependencies(unit_sim_driver_kernels sim_kernels_object)

# Faults are read once a process: a test for each.
add_executable(unit_sim_faults sim_faults.c)
target_link_libraries(unit_sim_faults PRIVATE lithos_flags lithos_sim lithos_cuda lithos_hw
	${CMOCKA_LIBRARY})
set_target_properties(unit_sim_faults PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
foreach(fault none mask_ignored record_ignored qmd_version no_table table_size subscribe_busy slow_init
		no_symbol launch_error several)
	add_test(NAME unit_sim_fault_${fault} COMMAND unit_sim_faults ${fault})
	set_tests_properties(unit_sim_fault_${fault} PROPERTIES TIMEOUT 120 LABELS unit)
endforeach()
