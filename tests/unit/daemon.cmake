# SPDX-License-Identifier: Apache-2.0
# The daemon's policies, and the parts of lithosd that need no daemon around them.
lithos_unit_test(ledger_admit lithos_sched)
lithos_unit_test(ledger_walk lithos_sched)
lithos_unit_test(share_even lithos_sched)
lithos_unit_test(share_starve lithos_sched)
lithos_unit_test(daemon_config lithos_daemon)
lithos_unit_test(daemon_loop lithos_daemon)
lithos_unit_test(daemon_region lithos_daemon)
