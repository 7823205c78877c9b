"""The particulars in a message: where somebody lives, a telephone number, when.

They are read as spoken (二十七幢二单元三零二室), as written (27-2-302), and as recognisers miswrite them (二十七撞二单园). What is
not certain is left out: a wrong door is worse than none.
"""

import re
from dataclasses import dataclass

DIGITS = {
    "零": 0,
    "〇": 0,
    "一": 1,
    "幺": 1,
    "二": 2,
    "两": 2,
    "三": 3,
    "四": 4,
    "五": 5,
    "六": 6,
    "七": 7,
    "八": 8,
    "九": 9,
}
NUMBER = "[0-9零〇一幺二两三四五六七八九十百]"
# A building is a 幢 here; 栋 elsewhere. The others are what a recogniser writes for the two.
BUILDING = "(?:[幢栋撞装庄状壮桩床窗创洞动冻懂]|号楼)"
UNIT = "(?:[单丹担耽][元员园源圆原缘])"
ROOM = "(?:室|号|房间|房)"
MOST_BUILDINGS, MOST_UNITS = 199, 20  # beyond that it is a house number of a street

_PLACE = re.compile(
    rf"(?P<building>{NUMBER}+){BUILDING}(?:[的，,、 ]?(?P<unit>{NUMBER}+)[个 ]?{UNIT})?(?:[的，,、 ]?(?P<room>{NUMBER}{{3,}}){ROOM}?)?"
)
_WRITTEN_PLACE = re.compile(
    r"(?<![\d-])(?P<building>\d{1,3})-(?P<unit>\d{1,2})(?:-(?P<room>\d{3,4}))?(?![\d-])"
)
_DIGIT_RUN = re.compile(
    r"[0-9零〇一幺二两三四五六七八九](?:[ \-,，、.。]{0,2}[0-9零〇一幺二两三四五六七八九])*"
)
# A mobile; a landline with its area code; an eight-digit landline of a large district, as Jinhua's are.
_PHONE = re.compile(r"1[3-9]\d{9}|0[1-9]\d{1,2}[2-8]\d{6,7}|[2-8]\d{7}")

_WEEKDAY = "(?:下下|下|上|这|本)?个?(?:星期|礼拜|周)[一二三四五六日天1-6]"
_DATE = rf"(?:{NUMBER}{{1,3}}月{NUMBER}{{1,3}}[号日]|{NUMBER}{{1,3}}[号日](?!楼|线|门))"
_DAY = f"(?:大后天|大前天|今天|今日|明天|明日|明朝|后天|昨天|前天|今晚|明晚|明早|{_WEEKDAY}|{_DATE}|下个?月|月底|月初|周末)"
_PART = "(?:凌晨|清早|清晨|早上|早晨|上午|中午|下午|傍晚|晚上|夜里|半夜)"
_HOUR = rf"(?:{NUMBER}{{1,3}}点(?:钟|半|{NUMBER}刻|{NUMBER}{{1,3}}分?)?|\d{{1,2}}[:：]\d{{2}})"
_TIME = re.compile(rf"{_DAY}的?{_PART}?{_HOUR}?|{_PART}{_HOUR}?|{_HOUR}")


@dataclass(frozen=True)
class Place:
    """A door of the neighbourhood, as far as it was said; written 27-2-302."""

    building: int
    unit: int | None = None
    room: str | None = None

    def __str__(self) -> str:
        return "-".join(
            str(part) for part in (self.building, self.unit, self.room) if part is not None
        )


def find_place(text: str) -> Place | None:
    """Find the first building named, with its unit and room; None if there is none or two differ."""
    found = [place for match in _PLACE.finditer(text) if (place := _place(match))]
    found += [place for match in _WRITTEN_PLACE.finditer(text) if (place := _place(match))]
    if len({place.building for place in found}) != 1:
        return None  # said anew, or another's door: a person must listen
    return max(found, key=lambda place: (place.unit is not None) + (place.room is not None))


def find_phones(text: str) -> tuple[str, ...]:
    """Find telephone numbers, digits only; a run of digits that is none of a number's length is left out."""
    runs = (
        "".join(
            _digit(each) for each in run if each in DIGITS or (each.isascii() and each.isdigit())
        )
        for run in _DIGIT_RUN.findall(text)
    )
    return tuple(dict.fromkeys(run for run in runs if _PHONE.fullmatch(run)))


def find_times(text: str) -> tuple[str, ...]:
    """Find the words for days and hours, as they were said; what instant they mean depends on when that was."""
    return tuple(dict.fromkeys(_TIME.findall(text)))


def number(said: str) -> int | None:
    """Read 二十七, 一百零二, 三零二 or 27; None if it is no number."""
    if said.isascii() and said.isdigit():
        return int(said)
    if not re.search("[十百]", said):
        digits = [_digit(each) for each in said]
        return int("".join(digits)) if digits else None
    match = re.fullmatch(
        r"(?:([一二两三四五六七八九1-9])百)?零?(?:([一二两三四五六七八九1-9])?(十))?([一二三四五六七八九1-9])?",
        said,
    )
    if match is None:
        return None
    hundreds, tens, ten, ones = match.groups()
    value = 100 * int(_digit(hundreds)) if hundreds else 0
    if ten:
        value += 10 * (int(_digit(tens)) if tens else 1)
    return value + (int(_digit(ones)) if ones else 0)


def _place(match: re.Match[str]) -> Place | None:
    building = number(match["building"])
    unit = number(match["unit"]) if match["unit"] else None
    if not building or building > MOST_BUILDINGS or unit == 0 or (unit or 0) > MOST_UNITS:
        return None
    room = number(match["room"]) if match["room"] else None
    return Place(building, unit, None if room is None else str(room))


def _digit(said: str) -> str:
    return str(DIGITS.get(said, said))
