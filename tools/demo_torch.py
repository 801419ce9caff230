#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A small residual network, eager, in a loop: what the demo confines when PyTorch and a GPU are
there.

Prints one line: the SMs PyTorch was told of, images a second, and a checksum that must not depend
on how many SMs there are.
"""
import time

import torch

BATCH, STEPS, WARMUP = 32, 50, 10


class Block(torch.nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.body = torch.nn.Sequential(
            torch.nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            torch.nn.BatchNorm2d(channels),
            torch.nn.ReLU(),
            torch.nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            torch.nn.BatchNorm2d(channels),
        )

    def forward(self, x):
        return torch.relu(x + self.body(x))


@torch.no_grad()
def main():
    torch.manual_seed(0)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 64, 7, stride=2, padding=3), *(Block(64) for _ in range(8)),
        torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(64, 10),
    ).eval().cuda()
    images = torch.randn(BATCH, 3, 112, 112).cuda()
    for _ in range(WARMUP):
        net(images)
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(STEPS):
        out = net(images)
    torch.cuda.synchronize()
    rate = BATCH * STEPS / (time.perf_counter() - start)
    sms = torch.cuda.get_device_properties(0).multi_processor_count
    print(f"program=torch reported_sms={sms} images_per_second={rate:.0f} sum={out.double().sum().item():.9f}")


if __name__ == "__main__":
    main()
