# SPDX-License-Identifier: Apache-2.0
# The engine with invented time, then programs on the simulated driver itself.
lithos_unit_test(sim_mask lithos_sim_device lithos_sim_kernel lithos_hw lithos_base)
lithos_unit_test(sim_grids lithos_sim_device lithos_sim_kernel lithos_hw lithos_base)
lithos_unit_test(sim_groups lithos_sim_device lithos_sim_kernel lithos_hw lithos_base)
lithos_unit_test(sim_prelude_random lithos_sim_device lithos_sim_kernel lithos_hw lithos_base)
target_sources(unit_sim_prelude_random PRIVATE sim_prelude_world.c)
set_tests_properties(unit_sim_prelude_random PROPERTIES TIMEOUT 600)
lithos_unit_test(sim_prelude_times lithos_sim_device lithos_sim_kernel lithos_hw lithos_base)
lithos_unit_test(sim_prelude_race lithos_sim_device lithos_hw lithos_base pthread)

# The instructions themselves, in every order, and as the simulated device's model of them decides.
add_executable(claim_cases prelude/claim_cases.c)
target_link_libraries(claim_cases PRIVATE lithos_flags lithos_sim_device lithos_hw lithos_base)
set_target_properties(claim_cases PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
find_package(Python3 REQUIRED COMPONENTS Interpreter)
add_test(NAME unit_prelude_claims
	COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_CURRENT_SOURCE_DIR}/prelude/test_claims.py
		${CMAKE_SOURCE_DIR}/tools/prelude/prelude.ptx $<TARGET_FILE:claim_cases>)
set_tests_properties(unit_prelude_claims PROPERTIES TIMEOUT 300 LABELS unit)

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
lithos_unit_test(sim_driver_preludes lithos_sim lithos_cuda lithos_hw)
lithos_unit_test(sim_driver_visible lithos_sim lithos_cuda)
set_tests_properties(unit_sim_driver_visible PROPERTIES
	ENVIRONMENT "LITHOS_SIM_GPU=small;LITHOS_SIM_NR_GPUS=2")

# What LITHOS_SIM_KERNELS names in the test.
add_library(sim_kernels_object MODULE sim_kernels_object.c)
target_link_libraries(sim_kernels_object PRIVATE lithos_flags)
set_target_properties(sim_kernels_object PROPERTIES LIBRARY_OUTPUT_DIRECTORY
	${CMAKE_BINARY_DIR}/tests)
lithos_unit_test(sim_driver_kernels lithos_sim lithos_cuda)
target_compile_definitions(unit_sim_driver_kernels PRIVATE
	SIM_KERNELS_OBJECT="$<TARGET_FILE:sim_kernels_object>")
add_dependencies(unit_sim_driver_kernels sim_kernels_object)

# Faults are read once a process: a test for each.
add_executable(unit_sim_faults sim_faults.c)
target_link_libraries(unit_sim_faults PRIVATE lithos_flags lithos_sim lithos_cuda lithos_hw
	${CMOCKA_LIBRARY})
set_target_properties(unit_sim_faults PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
foreach(fault none mask_ignored record_ignored qmd_version no_table table_size subscribe_busy
	slow_init
		no_symbol launch_error no_programmatic several)
	add_test(NAME unit_sim_fault_${fault} COMMAND unit_sim_faults ${fault})
	set_tests_properties(unit_sim_fault_${fault} PROPERTIES TIMEOUT 120 LABELS unit)
endforeach()

# Several processes on one simulated GPU.
add_library(sim_shared_object MODULE sim_shared_object.c)
target_link_libraries(sim_shared_object PRIVATE lithos_flags)
set_target_properties(sim_shared_object PROPERTIES LIBRARY_OUTPUT_DIRECTORY
	${CMAKE_BINARY_DIR}/tests)
foreach(name sim_shared_sharing sim_shared_faults sim_shared_ipc)
	lithos_unit_test(${name} lithos_sim lithos_cuda lithos_hw)
	target_compile_definitions(unit_${name} PRIVATE
		SIM_SHARED_OBJECT="$<TARGET_FILE:sim_shared_object>")
	add_dependencies(unit_${name} sim_shared_object lithos-simgpu)
	set_tests_properties(unit_${name} PROPERTIES TIMEOUT 400)
endforeach()

# Programs of one process, on a GPU that could be shared: each test has a server of its own.
foreach(name streams graphs threads fork tools library memory nodes kernels preludes)
	add_test(NAME unit_sim_driver_${name}_shared COMMAND unit_sim_driver_${name})
	set_tests_properties(unit_sim_driver_${name}_shared PROPERTIES TIMEOUT 120 LABELS unit
		ENVIRONMENT LITHOS_SIM_DEVICE=${CMAKE_BINARY_DIR}/tests/sim_gpu_${name})
endforeach()

# Where the program's threads, or the driver's own, meet: under ThreadSanitizer too.
foreach(name driver_streams driver_graphs driver_threads driver_nodes driver_preludes driver_kernels
		driver_streams_shared driver_threads_shared prelude_race shared_sharing
		shared_faults)
	set_tests_properties(unit_sim_${name} PROPERTIES LABELS "unit;threads")
endforeach()
