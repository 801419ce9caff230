# SPDX-License-Identifier: Apache-2.0
lithos_bats_test(bench)
lithos_bats_test(bench_long)
lithos_bats_test(bench_mixes)
lithos_bats_test(bench_sharing)
