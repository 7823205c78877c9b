"""Residents from and to Excel. A dry run tells each row's fate; then all of it is done or nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from hotline.clock import SHANGHAI, local
from hotline.config import Settings
from hotline.phone import Phone, mask
from tickets import cells, confidence, ledger, residents, sheets
from tickets.dossier import ConsentBy, ConsentTo
from tickets.imports import Fate, RowFate, Told, WrongCellError
from tickets.ledger import Person
from tickets.models import Dialect, Resident, Role, Volunteer
from tickets.resident_matching import Asked, Known, Seen
from tickets.residents import Change
from tickets.sheets import Column, Row

NAME, BUILDING, UNIT, ROOM = "姓名", "幢", "单元", "室"
ADDRESS, PHONE, DIALECT, SLOW = "地址", "电话", "方言", "慢一点"
AGREED, AGREED_BY, NOTE = "同意登记日期", "怎么同意的", "备注"

COLUMNS = (
    Column(NAME, ("名字", "住户姓名", "居民姓名", "户主"), needed=True, example="李桂芳"),
    Column(BUILDING, ("幢号", "楼幢", "栋", "几幢", "楼号"), example="3", width=8),
    Column(UNIT, ("单元号", "几单元"), example="2", width=8),
    Column(ROOM, ("室号", "房号", "房间", "房间号", "门牌"), example="501", width=8),
    Column(PHONE, ("电话号码", "联系电话", "手机", "手机号", "手机号码", "座机", "号码"), example="13800000000、0579-88880000", width=30),
    Column(DIALECT, ("说什么话", "语言"), example="金华话", width=10),
    Column(SLOW, ("慢速", "放慢", "说慢一点"), example="是", width=8),
    Column(AGREED, ("同意日期", "登记日期"), example="2026-09-01", width=14),
    Column(AGREED_BY, ("同意方式",), example="当面", width=12),
)  # fmt: skip
# Read where somebody has them, but not asked for: an address in one cell, and words in confidence.
MORE = (Column(ADDRESS, ("住址", "家庭地址", "门牌号")), Column(NOTE, ("说明", "情况")))
AGREED_HOW = {
    "": ConsentBy.IN_PERSON, "当面": ConsentBy.IN_PERSON, "电话": ConsentBy.PHONE,
    "签字": ConsentBy.PAPER, "书面": ConsentBy.PAPER, "家人": ConsentBy.FAMILY,
}  # fmt: skip
WORDS = {"building": BUILDING, "unit": UNIT, "room": ROOM, "dialect": DIALECT, "slow": SLOW}


class OnlyAdminsError(Exception):
    """Whole numbers leave the house with an administrator only."""


@dataclass(frozen=True, slots=True)
class ResidentImport:
    """A file read against the residents there are."""

    told: Told
    to_do: Sequence[tuple[Asked, Resident | None]]


def template() -> bytes:
    """The empty file, with one example to write over."""
    return sheets.write(COLUMNS, [[column.example for column in COLUMNS]], title="居民")


def plan(session: Session, settings: Settings, content: bytes, now: datetime) -> ResidentImport:
    """What would become of each row. Raises UnreadableSheetError."""
    sheet = sheets.read(content, (*COLUMNS, *MORE))
    known = Known.load(session)
    fates, to_do, seen = list[RowFate](), list[tuple[Asked, Resident | None]](), Seen()
    for row in sheet.rows:
        about = row.text(NAME) or "（没写姓名）"
        try:
            asked = _asked(row, settings, now, sheet.epoch)
            resident = known.who(asked)
            seen.refuse_twice(asked, resident)
            fate, sentence = _fate(session, asked, resident)
        except WrongCellError as error:
            fates.append(RowFate(row.number, Fate.REFUSED, about, error.sentence))
            continue
        sentence = "；".join(
            filter(None, (sentence, known.shared(asked, resident), seen.shared(asked)))
        )
        fates.append(RowFate(row.number, fate, about, sentence))
        to_do.append((asked, resident))
    return ResidentImport(Told(fates, sheet.remarks), to_do)


def apply(session: Session, settings: Settings, content: bytes, by: Person, now: datetime) -> Told:
    """Do what the dry run told, thought out anew in this transaction. Raises NotAllError,
    UnreadableSheetError; then nothing has changed."""
    planned = plan(session, settings, content, now)
    planned.told.need_all()
    for asked, known in planned.to_do:
        resident = known or residents.add(session, asked.particulars, by, now)
        if known:
            residents.change(session, known, asked.change, by, now)
            for phone in asked.phones:
                residents.attach(session, known, Phone(phone), by, now)
        if asked.agreed_at is not None:
            confidence.agree(
                session, resident, ConsentTo.RECORDS, asked.agreed_how, by, now,
                given_at=asked.agreed_at,
            )  # fmt: skip
        if asked.note and not confidence.is_noted(session, resident, asked.note):
            confidence.write_note(session, resident, asked.note, by, now)
    ledger.write(
        session, at=now, person=by, act="import_residents", object_kind="residents",
        object_id=None, new=planned.told.counts[Fate.NEW], changed=planned.told.counts[Fate.CHANGED],
    )  # fmt: skip
    return planned.told


def export(
    session: Session, by: Person, now: datetime, *, why: str = "", whole: bool = False
) -> bytes:
    """Everybody, numbers masked; whole numbers for an administrator who says what for.

    The ledger says so before the file is made. Raises ReasonMissingError, OnlyAdminsError.
    """
    if whole and not why.strip():
        raise residents.ReasonMissingError
    if whole and not _is_admin(session, by):
        raise OnlyAdminsError
    everybody = session.scalars(
        select(Resident).where(Resident.active).options(selectinload(Resident.phones))
        .order_by(Resident.building, Resident.unit, Resident.room, Resident.id)
    ).all()  # fmt: skip
    ledger.write(
        session, at=now, person=by, act="export_residents", object_kind="residents",
        object_id=None, why=why.strip(), rows=len(everybody), whole=whole,
    )  # fmt: skip
    agreed = confidence.all_consents(session, ConsentTo.RECORDS)
    how = {value: word for word, value in AGREED_HOW.items() if word}
    rows = []
    for each in everybody:
        consent = agreed.get(each.id)
        numbers = (Phone(row.phone).dialled if whole else mask(row.phone) for row in each.phones)
        rows.append([
            each.name, each.building, each.unit, each.room, "、".join(numbers), each.dialect.value,
            "是" if each.slow else "", f"{local(consent.given_at):%Y-%m-%d}" if consent else "",
            how[consent.by] if consent else "",
        ])  # fmt: skip
    return sheets.write(COLUMNS, rows, title="居民")


def _asked(row: Row, settings: Settings, now: datetime, epoch: object) -> Asked:
    """The row's wishes; raises WrongCellError."""
    if row.wrong:
        raise WrongCellError(row.wrong)
    name = row.text(NAME).replace(" ", "")
    if not name:
        raise WrongCellError("没写姓名。")
    if len(name) > 40:
        raise WrongCellError("姓名太长了。")
    building, unit, room = _door(row)
    spoken = row.text(DIALECT)
    if spoken and spoken not in list(Dialect):
        raise WrongCellError(f"方言写着「{spoken}」，只能是{'或'.join(Dialect)}。")
    how = row.text(AGREED_BY)
    if how not in AGREED_HOW:
        raise WrongCellError(f"怎么同意的写着「{how}」，只能是{'、'.join(filter(None, AGREED_HOW))}。")  # fmt: skip
    agreed = row.text(AGREED) and cells.day(row.cells[AGREED], now.date(), epoch)
    if agreed and agreed > now.date():
        raise WrongCellError("同意登记日期还没到。")
    return Asked(
        row.number,
        name,
        Change(
            building=building or None, unit=unit or None, room=room or None,
            dialect=Dialect(spoken) if spoken else None,
            slow=cells.yes(row.text(SLOW)) if row.text(SLOW) else None,
        ),
        cells.phones(row.text(PHONE), country=settings.country, area=settings.area_code),
        datetime.combine(agreed, time.min, SHANGHAI) if agreed else None,
        AGREED_HOW[how],
        row.text(NOTE),
    )  # fmt: skip


def _door(row: Row) -> tuple[str, str, str]:
    parts = tuple(cells.door_part(row.text(each), each) for each in (BUILDING, UNIT, ROOM))
    if any(parts) or not row.text(ADDRESS):
        return parts[0], parts[1], parts[2]
    return cells.door(row.text(ADDRESS))


def _fate(session: Session, asked: Asked, resident: Resident | None) -> tuple[Fate, str]:
    if resident is None:
        return Fate.NEW, ""
    new = [phone for phone in asked.phones if phone not in {row.phone for row in resident.phones}]
    told = [
        f"{word}：{_shown(getattr(resident, name))}→{_shown(value)}"
        for name, word in WORDS.items()
        if (value := getattr(asked.change, name)) not in {None, getattr(resident, name)}
    ]
    if new:
        told.append(f"加电话{'、'.join(map(mask, new))}")
    if asked.agreed_at and ConsentTo.RECORDS not in confidence.consents(session, resident):
        told.append("记下同意登记")
    if asked.note and not confidence.is_noted(session, resident, asked.note):
        told.append("加一条备注")
    return (Fate.CHANGED, "，".join(told)) if told else (Fate.SAME, "")


def _shown(value: object) -> str:
    return ("是" if value else "否") if isinstance(value, bool) else str(value) or "空"


def _is_admin(session: Session, by: Person) -> bool:
    person = session.get(Volunteer, by.volunteer_id) if by.volunteer_id else None
    return person is not None and person.active and person.role is Role.ADMIN
