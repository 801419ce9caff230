# SPDX-License-Identifier: Apache-2.0
# The simulated chips: what the topology probe finds on each, and the programs on the small one,
# where clusters of 16 fit nowhere.
function(lithos_sim_chip_test chip finding)
	lithos_sim_test(sim_doctor_${chip} COMMAND lithos doctor --sim NATIVE ENV
		LITHOS_SIM_GPU=${chip}
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

# The shim's programs on a GPU that could be shared: a server for each, started by the first call.
foreach(name where order graphs threads coop clusters)
	lithos_sim_test(shim_${name}_shared COMMAND program_${name}
		ENV LITHOS_SIM_DEVICE=${CMAKE_BINARY_DIR}/tests/shim_gpu_${name} LITHOS_STATS=1)
endforeach()
lithos_sim_test(shim_where_shared_quota_4 COMMAND program_where --expect-sms 8
	ENV LITHOS_SIM_DEVICE=${CMAKE_BINARY_DIR}/tests/shim_gpu_quota LITHOS_TPC_QUOTA=4)

# Redirected launches, and a second process that stops them, on GPUs of their own and on a shared
# one. Grids of many waves, of blocks that are long enough for a machine that is slow to react.
function(lithos_prelude_test name block_us peer_block_us)
	lithos_sim_test(${name} COMMAND program_preludes --preemptions 5 --blocks 2000
		--threads 1024 --block-us ${block_us} --peer-preemptions 3
		--peer-block-us ${peer_block_us} --peer-dies
		NATIVE THREADS ENV ${ARGN})
endfunction()
lithos_prelude_test(sim_preludes 10000 4000)
lithos_prelude_test(sim_preludes_small 1000 500 LITHOS_SIM_GPU=small)
lithos_prelude_test(sim_preludes_shared 10000 4000
	LITHOS_SIM_DEVICE=${CMAKE_BINARY_DIR}/tests/sim_gpu_program_preludes)
# Their measurements.
lithos_bats_test(preludes)

# What tests/device/graph_gaps.py runs on a GPU does what it says; its times mean nothing here.
function(lithos_graph_gaps_test name)
	lithos_sim_test(sim_graph_gaps_${name} COMMAND graph_gaps --kernels 20 --samples 10 ${ARGN}
		NATIVE THREADS ENV LITHOS_SIM_DEVICE=${CMAKE_BINARY_DIR}/tests/sim_gpu_gaps_${name})
endfunction()
lithos_graph_gaps_test(base)
lithos_graph_gaps_test(before --streams --word before)
lithos_graph_gaps_test(own --word own)
lithos_graph_gaps_test(all --streams --word late --export --opened --neighbour --its-streams)
