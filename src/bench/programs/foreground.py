# SPDX-License-Identifier: Apache-2.0
"""Foreground of the hybrid scenario: ResNet-50, batch 8, half precision, channels last, as a CUDA
graph.

Weights are random: what is measured does not depend on them. timm's model, or torchvision's.
"""

import sys
import time

import session as bench

BATCH = 8
NR_WARM = 30
NR_SERVICES = 300


def resnet50():
    try:
        import timm
        return timm.create_model("resnet50", pretrained=False), f"timm {timm.__version__}"
    except ImportError:
        import torchvision
        return torchvision.models.resnet50(weights=None), f"torchvision {torchvision.__version__}"


def capture(torch):
    model, version = resnet50()
    model = model.cuda().half().to(memory_format=torch.channels_last).eval()
    images = torch.randn(BATCH, 3, 224, 224).half().contiguous(memory_format=torch.channels_last)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    graph = torch.cuda.CUDAGraph()
    with torch.no_grad():
        with torch.cuda.stream(side):
            for _ in range(3):
                model(images)
        torch.cuda.current_stream().wait_stream(side)
        with torch.cuda.graph(graph):
            result = model(images)
    # The graph works on these tensors' memory: whoever replays it keeps them.
    return graph, (model, images, result), version


def main():
    session = bench.from_command_line(__doc__)
    import torch
    torch.set_default_device("cuda")
    torch.manual_seed(0)
    graph, kept, version = capture(torch)
    stream = torch.cuda.current_stream()

    def serve():
        graph.replay()
        stream.synchronize()

    for _ in range(NR_WARM):
        serve()
    service_ns = []
    for _ in range(NR_SERVICES):
        begin = time.monotonic_ns()
        serve()
        service_ns.append(time.monotonic_ns() - begin)
    session.ready(torch.cuda.get_device_name(), [f"torch {torch.__version__}",
                                                 f"CUDA {torch.version.cuda}", version], service_ns)
    session.wait_go()
    session.result(bench.serve_schedule(session, serve))
    del kept


if __name__ == "__main__":
    sys.exit(main())
