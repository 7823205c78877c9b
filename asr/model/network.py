"""The network: a small time-delay net over cepstra, trained with torch and handed on as plain affine layers."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from asr.model.features import DIMENSIONS
from asr.model.lessons import Lesson
from asr.model.phones import PDFS
from asr.model.weights import CONTEXT, SUBSAMPLING, Layer, Weights

WINDOW = 301  # frames of a training window
BATCH = 64
_LEARNING_RATE = 3e-3


@dataclass(frozen=True)
class Course:
    """How long and how wide. The random start and the order of windows come from the seed."""

    hidden: int
    epochs: int
    seed: int = 1
    threads: int = 2


def train(lessons: Iterable[Lesson], course: Course) -> Weights:
    """Weights learnt by frame cross-entropy on random windows of the lessons laid end to end."""
    torch.manual_seed(course.seed)
    torch.set_num_threads(course.threads)
    kept = list(lessons)
    features = torch.from_numpy(np.concatenate([lesson.features for lesson in kept]))
    pdfs = torch.from_numpy(np.concatenate([lesson.pdfs for lesson in kept]))
    del kept
    mean = features[::50].float().mean(0)
    spread = features[::50].float().std(0)
    model = _layers(course.hidden)
    steps = course.epochs * (len(pdfs) // (WINDOW * BATCH))
    optimiser = torch.optim.AdamW(model.parameters(), lr=_LEARNING_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _LEARNING_RATE, total_steps=steps)
    offsets = torch.arange(WINDOW)
    targets = torch.arange(CONTEXT, WINDOW - CONTEXT, SUBSAMPLING)
    right = seen = 0.0
    for step in range(steps):
        starts = torch.randint(len(pdfs) - WINDOW, (BATCH, 1))
        window = (features[starts + offsets].float() - mean) / spread
        wanted = pdfs[starts + targets].long()
        scores = model(window.transpose(1, 2))
        loss = nn.functional.cross_entropy(scores, wanted)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        right += float((scores.argmax(1) == wanted).sum())
        seen += wanted.numel()
        if step % 200 == 199 or step == steps - 1:
            print(f"step {step + 1} of {steps}: {right / seen:.2%} of frames right", flush=True)
            right = seen = 0.0
    counts = torch.bincount(pdfs.long(), minlength=PDFS).double() + 1
    priors = (counts / counts.sum()).float().numpy()
    return _fold(model.eval(), mean.numpy(), spread.numpy(), priors)


def _layers(hidden: int) -> nn.Sequential:
    """Kernels of three; the second steps three frames, so later ones reach +-3 frames without dilation."""
    layers: list[nn.Module] = []
    for index in range(5):
        width = DIMENSIONS if index == 0 else hidden
        layers.append(nn.Conv1d(width, hidden, 3, stride=SUBSAMPLING if index == 1 else 1))
        layers += [nn.BatchNorm1d(hidden), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv1d(hidden, PDFS, 1))


def _fold(
    model: nn.Sequential,
    mean: npt.NDArray[np.float32],
    spread: npt.NDArray[np.float32],
    priors: npt.NDArray[np.float32],
) -> Weights:
    """Batch normalisation and the normalisation of features become part of the affine layers."""
    folded: list[Layer] = []
    for conv, norm in zip(model[0:15:3], model[1:15:3], strict=True):
        gain = (norm.weight / torch.sqrt(norm.running_var + norm.eps)).detach().numpy()
        kernel = conv.weight.detach().numpy() * gain[:, None, None]
        bias = (conv.bias - norm.running_mean).detach().numpy() * gain + norm.bias.detach().numpy()
        if not folded:
            kernel = kernel / spread[None, :, None]
            bias = bias - (kernel * mean[None, :, None]).sum((1, 2))
        folded.append(Layer(kernel.transpose(0, 2, 1).reshape(len(bias), -1), bias))
    last = model[15]
    folded.append(Layer(last.weight.detach().numpy()[:, :, 0], last.bias.detach().numpy()))
    return Weights(tuple(folded), priors)
