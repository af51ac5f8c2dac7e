"""PyTorch with torchattacks beside the server: PGD-40 on Fashion-MNIST's first test pictures.

    python benches/robust.py PICTURES THREADS

Needs torch, torchattacks, numpy, safetensors and Pillow. Prints one line of JSON for each model: milliseconds for each
picture, and to standard error the accuracy that was reached, which must be the server's.
"""

import glob
import json
import statistics
import sys
import time
from pathlib import Path

import numpy
import torch
import torchattacks
from PIL import Image
from safetensors.numpy import load_file
from torch import nn

count, threads = int(sys.argv[1]), int(sys.argv[2])
torch.set_num_threads(threads)
assets = Path(__file__).resolve().parent.parent / "assets"


def network(name):
    layers = [nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU()]
    layers += [nn.MaxPool2d(2), nn.Flatten(), nn.Linear(1568, 128), nn.ReLU(), nn.Linear(128, 10)]
    model = nn.Sequential(*layers).eval()
    weights = load_file(assets / f"models/fashion-{name}.safetensors")
    for place, part in ((0, "conv1"), (3, "conv2"), (7, "fc1"), (9, "fc2")):
        for kind in ("weight", "bias"):
            tensor = torch.from_numpy(weights[f"{part}.{kind}"].astype(numpy.float32))
            getattr(model[place], kind).data.copy_(tensor)
    return model.requires_grad_(False)


def pictures():
    sheets = []
    for k in range(len(glob.glob(str(assets / "data/fashion/test-*.png")))):
        sheet = numpy.asarray(Image.open(assets / f"data/fashion/test-{k}.png").convert("L"))
        rows, columns = sheet.shape[0] // 28, sheet.shape[1] // 28
        sheets.append(sheet.reshape(rows, 28, columns, 28).swapaxes(1, 2).reshape(-1, 1, 28, 28))
    labels = [int(digit) for digit in (assets / "data/fashion/labels.txt").read_text() if digit.isdigit()]
    images = torch.from_numpy(numpy.concatenate(sheets)[:count].astype(numpy.float32) / 255)
    return images, torch.tensor(labels[:count])


images, labels = pictures()
for name in ("standard", "adversarial"):
    model = network(name)
    attack = torchattacks.PGD(model, eps=0.1, alpha=0.01, steps=40, random_start=False)
    times = []
    for _ in range(3):
        started = time.perf_counter()
        # In the batches that are fastest here.
        adversarial = torch.cat([attack(x, y) for x, y in zip(images.split(250), labels.split(250))])
        times.append((time.perf_counter() - started) * 1e3 / len(images))
    with torch.no_grad():
        right = (model(adversarial).argmax(1) == labels).float().mean().item()
    print(f"{name}: {right:.3f} of {len(images)} pictures withstand", file=sys.stderr)
    value = statistics.median(times)
    print(json.dumps({"name": f"accuracy.pgd40.{name}", "contestant": "torchattacks", "value": value, "unit": "ms/picture"}))
