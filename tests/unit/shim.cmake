# SPDX-License-Identifier: Apache-2.0
# The parts of the shim that need no driver. Not the shim's own objects: one of those looks for a
# driver when it is loaded. What these parts take from the rest is the tests' to provide.
set(shim_src ${CMAKE_SOURCE_DIR}/src/shim)
add_library(shim_parts STATIC
	${shim_src}/memory/account.c
	${shim_src}/memory/table.c
	${shim_src}/thread.c
	${shim_src}/track/execs.c
	${shim_src}/track/kernels.c
	${shim_src}/track/predict_table.c
	${shim_src}/track/records.c
	${shim_src}/track/tracker.c)
target_link_libraries(shim_parts PUBLIC lithos_flags lithos_cuda lithos_sched lithos_hw lithos_base)
target_compile_definitions(shim_parts PUBLIC __CUDA_API_VERSION_INTERNAL)

# lithos_shim_unit_test(NAME [THREADS]): THREADS runs it under ThreadSanitizer too.
function(lithos_shim_unit_test name)
	lithos_unit_test(${name} shim_parts)
	if("THREADS" IN_LIST ARGN)
		set_tests_properties(unit_${name} PROPERTIES LABELS "unit;threads")
	endif()
endfunction()

lithos_shim_unit_test(execs_samples THREADS)
lithos_shim_unit_test(kernels_table THREADS)
lithos_shim_unit_test(memory_account THREADS)
lithos_shim_unit_test(memory_table)
lithos_shim_unit_test(predict_table THREADS)
lithos_shim_unit_test(records_pool THREADS)
lithos_shim_unit_test(thread_pool THREADS)
lithos_shim_unit_test(tracker_durations THREADS)

# Kernels' code, with the test in the place of the driver.
lithos_shim_unit_test(code_table)
target_sources(unit_code_table PRIVATE ${shim_src}/split/code.c)
lithos_shim_unit_test(code_reader THREADS)
target_sources(unit_code_reader PRIVATE ${shim_src}/split/code.c ${shim_src}/split/code_read.c)

# The tenant's side of sharing without a daemon.
add_library(link_parts STATIC
	${shim_src}/link/activity.c
	${shim_src}/link/graphs.c
	${shim_src}/link/hold.c
	${shim_src}/link/regions.c
	${shim_src}/link/share.c
	${shim_src}/link/view.c)
target_link_libraries(link_parts PUBLIC shim_parts)
foreach(name link_activity link_regions share_view_ask share_view_copies)
	lithos_unit_test(${name} link_parts)
	target_sources(unit_${name} PRIVATE split_fakes.c)
	set_tests_properties(unit_${name} PROPERTIES LABELS "unit;threads")
endforeach()
# ThreadSanitizer takes mapping memory anew under its readers for a race; here that is the purpose.
set_tests_properties(unit_link_regions PROPERTIES LABELS unit)
target_link_options(unit_share_view_ask PRIVATE -Wl,--wrap=clock_gettime)

# Memory that cannot be had.
target_link_options(unit_memory_account PRIVATE -Wl,--wrap=mmap)
target_link_options(unit_memory_table PRIVATE -Wl,--wrap=mmap)
target_link_options(unit_records_pool PRIVATE -Wl,--wrap=mmap)
target_link_options(unit_thread_pool PRIVATE -Wl,--wrap=mmap)
target_link_options(unit_tracker_durations PRIVATE -Wl,--wrap=clock_gettime)

# The hooked functions, with the test in the place of the driver and of the rest of the shim.
foreach(name hook_contexts hook_launches)
	lithos_unit_test(${name} lithos_hw lithos_base)
	target_sources(unit_${name} PRIVATE
		${shim_src}/hook_context.c
		${shim_src}/hook_device.c
		${shim_src}/hook_graph.c
		${shim_src}/hook_launch.c
		split_fakes.c
		${shim_src}/hook_proc.c
		${shim_src}/thread.c
		${shim_src}/track/records.c)
	target_link_libraries(unit_${name} PRIVATE lithos_cuda)
	target_compile_definitions(unit_${name} PRIVATE __CUDA_API_VERSION_INTERNAL)
endforeach()

# The calls that allocate and free device memory, likewise.
lithos_unit_test(memory_hooks lithos_hw lithos_base)
target_sources(unit_memory_hooks PRIVATE
	${shim_src}/memory/account.c
	${shim_src}/memory/hook_array.c
	${shim_src}/memory/hook_memory.c
	${shim_src}/memory/hook_physical.c
	${shim_src}/memory/table.c
	${shim_src}/thread.c
	${shim_src}/track/records.c)
target_link_libraries(unit_memory_hooks PRIVATE lithos_cuda)
target_compile_definitions(unit_memory_hooks PRIVATE __CUDA_API_VERSION_INTERNAL)
