"""Something of everything for the pages to show, and an example of every argument an address takes."""

import json
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from desk_house import LI, DeskHouse
from duty_house import xlsx
from sounds import pcm16, saved, voice, wav
from sqlalchemy import select

from hotline import mishaps
from hotline.store import Store
from hotline.web.imports import BOOKS
from ivr import studio
from ivr.models import Call, Turn
from ivr.parts import JINHUA, NUMBER_OF, Spot
from ivr.takes import Origin
from tickets import (
    audit,
    checklist,
    dialling,
    feed,
    footwork,
    house_rules,
    ledger,
    promises,
    sealing,
    service,
    shifts,
    spot_checks,
    waiting_sheets,
)
from tickets.counting import Period
from tickets.lifecycle import Act
from tickets.models import (
    Duty,
    Kind,
    Promise,
    PromiseState,
    Recording,
    Shift,
    Ticket,
    Volunteer,
)
from tickets.outings import Reason, Went
from tickets.rota import HandOver

LONG = (
    "我住在三幢二单元五零一，厨房的水管从昨天晚上就在漏水，地上都是水，腿脚不方便，麻烦你们快一点找个师傅来看看。"
    * 3
)
NASTY = '<script>alert(1)</script>=1+1\u202e"><b>我要交水费</b>'


def seed(desk: DeskHouse) -> None:
    """Requests in many states, with words that are short, long, nasty and missing."""
    acts: tuple[tuple[dict[str, Any], tuple[Act, ...]], ...] = (
        ({}, ()),
        ({"text": LONG, "phone": "+8657982345678"}, (Act.ACCEPT,)),
        ({"text": NASTY}, (Act.ACCEPT, Act.ASK_MATERIALS)),
        ({"text": "", "trusted": False, "phone": None}, ()),
        ({"kind": Kind.RING_BACK, "source": "short_call"}, ()),
        ({}, (Act.ACCEPT, Act.FINISH)),
        ({}, (Act.ACCEPT, Act.FINISH, Act.CONFIRM)),
        ({}, (Act.WITHDRAW,)),
    )
    for given, done in acts:
        ticket_id = desk.request(**given)
        desk.clock.advance(60)
        with desk.runtime.db.writing() as session:
            ticket = session.get_one(Ticket, ticket_id)
            wang = ledger.volunteer(desk.people["王秀兰"])
            if done[:1] == (Act.ACCEPT,):
                service.describe(
                    session,
                    desk.runtime.settings,
                    ticket,
                    wang,
                    desk.clock.now(),
                    matter="medical_claim",
                )
            for act in done:
                service.act(session, ticket, act, wang, desk.clock.now(), why="本人说不用了", missing="医保卡、身份证")  # fmt: skip
    desk.clock.advance(7200)
    with desk.runtime.db.writing() as session:
        ticket, wang, now = (
            session.get_one(Ticket, 2),
            ledger.volunteer(desk.people["王秀兰"]),
            desk.clock.now(),
        )
        checklist.tick(session, ticket, "医保卡", wang, now)
        for settled in (False, True):
            footwork.log_outing(
                session,
                [ticket],
                wang,
                now,
                went=Went.VOLUNTEER,
                place="医保局二楼窗口",
                settled=settled,
                reason=Reason.MATERIALS,
            )
        footwork.take_along(session, ticket, "医保卡和家里的钥匙一把", wang, now)

    with desk.runtime.db.writing() as session:
        for number, ticket_id in enumerate((1, 2, None, None)):
            call = Call(
                carrier_sid=f"CA{number}",
                flow="inbound",
                started_at=desk.clock.now() - timedelta(hours=number),
                caller_kind="known",
                phone=None if number == 3 else LI,
                seconds=42,
                test=number == 2,
            )
            session.add(call)
            session.flush()
            if ticket_id:
                session.get_one(Ticket, ticket_id).call_id = call.id
        session.get_one(Recording, 1).call_id = 1
    with desk.runtime.db.writing() as session:
        wang = session.get_one(Volunteer, desk.people["王秀兰"])
        feed.secret_of(session, wang, ledger.volunteer(wang.id), desk.clock.now())
        month = Period.month(2026, 11)
        spot_checks.draw(
            session, month, 1, ledger.volunteer(desk.people["李主任"]), desk.clock.now()
        )
    seed_prompts(desk)
    with desk.runtime.db.writing() as session:
        wang, now = desk.people["王秀兰"], desk.clock.now()
        before = Shift(starts_at=now - timedelta(days=3), ends_at=now - timedelta(days=2), volunteer_id=desk.people["陈国强"])  # fmt: skip
        session.add(before)
        session.flush()
        session.add(HandOver(shift_id=before.id, note=LONG, to_id=wang, at=now, passed=[1, 2, 4]))
        bridges = ((1, PromiseState.KEPT, "没人接"), (2, PromiseState.OWED, "您没接"), (5, PromiseState.OPEN, ""))  # fmt: skip
        for ticket_id, state, result in bridges:
            bridge = Promise(duty=Duty.BRIDGE, ticket_id=ticket_id, volunteer_id=wang, made_at=now, due_at=now)  # fmt: skip
            session.add(bridge)
            session.flush()
            attempt = dialling.begin(session, [bridge], LI, now, volunteer_id=wang)
            attempt.outcome = "no_answer" if state is PromiseState.OWED else "heard"
            attempt.reached = "no_answer" if state is PromiseState.KEPT else None
            if state is not PromiseState.OPEN:
                promises.settle(bridge, state, result, now)
                ledger.write(session, at=now, person=ledger.SYSTEM, act="bridged", object_kind="ticket", object_id=ticket_id, why=result)  # fmt: skip
    _office(desk)
    desk.visit("王秀兰").posts("/recording/1/text", text="我家要交电费", seen_text="我要交水费")


def _office(desk: DeskHouse) -> None:
    """A sealed month, a changed setting, files that wait, and an error that nobody has seen."""
    now, month, db = desk.clock.now(), Period.month(2026, 10), desk.runtime.db
    with TemporaryDirectory() as folder:
        with db.reading() as session:
            bundle = sealing.prepare(session, month, Path(folder), now)
        with db.writing() as session:
            sealing.keep(session, Store(desk.runtime.settings.seals), month, bundle, ledger.SYSTEM, now)  # fmt: skip
    sheets: dict[str, tuple[str, list[list[object]]]] = {
        "residents": ("李主任", [["姓名", "电话", "方言"], ["张德明", "13800000002", "金华话"], [NASTY, "x", "y"]]),
        "roster": ("吴队长", [["日期", "值班", "颜色"], ["2026-12-01", "陈国强", "红"]]),
        "volunteers": ("管理员", [["姓名", "身份"], ["何彩凤", "组长"], ["王秀兰", "居委会"]]),
    }  # fmt: skip
    with db.writing() as session:
        for kind, (who, rows) in sheets.items():
            book = next(book for book in BOOKS if book.key == kind)
            told = book.plan(session, desk.runtime.settings, xlsx(rows), now)
            waiting_sheets.keep(session, kind, xlsx(rows), told, desk.people[who], now)
        admin = ledger.volunteer(desk.people["管理员"])
        audit.ask(session, admin, now)
        audit.answer(session, audit.verify(session), now)
        sealing.ask(session, Period.month(2026, 9), admin, now)
        asked = {"accept_within_minutes": "45", "notice_urls": "json://127.0.0.1/x"}
        house_rules.change(session, desk.runtime.settings, asked, 0, admin, now)
        wang = session.get_one(Volunteer, desk.people["王秀兰"])
        shifts.day_off(session, wang, date(2026, 12, 3), admin, now)
        shifts.override(session, (now + timedelta(days=3)).date(), True, admin, now, name=NASTY[:40])  # fmt: skip
    mishap = {"at": now.isoformat(), "kind": "OperationalError", "place": "tickets/limits.py:125", "about": "call CA0123456789abcdef0123456789abcdef"}  # fmt: skip
    (desk.runtime.settings.data_folder / mishaps.FILE).write_text(json.dumps(mishap))


def seed_prompts(desk: DeskHouse) -> None:
    """A take in use, one with a fault, one of other words, and a call that heard the first."""
    with TemporaryDirectory() as folder, desk.runtime.db.writing() as session:
        admin, settings = ledger.volunteer(desk.people["管理员"]), desk.runtime.settings
        for spot, level, words in (
            (Spot("I01", 1), -20, ""),
            (Spot("I10", 1), -20, ""),
            (Spot("I10", 1), -60, ""),
            (Spot("I10", 1, JINHUA), -20, "以前的词。"),
        ):
            file = saved(Path(folder), "sound.wav", wav(pcm16(voice(3, level_dbov=level))))
            sound = studio.bring_home(desk.runtime.prompt_store, file, "audio/wav")
            at = desk.clock.now() - timedelta(days=1)
            take = studio.keep(session, settings, spot, Origin.BROWSER, admin, at, sound=sound)
            if not take.fault:
                studio.use(session, settings, take, admin, at)
            take.words = words or take.words
        says = [{"prompt": "I01", "slots": {}}, {"prompt": "I04", "slots": {}}, {"sound": "beep"}]
        session.add(
            Turn(call_id=1, number=1, step="greet", says=says, memory={}, heard="ring", at=desk.clock.now())
        )  # fmt: skip


# addresses with questions: who asks, and what
QUERIES = (
    ("李主任", "/search?q=水管"),
    ("李主任", "/search?q=没有的话"),
    ("李主任", "/calls?kind=missed"),
    ("李主任", "/calls?kind=test&month=2026-11"),
    ("李主任", "/figures?month=2026-10"),
    ("李主任", "/figures/once?month=2026-11&only=counted"),
    ("李主任", "/"),
    ("管理员", "/"),
    ("王秀兰", "/request/5/call"),
    ("王秀兰", "/walkin?who=lgf"),
    ("王秀兰", "/walkin?who=没有"),
    ("李主任", "/residents?who=1234"),
    ("管理员", "/prompts?of=O"),
    ("管理员", f"/prompts/{NUMBER_OF[Spot('I13', 2)]}"),
    ("管理员", f"/prompts/{NUMBER_OF[Spot('I10', 1, JINHUA)]}"),
    ("吴队长", "/rota?month=2026-11"),
    ("王秀兰", "/rota?month=2026-12"),
    ("吴队长", "/rota/plan?month=2026-12"),
    ("管理员", "/residents"),
    ("管理员", "/import/residents"),
    ("李主任", "/audit?month=2026-10"),
    ("李主任", "/audit?month=2026-09"),
)


def examples(desk: DeskHouse) -> dict[str, list[Any]]:
    with desk.runtime.db.reading() as session:
        secrets = list(
            session.scalars(select(Volunteer.feed_token).where(Volunteer.feed_token.is_not(None)))
        )
        tickets = list(session.scalars(select(Ticket.id).order_by(Ticket.id)))
    return {
        "ticket_id": tickets,
        "recording_id": [1],
        "device_id": [1],
        "secret": secrets,
        "key": ["reached", "once"],
        "journey_id": [1],
        "thing_id": [1],
        "matter_id": [1, 2],
        "shift_id": [1],
        "resident_id": [1],
        "hand_over_id": [1],
        "person_id": [desk.people["王秀兰"], desk.people["管理员"]],
        "imports.residents_look sheet_id": [1],
        "imports.roster_look sheet_id": [2],
        "imports.volunteers_look sheet_id": [3],
        "month": ["2026-10"],
        "number": [NUMBER_OF[Spot("I10", 1)]],
        "take_id": [1],
        "audit.sheet key": ["tickets", "ledger"],
    }


# name: who, address, form
POSTED: dict[str, tuple[str, str, dict[str, str]]] = {
    "call": ("王秀兰", "/request/1/call", {}),
    "no reason": ("王秀兰", "/request/1", {"act": "withdraw", "seen": "assigned"}),
    "stale": ("王秀兰", "/request/2", {"act": "finish", "seen": "assigned", "why": NASTY}),
    "long text": ("王秀兰", "/recording/1/text", {"text": "字" * 5001, "seen_text": "我要交水费"}),
    "wrong pin": ("王秀兰", "/door", {"who": "1", "pin": "1"}),
    "no reason for an outing": (
        "王秀兰",
        "/request/2/outing",
        {"went": "volunteer", "place": "医院", "settled": "no", "seen": "2", "taken": NASTY},
    ),
    "no matter": ("王秀兰", "/request/1/about", {"matter": ""}),
    "too late": ("王秀兰", "/request/3/undo", {}),
    "a check without a word": ("李主任", "/case/2/check", {"finding": "returned"}),
    "a matter without a name": (
        "李主任",
        "/matters/2",
        {"name": "", "materials": NASTY, "seen": "1"},
    ),
    "walked in without a word": ("王秀兰", "/walkin", {"resident": "1"}),
    "somebody for a gap": ("吴队长", "/rota/gap", {"starts": "x"}),
    "nobody for a shift": ("吴队长", "/rota/shift/1", {"who": ""}),
    "a whole number": ("李主任", "/residents/1/number", {"phone_id": "1", "why": "核对地址"}),
    "a whole number without why": ("李主任", "/residents/1/number", {"phone_id": "1"}),
    "a resident without a name": ("李主任", "/residents", {"name": "", "building": NASTY}),
    "two shifts that are one's own": ("吴队长", "/rota/shift/1", {"do": "swap"}),
    "who cannot come": ("吴队长", "/rota/shift/1", {"do": "absent"}),
    "a month shared out otherwise": ("吴队长", "/rota/plan", {"seal": "x"}),
    "no such day to be away": ("吴队长", "/rota/off", {"who": "1", "day": NASTY}),
    "no sheet": ("李主任", "/import/residents", {}),
    "a sheet taken otherwise": ("吴队长", "/import/roster/2", {"seal": "x"}),
    "whole numbers without why": ("管理员", "/import/residents/all.xlsx", {"why": ""}),
    "hours that are none": (
        "管理员",
        "/settings",
        {"group": "值班时间", "shift_hours": NASTY, "shift_hours_rest": "", "seen": "99"},
    ),
    "a limit that is none": (
        "管理员",
        "/settings",
        {"group": "多久要办", "accept_within_minutes": "1", "seen": "99"},
    ),
    "no such day": ("管理员", "/settings/day", {"day": "明天"}),
    "a volunteer without a name": ("管理员", "/volunteers", {"name": ""}),
    "a new volunteer": ("管理员", "/volunteers", {"name": "金水根", "phone": "13800000007"}),
    "the last administrator": ("管理员", "/volunteers/5", {"do": "end"}),
    "a calendar": ("管理员", "/volunteers/1", {"do": "feed"}),
    "own data without why": ("管理员", "/residents/1/own", {"do": "give"}),
    "a month that is not over": ("李主任", "/audit/seal", {}),
    "a note of nothing": ("王秀兰", "/handover", {"note": ""}),
    "again without why": ("李主任", "/case/6/again", {"why": ""}),
    "a code for a device": ("吴队长", "/devices", {}),
    "no such code": ("王秀兰", "/door/device", {"name": "新手机", "code": "1234"}),
    "no file": ("管理员", f"/prompts/{NUMBER_OF[Spot('I10', 1)]}", {}),
    "a take of other words": (
        "管理员",
        f"/prompts/{NUMBER_OF[Spot('I10', 1, JINHUA)]}/use",
        {"take": "4"},
    ),
    "nothing there": ("王秀兰", "/request/999", {}),
}
