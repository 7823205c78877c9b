"""Prompts spoken by people: what can be recorded, what becomes of a sound, who is heard by whom and when."""

import asyncio
import io
import wave
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from carriers.company import Company
from carriers.document import Words
from carriers.door import FlaskDoor
from click.testing import CliRunner
from conftest import ON_BOTH, TestHouse
from grammar import PHONES, PIN
from lines import open_line
from sounds import busy_tone, every_kind, noise, pcm16, saved, silence, voice, wav

from hotline.cli import main
from hotline.doctor import Health, check_prompts, sign
from hotline.serving import retire_old_words
from hotline.web.prompt_places import SETS, SLOTS, WHEN, whole
from ivr import heard, parts, prompts, studio, voices
from ivr.exchange.audio import PEAK, active_level_dbov
from ivr.exchange.speech import Speaker
from ivr.levelling import level
from ivr.parts import JINHUA, NUMBER_OF, NUMBERS, PIECES, SLOW, Spot, set_for
from ivr.takes import Choice, Fault, Origin, Take
from ivr.twiml import Scribe
from tickets import ledger
from tickets.ledger import SYSTEM
from tickets.models import Dialect, LedgerLine, Resident, ResidentPhone

LI, ZHANG = "+8613812345678", "+8657982345678"
GREETING, ASKED_TO_SPEAK, CLOSED = Spot("I01", 1), Spot("I10", 1), Spot("I40", 1)


BOTH_LINES = pytest.mark.parametrize("company", ["twilio", "somleng"], indirect=True)


@pytest.fixture
def company(request: pytest.FixtureRequest) -> Iterator[Company]:
    with open_line(getattr(request, "param", "twilio")) as company:
        yield company


def spoken_by(house: TestHouse, spot: Spot, seed: int = 1) -> Take:
    """Somebody records a spot and puts it in use; it holds from now on."""
    runtime, now = house.runtime, house.clock.now()
    file = saved(runtime.settings.data_folder, "spoken.wav", wav(pcm16(voice(2, seed=seed))))
    sound = studio.bring_home(runtime.prompt_store, file, "audio/wav")
    with runtime.db.writing() as session:
        take = studio.keep(session, runtime.settings, spot, Origin.FILE, SYSTEM, now, sound=sound)
        studio.use(session, runtime.settings, take, SYSTEM, now)
    house.clock.advance(studio.HOLDS_AFTER.total_seconds())
    return take


def opening(company: Company, phone: str = LI) -> list[str]:
    """What is heard first: words, and sounds as their addresses."""
    caller = company.caller(phone).dials()
    heard_first = [
        each.text if isinstance(each, Words) else each.url.rpartition("/ivr/")[2]
        for each in caller.heard()
    ]
    caller.hangs_up()
    return heard_first


def address(take: Take) -> str:
    return f"prompt/{take.sha256}.wav"


# --- what can be recorded


def test_what_changes_is_left_to_the_machine_and_all_else_can_be_recorded() -> None:
    for prompt, sheet in prompts.SHEET.items():
        assert "".join(piece.template for piece in PIECES[prompt]) == sheet
        for piece in PIECES[prompt]:
            slots = set(parts.SLOT.findall(piece.template))
            assert bool(slots - parts.OF_HOUSE) == (piece.part == 0), piece
    assert [piece.template for piece in PIECES["I40"]] == [
        "这里是{line}，通话会录音。现在下班了，您先说，", "{next_duty}我们打给您。", "有急病，请打120。",
    ]  # fmt: skip
    assert len(NUMBER_OF) == len(NUMBERS) == 4 * len(parts.PARTS)
    assert {len(str(number)) for number in NUMBERS} == {parts.NUMBER_DIGITS}


def test_the_page_says_of_every_prompt_when_it_is_heard() -> None:
    assert set(WHEN) == set(prompts.SHEET)
    assert set(SETS) == set(parts.SETS)
    assert {slot for sheet in prompts.SHEET.values() for slot in parts.SLOT.findall(sheet)} == set(SLOTS)  # fmt: skip
    assert "".join(whole("I04")) == "您上次说的事，〔办到哪一步〕。"


# --- what becomes of a sound


def test_any_sound_becomes_one_for_the_line(tmp_path: Path) -> None:
    said = np.concatenate([silence(1), voice(3, level_dbov=-34), silence(2)])
    for name, content in every_kind(said).items():
        made = level(saved(tmp_path, name, content))
        assert made.fault is None, name
        with wave.open(io.BytesIO(made.wav)) as file:
            assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 8000)
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        assert active_level_dbov(samples) == pytest.approx(-19, abs=0.5), name
        assert np.abs(samples).max() <= PEAK + 1, name
        assert made.seconds == pytest.approx(3, abs=0.5), f"{name}: the silence around it is cut"
        assert len(samples) == round(made.seconds * 8000)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", Fault.NO_SOUND),
        (b"<html>not a sound</html>" * 100, Fault.NO_SOUND),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", Fault.NO_SOUND),
        (b"PK\x03\x04" + bytes(3000), Fault.NO_SOUND),
        (wav(b""), Fault.NO_SOUND),
        (wav(pcm16(silence(3))), Fault.NO_SPEECH),
        (wav(pcm16(busy_tone(3))), Fault.NO_SPEECH),
        (wav(pcm16(noise(3))), Fault.NO_SPEECH),
        (wav(pcm16(voice(18))), Fault.LONG),
        (wav(pcm16(voice(3, level_dbov=-60))), Fault.QUIET),
        (wav(pcm16(voice(3, level_dbov=3))), Fault.CLIPPED),
    ],
    ids=[
        "empty",
        "page",
        "playlist",
        "archive",
        "nothing",
        "silent",
        "tone",
        "hiss",
        "long",
        "quiet",
        "clipped",
    ],
)
def test_what_cannot_be_used_has_one_fault(tmp_path: Path, content: bytes, fault: Fault) -> None:
    made = level(saved(tmp_path, "sound.wav", content))
    assert (made.fault, made.wav) == (fault, b"")


# --- who is heard


@ON_BOTH
def test_each_is_spoken_to_in_the_most_fitting_voice_there_is(house: TestHouse) -> None:
    both = set_for(Dialect.JINHUA, slow=True)

    def hears(kept_in: str) -> int | None:
        with house.runtime.db.reading() as session:
            spoken = voices.read(session).voices("I10", kept_in, house.clock.now())
        return takes.index(spoken[1].sha256) if spoken else None

    takes: list[str | None] = []
    for seed, (kept_in, suits) in enumerate(
        (("", ("", SLOW, JINHUA, both)), (SLOW, (SLOW,)), (JINHUA, (JINHUA, both)), (both, (both,)))
    ):
        takes.append(spoken_by(house, Spot("I10", 1, kept_in), seed).sha256)
        assert {each for each in parts.SETS if hears(each) == seed} == set(suits)
    assert hears("../..") == 0


@BOTH_LINES
def test_who_speaks_jinhua_hears_jinhua_and_everybody_a_person(
    house: TestHouse, company: Company
) -> None:
    company.connect(FlaskDoor(house.app), house.public_url, house.clock)
    before = opening(company)
    plain, jinhua = spoken_by(house, GREETING), spoken_by(house, Spot("I01", 1, JINHUA), 2)
    with house.runtime.db.writing() as session:
        session.add(Resident(name="李桂芳", dialect=Dialect.JINHUA, phones=[ResidentPhone(phone=LI)]))  # fmt: skip
    assert before[0].startswith("您好")
    assert opening(company, LI) == [address(jinhua), *before[1:]]
    assert opening(company, ZHANG) == [address(plain), *before[1:]]

    stranger = house.app.test_client()  # whoever was told the address needs no password
    sound = stranger.get(f"/ivr/{address(plain)}")
    assert sound.data[:4] == b"RIFF"
    assert "max-age=31536000" in sound.headers["Cache-Control"]
    for guess in ("I01", "0" * 64, "..%2f..%2fhotline", f"{plain.sha256}x"):
        assert stranger.get(f"/ivr/prompt/{guess}.wav").status_code == 404


@BOTH_LINES
def test_the_machine_says_only_what_changes(house: TestHouse, company: Company) -> None:
    company.connect(FlaskDoor(house.app), house.public_url, house.clock)
    house.clock.advance(11 * 3600)
    (whole_text, *rest) = opening(company)
    first = spoken_by(house, CLOSED)
    assert opening(company)[:2] == [address(first), "明天上午八点半我们打给您。有急病，请打120。"]
    last = spoken_by(house, Spot("I40", 2), 2)
    assert opening(company) == [address(first), "明天上午八点半我们打给您。", address(last), *rest]
    assert whole_text.endswith("您先说，明天上午八点半我们打给您。有急病，请打120。")


# --- versions


def test_what_each_call_heard_follows_from_when_it_asked(house: TestHouse, company: Company) -> None:  # fmt: skip
    company.connect(FlaskDoor(house.app), house.public_url, house.clock)
    runtime, settings = house.runtime, house.runtime.settings
    told = [opening(company)]
    first = spoken_by(house, GREETING, 1)
    told.append(opening(company))
    second = spoken_by(house, GREETING, 2)
    told.append(opening(company))
    with runtime.db.writing() as session:
        studio.use(session, settings, session.get_one(Take, first.id), SYSTEM, house.clock.now())
    told.append(opening(company))  # chosen, but it does not hold yet
    house.clock.advance(studio.HOLDS_AFTER.total_seconds())
    told.append(opening(company))
    with runtime.db.writing() as session:
        studio.put_aside(session, GREETING, SYSTEM, house.clock.now())
    house.clock.advance(studio.HOLDS_AFTER.total_seconds())
    told.append(opening(company))
    wanted = [None, first, second, second, first, None]
    assert [t[0] for t in told] == [address(take) if take else told[0][0] for take in wanted]

    with runtime.db.reading() as session:
        for call_id, take in enumerate(wanted, 1):
            greeting, *rest = heard.in_call(session, call_id)
            assert (greeting.prompt, greeting.voice and greeting.voice.version) == ("I01", take and take.version)  # fmt: skip
            assert not any(each.voice for each in rest)
        every = list(heard.in_span(session, house.clock.now() - timedelta(days=1), house.clock.now() + timedelta(days=1)))  # fmt: skip
        assert [h.voice.version for h in every if h.voice] == [1, 2, 2, 1]
        lines = session.query(LedgerLine).filter_by(object_kind="prompt")
        assert [line.act for line in lines.order_by(LedgerLine.sequence)] == [
            *["keep_take", "use_take"] * 2, "use_take", "put_aside_take",
        ]  # fmt: skip


def test_a_question_asked_again_is_spoken_by_whoever_spoke_it_first(
    house: TestHouse, company: Company
) -> None:
    settings = house.runtime.settings
    url, form = f"{house.public_url}/ivr/ring", {"CallSid": "CA1", "From": LI}

    def rings() -> str:
        return house.app.test_client().post(
            url, data=form, headers={settings.signature_header: sign(settings, url, form)}
        ).text  # fmt: skip

    first = spoken_by(house, GREETING, 1)
    asked = rings()
    second = spoken_by(house, GREETING, 2)
    assert address(first) in asked
    assert rings() == asked
    form["CallSid"] = "CA2"
    assert address(second) in rings()


def test_a_recording_of_words_that_changed_is_not_played(house: TestHouse, company: Company) -> None:  # fmt: skip
    company.connect(FlaskDoor(house.app), house.public_url, house.clock)
    runtime = house.runtime
    take = spoken_by(house, GREETING)
    opening(company)
    renamed = runtime.settings.model_copy(update={"line_name": "平安热线"})
    with runtime.db.writing() as session:
        house.clock.advance(60)
        assert studio.retire(session, renamed, house.clock.now()) == 1
        assert studio.retire(session, renamed, house.clock.now()) == 0
    with runtime.db.reading() as session:
        standing = studio.standings(session, renamed)[GREETING]
        assert (standing.take, standing.outdated) == (None, True)
        assert studio.count(studio.standings(session, renamed))[:2] == (0, 1)
        assert heard.in_call(session, 1)[0].voice is not None
    house.clock.advance(2)
    assert opening(company)[0].startswith("您好")
    with pytest.raises(studio.NotUsableError), runtime.db.writing() as session:
        studio.use(session, renamed, session.get_one(Take, take.id), SYSTEM, house.clock.now())


# --- by telephone


@BOTH_LINES
@ON_BOTH
def test_what_is_recorded_by_telephone_is_heard_by_the_next_caller(
    house: TestHouse, company: Company, tmp_path: Path
) -> None:
    company.connect(FlaskDoor(house.app), house.public_url, house.clock)
    house.books.has_pin(PHONES["管理员"], PIN)
    said = saved(tmp_path, "said.wav", wav(pcm16(voice(3))))
    admin = company.caller(PHONES["管理员"]).dials()
    admin.presses("2").presses(PIN)
    for spot, fault_file in ((GREETING, None), (ASKED_TO_SPEAK, wav(pcm16(voice(3, level_dbov=-60))))):  # fmt: skip
        file = said if fault_file is None else saved(tmp_path, "quiet.wav", fault_file)
        admin.presses(str(NUMBER_OF[spot])).says("……", seconds=3, file=file).presses("1")
        admin.presses("1")
    admin.hangs_up()
    with house.runtime.db.reading() as session:
        assert session.query(Choice).count() == 0, "its sound is not home yet"
    house.books.works()
    house.clock.advance(studio.HOLDS_AFTER.total_seconds())

    with house.runtime.db.reading() as session:
        good, quiet = session.query(Take).order_by(Take.id)
        assert (good.spot, good.fault, good.origin) == (GREETING, None, Origin.PHONE)
        assert (quiet.spot, quiet.fault, quiet.wanted) == (ASKED_TO_SPEAK, Fault.QUIET, True)
        people = {line.person for line in session.query(LedgerLine).filter_by(object_kind="prompt")}
        assert people == {ledger.volunteer(good.made_by or 0).label}
    assert opening(company)[0] == address(good)


# --- around it


def test_a_house_that_starts_with_other_words_puts_old_recordings_aside(
    house: TestHouse,
) -> None:
    spoken_by(house, GREETING)
    settings = house.runtime.settings
    retire_old_words(settings, house.clock.now())
    with house.runtime.db.reading() as session:
        assert session.query(Choice).count() == 1
    retire_old_words(settings.model_copy(update={"line_name": "平安热线"}), house.clock.now())
    with house.runtime.db.reading() as session:
        assert [choice.take_id for choice in session.query(Choice).order_by(Choice.id)] == [1, None]
    finding = check_prompts(house.runtime.db, settings)
    assert (finding.health, "1 句的词改过了，要重录" in finding.sentence) == (Health.MIND, True)
    house.runtime.prompt_store.delete(spoken_by(house, GREETING).sound_key)
    assert check_prompts(house.runtime.db, settings).health is Health.ILL


def test_the_exchange_has_the_apology_at_hand(house: TestHouse, tmp_path: Path) -> None:
    """It speaks these words when we do not answer: with the recording, not by espeak-ng."""
    runtime, folder = house.runtime, tmp_path / "laid out"

    def says() -> bytes:
        with runtime.db.reading() as session:
            studio.lay_out_apology(session, runtime.settings, runtime.prompt_store, folder)
        speaker = Speaker(tmp_path / "cache", folder, "cmn-latn-pinyin", 150)
        return asyncio.run(speaker.say(Scribe(runtime.settings, voices.Voices()).sorry())).alaw

    machine = says()
    spoken_by(house, studio.APOLOGY)
    person = says()
    with runtime.db.writing() as session:
        studio.put_aside(session, studio.APOLOGY, SYSTEM, house.clock.now())
    assert len(person) == pytest.approx(2 * 8000, rel=0.2) != len(machine)
    assert says() == machine


def test_a_folder_of_recordings_is_brought_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOTLINE_DATA_FOLDER", str(tmp_path / "data"))
    for name, level_dbov in {"I01.wav": -20, "I13-2.wav": -20, f"{JINHUA}/I01.wav": -20, "I10.wav": -60, "I99.wav": -20}.items():  # fmt: skip
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        saved(tmp_path / "in", name, wav(pcm16(voice(2, level_dbov=level_dbov))))
    said = CliRunner().invoke(main, ["prompts", "import", str(tmp_path / "in")])
    assert "用上了 3 句。2 个文件不能用。" in said.output
    assert "I10.wav：声音太小" in said.output
    assert "I99.wav：没有这一句" in said.output
    listed = CliRunner().invoke(main, ["prompts", "list"]).output
    assert "1001  I01 真人第1遍 您好，这里是红色助跑热线。" in listed
    assert listed.count("真人") == 3
