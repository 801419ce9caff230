# SPDX-License-Identifier: Apache-2.0
lithos_unit_test(lend_effective lithos_sched)
lithos_unit_test(grace_gaps lithos_sched)
lithos_unit_test(known_choose lithos_sched)
lithos_unit_test(predict_times lithos_sched)
lithos_unit_test(quota_fit lithos_sched)
lithos_unit_test(quota_parse lithos_sched)
lithos_unit_test(quota_pick lithos_sched)
lithos_unit_test(split_choose lithos_sched)
