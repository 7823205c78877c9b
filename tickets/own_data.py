"""Everything the house holds about one resident, for themselves (PIPL art. 45): one zip."""

import csv
import io
import json
import shutil
import zipfile
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from hotline.clock import local
from hotline.store import Store
from tickets.dossier import Consent, ConsentBy, ConsentTo, ResidentNote
from tickets.erasure import own_numbers, requests_of
from tickets.listings import EVENTS, KINDS, OUTCOMES, REASONS, STATES
from tickets.models import (
    Duty,
    Fetch,
    LedgerLine,
    Promise,
    Recording,
    Resident,
    ReturnTry,
    Ticket,
    Transcript,
    Volunteer,
)
from tickets.outings import Carried, Journey, JourneyTicket, Went
from tickets.retention import CALLS
from tickets.rounds import PERSONAL, Deed, TicketRound

WENT = {Went.RESIDENT: "本人", Went.VOLUNTEER: "志愿者"}
CONSENTS = {
    ConsentTo.RECORDS: "登记资料", ConsentTo.RECORDING: "录音", ConsentTo.PROXY: "代办",
}  # fmt: skip
CONSENTS_BY = {
    ConsentBy.PHONE: "电话里", ConsentBy.IN_PERSON: "当面", ConsentBy.PAPER: "签字", ConsentBy.FAMILY: "家里人",
}  # fmt: skip


def write(session: Session, store: Store, resident: Resident, path: Path) -> int:
    """Write the zip; returns how many recordings are in it. Unmasked: it is theirs.

    The door has written the access before. Calls are given where the number is theirs alone.
    """
    tickets = requests_of(session, resident)
    ids = [ticket.id for ticket in tickets]
    recordings = session.execute(
        select(Recording, Transcript)
        .outerjoin(Transcript, Transcript.recording_id == Recording.id)
        .where(Recording.ticket_id.in_(ids))
        .order_by(Recording.id)
    ).all()  # fmt: skip
    sounds = 0
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        _person(bundle, resident)
        _sheet(
            bundle, "求助.csv", ("编号", "日期", "类别", "状态", "事项", "备注", "缺的材料", "满意"),
            ((t.number, _time(t.opened_at), KINDS[t.kind], STATES[t.state], t.matter, t.note, t.missing, t.satisfaction) for t in tickets),
        )  # fmt: skip
        _sheet(
            bundle, "录音和文字.csv", ("录音", "时间", "机器听写", "改正后的文字"),
            ((r.id, _time(r.made_at), h.text if h else "", h.corrected_text if h else "") for r, h in recordings),
        )  # fmt: skip
        consents = session.scalars(select(Consent).where(Consent.resident_id == resident.id))
        _sheet(
            bundle, "同意过的.csv", ("同意什么", "怎么说的", "时间", "收回"),
            ((CONSENTS[c.to], CONSENTS_BY[c.by], _time(c.given_at), _time(c.taken_back_at)) for c in consents),
        )  # fmt: skip
        notes = session.scalars(select(ResidentNote).where(ResidentNote.resident_id == resident.id))
        _sheet(bundle, "备注.csv", ("时间", "备注"), ((_time(n.written_at), n.text) for n in notes))
        _calls(session, bundle, resident, ids)
        _on_foot(session, bundle, ids)
        _acts(session, bundle, ids)
        _accesses(session, bundle, resident, ids, [r.id for r, _ in recordings])
        for recording, _ in recordings:
            if recording.fetch is Fetch.STORED and recording.key:
                with (
                    store.open(recording.key) as sound,
                    bundle.open(f"录音/{recording.id}{Path(recording.key).suffix}", "w") as file,
                ):
                    shutil.copyfileobj(sound, file)
                sounds += 1
    return sounds


def _person(bundle: zipfile.ZipFile, resident: Resident) -> None:
    said = {
        "姓名": resident.name,
        "住址": f"{resident.building}幢{resident.unit}单元{resident.room}",
        "电话": [number.phone for number in resident.phones],
    }
    bundle.writestr("本人.json", json.dumps(said, ensure_ascii=False, indent=1))


def _calls(
    session: Session, bundle: zipfile.ZipFile, resident: Resident, ticket_ids: list[int]
) -> None:
    numbers = own_numbers(session, resident)
    made = select(Ticket.call_id).where(Ticket.id.in_(ticket_ids), Ticket.call_id.is_not(None))
    calls = session.execute(
        select(CALLS.c.started_at, CALLS.c.phone)
        .where(or_(CALLS.c.phone.in_(numbers), CALLS.c.id.in_(made)))
        .order_by(CALLS.c.started_at)
    )
    _sheet(bundle, "电话.csv", ("时间", "号码"), ((_time(c.started_at), c.phone) for c in calls))
    tries = session.execute(
        select(ReturnTry.placed_at, ReturnTry.phone, Promise.event, ReturnTry.outcome)
        .join(Promise, Promise.id == ReturnTry.promise_id)
        .where(Promise.ticket_id.in_(ticket_ids), Promise.duty == Duty.RETURN_CALL)
        .order_by(ReturnTry.placed_at)
    )
    _sheet(
        bundle, "回电.csv", ("时间", "号码", "消息", "结果"),
        ((_time(t.placed_at), t.phone, EVENTS.get(t.event or "", ""), OUTCOMES.get(t.outcome or "", "")) for t in tries),
    )  # fmt: skip


def _on_foot(session: Session, bundle: zipfile.ZipFile, ticket_ids: list[int]) -> None:
    made = session.execute(
        select(JourneyTicket.ticket_id, Journey)
        .join(Journey, Journey.id == JourneyTicket.journey_id)
        .where(JourneyTicket.ticket_id.in_(ticket_ids), Journey.withdrawn_at.is_(None))
        .order_by(Journey.id)
    ).all()  # fmt: skip
    _sheet(
        bundle, "跑动.csv", ("求助", "时间", "谁去", "地点", "办成了", "为什么没办成", "备注"),
        ((id_, _time(j.at), WENT[j.went], j.place, "是" if j.settled else "否", REASONS.get(j.reason or "", ""), j.reason_note) for id_, j in made),
    )  # fmt: skip
    things = session.scalars(
        select(Carried).where(Carried.ticket_id.in_(ticket_ids)).order_by(Carried.id)
    )
    _sheet(
        bundle, "交给我们的东西.csv", ("求助", "什么", "拿走", "还了", "您说还了"),
        ((c.ticket_id, c.what, _time(c.taken_at), _time(c.returned_at), _time(c.confirmed_at)) for c in things),
    )  # fmt: skip


def _acts(session: Session, bundle: zipfile.ZipFile, ticket_ids: list[int]) -> None:
    """What was done with each request, with the words it replaced, and round after round."""
    deeds = session.scalars(select(Deed).where(Deed.ticket_id.in_(ticket_ids)).order_by(Deed.id))
    _sheet(
        bundle, "办理经过.csv", ("求助", "时间", "做了什么", "撤回", "原来写的"),
        ((d.ticket_id, _time(d.at), d.act, _time(d.undone_at), "；".join(d.was[n] for n in sorted(PERSONAL) if d.was.get(n))) for d in deeds),
    )  # fmt: skip
    rounds = session.scalars(
        select(TicketRound).where(TicketRound.ticket_id.in_(ticket_ids)).order_by(TicketRound.id)
    )
    _sheet(
        bundle, "每一轮.csv", ("求助", "第几轮", "开始", "办完", "为什么又办"),
        ((r.ticket_id, r.number, _time(r.began_at), _time(r.done_at), r.why) for r in rounds),
    )  # fmt: skip


def _accesses(
    session: Session,
    bundle: zipfile.ZipFile,
    resident: Resident,
    ticket_ids: list[int],
    recording_ids: list[int],
) -> None:
    """Who did or saw what with it: the ledger's lines about them, people by their names."""
    about = {"ticket": ticket_ids, "recording": recording_ids, "resident": [resident.id]}
    lines = session.scalars(
        select(LedgerLine)
        .where(
            or_(
                *(
                    (LedgerLine.object_kind == kind) & LedgerLine.object_id.in_(ids)
                    for kind, ids in about.items()
                )
            )
        )
        .order_by(LedgerLine.sequence)
    )
    names = {
        f"volunteer:{id_}": name for id_, name in session.execute(select(Volunteer.id, Volunteer.name))
    }  # fmt: skip
    _sheet(
        bundle, "谁看过谁办过.csv", ("时间", "谁", "做了什么", "对象", "对象序号", "为什么"),
        ((_time(e.at), names.get(e.person, e.person), e.act, e.object_kind, e.object_id, e.why) for e in lines),
    )  # fmt: skip


def _sheet(
    bundle: zipfile.ZipFile, name: str, headings: tuple[str, ...], rows: Iterable[tuple[Any, ...]]
) -> None:
    text = io.StringIO()
    written = csv.writer(text)
    written.writerow(headings)
    written.writerows(rows)
    bundle.writestr(name, "\ufeff" + text.getvalue())


def _time(instant: datetime | None) -> str:
    return f"{local(instant):%Y-%m-%d %H:%M:%S}" if instant else ""
