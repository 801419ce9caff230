# SPDX-License-Identifier: Apache-2.0
# The real lithosd on the simulated GPU, and a client of a few lines. The client is a library, so
# that other suites can use it.
find_library(JANSSON_STATIC libjansson.a REQUIRED)
add_library(daemon_client STATIC daemon_client.c)
target_include_directories(daemon_client PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
target_link_libraries(daemon_client PUBLIC lithos_flags lithos_hw ${JANSSON_STATIC})

# lithos_daemon_test(NAME): tests/integration/NAME.c. They start daemons of their own.
function(lithos_daemon_test name)
	add_executable(integration_${name} ${name}.c)
	target_link_libraries(integration_${name} PRIVATE daemon_client)
	set_target_properties(integration_${name} PROPERTIES
		RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
	add_dependencies(integration_${name} lithosd lithos_sim)
	add_test(NAME ${name} COMMAND integration_${name})
	set_tests_properties(${name} PROPERTIES
		ENVIRONMENT "${test_env}" LABELS "integration" TIMEOUT ${test_timeout})
endfunction()

lithos_daemon_test(daemon_admit)
lithos_daemon_test(daemon_attach)
lithos_daemon_test(daemon_unattached)
lithos_daemon_test(daemon_return)
lithos_daemon_test(daemon_kin)
lithos_daemon_test(daemon_state)
target_link_libraries(integration_daemon_state PRIVATE ${LITHOSD_sqlite3} m ${CMAKE_DL_LIBS})
lithos_daemon_test(daemon_share)
lithos_daemon_test(daemon_hostile)
lithos_daemon_test(daemon_freeze)
lithos_daemon_test(daemon_many)
# It loads every CPU itself; beside other tests a killed process may take a minute to be torn down.
set_tests_properties(daemon_many PROPERTIES RUN_SERIAL ON TIMEOUT 300)
lithos_daemon_test(daemon_mps_look)
add_dependencies(integration_daemon_mps_look fake_mps_control)
lithos_bats_test(daemon_confine)
lithos_bats_test(daemon_life)
lithos_bats_test(daemon_mps)
lithos_bats_test(daemon_demo)
lithos_daemon_test(daemon_two_gpus)
lithos_daemon_test(daemon_one_gpu)
