# SPDX-License-Identifier: Apache-2.0
lithos_unit_test(quota_fit lithos_sched)
lithos_unit_test(quota_parse lithos_sched)
lithos_unit_test(quota_pick lithos_sched)
