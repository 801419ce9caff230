# SPDX-License-Identifier: Apache-2.0
# The simulated chips: what the topology probe finds on each, and the programs on the small one, where
# clusters of 16 fit nowhere.
function(lithos_sim_chip_test chip finding)
	lithos_sim_test(sim_doctor_${chip} COMMAND lithos doctor --sim NATIVE ENV LITHOS_SIM_GPU=${chip}
		LITHOS_CACHE_DIR=${CMAKE_BINARY_DIR}/cache/${chip})
	file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/cache/${chip})
	set_tests_properties(sim_doctor_${chip} PROPERTIES
		PASS_REGULAR_EXPRESSION "Topology +OK +${finding}"
		FAIL_REGULAR_EXPRESSION "WARNING;CRITICAL")
endfunction()

lithos_sim_chip_test(h100 "66 TPCs, 62 of them in 8 GPCs, 4 left over")
lithos_sim_chip_test(h200 "66 TPCs, 62 of them in 8 GPCs, 4 left over")
lithos_sim_chip_test(small "8 TPCs, 7 of them in 2 GPCs, 1 left over")

foreach(name where clusters coop)
	lithos_sim_test(sim_${name}_small COMMAND program_${name} NATIVE ENV LITHOS_SIM_GPU=small)
endforeach()
lithos_sim_test(shim_where_small_quota_3 COMMAND program_where --expect-sms 6
	ENV LITHOS_SIM_GPU=small LITHOS_TPC_QUOTA=3)
