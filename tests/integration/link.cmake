# SPDX-License-Identifier: Apache-2.0
# The tenant's side of sharing: the real shim on the simulated GPU, with a daemon that a test plays.
find_package(Threads REQUIRED)
foreach(name shim alone)
	add_executable(integration_link_${name} link_${name}.c link_daemon.c)
	target_link_libraries(integration_link_${name} PRIVATE test_programs lithos_sched lithos_hw
		lithos_base Threads::Threads)
	set_target_properties(integration_link_${name} PROPERTIES
		RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
	add_dependencies(integration_link_${name} lithos_shim lithos_sim)
endforeach()

# ThreadSanitizer does not bear threads made after a fork, and takes mapping memory anew under its
# readers, which is what returning and attaching late mean, for a race.
foreach(case masks activity best_effort partitioned old_beat returns garbage threads fork child
	verified unverified)
	set(threads THREADS)
	if(case MATCHES "^(child|returns)$")
		set(threads "")
	endif()
	lithos_sim_test(link_${case} COMMAND integration_link_shim ${case} ${threads})
endforeach()

foreach(case refused silent hangs_up version unsealed magic line nobody wrong_hint
	nobody_best_effort nobody_no_room best_effort_waits late late_best_effort no_descriptors)
	set(threads THREADS)
	if(case MATCHES "^(late|late_best_effort|no_descriptors)$")
		set(threads "")
	endif()
	lithos_sim_test(link_${case} COMMAND integration_link_alone ${case} ${threads})
endforeach()

# Programs as tenants: with TPCs of their own and lent ones, and with lent ones alone.
add_executable(integration_link_run link_run.c link_daemon.c)
target_link_libraries(integration_link_run PRIVATE lithos_flags lithos_hw Threads::Threads)
set_target_properties(integration_link_run PROPERTIES
	RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
add_dependencies(integration_link_run lithos_shim lithos_sim)
set(link_args_threads --launches 50)
set(link_args_graphs --replays 100)
foreach(name once order graphs threads contexts coop clusters)
	lithos_sim_test(link_run_${name} THREADS ENV LINK_TURNS=1
		COMMAND integration_link_run 0-3 9-25 $<TARGET_FILE:program_${name}>
		${link_args_${name}})
	# coop asks for the SMs before the first context, and is told more than it has then.
	if(name STREQUAL coop)
		continue()
	endif()
	lithos_sim_test(link_run_${name}_best_effort THREADS ENV LINK_TURNS=1
		COMMAND integration_link_run none 9-25 $<TARGET_FILE:program_${name}>
		${link_args_${name}})
endforeach()
