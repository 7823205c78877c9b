"""Finding residents: by a few keys, by door, by number; and how to speak to whoever rings."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    ScalarSelect,
    and_,
    bindparam,
    cast,
    func,
    or_,
    select,
)
from sqlalchemy.orm import Session, selectinload

from hotline.db import connection_of
from tickets.models import Dialect, Resident, ResidentPhone

MOST_FOUND = 50
# 3, 3幢, 3-2, 3-2-501, 3幢2单元501室
DOOR = re.compile(
    r"(\d{1,3})(?:幢|$|(?=[-—–]))[-—–]?(?:(\d{1,2})(?:单元|$|(?=[-—–]))[-—–]?)?(?:(\d{1,4})室?)?"
)


@dataclass(frozen=True, slots=True)
class Voice:
    """How to speak to whoever rings from a number."""

    dialect: Dialect = Dialect.MANDARIN
    slow: bool = False


def _of_number(column: ColumnElement[Any]) -> ScalarSelect[Any]:
    return (
        select(column)
        .join_from(Resident, ResidentPhone)
        .where(ResidentPhone.phone == bindparam("phone"), Resident.active)
        .scalar_subquery()
    )


# Built once: they are asked at every ring, with everything else that it needs to know.
VOICE_COLUMNS = (
    _of_number(func.min(Resident.dialect)).label("dialect"),
    _of_number(func.max(Resident.dialect)).label("other_dialect"),
    _of_number(func.max(cast(Resident.slow, Integer))).label("slow"),
)
VOICE = select(*VOICE_COLUMNS)


def voice(row: Any) -> Voice:
    """How to speak to a number, from a row with `VOICE_COLUMNS`: in dialect if all who share it hear that
    best, slowly if any of them needs it."""
    agreed = row.dialect if row.dialect == row.other_dialect else None
    return Voice(agreed or Dialect.MANDARIN, bool(row.slow))


def voice_of(session: Session, phone: str) -> Voice:
    return voice(connection_of(session).execute(VOICE, {"phone": phone}).one())


def find(session: Session, text: str, *, limit: int = MOST_FOUND) -> Sequence[Resident]:
    """Whom a few keys may mean: 李桂芳, 桂芳, lgf, liguif, 3幢, 3-2-501, 1234 (last digits).

    Several words must all fit. Those whose name begins so come first.
    """
    words = text.lower().split()
    if not words:
        return ()
    begins = Resident.name.startswith(words[0], autoescape=True)
    return session.scalars(
        select(Resident)
        .where(Resident.active, *(_fits(word) for word in words))
        .options(selectinload(Resident.phones))
        .order_by(begins.desc(), Resident.pinyin, Resident.id)
        .limit(limit)
    ).all()


def of_building(session: Session, building: str) -> Sequence[Resident]:
    """Everybody of one building, door by door."""
    return session.scalars(
        select(Resident)
        .where(Resident.active, Resident.building == building)
        .options(selectinload(Resident.phones))
        .order_by(Resident.unit, Resident.room, Resident.id)
    ).all()


def likely_duplicates(session: Session, resident: Resident) -> Sequence[Resident]:
    """Others of the same name who share a number or the address: to be suggested, never merged."""
    numbers = [row.phone for row in resident.phones]
    shares = Resident.phones.any(ResidentPhone.phone.in_(numbers))
    next_door = (
        (Resident.building == resident.building)
        & (Resident.unit == resident.unit)
        & (Resident.room == resident.room)
    )
    return session.scalars(
        select(Resident)
        .where(
            Resident.active,
            Resident.id != resident.id,
            Resident.name == resident.name,
            or_(shares, next_door),
        )
        .order_by(Resident.id)
    ).all()


def address(resident: Resident) -> str:
    """3幢2单元501室; what is not known is left out."""
    parts = ((resident.building, "幢"), (resident.unit, "单元"), (resident.room, "室"))
    return "".join(f"{part}{word}" for part, word in parts if part)


def _fits(word: str) -> ColumnElement[bool]:
    door = DOOR.fullmatch(word)
    if word.isdigit() and len(word) >= 3:
        ends = select(ResidentPhone.resident_id).where(ResidentPhone.phone.endswith(word))
        return or_(Resident.id.in_(ends), Resident.room == word)
    if door:
        columns = (Resident.building, Resident.unit, Resident.room)
        return and_(
            *(column == part for column, part in zip(columns, door.groups(), strict=True) if part)
        )
    if word.isascii():
        return or_(
            Resident.initials.startswith(word, autoescape=True),
            Resident.pinyin.startswith(word, autoescape=True),
        )
    return Resident.name.contains(word, autoescape=True)
