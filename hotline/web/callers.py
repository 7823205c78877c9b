"""Who can be the one on the browser's telephone, and how carriers write their numbers.

Addressed by keys: no page and no request of a browser holds a number.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from hotline.config import Settings
from hotline.phone import Phone, mask
from tickets.models import Dialect, Resident, ResidentPhone, Volunteer
from tickets.real import is_real

STRANGER = "+8613900007788"  # nobody's
MOST = 30
RESIDENTS, VOLUNTEERS, OTHERS = GROUPS = ("居民", "志愿者", "别的人")
# How a carrier writes it: a key, and what it is called.
FORMS: Mapping[str, str] = {
    "plus": "+86开头（云线路）",
    "dialled": "带0的（国内线路）",
    "bare": "少0的（老交换机）",
    "zeros": "0086开头（网关）",
    "sip": "sip:开头（网关）",
}
# What is sent in place of a number that is not shown.
HIDDEN: Mapping[str, str] = {
    "plus": "+266696687", "dialled": "anonymous", "bare": "", "zeros": "+86282452253",
    "sip": "sip:anonymous@anonymous.invalid",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever holds the telephone; no number: it is not shown."""

    key: str
    group: str
    name: str
    detail: str
    phone: str = ""


def callers(session: Session, settings: Settings) -> Iterator[Caller]:
    """All there are. Residents are those of tests only: nobody's own number is played with."""
    yield from _residents(session)
    people = select(Volunteer).where(Volunteer.active, Volunteer.phone.is_not(None))
    for person in session.scalars(people.order_by(Volunteer.id).limit(MOST)):
        yield Caller(f"v{person.id}", VOLUNTEERS, person.name, mask(person.phone or ""), person.phone or "")  # fmt: skip
    yield Caller("stranger", OTHERS, "没登记过的号码", mask(STRANGER), STRANGER)
    yield Caller("withheld", OTHERS, "不显示号码", "")
    if settings.committee_phone:
        yield Caller("committee", OTHERS, "居委会", mask(settings.committee_phone), settings.committee_phone)  # fmt: skip


def find(session: Session, settings: Settings, key: str) -> Caller | None:
    return next((each for each in callers(session, settings) if each.key == key), None)


def written(caller: Caller, form: str, settings: Settings) -> str:
    """The number as a carrier's From would have it; an unknown form is the plain one."""
    form = form if form in FORMS else "plus"
    if not caller.phone:
        return HIDDEN[form]
    dialled, area = Phone(caller.phone).dialled, f"0{settings.area_code}"
    local = dialled.removeprefix(area) if dialled.startswith(area) else dialled.removeprefix("0")
    return {
        "plus": caller.phone, "dialled": dialled if dialled.startswith("0") else f"0{dialled}",
        "bare": local, "zeros": f"00{caller.phone[1:]}", "sip": f"sip:{dialled}@192.0.2.9",
    }[form]  # fmt: skip


def _residents(session: Session) -> Iterator[Caller]:
    """One line a number, with all who share it."""
    rows = session.execute(
        select(ResidentPhone.id, ResidentPhone.phone, Resident)
        .join(Resident, Resident.id == ResidentPhone.resident_id)
        .where(is_real(Resident, tests=True), Resident.active)
        .order_by(Resident.id, ResidentPhone.id)
        .limit(MOST)
    ).all()
    shared: dict[str, list[Resident]] = defaultdict(list)
    keys: dict[str, int] = {}
    for number_id, phone, resident in rows:
        shared[phone].append(resident)
        keys.setdefault(phone, number_id)
    for phone, people in shared.items():
        first = people[0]
        facts = [f"{first.building}幢" if first.building else "", mask(phone)]
        facts += [first.dialect.value if first.dialect is not Dialect.MANDARIN else ""]
        facts += ["要说慢一点" if first.slow else ""]
        facts += ["合用一个号码" if len(people) > 1 else ""]
        yield Caller(
            f"p{keys[phone]}", RESIDENTS, "、".join(person.name for person in people),
            "，".join(filter(None, facts)), phone,
        )  # fmt: skip
