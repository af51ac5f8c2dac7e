"""PyTorch beside the engine: forward and input-gradient step of the network of tests/reference, on one thread.

Prints one line of JSON for each number, as benches/native.rs does.
"""

import json
import statistics
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

torch.set_num_threads(1)
rounds = 3 if "--quick" in sys.argv else 31
model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(1568, 128),
    nn.ReLU(),
    nn.Linear(128, 10),
).requires_grad_(False)


def forward(images, labels):
    with torch.no_grad():
        return model(images)


def step(images, labels):
    images = images.detach().requires_grad_(True)
    return torch.autograd.grad(F.cross_entropy(model(images), labels, reduction="sum"), images)[0]


def median(call):
    times = []
    for turn in range(rounds + 1):
        started, calls = time.perf_counter(), 0
        while calls < 50 and (calls == 0 or time.perf_counter() - started < 0.02):
            call()
            calls += 1
        if turn > 0:
            times.append((time.perf_counter() - started) * 1e3 / calls)
    return statistics.median(times)


for batch in (1, 32, 256):
    images, labels = torch.rand(batch, 1, 28, 28), torch.arange(batch) % 10
    for name, call in (("step", step), ("forward", forward)):
        value = median(lambda: call(images, labels))
        print(json.dumps({"name": f"native.{name}.batch{batch}", "contestant": "pytorch", "value": value, "unit": "ms"}))
