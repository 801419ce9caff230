# SPDX-License-Identifier: Apache-2.0
# Kernels in atoms and claimed, on the simulated GPU.
foreach(way atoms:3 preempt:50)
	string(REPLACE ":" "_" suffix ${way})
	foreach(name once order deferred threads cut overlap)
		set(args)
		if(name STREQUAL threads)
			set(args --launches 30)
		elseif(name STREQUAL cut)
			set(args --rounds 2)
		elseif(name STREQUAL overlap)
			set(args --rounds 2 --waves 3 --us 500)
		endif()
		lithos_sim_test(split_${name}_${suffix} COMMAND program_${name} ${args} THREADS
			ENV LITHOS_SPLIT=${way} LITHOS_TPC_QUOTA=66)
	endforeach()
endforeach()
# Gaps of a second and more are gaps.
lithos_sim_test(split_pulse_gaps COMMAND program_cut --pulse --rounds 1 --gap-ms 1000)
lithos_bats_test(split)
lithos_bats_test(graph_steps)
