"""The graph half of the model: words, their sounds, and which word follows which. Standard library alone."""

from collections import Counter
from dataclasses import dataclass, field
from itertools import islice, pairwise
from math import log
from pathlib import Path

from asr.model.openfst import Fst
from asr.model.phones import SILENCE, Transition, phones, transitions
from asr.model.sentences import draw_sentences
from asr.model.words import FILLER, FINALS, INITIALS, read_words, sounds

# Costs were chosen on other sentences and voices than those of the bench (README.md says how far).
SILENCE_COST = 0.7
FILLER_COST = 6.25  # of a syllable outside the list; less flags more words, right ones too
FILLER_SHARE = 0.01  # of all words
SENTENCES = 150_000
SEED = 11
SELDOM = 5  # a pair of words drawn less often is left to the single words
DISCOUNT = 0.1
OPEN_SHARE = 0.001  # of what follows a word: any other, for no grammar foresees how people talk
QUIET_SHARE = 0.3  # of stretches of sound: nothing is said; else noise must be some word
FLAT_SHARE = 0.02  # of single words: spread evenly over the list

_START, _END = "<s>", "</s>"


def graph_files() -> dict[str, bytes]:
    """Every file of the model's `graph/` folder; the same bytes for the same word list and grammar."""
    ids = {word: number for number, word in enumerate(["<eps>", *read_words(), FILLER])}
    boundaries = [f"{phone} {place}\n" for phone, (_, place) in phones().items()]
    return {
        "words.txt": "".join(f"{word} {number}\n" for word, number in ids.items()).encode(),
        "phones/word_boundary.int": "".join(boundaries).encode(),
        "disambig_tid.int": b"",  # nothing to disambiguate, but libvosk wants the file
        "HCLr.fst": lexicon(ids).to_bytes(),
        "Gr.fst": language(ids).to_bytes(),
    }


def write_graph(folder: Path) -> None:
    """Writes `graph_files()` below the folder."""
    for name, data in graph_files().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def lexicon(ids: dict[str, int]) -> Fst:
    """Transitions to words: a loop over all words, silence and the filler.

    An arc that enters a state of a sound comes before the loop that stays in it (Kaldi's "reorder"). Every frame costs
    one arc, entering or staying, so arcs inside a word cost nothing.
    """
    paths = _Paths()
    loop = paths.fst.state()
    paths.fst.ends[loop] = 0.0
    paths.add(loop, [(SILENCE, "nonword")], loop, cost=SILENCE_COST)
    for word, syllables in read_words().items():
        units = sounds(syllables)
        places = ["begin", *["internal"] * (len(units) - 2), "end"]
        if len(units) == 1:
            places = ["singleton"]
        paths.add(loop, list(zip(units, places, strict=True)), loop, word=ids[word])
    _add_filler(paths, loop, ids[FILLER])
    return paths.fst


@dataclass
class _Paths:
    """Rows of sounds in a transducer; rows that end alike share their end, which halves the file."""

    fst: Fst = field(default_factory=Fst)
    tails: dict[tuple[tuple[Transition, ...], int], int] = field(default_factory=dict)

    def add(
        self, source: int, row: list[tuple[str, str]], target: int, word: int = 0, cost: float = 0.0
    ) -> None:
        """A row of (unit, place); the word and the cost stand on its first arc."""
        states = tuple(transition for sound in row for transition in transitions()[sound])
        self.fst.arc(source, states[0].enter, word, cost, self._tail(states, target))

    def _tail(self, states: tuple[Transition, ...], target: int) -> int:
        """The place where the first of the states has been entered."""
        here = self.tails.get((states, target))
        if here is None:
            here = self.tails[states, target] = self.fst.state()
            self.fst.arc(here, states[0].stay, 0, 0.0, here)
            if len(states) > 1:
                self.fst.arc(here, states[1].enter, 0, 0.0, self._tail(states[1:], target))
            else:
                self.fst.arc(here, 0, 0, 0.0, target)
        return here


def _add_filler(paths: _Paths, loop: int, word: int) -> None:
    """Any two syllables or more, each at a cost. One alone is too easily found beside a short word."""
    begin, first, after_final, later = (paths.fst.state() for _ in range(4))
    paths.fst.arc(loop, 0, word, 0.0, begin)
    for unit in INITIALS:
        paths.add(begin, [(unit, "begin")], first, cost=FILLER_COST)
        paths.add(after_final, [(unit, "internal")], later, cost=FILLER_COST)
    for unit in FINALS:
        paths.add(begin, [(unit, "begin")], after_final, cost=FILLER_COST)
        paths.add(first, [(unit, "internal")], after_final)
        paths.add(after_final, [(unit, "end")], loop, cost=FILLER_COST)
        paths.add(later, [(unit, "internal")], after_final)
        paths.add(later, [(unit, "end")], loop)


def language(ids: dict[str, int]) -> Fst:
    """Words in pairs, learnt from drawn sentences; a pair unseen goes through the state of any word."""
    pairs: dict[str, Counter[str]] = {word: Counter() for word in [_START, *read_words()]}
    for sentence in islice(draw_sentences(SEED), SENTENCES):
        for before, after in pairwise([_START, *sentence, _END]):
            pairs[before][after] += 1
    # a single word counts for the words it followed, not for its own number: else digits would fill every gap
    singles = Counter(after for afters in pairs.values() for after in afters)
    total = singles.total()
    vocabulary = [*read_words(), _END]
    chance = {
        word: (1 - FILLER_SHARE)
        * ((1 - FLAT_SHARE) * singles[word] / total + FLAT_SHARE / len(vocabulary))
        for word in vocabulary
    }
    chance[FILLER] = FILLER_SHARE
    fst = Fst()
    states = {word: fst.state() for word in [_START, *read_words()]}
    anywhere = fst.state()
    states[FILLER] = anywhere
    for word, probability in chance.items():
        _follow(fst, anywhere, word, probability, ids, states)
    for before, afters in pairs.items():
        here = states[before]
        often = {after: count for after, count in sorted(afters.items()) if count >= SELDOM}
        heard = max(afters.total(), 1)
        seen = 0.0
        for after, count in often.items():
            probability = (1 - OPEN_SHARE) * (count - DISCOUNT) / heard
            seen += probability
            _follow(fst, here, after, probability, ids, states)
        unseen = 1 - sum(chance[after] for after in often)
        fst.arc(here, 0, 0, _cost((1 - seen) / unseen), anywhere)
    fst.ends[states[_START]] = _cost(QUIET_SHARE)
    return fst


def _follow(
    fst: Fst, here: int, word: str, probability: float, ids: dict[str, int], states: dict[str, int]
) -> None:
    if word == _END:
        fst.ends[here] = _cost(probability)
    else:
        fst.arc(here, ids[word], ids[word], _cost(probability), states[word])


def _cost(probability: float) -> float:
    """Rounded, so that the last bit of a logarithm cannot differ between machines."""
    return round(-log(probability), 4)
