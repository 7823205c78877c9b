"""从 Excel 来: residents, the roster, volunteers. First it is told what becomes of each row; one button takes it all."""

from calendar import monthrange
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy.orm import Session

from hotline.config import Settings
from hotline.runtime import Runtime
from hotline.web import pins, words
from hotline.web.figures import asked_month
from hotline.web.guard import needs
from tickets import (
    ledger,
    resident_sheet,
    residents,
    roster_sheet,
    sheets,
    volunteer_sheet,
    waiting_sheets,
)
from tickets.imports import Fate, NotAllError, Told, UnreadableSheetError
from tickets.ledger import Person
from tickets.models import Role, Volunteer

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
LARGEST_SENT = 4 * sheets.MAX_BYTES  # so that a file that is too large is told so by our own words
MOST_SHOWN = 300  # rows of one fate; who has more looks at the file


Taken = tuple[Told, Sequence[Volunteer]]  # what became of it, and who signs in from now on


@dataclass(frozen=True, slots=True)
class Book:
    """What comes from Excel: what it is called, who may, how a file is read and taken."""

    key: str
    name: str
    role: Role
    back: str  # the endpoint of the page it belongs to
    plan: Callable[[Session, Settings, bytes, datetime], Told]
    take: Callable[[Session, Settings, bytes, Person, datetime], Taken]


BOOKS = (
    Book(
        "residents", "居民", Role.COMMITTEE, "people.every",
        lambda *read: resident_sheet.plan(*read).told,
        lambda *taken: (resident_sheet.apply(*taken), ()),
    ),
    Book(
        "roster", "排班", Role.LEAD, "rota.month",
        lambda *read: roster_sheet.plan(*read).told,
        lambda *taken: (roster_sheet.apply(*taken), ()),
    ),
    Book(
        "volunteers", "志愿者", Role.ADMIN, "volunteers.every",
        lambda *read: volunteer_sheet.plan(*read).told,
        volunteer_sheet.apply,
    ),
)  # fmt: skip


class GoneError(Exception):
    """The file was taken already, or is older than a day."""


class OtherwiseError(Exception):
    """A second look tells something else than the first did."""


def make_blueprint(runtime: Runtime) -> Blueprint:
    room = Blueprint("imports", __name__, url_prefix="/import")

    @room.url_value_preprocessor
    def takes_files(_: str | None, __: dict[str, Any] | None) -> None:
        if current_user.is_authenticated:  # a stranger sends nothing large
            request.max_content_length = LARGEST_SENT  # before the form is read

    for book in BOOKS:
        _add(room, runtime, book)
    _add_files(room, runtime)
    return room


def _add(room: Blueprint, runtime: Runtime, book: Book) -> None:
    """The pages of one book."""
    db, settings = runtime.db, runtime.settings

    def show(refused: str = "", status: int = 200) -> Any:
        later = asked_month(runtime.clock()).after
        return render_template("import.html", book=book, refused=refused, later=later), status

    def show_fates(sheet_id: int, refused: str = "", status: int = 200) -> Any:
        """What was told to become of each row."""
        with db.reading() as session:
            sheet = waiting_sheets.find(session, book.key, sheet_id, current_user.id, runtime.clock())  # fmt: skip
            if sheet is None:
                return show("gone", 409)
            told = sheet.told
        fates = {fate: [row for row in told.fates if row.fate is fate] for fate in Fate}
        return render_template(
            "import_fates.html", book=book, told=told, fates=fates, most=MOST_SHOWN, refused=refused,
            sheet_id=sheet_id, sha256=sheet.sha256, seal=waiting_sheets.seal(told),
        ), status  # fmt: skip

    @room.get(f"/{book.key}", endpoint=book.key)
    @needs(book.role)
    def before() -> Any:
        return show()

    @room.post(f"/{book.key}", endpoint=f"{book.key}_send")
    @needs(book.role)
    def send() -> Any:
        """Read a file and put it aside; nothing is changed yet."""
        now, file = runtime.clock(), request.files.get("sheet")
        if file is None or not file.filename:
            return show("none", 409)
        with file.stream as sent:
            content = sent.read()
        try:
            with db.reading() as session:
                told = book.plan(session, settings, content, now)
        except UnreadableSheetError as error:
            return show(error.sentence, 409)
        with db.writing() as session:
            sheet_id = waiting_sheets.keep(session, book.key, content, told, current_user.id, now)
        return redirect(url_for(f"imports.{book.key}_look", sheet_id=sheet_id))

    @room.get(f"/{book.key}/<int:sheet_id>", endpoint=f"{book.key}_look")
    @needs(book.role)
    def look(sheet_id: int) -> Any:
        return show_fates(sheet_id)

    @room.post(f"/{book.key}/<int:sheet_id>", endpoint=f"{book.key}_take")
    @needs(book.role)
    def take(sheet_id: int) -> Any:
        """Take over the very file that was looked at, if it still means what was told."""
        seen, now = (request.form.get("sha256"), request.form.get("seal")), runtime.clock()
        try:
            drawn = _pins(sheet_id, now) if book.role is Role.ADMIN else []
            with db.writing() as session:
                sheet = waiting_sheets.find(session, book.key, sheet_id, current_user.id, now, lock=True)  # fmt: skip
                if sheet is None:
                    raise GoneError
                told, new = book.take(session, settings, sheet.content, current_user.person, now)
                if seen != (sheet.sha256, waiting_sheets.seal(told)) or len(new) != len(drawn):
                    raise OtherwiseError  # and nothing of it is kept
                given = [(person.name, pin.digits) for person, pin in zip(new, drawn, strict=True)]
                for person, pin in zip(new, drawn, strict=True):
                    pins.give_pin(person, pin)
                session.delete(sheet)
        except GoneError:
            return show("gone", 409)
        except (NotAllError, OtherwiseError):
            _look_again(sheet_id, now)
            return show_fates(sheet_id, "otherwise", 409)
        if given:
            return render_template("pins.html", given=given)
        flash(f"{book.name}都收下了：{told.summary}。")
        return redirect(url_for(book.back))

    def _look_again(sheet_id: int, now: datetime) -> None:
        """Tell anew what becomes of each row, as things stand now."""
        with db.writing() as session:
            sheet = waiting_sheets.find(session, book.key, sheet_id, current_user.id, now, lock=True)  # fmt: skip
            if sheet is not None:
                sheet.tell(book.plan(session, settings, sheet.content, now))

    def _pins(sheet_id: int, now: datetime) -> list[pins.DrawnPin]:
        """One for each who is new: drawn before the transaction, because hashing is slow on purpose."""
        with db.reading() as session:
            sheet = waiting_sheets.find(session, book.key, sheet_id, current_user.id, now)
            return [pins.drawn_pin() for _ in range(sheet.told.counts[Fate.NEW] if sheet else 0)]


def _add_files(room: Blueprint, runtime: Runtime) -> None:
    """Empty files to fill in, and what there is as a file."""
    db, settings = runtime.db, runtime.settings

    @room.get("/residents/empty.xlsx")
    @needs(Role.COMMITTEE)
    def residents_empty() -> Response:
        return as_file(resident_sheet.template(), "residents")

    @room.get("/volunteers/empty.xlsx")
    @needs(Role.ADMIN)
    def volunteers_empty() -> Response:
        return as_file(volunteer_sheet.template(), "volunteers")

    @room.get("/roster/empty.xlsx")
    @needs(Role.LEAD)
    def roster_empty() -> Response:
        """The shifts of a month in which only the names are missing."""
        first = asked_month(runtime.clock()).first
        with db.reading() as session:
            days = monthrange(first.year, first.month)[1]
            return as_file(roster_sheet.template(session, settings, first, days), f"roster-{first:%Y-%m}")  # fmt: skip

    @room.get("/volunteers/all.xlsx")
    @needs(Role.ADMIN)
    def volunteers_all() -> Response:
        now = runtime.clock()
        with db.writing() as session:
            ledger.write(
                session, at=now, person=current_user.person, act="export", object_kind="sheet",
                object_id=None, sheet="volunteers",
            )  # fmt: skip
            return as_file(volunteer_sheet.export(session), "volunteers")

    @room.get("/residents/all.xlsx")
    @needs(Role.COMMITTEE)
    def residents_all() -> Response:
        with db.writing() as session:
            return as_file(resident_sheet.export(session, current_user.person, runtime.clock()), "residents")  # fmt: skip

    @room.post("/residents/all.xlsx")
    @needs(Role.ADMIN)
    def residents_whole() -> Any:
        """With whole numbers, once the reason stands in the ledger."""
        why = words.clean(request.form.get("why", ""))[:200]
        try:
            with db.writing() as session:
                written = resident_sheet.export(session, current_user.person, runtime.clock(), why=why, whole=True)  # fmt: skip
        except residents.ReasonMissingError:
            return render_template("import.html", book=BOOKS[0], refused="no_why"), 409
        return as_file(written, "residents")


def as_file(content: bytes, name: str) -> Response:
    return Response(
        content, content_type=XLSX,
        headers={"Content-Disposition": f'attachment; filename="{name}.xlsx"'},
    )  # fmt: skip
