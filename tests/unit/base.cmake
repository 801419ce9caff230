# SPDX-License-Identifier: Apache-2.0
lithos_unit_test(clock_sync_drift lithos_base)
lithos_unit_test(driver_find_order lithos_base)
lithos_unit_test(elf_note_corrupt lithos_base)
lithos_unit_test(ldcache_corrupt lithos_base)
lithos_unit_test(log_line lithos_base)
lithos_unit_test(options_read lithos_base)
lithos_unit_test(program_find lithos_base)
lithos_unit_test(quiet_thread lithos_base)
set_tests_properties(unit_quiet_thread PROPERTIES LABELS "unit;threads")
lithos_unit_test(stats_buckets lithos_base)
lithos_unit_test(stats_region lithos_base)

# Whether /var/cache can be written must not depend on who runs the test.
lithos_unit_test(cache_dir_choice lithos_base)
target_link_options(unit_cache_dir_choice PRIVATE -Wl,--wrap=access,--wrap=mkdir)
