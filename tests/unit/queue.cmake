# SPDX-License-Identifier: Apache-2.0
# The queue with the test in the place of the driver and of the rest of the shim.
function(lithos_queue_test name)
	lithos_unit_test(${name} lithos_base)
	target_sources(unit_${name} PRIVATE
		${shim_src}/graph/launch.c
		${shim_src}/queue/calls.S
		${shim_src}/queue/calls.c
		${shim_src}/queue/copy.c
		${shim_src}/queue/dispatch.c
		${shim_src}/queue/funcs.c
		${shim_src}/queue/launch.c
		${shim_src}/queue/ops.c
		${shim_src}/queue/part.c
		${shim_src}/queue/priority.c
		${shim_src}/queue/queue.c
		${shim_src}/queue/streams.c
		${shim_src}/queue/sure.c
		split_fakes_queue.c)
	target_link_libraries(unit_${name} PRIVATE lithos_cuda Threads::Threads)
	target_compile_definitions(unit_${name} PRIVATE __CUDA_API_VERSION_INTERNAL)
	set_tests_properties(unit_${name} PROPERTIES LABELS "unit;threads")
endfunction()

set_property(SOURCE ${shim_src}/queue/calls.S PROPERTY OBJECT_DEPENDS ${shim_src}/queue/calls.def)
find_package(Threads REQUIRED)
lithos_queue_test(queue_launch)
lithos_queue_test(queue_order)
lithos_queue_test(queue_priority)
lithos_unit_test(queue_calls)

lithos_unit_test(queue_part)
target_sources(unit_queue_part PRIVATE ${shim_src}/queue/part.c)
target_link_libraries(unit_queue_part PRIVATE lithos_cuda)
target_compile_definitions(unit_queue_part PRIVATE __CUDA_API_VERSION_INTERNAL)

# Claimed launches, with the test in the place of the driver and of the other tenants.
lithos_unit_test(claim_numbers lithos_base)
target_sources(unit_claim_numbers PRIVATE ${shim_src}/split/arena.c ${shim_src}/split/claim.c)
target_link_libraries(unit_claim_numbers PRIVATE lithos_cuda)
target_compile_definitions(unit_claim_numbers PRIVATE __CUDA_API_VERSION_INTERNAL)
