"""Takes are kept, and chosen or put aside; each change stands in the ledger.

`settings` says what the words are now: a take of other words is kept, and never used.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from hotline.config import Settings
from hotline.store import Store, Stored
from ivr import parts
from ivr.parts import NUMBER_OF, NUMBERS, PLAIN, Spot
from ivr.takes import Choice, Fault, Levelled, Origin, Take
from tickets import ledger
from tickets.ledger import SYSTEM, Person

# Longer than each process's look (`ivr.voices`) and a commit that has to wait for others.
HOLDS_AFTER = timedelta(seconds=5)
# Any fixed number: it names the studio among PostgreSQL's advisory locks. SQLite's writers pass
# one by one anyway.
STUDIO = 522_1125
ORIGINAL = ".original"  # never played to a caller
BLOCK_BYTES = 65_536
APOLOGY = Spot("I50", 1)


class NotUsableError(Exception):
    """A take that has a fault, has no sound yet, or holds words that have changed since."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How it stands with one spot: its words now, the takes of it, and the newest choice."""

    spot: Spot
    words: str
    takes: Sequence[Take]
    choice: Choice | None

    @property
    def take(self) -> Take | None:
        """The take in use."""
        chosen = self.choice.take_id if self.choice else None
        return next((t for t in self.takes if t.id == chosen and t.words == self.words), None)

    @property
    def outdated(self) -> bool:
        """A person's recording was in use until the words changed."""
        return self.take is None and self.choice is not None and (
            self.choice.take_id is not None or self.choice.made_by is None
        )  # fmt: skip


def standings(
    session: Session, settings: Settings, spots: Sequence[Spot] = tuple(NUMBERS.values())
) -> Mapping[Spot, Standing]:
    takes: dict[Spot, list[Take]] = {}
    choices: dict[Spot, Choice] = {}
    words = parts.words(settings)
    prompts = {spot.prompt for spot in spots}
    for take in session.scalars(select(Take).where(Take.prompt.in_(prompts)).order_by(Take.id)):
        takes.setdefault(take.spot, []).append(take)
    newest = select(Choice).where(Choice.prompt.in_(prompts)).order_by(Choice.since, Choice.id)
    for choice in session.scalars(newest):
        choices[choice.spot] = choice
    return {
        spot: Standing(spot, words[spot.prompt, spot.part], takes.get(spot, ()), choices.get(spot))
        for spot in spots
    }


def spot_of(name: str, kept_in: str) -> Spot | None:
    """I10 or I13-2 in a set, as files are named."""
    prompt, _, part = name.partition("-")
    spot = Spot(prompt, int(part) if part.isdecimal() else 1, kept_in)
    return spot if spot in NUMBER_OF else None


def count(standings: Mapping[Spot, Standing]) -> tuple[int, int, int]:
    """Of the plain set: spoken by a person, outdated, and how many there are."""
    plain = [each for spot, each in standings.items() if spot.kept_in == PLAIN]
    return (
        sum(each.take is not None for each in plain),
        sum(each.outdated for each in plain),
        len(plain),
    )


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound in the store, as it came, unless it is none; and levelled, unless it has a fault."""

    made: Levelled
    media_type: str
    original: Stored | None = None
    levelled: Stored | None = None


def bring_home(store: Store, file: Path, media_type: str) -> Sound:
    """The slow part, without a transaction."""
    from ivr.levelling import level  # decoders: only where there is something to decode

    made = level(file)
    if made.fault is Fault.NO_SOUND:
        return Sound(made, media_type)
    with file.open("rb") as blocks:
        original = store.put(iter(lambda: blocks.read(BLOCK_BYTES), b""), ORIGINAL)
    return Sound(made, media_type, original, store.put([made.wav], ".wav") if made.wav else None)


def keep(
    session: Session,
    settings: Settings,
    spot: Spot,
    origin: Origin,
    by: Person,
    now: datetime,
    *,
    sound: Sound | None = None,
    recording_id: int | None = None,
) -> Take:
    """A further take of a spot; what is spoken on the telephone has its sound later."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text(f"SELECT pg_advisory_xact_lock({STUDIO})"))
    last = session.scalar(
        select(func.max(Take.version)).where(
            Take.prompt == spot.prompt, Take.part == spot.part, Take.kept_in == spot.kept_in
        )
    )
    take = Take(
        prompt=spot.prompt, part=spot.part, kept_in=spot.kept_in, version=(last or 0) + 1,
        words=words_of(settings, spot), made_at=now, made_by=by.volunteer_id,
        origin=origin, recording_id=recording_id,
    )  # fmt: skip
    if sound is not None:
        give_sound(take, sound)
    session.add(take)
    session.flush()
    _note(session, "keep_take", spot, by, now, take)
    return take


def give_sound(take: Take, sound: Sound) -> None:
    """What was missing in its row."""
    take.original_key = sound.original.key if sound.original else None
    take.original_type = sound.media_type[:40]
    take.seconds, take.fault = sound.made.seconds, sound.made.fault
    take.sha256 = sound.levelled.sha256 if sound.levelled else None


def use(session: Session, settings: Settings, take: Take, by: Person, now: datetime) -> None:
    """From the next call on this take speaks. Raises NotUsableError."""
    if not usable(take, words_of(settings, take.spot)):
        raise NotUsableError
    _choose(session, take.spot, take, by, now + HOLDS_AFTER)
    _note(session, "use_take", take.spot, by, now, take)


def put_aside(session: Session, spot: Spot, by: Person, now: datetime) -> None:
    """From the next call on the machine speaks."""
    _choose(session, spot, None, by, now + HOLDS_AFTER)
    _note(session, "put_aside_take", spot, by, now)


def words_of(settings: Settings, spot: Spot) -> str:
    """What is to be said there now."""
    return parts.words(settings)[spot.prompt, spot.part]


def usable(take: Take, words: str) -> bool:
    return take.sha256 is not None and take.words == words


def retire(session: Session, settings: Settings, now: datetime) -> int:
    """What is in use and was spoken for other words than today's no longer is; returns how many.

    Asked before the first call is answered with the new words, which are said by the machine.
    """
    every = standings(session, settings).values()
    stale = [each for each in every if each.choice and each.choice.take_id and not each.take]
    for each in stale:
        _choose(session, each.spot, None, SYSTEM, now)
        _note(session, "retire_take", each.spot, SYSTEM, now)
    return len(stale)


def lay_out_apology(session: Session, settings: Settings, store: Store, folder: Path) -> None:
    """The apology where the exchange finds it when we do not answer: a recording beside its words."""
    standing = standings(session, settings, [APOLOGY])[APOLOGY]
    sound, words = folder / "I50.wav", folder / "I50.txt"
    words.unlink(missing_ok=True)
    if (take := standing.take) is not None:
        folder.mkdir(parents=True, exist_ok=True)
        with store.open(take.sound_key) as file:
            sound.write_bytes(file.read())
        words.write_text(standing.words, encoding="utf-8")


def _choose(session: Session, spot: Spot, take: Take | None, by: Person, since: datetime) -> None:
    session.add(
        Choice(
            prompt=spot.prompt, part=spot.part, kept_in=spot.kept_in, since=since,
            take_id=take.id if take else None, made_by=by.volunteer_id,
        )
    )  # fmt: skip


def _note(
    session: Session, act: str, spot: Spot, by: Person, now: datetime, take: Take | None = None
) -> None:
    facts: dict[str, Any] = {"version": take.version} if take else {}
    ledger.write(
        session, at=now, person=by, act=act, object_kind="prompt", object_id=take.id if take else None,
        prompt=spot.prompt, part=spot.part, set=spot.kept_in, **facts,
    )  # fmt: skip
