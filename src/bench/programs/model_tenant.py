# SPDX-License-Identifier: Apache-2.0
"""A tenant of lithos bench on a GPU: a model (models.py) as a service or as a job.

A service answers the requests of its schedule one after the other; a job starts the next piece of
work before the last one has ended. With --mode graph the work is a CUDA graph of --repeat passes,
as inference servers replay it, on a stream of its own.
"""

import sys
import time

import session as bench

NR_WARM = 4
NR_WARM_REQUESTS = 30
NR_SERVICES = 300


def add_arguments(parser):
    parser.add_argument("--role", choices=("foreground", "background"), required=True,
                        help="requests of a schedule, or work without end")
    parser.add_argument("--model", required=True)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--mode", choices=("graph", "eager"), default="eager")
    parser.add_argument("--repeat", type=int, default=1, help="passes in one request or step")


def capture(torch, work, repeat):
    """(replay, what must be kept): a graph works on the memory of what was captured."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=torch.cuda.current_stream()):
        results = [work() for _ in range(repeat)]
    return graph.replay, (graph, results)


def eagerly(work, repeat):
    if repeat == 1:
        return work
    return lambda: [work() for _ in range(repeat)]


def warm_up(torch, work, options):
    """Libraries choose their kernels, the allocator gets its memory; then the graph, and that
    warm, too."""
    kept = None
    for _ in range(NR_WARM):
        work()
    torch.cuda.synchronize()
    if options.mode == "graph":
        launch, kept = capture(torch, work, options.repeat)
    else:
        launch = eagerly(work, options.repeat)
    for _ in range(NR_WARM):
        launch()
    torch.cuda.synchronize()
    return launch, kept


def time_requests(serve):
    for _ in range(NR_WARM_REQUESTS):
        serve()
    service_ns = []
    for _ in range(NR_SERVICES):
        begin = time.monotonic_ns()
        serve()
        service_ns.append(time.monotonic_ns() - begin)
    return service_ns


def run(torch, session, work, options, versions):
    stream = torch.cuda.current_stream()
    launch, kept = warm_up(torch, work, options)

    def serve():
        launch()
        stream.synchronize()

    is_service = options.role == "foreground"
    service_ns = time_requests(serve) if is_service else ()
    session.ready(torch.cuda.get_device_name(), versions, service_ns)
    session.wait_go()
    if is_service:
        session.result(bench.serve_schedule(session, serve))
    else:
        session.result(bench.work_until_stopped(session, launch, torch.cuda.Event))
    del kept


def main():
    session, options = bench.from_command_line(__doc__, add_arguments)
    import torch
    import models
    torch.manual_seed(0)
    # The fastest kernels for these shapes instead of a guess: tried out in the warm-up, in which
    # the others are idle.
    torch.backends.cudnn.benchmark = True
    with torch.device("cuda"):
        work, version = models.rows[options.model](options.batch)
    torch.cuda.synchronize()
    versions = [f"torch {torch.__version__}", f"CUDA {torch.version.cuda}", version]
    session.wait_turn()
    # Graphs have a stream of their own; eager programs mostly stay on the default one.
    with torch.cuda.stream(torch.cuda.Stream() if options.mode == "graph" else None):
        run(torch, session, work, options, versions)


if __name__ == "__main__":
    sys.exit(main())
