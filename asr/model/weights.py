"""What was learnt, between the training and the file: affine layers and priors."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SUBSAMPLING = 3  # frames to an output: libvosk counts time in 30 ms whatever is configured
# the frames each layer takes together, counted from its own
SPLICES = ((-1, 0, 1), (-1, 0, 1), (-3, 0, 3), (-3, 0, 3), (-3, 0, 3), (0,))
CONTEXT = sum(max(splice) for splice in SPLICES)  # frames the network sees before and after


@dataclass(frozen=True)
class Layer:
    """matrix (out, offsets x in) and bias (out); all but the last layer of a network rectify."""

    matrix: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Weights:
    """One layer for each of SPLICES, and how often each pdf was heard (sums to 1)."""

    layers: tuple[Layer, ...]
    priors: npt.NDArray[np.float32]
