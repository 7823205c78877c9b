"""Who signs in and who is helped, as rows."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from hotline.db import Base, UtcDateTime
from hotline.db import kept as _kept
from tickets import names


class Role(StrEnum):
    VOLUNTEER = "volunteer"
    LEAD = "lead"  # leads the duty: is asked when volunteer and substitute are not there
    COMMITTEE = "committee"
    ADMIN = "admin"


class Dialect(StrEnum):
    """What a resident hears best; also the name of the folder of prompts recorded in it."""

    MANDARIN = "普通话"
    JINHUA = "金华话"


class Volunteer(Base):
    """One person who signs in: a volunteer, the duty lead, a committee member, an administrator."""

    __tablename__ = "volunteers"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    name: Mapped[str] = mapped_column(String(40), unique=True)
    phone: Mapped[str | None] = mapped_column(String(16), default=None)
    role: Mapped[Role] = mapped_column(_kept(Role), default=Role.VOLUNTEER)
    pin_hash: Mapped[str | None] = mapped_column(String(200), default=None)
    wrong_pins: Mapped[int] = mapped_column(default=0)
    locked_until: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    question: Mapped[str | None] = mapped_column(String(40), default=None)  # whose answer counted
    ring_me: Mapped[bool | None] = mapped_column(default=None)  # None: as the setting says
    active: Mapped[bool] = mapped_column(default=True)
    totp_secret: Mapped[str | None] = mapped_column(String(64), default=None)  # the second factor
    totp_step: Mapped[int] = mapped_column(default=0)  # the last code used: each is good once
    # the secret part of the address of their own calendar feed
    feed_token: Mapped[str | None] = mapped_column(String(64), default=None, unique=True)


class Resident(Base):
    """One resident. Several may share a number; one may have several.

    Written by `tickets.residents`. One that was merged into another stays as a row, so that what
    points at it still does.
    """

    __tablename__ = "residents"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    name: Mapped[str] = mapped_column(String(40))
    building: Mapped[str] = mapped_column(String(10), default="")
    unit: Mapped[str] = mapped_column(String(10), default="")
    room: Mapped[str] = mapped_column(String(10), default="")
    dialect: Mapped[Dialect] = mapped_column(_kept(Dialect), default=Dialect.MANDARIN)
    slow: Mapped[bool] = mapped_column(default=False)  # hears better when spoken to slowly
    active: Mapped[bool] = mapped_column(default=True)  # false: moved away, died, or merged
    merged_into_id: Mapped[int | None] = mapped_column(ForeignKey("residents.id"), default=None)
    test: Mapped[bool] = mapped_column(default=False)
    # how the name is found by keys: liguifang, lgf; they follow the name
    pinyin: Mapped[str] = mapped_column(String(160), init=False, index=True)
    initials: Mapped[str] = mapped_column(String(40), init=False, index=True)
    phones: Mapped[list["ResidentPhone"]] = relationship(
        default_factory=list, cascade="all, delete-orphan", order_by="ResidentPhone.id"
    )

    @validates("name")
    def _read_aloud(self, _: str, name: str) -> str:
        self.pinyin, self.initials = names.pinyin(name), names.initials(name)
        return name


class ResidentPhone(Base):
    """That a resident can be reached by a number."""

    __tablename__ = "resident_phones"
    __table_args__ = (UniqueConstraint("phone", "resident_id"),)

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    phone: Mapped[str] = mapped_column(String(16), index=True)
    resident_id: Mapped[int] = mapped_column(
        ForeignKey("residents.id", ondelete="CASCADE"), init=False, index=True
    )
