"""What will become of each row of a file: told first, then done, all of it or nothing."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Fate(StrEnum):
    NEW = "new"
    SAME = "same"
    CHANGED = "changed"
    REFUSED = "refused"


FATES = {Fate.NEW: "新", Fate.SAME: "不变", Fate.CHANGED: "改", Fate.REFUSED: "不行"}


class NotAllError(Exception):
    """Some rows are refused, so none is taken; carries how many."""

    def __init__(self, refused: int) -> None:
        super().__init__("some rows are refused")
        self.refused = refused


class UnreadableSheetError(ValueError):
    """The file as a whole cannot be read; `sentence` says why, in plain Chinese."""

    def __init__(self, sentence: str) -> None:
        super().__init__("the sheet cannot be read")
        self.sentence = sentence


class WrongCellError(ValueError):
    """A cell holds something else than it should; `sentence` says what and what to do."""

    def __init__(self, sentence: str) -> None:
        super().__init__("a cell is wrong")
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class RowFate:
    """One row: what becomes of it, whom it is about, and why, in plain Chinese."""

    number: int
    fate: Fate
    about: str
    sentence: str = ""

    def __str__(self) -> str:
        words = f"第{self.number}行  {FATES[self.fate]}  {self.about}"
        return f"{words}：{self.sentence}" if self.sentence else words


@dataclass(frozen=True, slots=True)
class Told:
    """A dry run: every row's fate and what is worth saying about the file."""

    fates: Sequence[RowFate]
    remarks: Sequence[str] = ()

    @property
    def counts(self) -> Counter[Fate]:
        return Counter(each.fate for each in self.fates)

    @property
    def refused(self) -> int:
        return self.counts[Fate.REFUSED]

    @property
    def summary(self) -> str:
        counted = self.counts
        return "，".join(f"{FATES[fate]}{counted[fate]}行" for fate in Fate)

    def need_all(self) -> None:
        """Raise NotAllError if any row is refused."""
        if self.refused:
            raise NotAllError(self.refused)
