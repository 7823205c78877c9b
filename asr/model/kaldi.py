"""`final.mdl` in Kaldi's binary format: a transition model and an nnet3 network."""

from io import BytesIO
from pathlib import Path
from struct import pack

import numpy as np
import numpy.typing as npt

from asr.model.features import DIMENSIONS
from asr.model.phones import PDFS, pdfs, phones, triples
from asr.model.weights import CONTEXT, SPLICES, Weights

_STAY = 0.5  # Kaldi wants some probability; decoding takes the graph's


class Writer:
    """Kaldi's primitives, little-endian: a token ends in one space, a number follows its size in bytes."""

    def __init__(self) -> None:
        self._out = BytesIO()

    def getvalue(self) -> bytes:
        return self._out.getvalue()

    def text(self, text: str) -> None:
        self._out.write(text.encode("ascii"))

    def tokens(self, *tokens: str) -> None:
        self.text("".join(f"{token} " for token in tokens))

    def integer(self, value: int) -> None:
        self._out.write(pack("<bi", 4, value))

    def single(self, value: float) -> None:
        self._out.write(pack("<bf", 4, value))

    def double(self, value: float) -> None:
        self._out.write(pack("<bd", 8, value))

    def integers(self, values: list[int]) -> None:
        """A vector of int32: here the count has no size before it."""
        self._out.write(pack(f"<bi{len(values)}i", 4, len(values), *values))

    def vector(self, values: npt.NDArray[np.float32]) -> None:
        self.tokens("FV")
        self.integer(len(values))
        self._out.write(values.astype("<f4").tobytes())

    def matrix(self, values: npt.NDArray[np.float32]) -> None:
        """Compressed to 16 bits between the least and the greatest value."""
        least = float(values.min())
        span = float(values.max()) - least or 1.0
        self.tokens("CM2")
        self._out.write(pack("<ffii", least, span, *values.shape))
        self._out.write(np.round((values - least) / span * 65535).astype("<u2").tobytes())


def write_final_mdl(path: Path, weights: Weights) -> None:
    """The whole acoustic model."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(transition_model() + _network(weights))


def transition_model() -> bytes:
    """The first part of the file; it follows from the phones alone."""
    out = Writer()
    out.text("\0B")
    out.tokens("<TransitionModel>", "<Topology>")
    numbers = list(phones())
    lengths = [len(pdfs(unit)) for unit, _ in phones().values()]
    out.integers(numbers)
    out.integers([-1] + [length - 1 for length in lengths])
    out.integer(max(lengths))
    for states in range(1, max(lengths) + 1):
        out.integer(states + 1)
        for state in range(states):
            out.integer(state)
            out.integer(2)
            for target, probability in ((state, _STAY), (state + 1, 1 - _STAY)):
                out.integer(target)
                out.single(probability)
        out.integer(-1)
        out.integer(0)
    out.tokens("</Topology>", "<Triples>")
    out.integer(len(triples()))
    for triple in triples():
        for number in triple:
            out.integer(number)
    out.tokens("</Triples>", "<LogProbs>")
    out.vector(np.log(np.array([1.0] + 2 * len(triples()) * [_STAY], np.float32)))
    out.tokens("</LogProbs>", "</TransitionModel>")
    return out.getvalue()


def _network(weights: Weights) -> bytes:
    out = Writer()
    out.tokens("<Nnet3>")
    out.text(f"\ninput-node name=input dim={DIMENSIONS}\n")
    before = "input"
    names: list[str] = []
    for index, splice in enumerate(SPLICES):
        spliced = ", ".join(
            f"Offset({before}, {offset})" if offset else before for offset in splice
        )
        spliced = f"Append({spliced})" if len(splice) > 1 else spliced
        name = f"layer{index + 1}"
        after = "logsoftmax" if index == len(SPLICES) - 1 else "relu"
        out.text(f"component-node name={name}.affine component={name}.affine input={spliced}\n")
        before = f"{name}.{after}"
        out.text(f"component-node name={before} component={before} input={name}.affine\n")
        names += [f"{name}.affine", before]
    out.text(f"output-node name=output input={before} objective=linear\n\n")
    out.tokens("<NumComponents>")
    out.integer(len(names))
    for index, layer in enumerate(weights.layers):
        last = index == len(SPLICES) - 1
        out.tokens("<ComponentName>", names[2 * index], "<FixedAffineComponent>", "<LinearParams>")
        out.matrix(layer.matrix)
        out.tokens("<BiasParams>")
        out.vector(layer.bias)
        out.tokens("</FixedAffineComponent>", "<ComponentName>", names[2 * index + 1])
        kind = "LogSoftmaxComponent" if last else "RectifiedLinearComponent"
        out.tokens(f"<{kind}>", "<Dim>")
        out.integer(PDFS if last else len(layer.bias))
        for statistic in ("<ValueAvg>", "<DerivAvg>"):
            out.tokens(statistic)
            out.vector(np.zeros(0, np.float32))
        for statistic in ("<Count>", "<NumDimsSelfRepaired>", "<NumDimsProcessed>"):
            out.tokens(statistic)
            out.double(0.0)
        out.tokens(f"</{kind}>")
    out.tokens("</Nnet3>", "<LeftContext>")
    out.integer(CONTEXT)
    out.tokens("<RightContext>")
    out.integer(CONTEXT)
    out.tokens("<Priors>")
    out.vector(weights.priors)
    return out.getvalue()
