"""Numbers as carriers send them, and as they may be shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.phone import CallerKind, NotAPhoneError, Phone, mask, read_caller

MOBILE, LANDLINE = "+8613812345678", "+8657982345678"

SHOWN = {
    "13812345678": MOBILE, "013812345678": MOBILE, "+8613812345678": MOBILE, "8613812345678": MOBILE,
    "008613812345678": MOBILE, "+86 138-1234-5678": MOBILE, "+13812345678": MOBILE,
    "057982345678": LANDLINE, "57982345678": LANDLINE, "8657982345678": LANDLINE,
    "+86057982345678": LANDLINE, "+8657982345678": LANDLINE, "82345678": LANDLINE,
    "sip:057982345678@10.0.0.1": LANDLINE, "0086 579 82345678": LANDLINE,
    "02112345678": "+862112345678",
}  # fmt: skip
HIDDEN = ["", "anonymous", "Anonymous", "sip:anonymous@anonymous.invalid", "+266696687", "+86282452253", "+8656696", "+7378742833", "0", "+00000", "Restricted", "  "]  # fmt: skip
UNKNOWN = [
    "12345",
    "95588",
    "4008001234",
    "801",
    "+8612345",
    "+1",
    "abc",
    "+" + "9" * 40,
    "+13105551234",
]


@pytest.mark.parametrize(("raw", "e164"), list(SHOWN.items()))
def test_a_number_in_any_form_a_trunk_may_send(raw: str, e164: str) -> None:
    caller = read_caller(raw)
    assert caller.kind is CallerKind.KNOWN
    assert caller.phone == Phone(e164)


@pytest.mark.parametrize("raw", HIDDEN)
def test_a_withheld_number_is_nobodys(raw: str) -> None:
    assert read_caller(raw).kind is CallerKind.HIDDEN


@pytest.mark.parametrize("raw", UNKNOWN)
def test_what_is_not_sure_is_unknown(raw: str) -> None:
    assert read_caller(raw).kind is CallerKind.UNKNOWN
    with pytest.raises(NotAPhoneError):
        Phone.parse(raw)


@given(st.text())
def test_no_text_breaks_the_reading(raw: str) -> None:
    caller = read_caller(raw)
    assert (caller.phone is not None) == (caller.kind is CallerKind.KNOWN)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (MOBILE, "138****5678"),
        ("tel 138 1234 5678", "tel 138****5678"),
        (LANDLINE, "0579-****5678"),
        ("0579-82345678", "0579-****5678"),
        ("82345678", "****78"),
        ("https://x/ivr?a=13812345678&b=1", "https://x/ivr?a=138****5678&b=1"),
        ("/phone?number=%2B8613812345678 ", "/phone?number=%2B138****5678 "),
        (
            "2026-11-23T09:45:00+08:00 ticket=1123-07 port 8080",
            "2026-11-23T09:45:00+08:00 ticket=1123-07 port 8080",
        ),
        ("CA1234567890123456789012345678901234", "CA1234567890123456789012345678901234"),
    ],
)
def test_masking(text: str, shown: str) -> None:
    assert mask(text) == shown


def test_a_phone_never_prints_itself_whole() -> None:
    assert "1234567" not in f"{Phone(MOBILE)} {Phone(MOBILE)!r} {[Phone(MOBILE)]}"


@pytest.mark.parametrize(("e164", "dialled"), [(MOBILE, "13812345678"), (LANDLINE, "057982345678")])
def test_the_digits_a_person_dials(e164: str, dialled: str) -> None:
    assert Phone(e164).dialled == dialled
