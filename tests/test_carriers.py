"""The telephone companies are themselves tried, against little services written by hand."""

from collections.abc import Iterator

import pytest
from caller import Caller
from carriers.call import ScriptError
from carriers.company import WITHHELD, Company, ServiceFailedError
from carriers.document import NotPortableError, Sound, read
from carriers.little import BYE, DIAL, GATHER, PUBLIC, RECORD, WHISPER, Opens, opening
from carriers.somleng import Somleng
from carriers.sound import measure, silence, tone
from carriers.twilio import Twilio
from flask import Response, request
from twilio.request_validator import RequestValidator


@pytest.fixture
def opens() -> Iterator[Opens]:
    with opening() as opens:
        yield opens


both = pytest.mark.parametrize("kind", [Twilio, Somleng])


def grandma(company: Company) -> Caller:
    return company.caller("+8613812345678")


# Strictness

BAD_DOCUMENTS = {
    "unknown verb": "<Enqueue>x</Enqueue>",
    "pause": '<Pause length="1"/>',
    "unknown attribute": '<Say loop="2">你好</Say>',
    "ssml": '<Say><break time="1s"/>你好</Say>',
    "relative address": "<Redirect>/next</Redirect>",
    "plain http": "<Redirect>http://line.test/next</Redirect>",
    "not ASCII": "<Play>https://line.test/嘀.wav</Play>",
    "fragment": "<Play>https://line.test/a.wav#t=1</Play>",
    "empty say": "<Say></Say>",
    "loose text": "你好",
    "gather without redirect": GATHER.partition("<Redirect")[0],
    "gather followed by words": GATHER.replace("<Redirect", "<Say>喂</Say><Redirect"),
    "gather of five digits": GATHER.replace('numDigits="1"', 'numDigits="5"'),
    "gather with finish key": GATHER.replace('finishOnKey=""', 'finishOnKey="#"'),
    "gather without finish key": GATHER.replace('finishOnKey=""', ""),
    "gather by GET": GATHER.replace('method="POST" num', 'method="GET" num'),
    "gather without action": GATHER.replace(f'action="{PUBLIC}/key"', ""),
    "gather with a record in it": GATHER.replace("<Say>请按1。</Say>", "<Hangup/>"),
    "gather by speech": GATHER.replace("<Gather", '<Gather input="speech"'),
    "record without action": RECORD.replace(f'action="{PUBLIC}/recorded"', ""),
    "record without redirect": RECORD.partition("<Redirect")[0],
    "record without callback": RECORD.replace(f'recordingStatusCallback="{PUBLIC}/recording"', ""),
    "record with the company's beep": RECORD.replace('playBeep="false"', ""),
    "record trimmed": RECORD.replace('trim="do-not-trim"', ""),
    "dial without action": DIAL.replace(f'action="{PUBLIC}/dialled" ', ""),
    "dial of nobody": DIAL.replace("<Number>+8613900000001</Number>", ""),
    "dial of a local number": DIAL.replace("+8613900000001", "82345678"),
    "dial to a queue": DIAL.replace("Number>", "Queue>"),
    "hangup with words": "<Hangup>再见</Hangup>",
}


@both
@pytest.mark.parametrize("bad", BAD_DOCUMENTS.values(), ids=BAD_DOCUMENTS)
def test_a_document_outside_the_portable_subset_is_refused(
    opens: Opens, kind: type[Company], bad: str
) -> None:
    company, _ = opens(kind, {"/ivr/ring": bad})
    with pytest.raises(NotPortableError):
        grandma(company).dials()


@pytest.mark.parametrize("good", [GATHER, RECORD, DIAL, BYE, '<Reject reason="busy"/>'])
def test_the_portable_subset_is_read(good: str) -> None:
    assert read(f"<Response>{good}</Response>".encode(), "text/xml").faults == ()


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<Response><Say>hello</Say></Response>", "text/html"),
        (b"<Response><Say>hello</Response>", "text/xml"),
        (b"<Response><Say>he\x07llo</Say></Response>", "text/xml"),
        (b"<Response><Say>he&#7;llo</Say></Response>", "text/xml"),
        (b"<Answer><Say>hello</Say></Answer>", "text/xml"),
        (b"", "text/xml"),
        ("<Response><Say>" + "好" * 4097 + "</Say></Response>", "text/xml"),
    ],
)
def test_a_body_that_is_no_document_is_named(body: bytes | str, kind: str) -> None:
    assert read(body.encode() if isinstance(body, str) else body, kind).faults


def test_a_whisper_is_only_for_companies_that_have_it(opens: Opens) -> None:
    company, _ = opens(Twilio, {"/ivr/ring": WHISPER})
    assert grandma(company).dials().hears() == []
    company, _ = opens(Somleng, {"/ivr/ring": WHISPER})
    with pytest.raises(NotPortableError, match="url"):
        grandma(company).dials()


def test_a_recording_begins_with_a_beep_and_nothing_else(opens: Opens) -> None:
    company, _ = opens(Twilio, {"/ivr/ring": RECORD.partition("</Play>")[2]})
    with pytest.raises(AssertionError, match="without a beep"):
        grandma(company).dials()


def test_documents_that_go_round_in_circles_are_found(opens: Opens) -> None:
    company, _ = opens(Twilio, {"/ivr/ring": f"<Redirect>{PUBLIC}/ivr/ring</Redirect>"})
    with pytest.raises(ScriptError, match="circles"):
        grandma(company).dials()


def test_an_error_of_the_service_is_a_failure_and_a_lenient_company_asks_the_fallback(
    opens: Opens,
) -> None:
    company, service = opens(Twilio, {"/ivr/fallback": "<Say>对不起。</Say>"}, lenient=True)
    service.app.before_request(lambda: ("broken", 500) if request.path == "/ivr/ring" else None)
    assert grandma(company).dials().hears() == ["对不起。"]
    assert "/ivr/ring answered 500" in company.complaints[0]

    company, service = opens(Twilio)
    service.app.before_request(lambda: ("broken", 500))
    with pytest.raises(ServiceFailedError):
        grandma(company).dials()


def test_an_unknown_verb_ends_the_call_at_somleng_and_not_at_twilio(opens: Opens) -> None:
    documents = {"/ivr/ring": "<Pause/><Say>你好</Say>"}
    company, _ = opens(Somleng, documents, lenient=True)
    assert grandma(company).dials().hears() == []
    company, _ = opens(Twilio, documents, lenient=True)
    assert grandma(company).dials().hears() == ["你好"]


# Signatures


def test_the_signature_is_the_one_that_the_twilio_library_computes(opens: Opens) -> None:
    company, service = opens(Twilio, {"/ivr/ring": RECORD, "/recorded": BYE})
    grandma(company).dials().says("交水费").presses("1").hears()
    assert service.forged == []
    assert service.paths()[:2] == ["/ivr/ring", "/recorded"]
    validator = RequestValidator(company.secret)
    form = {"From": "+86138", "Empty": "", "City": "金华"}
    for url in (f"{PUBLIC}/ivr/turn?a=1&b=%E5%98%80", PUBLIC + "/x"):
        assert validator.compute_signature(url, form) == company.signs(url, form)


@both
def test_another_secret_signs_otherwise(opens: Opens, kind: type[Company]) -> None:
    company, service = opens(kind)
    company.secret = "another"
    grandma(company).dials().hears()
    assert service.forged == ["ivr/ring"]


# What people do


@both
def test_keys_silence_and_hanging_up(opens: Opens, kind: type[Company]) -> None:
    company, service = opens(kind, {"/key": GATHER, "/silent": BYE})
    call = grandma(company).dials()
    assert call.hears() == ["请按1。"]
    call.presses("#")
    assert service.last("/key")["Digits"] == "#"
    assert call.keeps_silent().hears() == ["再见。"]
    assert call.hung_up
    assert service.last("/ivr/status")["CallStatus"] in ("completed", "ringing")
    with pytest.raises(ScriptError):
        call.presses("1")


@both
def test_a_message_that_ends_with_hanging_up(opens: Opens, kind: type[Company]) -> None:
    company, service = opens(kind, {"/ivr/ring": RECORD})
    call = grandma(company).dials()
    assert call.hears() == ["♪beep"]
    call.says("我要交水费", seconds=6).hangs_up()
    recording = next(iter(company.recordings.values()))
    assert (recording.words, recording.seconds) == (("我要交水费",), 6)
    assert measure(recording.sound).seconds == 6
    assert service.last("/recording")["RecordingDuration"] == "6"
    assert {"/recorded", "/recording", "/ivr/status"} <= set(service.paths())
    assert "/empty" not in service.paths()


def test_twilio_says_that_the_recording_ended_with_hanging_up(opens: Opens) -> None:
    company, service = opens(Twilio, {"/ivr/ring": RECORD})
    grandma(company).dials().says("喂").hangs_up()
    form = service.last("/recorded")
    assert (form["Digits"], form["CallStatus"]) == ("hangup", "completed")
    assert form["RecordingUrl"].endswith(form["RecordingSid"])


def test_twilio_skips_the_action_of_an_empty_recording(opens: Opens) -> None:
    company, service = opens(Twilio, {"/ivr/ring": RECORD, "/empty": RECORD})
    call = grandma(company).dials().says_nothing()
    assert service.paths() == ["/ivr/ring", "/empty"]
    call.hangs_up()
    assert "/recorded" not in service.paths()
    assert company.recordings == {}


def test_somleng_calls_the_action_of_an_empty_recording_without_sid_and_digits(
    opens: Opens,
) -> None:
    company, service = opens(Somleng, {"/ivr/ring": RECORD, "/recorded": BYE})
    grandma(company).dials().says_nothing().hears()
    assert "/empty" not in service.paths()
    form = service.last("/recorded")
    assert form.keys().isdisjoint({"RecordingSid", "Digits"})
    sid = next(iter(company.recordings))
    assert form["RecordingUrl"].endswith(f"/{sid}.wav")
    assert form["RecordingDuration"] == "0"
    assert service.last("/recording")["RecordingSid"] == sid


@both
def test_a_recording_ends_at_its_longest(opens: Opens, kind: type[Company]) -> None:
    company, _ = opens(kind, {"/ivr/ring": RECORD, "/recorded": BYE})
    call = grandma(company).dials().says("很长的话", seconds=500)
    assert call.hears() == ["再见。"]
    assert next(iter(company.recordings.values())).seconds == 180


@both
def test_hanging_up_in_the_middle_of_a_sentence_asks_for_nothing_more(
    opens: Opens, kind: type[Company]
) -> None:
    long = f"<Say>{'好' * 30}</Say><Redirect>{PUBLIC}/next</Redirect>"
    company, service = opens(kind, {"/ivr/ring": long})
    call = grandma(company).dials().hangs_up(after_seconds=2)
    assert "/next" not in service.paths()
    assert call.call.seconds == pytest.approx(2)
    ended = [form for path, form in service.posted if form.get("CallStatus") == "completed"]
    assert [form["CallDuration"] for form in ended] == ["2"]


def test_a_key_at_once_does_not_wait_for_the_end_of_the_prompt(opens: Opens) -> None:
    company, _ = opens(Twilio, {"/key": BYE})
    slow = grandma(company).dials().presses("1").call.seconds
    quick = grandma(company).dials().presses("1", at_once=True).call.seconds
    assert quick < slow


@both
def test_a_caller_may_hear_his_own_words(opens: Opens, kind: type[Company]) -> None:
    company, service = opens(kind, {"/ivr/ring": RECORD})

    @service.app.before_request
    def plays_it() -> Response | None:
        url = request.form.get("RecordingUrl")
        body = f"<Response><Play>{url}</Play>{BYE}</Response>"
        return Response(body, content_type="text/xml") if request.path == "/recorded" else None

    call = grandma(company).dials().says("交水费").presses("1")
    heard = call.heard()[0]
    assert isinstance(heard, Sound)
    assert company.player.measure(heard).seconds == 6


# Volunteers


def test_a_volunteer_takes_the_call_or_refuses_it_at_the_whisper(opens: Opens) -> None:
    documents = {"/ivr/ring": WHISPER, "/whisper": GATHER, "/silent": "<Hangup/>", "/dialled": BYE}
    company, service = opens(Twilio, documents)
    call = grandma(company).dials().volunteer_picks_up(press="1")
    assert service.last("/key")["ParentCallSid"] == call.call.sid
    assert call.call.bridged  # the document of the key was empty: nobody hung up
    call.volunteer_hangs_up()
    assert int(service.last("/dialled")["DialCallDuration"]) >= 60

    call = grandma(company).dials().volunteer_picks_up()
    assert call.volunteer_hears() == ["请按1。"]
    assert not call.call.bridged
    refused = service.last("/dialled")
    assert refused["DialCallStatus"] == "completed"
    assert int(refused["DialCallDuration"]) < 60
    assert call.hears() == ["再见。"]


def test_without_a_whisper_picking_up_is_talking(opens: Opens) -> None:
    company, service = opens(Somleng, {"/ivr/ring": DIAL, "/dialled": BYE})
    call = grandma(company).dials().volunteer_picks_up()
    assert call.call.bridged
    call.hangs_up()
    assert service.paths() == ["/ivr/ring", "/dialled", "/ivr/status"]
    assert service.last("/dialled")["DialCallStatus"] == "completed"


@both
def test_nobody_picks_up(opens: Opens, kind: type[Company]) -> None:
    company, service = opens(kind, {"/ivr/ring": DIAL, "/dialled": BYE})
    call = grandma(company).dials().nobody_picks_up()
    assert call.hears() == ["再见。"]
    assert service.last("/dialled")["DialCallStatus"] == "no-answer"
    assert call.call.rung_seconds == 25


# Post that comes late, twice, never


@both
def test_everything_may_come_twice_with_the_same_token(opens: Opens, kind: type[Company]) -> None:
    company, service = opens(kind, {"/ivr/ring": RECORD}, repeats=True)
    grandma(company).dials().says("喂").hangs_up()
    for path in ("/ivr/ring", "/recorded", "/recording"):
        assert service.paths().count(path) == 2, path


def test_a_repeated_question_answered_otherwise_is_found(opens: Opens) -> None:
    company, service = opens(Twilio, repeats=True)
    service.app.before_request(
        lambda: Response(
            f"<Response><Say>{len(company.sent)}</Say></Response>", content_type="text/xml"
        )
    )
    with pytest.raises(AssertionError, match="answered differently"):
        grandma(company).dials()


def test_post_that_is_lost_or_held_back(opens: Opens) -> None:
    company, service = opens(Twilio, {"/ivr/ring": RECORD}, loses={"recording"}, holds={"status"})
    grandma(company).dials().says("喂").hangs_up()
    assert service.paths() == ["/ivr/ring", "/recorded"]
    company.delivers_held()
    assert [form["CallStatus"] for path, form in service.posted if path == "/ivr/status"] == [
        "in-progress",
        "completed",
        "ringing",
    ]


def test_shuffled_post_comes_in_another_order_and_completely(opens: Opens) -> None:
    orders = set()
    for seed in range(12):
        company, service = opens(Twilio, {"/ivr/ring": RECORD}, shuffles=seed)
        grandma(company).dials().says("喂").hangs_up()
        assert sorted(service.paths()[1:]) == ["/ivr/status"] * 3 + ["/recorded", "/recording"]
        orders.add(tuple(service.paths()))
    assert len(orders) > 4


# Numbers and events


@pytest.mark.parametrize(
    ("kind", "phone", "shown"),
    [
        (Twilio, "+8613812345678", "+8613812345678"),
        (Twilio, WITHHELD, "+266696687"),
        (Somleng, "+8613812345678", "8613812345678"),
        (Somleng, WITHHELD, "anonymous"),
    ],
)
def test_how_a_number_is_shown(opens: Opens, kind: type[Company], phone: str, shown: str) -> None:
    company, service = opens(kind)
    company.caller(phone).dials()
    assert service.last("/ivr/ring")["From"] == shown


def test_wavs_are_true() -> None:
    assert measure(tone(1.5)).seconds == 1.5
    assert measure(tone(1.5)).silent_seconds < 0.01
    assert measure(silence(2)).silent_seconds == 2
    assert measure(tone(0)).seconds == 0
