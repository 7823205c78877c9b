"""Whom a row of a file means, among the residents there are and the rows before it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from hotline.phone import mask
from tickets.directory import address
from tickets.dossier import ConsentBy
from tickets.imports import WrongCellError
from tickets.models import Resident
from tickets.residents import Change, Particulars


@dataclass(frozen=True, slots=True)
class Asked:
    """What one row asks for; None and "" where its cell is empty."""

    number: int
    name: str
    change: Change
    phones: tuple[str, ...] = ()
    agreed_at: datetime | None = None
    agreed_how: ConsentBy = ConsentBy.IN_PERSON
    note: str = ""

    @property
    def particulars(self) -> Particulars:
        """As somebody new."""
        given = {name: value for name, value in asdict(self.change).items() if value is not None}
        return Particulars(self.name, phones=self.phones, **given)


@dataclass(frozen=True, slots=True)
class Known:
    """The residents there are, by name and by number."""

    by_name: Mapping[str, Sequence[Resident]]
    by_phone: Mapping[str, Sequence[Resident]]

    @classmethod
    def load(cls, session: Session) -> "Known":
        by_name, by_phone = defaultdict(list), defaultdict(list)
        for each in session.scalars(
            select(Resident).where(Resident.active).options(selectinload(Resident.phones))
        ):
            by_name[each.name].append(each)
            for row in each.phones:
                by_phone[row.phone].append(each)
        return cls(by_name, by_phone)

    def who(self, asked: Asked) -> Resident | None:
        """Whom the row means: the same name and door, else the same name and a number; None: new.

        Raises WrongCellError where it could be two.
        """
        change, namesakes = asked.change, self.by_name.get(asked.name, ())
        door = (change.building, change.unit, change.room)
        there = [
            each for each in namesakes
            if any(door) and all(part in {None, had} for part, had in zip(door, (each.building, each.unit, each.room), strict=True))
        ]  # fmt: skip
        reached = [
            each for each in namesakes if {row.phone for row in each.phones} & set(asked.phones)
        ]
        # no door and no number: the only one of that name
        found = there or reached or ([] if any(door) or asked.phones else list(namesakes))
        if len(found) > 1:
            both = [each for each in found if each in there and each in reached]
            found = both or found
        if len(found) > 1:
            doors = "和".join(address(each) or "没写地址" for each in found[:3])
            raise WrongCellError(f"叫{asked.name}的有{len(found)}位（{doors}），写上幢、单元、室和电话才分得清。")  # fmt: skip
        return found[0] if found else None

    def shared(self, asked: Asked, resident: Resident | None) -> str:
        """That a number is somebody else's too: allowed, but worth a look."""
        others = {
            each.name: mask(phone)
            for phone in asked.phones for each in self.by_phone.get(phone, ())
            if each is not resident and each.name != asked.name
        }  # fmt: skip
        return "，".join(f"{phone}也是{name}的电话" for name, phone in others.items())


@dataclass(slots=True)
class Seen:
    """What earlier rows of the same file said."""

    people: dict[object, int] = field(default_factory=dict)
    numbers: dict[str, tuple[str, int]] = field(default_factory=dict)

    def refuse_twice(self, asked: Asked, resident: Resident | None) -> None:
        change = asked.change
        who: object = resident.id if resident else (asked.name, change.building, change.unit, change.room)  # fmt: skip
        first = self.people.setdefault(who, asked.number)
        if first != asked.number:
            raise WrongCellError(f"和第{first}行是同一个人，请只留一行。")

    def shared(self, asked: Asked) -> str:
        told = []
        for phone in asked.phones:
            name, number = self.numbers.setdefault(phone, (asked.name, asked.number))
            if number != asked.number:
                told.append(f"{mask(phone)}和第{number}行{name}的一样")
        return "，".join(told)
