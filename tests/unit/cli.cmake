# SPDX-License-Identifier: Apache-2.0
lithos_unit_test(cli_client lithos_cli)
lithos_unit_test(cli_doctor lithos_cli)
lithos_unit_test(cli_gpus lithos_cli)
lithos_unit_test(cli_names lithos_cli)
lithos_unit_test(cli_place lithos_cli)
lithos_unit_test(cli_status lithos_cli)
lithos_unit_test(cli_summary lithos_cli)
lithos_unit_test(cli_summary_split lithos_cli)
lithos_unit_test(cli_table lithos_cli)

# Drivers that misbehave while they are loaded, for cli_doctor.
foreach(way crash hang exit)
	add_library(cli_driver_${way} MODULE ${CMAKE_CURRENT_LIST_DIR}/cli_bad_driver.c)
	target_compile_definitions(cli_driver_${way} PRIVATE BAD_DRIVER_${way})
	add_dependencies(unit_cli_doctor cli_driver_${way})
	target_compile_definitions(unit_cli_doctor PRIVATE
		DRIVER_${way}="$<TARGET_FILE:cli_driver_${way}>")
endforeach()
