# SPDX-License-Identifier: Apache-2.0
lithos_bats_test(cli_doctor)
lithos_bats_test(cli_lithosd)
lithos_bats_test(cli_options)
lithos_bats_test(cli_private)
lithos_bats_test(cli_run)
lithos_bats_test(cli_stats)
lithos_bats_test(cli_status)
lithos_bats_test(cli_tenant)
