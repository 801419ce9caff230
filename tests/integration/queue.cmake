# SPDX-License-Identifier: Apache-2.0
# Virtual streams on the simulated GPU: every program of tests/programs with all its launches held
# back for a while. queue.bats compares their output with that without.
foreach(seed 1 2 3)
	set(queue_env LITHOS_HOLD=always:${seed} LITHOS_STATS=1 LITHOS_TPC_QUOTA=33)
	foreach(name where once dlopens coop clusters attrs linked procaddr errors)
		lithos_sim_test(queue_${name}_${seed} COMMAND program_${name} ENV ${queue_env})
	endforeach()
	lithos_sim_test(queue_order_${seed} COMMAND program_order THREADS ENV ${queue_env})
	lithos_sim_test(queue_deferred_${seed} COMMAND program_deferred THREADS ENV ${queue_env})
	lithos_sim_test(queue_leave_${seed} COMMAND program_deferred --leave THREADS ENV
		${queue_env})
	lithos_sim_test(queue_graphs_${seed} COMMAND program_graphs --replays 100 ENV ${queue_env})
	lithos_sim_test(queue_contexts_${seed} COMMAND program_contexts --rounds 10 ENV
		${queue_env})
	lithos_sim_test(queue_threads_${seed} COMMAND program_threads --launches 50 THREADS
		ENV ${queue_env})
	lithos_sim_test(queue_apis_${seed} COMMAND integration_shim_apis ENV ${queue_env})
endforeach()
lithos_program_test(deferred)
lithos_program_test(errors)
lithos_bats_test(queue)
