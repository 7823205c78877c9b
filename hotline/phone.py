"""Telephone numbers: read once at the door, kept in E.164, shown masked."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

import phonenumbers

# Numbers that carriers send in place of a withheld one. Most spell a word on the keypad:
# 266696687 ANONYMOUS, 86282452253 UNAVAILABLE, 8656696 UNKNOWN, 7378742833 RESTRICTED.
# They must be looked up before parsing: +86282452253 also reads as a Chengdu landline.
WITHHELD_DIGITS = frozenset({"266696687", "86282452253", "8656696", "7378742833"})
WITHHELD_WORDS = ("anonymous", "restricted", "unavailable", "unknown", "private", "withheld")

MOBILE = re.compile(r"1[3-9]\d{9}")
LOCAL_LANDLINE = re.compile(r"[2-9]\d{7}")  # eight digits as dialled inside 金华
LANDLINE_TYPES = {
    phonenumbers.PhoneNumberType.FIXED_LINE,
    phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE,
}


class CallerKind(StrEnum):
    KNOWN = "known"  # a number we can ring back; says nothing about whose it is
    HIDDEN = "hidden"  # the caller or the carrier withheld it
    UNKNOWN = "unknown"  # something was sent, but not surely one person's number


class NotAPhoneError(ValueError):
    """What was given is no number that a person can be rung on."""


@dataclass(frozen=True, slots=True)
class Phone:
    """One subscriber's number in E.164, such as +8613812345678."""

    e164: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\+[1-9]\d{6,14}", self.e164):
            raise NotAPhoneError("not an E.164 number")

    def __str__(self) -> str:
        return mask(self.e164)

    __repr__ = __str__  # so that no traceback or log line prints a caller's number

    @classmethod
    def parse(cls, raw: str, *, country: str = "CN", area: str = "579") -> Self:
        """The number a person typed or a carrier sent; raises NotAPhoneError."""
        digits = _subscriber_digits(raw, area)
        if digits is None:
            raise NotAPhoneError("no subscriber's number can be read from it")
        try:
            number = phonenumbers.parse(digits, country)
        except phonenumbers.NumberParseException as error:
            raise NotAPhoneError("no subscriber's number can be read from it") from error
        kind = phonenumbers.number_type(number)
        if kind != phonenumbers.PhoneNumberType.MOBILE and kind not in LANDLINE_TYPES:
            raise NotAPhoneError("a service number, not a person's")
        return cls(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))

    @property
    def dialled(self) -> str:
        """The digits a person here would dial: 13812345678, 057982345678."""
        number = phonenumbers.parse(self.e164)
        national = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
        return re.sub(r"\D", "", national)


@dataclass(frozen=True, slots=True)
class CallerId:
    """Who the carrier says is calling. It proves nothing: recognise by it, tell nothing private."""

    kind: CallerKind
    phone: Phone | None = None


HIDDEN = CallerId(CallerKind.HIDDEN)
UNKNOWN = CallerId(CallerKind.UNKNOWN)


def read_caller(raw: str, *, country: str = "CN", area: str = "579") -> CallerId:
    """The caller from a carrier's From: any of the forms a Chinese trunk may send."""
    text = re.sub(r"^sips?:", "", raw.strip().lower()).split("@")[0].strip('"<> ')
    digits = re.sub(r"\D", "", text)
    if any(word in text for word in WITHHELD_WORDS):
        return HIDDEN
    if not text or (digits and not digits.strip("0")) or digits in WITHHELD_DIGITS:
        return HIDDEN
    try:
        return CallerId(CallerKind.KNOWN, Phone.parse(text, country=country, area=area))
    except NotAPhoneError:
        return UNKNOWN


def mask(text: str) -> str:
    """The text with every telephone number in it made unreadable.

    Mobiles become 138****1234, landlines 0579-****5678; any other run of seven digits or
    more keeps only its last two.
    """
    return _PHONE_LIKE.sub(_masked, text)


def mask_name(name: str) -> str:
    """李桂芳 as 李*芳, 李芳 as 李*: enough to know who is meant for somebody who knows them."""
    return name[:1] + "*" * max(len(name) - 2, 1) + name[2:][-1:] if len(name) > 1 else name


_PHONE_LIKE = re.compile(
    r"(?<!\d)0\d{2,3}-\d{7,8}(?!\d)|"
    r"(?<![\w.:/-])(?:\+|00)?\d{1,4}(?:[ -]\d{2,4}){2,4}(?![\w:-])"  # written in groups
    r"|(?:(?<![A-Za-z\d])|(?<=%2B))\+?\d{7,17}(?![A-Za-z\d])"  # %2B: + in an address
)
_DATE = re.compile(r"(?:19|20)\d\d-\d\d-\d\d")


def _masked(match: re.Match[str]) -> str:
    if _DATE.match(match[0]):
        return match[0]
    digits = re.sub(r"\D", "", match[0])
    if len(digits) < 7:
        return match[0]
    national = re.sub(r"^(?:00)?86(?=1[3-9]\d{9}$|[1-9]\d{8,10}$)", "", digits)
    if MOBILE.fullmatch(national):
        return f"{national[:3]}****{national[-4:]}"
    if (landline := re.fullmatch(r"0?(10|2\d|[3-9]\d\d)\d{3,4}(\d{4})", national)) and len(
        national
    ) > 9:
        return f"0{landline[1]}-****{landline[2]}"
    return f"****{digits[-2:]}"


def _subscriber_digits(raw: str, area: str) -> str | None:
    """What to hand to the number library: with the prefixes that trunks and gateways add cured."""
    text = re.sub(r"^sips?:", "", raw.strip().lower()).split("@")[0]
    if re.search(r"[a-z]", text):
        return None
    digits = re.sub(r"\D", "", text)
    plus = text.lstrip().startswith("+")
    if plus and MOBILE.fullmatch(digits):
        # A gateway that puts + before a national mobile. Where the same digits are also a real
        # number of country 1, it is not sure whose it is.
        return None if _is_north_american(digits) else digits
    if plus:
        return _without_trunk_zero("+" + digits)
    if digits.startswith("00"):
        return _without_trunk_zero("+" + digits[2:])
    if MOBILE.fullmatch(digits.removeprefix("0")):
        return digits.removeprefix("0")
    if digits.startswith("86") and len(digits) >= 11:
        return _without_trunk_zero("+" + digits)
    if LOCAL_LANDLINE.fullmatch(digits):
        return f"+86{area}{digits}"
    if digits.startswith(area) and LOCAL_LANDLINE.fullmatch(digits.removeprefix(area)):
        return f"+86{digits}"
    return digits if digits.startswith("0") else None


def _without_trunk_zero(international: str) -> str:
    return re.sub(r"^\+860", "+86", international)


def _is_north_american(digits: str) -> bool:
    return phonenumbers.is_valid_number(phonenumbers.parse("+" + digits))
