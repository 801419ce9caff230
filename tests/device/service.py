# SPDX-License-Identifier: Apache-2.0
"""How fast the service of `lithos bench` is by itself, and which way of writing it costs what.

A request is one replay of ResNet-50 b8 as a CUDA graph. Each variant is timed back to back, and
after 4 ms of sleep, as a service with 200 requests a second mostly finds itself:

    kernels  cuDNN's guess, or the fastest of those it tried out (cudnn.benchmark)
    layers   batch normalisations as kernels of their own, or folded into the convolutions
    stream   the default one, or one of its own
    wait     for the stream (which spins), or by asking an event again and again

    service.py [--out service.json] [--requests 400] [--model resnet50]

The same under MPS and under `lithos run --quota 100% --` tells what these add to it, with nobody to
share with.
"""

import argparse
import gc
import os
import statistics
import sys
import time

import common

sys.path.insert(0, os.path.join(common.ROOT, "src", "bench", "programs"))

IDLE_S = 0.004
NR_WARM = 20


def folded(torch, model):
    from torch.fx.experimental.optimization import fuse
    return fuse(model.eval())


def graph_of(torch, name, is_benchmarked, is_folded):
    import timm
    torch.backends.cudnn.benchmark = is_benchmarked
    with torch.device("cuda"):
        model = timm.create_model(name, pretrained=False).eval()
        model = folded(torch, model) if is_folded else model
        model = model.half().to(memory_format=torch.channels_last)
        images = torch.randn(8, 3, 224, 224).half().contiguous(memory_format=torch.channels_last)
    stream = torch.cuda.Stream()
    with torch.no_grad(), torch.cuda.stream(stream):
        for _ in range(4):
            model(images)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            result = model(images)
    torch.cuda.synchronize()
    return graph, (model, images, result)


def ask(event):
    while not event.query():
        pass


def timed(serve, nr, idle_s):
    """Milliseconds of each request, from the call to its completion."""
    for _ in range(NR_WARM):
        serve()
    times = []
    for _ in range(nr):
        if idle_s:
            time.sleep(idle_s)
        begin = time.monotonic_ns()
        serve()
        times.append((time.monotonic_ns() - begin) / 1e6)
    return times


def server(torch, graph, stream, wait):
    event = torch.cuda.Event()

    def serve():
        graph.replay()
        if wait == "asks":
            event.record()
            ask(event)
        else:
            stream.synchronize()
    return serve


def gpu_ms(torch, graph, nr):
    """By events around many replays: what the GPU needs, without launch and wait of each."""
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    for _ in range(nr):
        graph.replay()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / nr


def measure(torch, options):
    rows = []
    for is_benchmarked, is_folded in ((False, False), (True, False), (True, True)):
        try:
            graph, kept = graph_of(torch, options.model, is_benchmarked, is_folded)
        except (ImportError, RuntimeError, ValueError) as error:
            print(f"no graph: {error}", file=sys.stderr)
            continue
        for own in (False, True):
            stream = torch.cuda.Stream() if own else torch.cuda.default_stream()
            for wait in ("waits", "asks") if own and not is_folded else ("waits",):
                with torch.cuda.stream(stream):
                    serve = server(torch, graph, stream, wait)
                    busy = timed(serve, options.requests, 0)
                    idle = timed(serve, options.requests // 2, IDLE_S)
                    in_row = gpu_ms(torch, graph, options.requests // 2)
                rows.append({"kernels": "tried" if is_benchmarked else "guessed",
                             "layers": "folded" if is_folded else "plain",
                             "stream": "own" if own else "default", "wait": wait,
                             "gpu_ms": in_row, "p50_ms": statistics.median(busy),
                             "p99_ms": sorted(busy)[len(busy) * 99 // 100],
                             "idle_p50_ms": statistics.median(idle),
                             "idle_p99_ms": sorted(idle)[len(idle) * 99 // 100]})  # fmt: skip
        del kept
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--out")
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--model", default="resnet50")
    options = parser.parse_args()
    import torch
    torch.manual_seed(0)
    gc.disable()
    rows = measure(torch, options)
    if options.out:
        common.write_json(options.out, {"device": torch.cuda.get_device_name(), "rows": rows})
    for row in rows:
        print("  ".join(f"{value:.3f}" if isinstance(value, float) else f"{value:8}"
                        for value in row.values()))  # fmt: skip
    print("columns:", " ".join(rows[0]) if rows else "none")
    return 0 if rows else 1


if __name__ == "__main__":
    sys.exit(main())
