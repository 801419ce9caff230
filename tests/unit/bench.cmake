# SPDX-License-Identifier: Apache-2.0
lithos_unit_test(bench_arrivals lithos_cli)
lithos_unit_test(bench_numbers lithos_cli)
lithos_unit_test(bench_report lithos_cli)
lithos_unit_test(bench_session lithos_cli)
lithos_unit_test(bench_systems lithos_cli)
lithos_unit_test(bench_workload bench_workload)
