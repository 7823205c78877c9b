"""Weighted transducers in OpenFst's "const" file form, as libvosk reads them."""

from dataclasses import dataclass, field
from struct import pack

_MAGIC = 2125659606
_VERSION = 2
_PROPERTIES = 1  # expanded; all else is unknown and tested by OpenFst when it matters
_NEVER = float("inf")


@dataclass(frozen=True, order=True)
class Arc:
    """Labels 0 are silent; a cost is -ln of a probability."""

    heard: int
    written: int
    cost: float
    target: int


@dataclass
class Fst:
    """A transducer that starts in state 0."""

    arcs: list[list[Arc]] = field(default_factory=list)
    ends: dict[int, float] = field(default_factory=dict)  # final state -> cost of ending there

    def state(self) -> int:
        """A new state."""
        self.arcs.append([])
        return len(self.arcs) - 1

    def arc(self, source: int, heard: int, written: int, cost: float, target: int) -> None:
        self.arcs[source].append(Arc(heard, written, cost, target))

    def to_bytes(self) -> bytes:
        """The file. Arcs are sorted by label, as composition needs them."""
        out = [
            pack("<i", _MAGIC),
            _string("const"),
            _string("standard"),
            pack("<iiQ", _VERSION, 0, _PROPERTIES),
            pack("<qqq", 0, len(self.arcs), sum(map(len, self.arcs))),
        ]
        first = 0
        for state, arcs in enumerate(self.arcs):
            silent_in = sum(arc.heard == 0 for arc in arcs)
            silent_out = sum(arc.written == 0 for arc in arcs)
            end = self.ends.get(state, _NEVER)
            out.append(pack("<fIIII", end, first, len(arcs), silent_in, silent_out))
            first += len(arcs)
        out += [
            pack("<iifi", arc.heard, arc.written, arc.cost, arc.target)
            for arcs in self.arcs
            for arc in sorted(arcs)
        ]
        return b"".join(out)


def _string(text: str) -> bytes:
    return pack("<i", len(text)) + text.encode("ascii")
