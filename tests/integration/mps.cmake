# SPDX-License-Identifier: Apache-2.0
# The daemon's MPS against a control that is not NVIDIA's.
find_library(CMOCKA_LIBRARY cmocka REQUIRED)
foreach(name mps_life mps_trouble)
	add_executable(integration_${name} ${name}.c)
	# The event loop is the daemon's.
	target_link_libraries(integration_${name} PRIVATE lithos_mps lithos_daemon
		${CMOCKA_LIBRARY})
	target_compile_definitions(integration_${name} PRIVATE
		FAKE_MPS_CONTROL="$<TARGET_FILE:fake_mps_control>")
	set_target_properties(integration_${name} PROPERTIES
		RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
	add_dependencies(integration_${name} fake_mps_control)
	add_test(NAME ${name} COMMAND integration_${name})
	set_tests_properties(${name} PROPERTIES LABELS integration TIMEOUT ${test_timeout})
endforeach()
