"""Recordings of prompts: a row a take, and a row whenever it changes who speaks."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from hotline.db import Base, UtcDateTime, kept
from ivr.parts import Spot


class Origin(StrEnum):
    BROWSER = "browser"
    FILE = "file"
    PHONE = "phone"
    COMMAND = "command"


class Fault(StrEnum):
    """Why a take cannot be used."""

    NO_SOUND = "no_sound"  # no decoder reads it, or the line lost it
    NO_SPEECH = "no_speech"
    LONG = "long"
    QUIET = "quiet"
    CLIPPED = "clipped"


@dataclass(frozen=True, slots=True)
class Levelled:
    """The wav that is played, 8 kHz mono at −19 dBov; or, with a fault, nothing."""

    wav: bytes = b""
    seconds: float | None = None
    fault: Fault | None = None


class Take(Base):
    """One part of a prompt as one person spoke it once, in one set; `version` counts them.

    Written by `ivr.studio`; its sound is filled in once, when it is home and levelled. Never
    deleted: calls have heard it.
    """

    __tablename__ = "prompt_takes"
    __table_args__ = (UniqueConstraint("prompt", "part", "kept_in", "version"),)

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    prompt: Mapped[str] = mapped_column(String(8))
    part: Mapped[int]
    kept_in: Mapped[str] = mapped_column(String(20))  # the set: dialect, and whether spoken slowly
    version: Mapped[int]
    words: Mapped[str] = mapped_column(Text)  # what the sheet said when it was spoken
    made_at: Mapped[datetime] = mapped_column(UtcDateTime)
    made_by: Mapped[int | None] = mapped_column(ForeignKey("volunteers.id"))
    origin: Mapped[Origin] = mapped_column(kept(Origin))
    recording_id: Mapped[int | None] = mapped_column(
        ForeignKey("recordings.id"), default=None, unique=True
    )  # of what was spoken on the telephone
    wanted: Mapped[bool] = mapped_column(default=False)  # to be used once its sound is home
    original_key: Mapped[str | None] = mapped_column(String(200), default=None)
    original_type: Mapped[str] = mapped_column(String(40), default="")
    sha256: Mapped[str | None] = mapped_column(String(64), default=None)  # of the levelled sound
    seconds: Mapped[float | None] = mapped_column(default=None)
    fault: Mapped[Fault | None] = mapped_column(kept(Fault), default=None)

    @property
    def sound_key(self) -> str:
        """Where the levelled sound is stored; empty as long as there is none."""
        return f"{self.sha256[:2]}/{self.sha256}.wav" if self.sha256 else ""

    @property
    def spot(self) -> Spot:
        return Spot(self.prompt, self.part, self.kept_in)


class Choice(Base):
    """From `since` on a part is spoken by this take, or, without one, by the machine.

    Only ever added, so that what a call heard can be told from when it asked. `made_by` is
    empty where the words changed and nobody decided.
    """

    __tablename__ = "prompt_choices"
    __table_args__ = (Index("ix_prompt_choices_spot", "prompt", "part", "kept_in", "since"),)

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    prompt: Mapped[str] = mapped_column(String(8))
    part: Mapped[int]
    kept_in: Mapped[str] = mapped_column(String(20))
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    take_id: Mapped[int | None] = mapped_column(ForeignKey("prompt_takes.id"))
    made_by: Mapped[int | None] = mapped_column(ForeignKey("volunteers.id"))

    @property
    def spot(self) -> Spot:
        return Spot(self.prompt, self.part, self.kept_in)
