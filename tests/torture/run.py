#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run.py --build DIR --scenario NAME [--count N] [--seed S] [--tenants T] [--strict]

Torture of the real lithosd, the real shim and the simulated GPU. Every scenario checks after every
step that own + lent + free = all, that no TPC has two owners, and that no tenant saw an error.

  kill      N kills of random tenants at random moments; how soon the dead one's TPCs are free
  daemon    lithosd killed N times under load; tenants go on, the ledger is the same afterwards
  stop      a borrower, then an owner, stopped for N seconds
  hostile   a tenant writes random bytes into its region for N seconds
  attach    N processes attach at once; within 2 s
  order     N programs of the order checker in a borrower, held back by the owner's comings and
            goings
  rounds    N rounds of fork, exec, dlclose and 64 threads in one tenant

--strict: times are limits as well (p99 of reclaim 5 ms, attach 2 s), for a machine of one's own;
without it they are printed only. Exit: 0, 1 with what was wrong on stderr, 77 when a part is not
built.
"""
import argparse
import os
import random
import signal
import shutil
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "kill"))
sys.dont_write_bytecode = True
from machine import Failure, Machine  # noqa: E402
import scenarios  # noqa: E402


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--scenario", required=True, choices=sorted(scenarios.ALL))
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tenants", type=int, default=0)
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--keep", action="store_true", help="keep the folder with logs")
    args = parser.parse_args()
    random.seed(args.seed)
    folder = tempfile.mkdtemp(prefix="lithos-torture-")
    machine = Machine(os.path.abspath(args.build), folder)
    if not machine.is_built():
        print("a part is not built", file=sys.stderr)
        return 77
    began = time.monotonic()
    status = 0
    try:
        machine.start_daemon()
        facts = scenarios.ALL[args.scenario](machine, args)
        facts["seconds"] = round(time.monotonic() - began, 1)
        print("scenario=%s %s" % (args.scenario,
                                  " ".join("%s=%s" % pair for pair in facts.items())))
    except Failure as failure:
        print("scenario=%s seed=%d: %s" % (args.scenario, args.seed, failure), file=sys.stderr)
        machine.show_logs()
        status = 1
    finally:
        machine.stop()
        if args.keep:
            print("folder=%s" % folder, file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return status


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main())
