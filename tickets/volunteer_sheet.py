"""Volunteers from Excel: sixteen people in one go. A PIN is given to each by hand afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from hotline.config import Settings
from hotline.phone import mask
from tickets import cells, sheets, volunteers
from tickets.imports import Fate, RowFate, Told, WrongCellError
from tickets.ledger import Person
from tickets.models import Role, Volunteer
from tickets.sheets import Column, Row
from tickets.volunteers import ROLE_NAMES, NewVolunteer

NAME, PHONE, ROLE = "姓名", "电话", "身份"
COLUMNS = (
    Column(NAME, ("名字", "志愿者", "值班员"), needed=True, example="王秀兰"),
    Column(PHONE, ("电话号码", "手机", "手机号", "手机号码", "联系电话"), example="13800000001", width=18),
    Column(ROLE, ("角色", "职务"), example="志愿者"),
)  # fmt: skip
ROLES = {name: role for role, name in ROLE_NAMES.items()} | {
    "": Role.VOLUNTEER,
    "组长": Role.LEAD,
}


@dataclass(frozen=True, slots=True)
class VolunteerImport:
    """A file read against the people there are."""

    told: Told
    to_do: Sequence[tuple[NewVolunteer, Volunteer | None]]


def template() -> bytes:
    """The empty file, with one example to write over."""
    return sheets.write(COLUMNS, [[column.example for column in COLUMNS]], title="志愿者")


def export(session: Session) -> bytes:
    """Everybody who takes part, numbers masked. Who asked for it writes the ledger line."""
    everybody = session.scalars(select(Volunteer).where(Volunteer.active).order_by(Volunteer.id))
    rows = [[each.name, mask(each.phone or ""), ROLE_NAMES[each.role]] for each in everybody]
    return sheets.write(COLUMNS, rows, title="志愿者")


def plan(session: Session, settings: Settings, content: bytes, _: datetime) -> VolunteerImport:
    """What would become of each row. Raises UnreadableSheetError."""
    sheet = sheets.read(content, COLUMNS)
    fates, to_do, seen = list[RowFate](), list[tuple[NewVolunteer, Volunteer | None]](), dict[str, int]()  # fmt: skip
    for row in sheet.rows:
        name = row.text(NAME).replace(" ", "")
        try:
            asked = _asked(row, name, settings)
            if name in seen:
                raise WrongCellError(f"和第{seen[name]}行是同一个人，请只留一行。")
            seen[name] = row.number
        except WrongCellError as error:
            fates.append(RowFate(row.number, Fate.REFUSED, name or "（没写姓名）", error.sentence))
            continue
        person = volunteers.named(session, name)
        if person is not None and not row.text(ROLE):
            asked = replace(asked, role=person.role)  # an empty cell leaves it as it is
        fates.append(RowFate(row.number, *_fate(asked, person)))
        to_do.append((asked, person))
    return VolunteerImport(Told(fates, sheet.remarks), to_do)


def apply(
    session: Session, settings: Settings, content: bytes, by: Person, now: datetime
) -> tuple[Told, list[Volunteer]]:
    """Do what the dry run told; also returns who is new. Raises NotAllError, UnreadableSheetError."""
    planned = plan(session, settings, content, now)
    planned.told.need_all()
    new = []
    for asked, person in planned.to_do:
        if person is None:
            new.append(volunteers.add(session, asked, by, now))
        else:
            volunteers.change(session, person, by, now, role=asked.role, phone=asked.phone)
    return planned.told, new


def _asked(row: Row, name: str, settings: Settings) -> NewVolunteer:
    if row.wrong:
        raise WrongCellError(row.wrong)
    if not name or len(name) > 40:
        raise WrongCellError("没写姓名。" if not name else "姓名太长了。")
    if row.text(ROLE) not in ROLES:
        raise WrongCellError(f"身份写着「{row.text(ROLE)}」，只能是{'、'.join(ROLE_NAMES.values())}。")  # fmt: skip
    numbers = cells.phones(row.text(PHONE), country=settings.country, area=settings.area_code)
    if len(numbers) > 1:
        raise WrongCellError("志愿者只写一个电话。")
    return NewVolunteer(name, ROLES[row.text(ROLE)], numbers[0] if numbers else None)


def _fate(asked: NewVolunteer, person: Volunteer | None) -> tuple[Fate, str, str]:
    if person is None:
        return Fate.NEW, asked.name, ROLE_NAMES[asked.role]
    told = []
    if asked.role is not person.role:
        told.append(f"身份：{ROLE_NAMES[person.role]}→{ROLE_NAMES[asked.role]}")
    if asked.phone and asked.phone != person.phone:
        told.append(f"电话：{mask(person.phone or '') or '空'}→{mask(asked.phone)}")
    return (Fate.CHANGED if told else Fate.SAME), asked.name, "，".join(told)
