# SPDX-License-Identifier: Apache-2.0
# What MPS is started with and how its processes are recognised; its life is in tests/integration.
lithos_unit_test(mps_proc lithos_mps)
lithos_unit_test(mps_spawn lithos_mps)
set_tests_properties(unit_mps_proc PROPERTIES LABELS "unit;threads")
