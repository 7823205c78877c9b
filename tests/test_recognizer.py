"""The recogniser behind its protocol: genuine libvosk with the demonstration model, and model folders that are none."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import sounds

from asr import audio, isolation, recognizer, shelf, transcript
from asr.recognizer import Recognizer
from asr.shelf import Fault, ModelUnusable
from asr.transcript import Outcome, Transcript, Word

MODELS = Path(recognizer.__file__).parent / "model"
DEMO = MODELS / "demo-cn"
SAMPLES = MODELS / "samples"
NOBODY = 65534
SAID = {each["file"]: each["words"].replace(" ", "").replace("，", "") for each in json.loads((SAMPLES / "samples.json").read_text())}  # fmt: skip


@pytest.fixture(scope="module")
def demo() -> Recognizer:
    return recognizer.load(DEMO)


def listen(ear: Recognizer, path: Path) -> Transcript:
    return ear.transcribe(audio.read(path, rate_hz=ear.rate_hz, max_seconds=60))


def mistakes(said: str, heard: str) -> int:
    """Count the characters to change, drop or add."""
    row = list(range(len(heard) + 1))
    for at, wanted in enumerate(said, 1):
        before, row[0] = row[0], at
        for place, given in enumerate(heard, 1):
            best = min(row[place] + 1, row[place - 1] + 1, before + (wanted != given))
            before, row[place] = row[place], best
    return row[-1]


def test_the_demonstration_model_says_what_it_is(demo: Recognizer) -> None:
    assert (demo.name, demo.demo, demo.rate_hz) == ("demo-cn", True, 8000)


def test_the_sample_recordings_become_their_text(demo: Recognizer) -> None:
    wrong = sum(mistakes(said, listen(demo, SAMPLES / file).text) for file, said in SAID.items())
    assert wrong <= 0.06 * sum(map(len, SAID.values()))
    assert all(listen(demo, SAMPLES / file).trusted for file in SAID)


def test_words_follow_one_another_and_lie_within_the_recording(demo: Recognizer) -> None:
    heard = listen(demo, SAMPLES / "leaking-pipe.wav")
    times = [time for word in heard.words for time in (word.start_seconds, word.end_seconds)]
    assert times == sorted(times)
    assert 0 <= times[0] < times[-1] <= heard.seconds
    assert all(0 <= word.confidence <= 1 for word in heard.words)
    assert heard.model == "demo-cn"


def test_what_is_said_after_a_long_pause_is_collected_too(demo: Recognizer, tmp_path: Path) -> None:
    raw = (SAMPLES / "leaking-pipe.wav").read_bytes()[44:]
    twice = sounds.saved(tmp_path, "twice.wav", sounds.wav(raw + bytes(16_000 * 4) + raw))
    once, both = listen(demo, SAMPLES / "leaking-pipe.wav"), listen(demo, twice)
    assert mistakes(once.text * 2, both.text) <= 2
    assert both.words[-1].start_seconds > once.seconds + 4


def test_sounds_without_words_are_not_trusted(demo: Recognizer, tmp_path: Path) -> None:
    heard = listen(
        demo, sounds.saved(tmp_path, "voice.wav", sounds.wav(sounds.pcm16(sounds.voice(5))))
    )
    assert not heard.trusted


def broken(damage: Callable[[Path], object]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        copy = Path(shutil.copytree(DEMO, folder / "copy"))
        damage(copy)
        return copy

    return make


def without(name: str) -> Callable[[Path], Path]:
    return broken(lambda folder: (folder / name).unlink())


def halved(name: str) -> Callable[[Path], Path]:
    return broken(
        lambda folder: (folder / name).write_bytes(
            (DEMO / name).read_bytes()[: (DEMO / name).stat().st_size // 2]
        )
    )


BROKEN = {
    "no folder": (lambda folder: folder / "nowhere", Fault.MISSING),
    "a file": (lambda folder: sounds.saved(folder, "model", b"not a folder"), Fault.MISSING),
    "an empty folder": (lambda folder: folder, Fault.INCOMPLETE),
    "no acoustic model": (without("am/final.mdl"), Fault.INCOMPLETE),
    "no word list": (without("graph/words.txt"), Fault.INCOMPLETE),
    "no settings": (without("conf/model.conf"), Fault.INCOMPLETE),
    "an empty word list": (broken(lambda folder: (folder / "graph/words.txt").write_text("")), Fault.INCOMPLETE),
    "no grammar": (without("graph/Gr.fst"), Fault.INCOMPLETE),
    "half an acoustic model": (halved("am/final.mdl"), Fault.REFUSED),
    "half a graph": (halved("graph/HCLr.fst"), Fault.REFUSED),
    "a rate that is none": (broken(lambda folder: (folder / "conf/mfcc.conf").write_text("--sample-frequency=4000000000\n")), Fault.REFUSED),
    "a strange setting": (broken(lambda folder: (folder / "conf/model.conf").write_text("--no-such=1\n")), Fault.REFUSED),
}  # fmt: skip


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_model_is_named_in_one_sentence(tmp_path: Path, fault: str) -> None:
    make, kind = BROKEN[fault]
    folder = make(tmp_path)
    with pytest.raises(ModelUnusable) as refused:
        recognizer.load(folder)
    assert refused.value.fault is kind
    assert str(folder) in str(refused.value)
    assert "\n" not in str(refused.value)


CLOSED = {
    "the folder": (".", 0o000),
    "a folder in it": ("am", 0o600),
    "a file in it": ("conf/model.conf", 0o000),
    "what it stands in": ("..", 0o000),
}


@pytest.mark.parametrize("what", [*CLOSED, "nothing"])
def test_a_model_that_may_not_be_read_is_said_to_be_so(what: str) -> None:
    name, mode = CLOSED.get(what, (".", 0o755))
    with (
        tempfile.TemporaryDirectory() as house
    ):  # everybody may look into /tmp, but not where pytest keeps its own
        folder = Path(shutil.copytree(DEMO, Path(house) / "copy"))
        victim = (folder / name).resolve()
        Path(house).chmod(0o755)
        victim.chmod(mode)
        report = isolation.apart(
            lambda send: send(_said_to_a_user(folder)), max_wall_seconds=20, max_memory_bytes=1 << 30
        )  # fmt: skip
        victim.chmod(0o755)
    assert report == isolation.Report((Fault.CLOSED if what in CLOSED else "",), None)


def _said_to_a_user(folder: Path) -> str:
    """Look a folder over as somebody who is not root, who may read everything."""
    if os.getuid() == 0:
        os.setuid(NOBODY)
    try:
        assert shelf.find(folder, []) == folder
        shelf.look_over(folder)
    except ModelUnusable as refused:
        return refused.fault
    return ""


def test_a_word_that_the_list_lacks_was_not_heard(tmp_path: Path) -> None:
    """A list cut short, as a full disk leaves it: the text must not close over the gap."""
    listed = (DEMO / "graph/words.txt").read_text().splitlines(keepends=True)[:100]
    folder = broken(lambda folder: (folder / "graph/words.txt").write_text("".join(listed)))(
        tmp_path
    )
    ear = recognizer.load(folder)
    heard = ear.transcribe(audio.read(SAMPLES / "ride.wav", rate_hz=ear.rate_hz, max_seconds=60))
    assert heard.text == "明天上午九点〔听不清〕我〔听不清〕"
    assert not heard.trusted


def test_a_model_full_of_chance_ends_its_trial_and_not_the_service(tmp_path: Path) -> None:
    whole = bytearray((DEMO / "am/final.mdl").read_bytes())
    faults = set()
    for seed in range(12):
        spoilt = bytearray(whole)
        for at in range(seed * 37, len(spoilt), 4001):
            spoilt[at] ^= 0xA5
        copy = broken(lambda folder, b=bytes(spoilt): (folder / "am/final.mdl").write_bytes(b))(
            tmp_path / str(seed)
        )
        try:
            assert recognizer.load(copy).name == "copy"
        except ModelUnusable as refused:
            faults.add(refused.fault)
    assert faults <= {Fault.REFUSED, Fault.DEADLY}


@pytest.mark.parametrize(
    ("conf", "rate_hz"), [("--sample-frequency=8000\n", 8000), ("--num-mel-bins=40\n", 16000)]
)
def test_the_rate_is_the_one_the_model_was_made_for(
    tmp_path: Path, conf: str, rate_hz: int
) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/mfcc.conf").write_text("--use-energy=false\n" + conf)
    assert recognizer.sample_rate_hz(tmp_path) == rate_hz


def words(*said: tuple[str, float]) -> list[Word]:
    return [Word(text, at * 0.4, at * 0.4 + 0.3, sure) for at, (text, sure) in enumerate(said)]


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (["我", "要", "报销"], "我要报销"),
        (["找", "[unk]", "[unk]", "王师傅"], "找〔听不清〕王师傅"),
        (["办", "ETC", "card", "的"], "办ETC card的"),
        ([], ""),
    ],
)
def test_a_text_is_written_as_chinese_is(said: list[str], text: str) -> None:
    assert transcript.written(said) == text


def test_a_sure_text_at_the_pace_of_speech_is_trusted() -> None:
    said = words(("我", 1), ("要", 0.98), ("报销", 0.95), ("医药费", 0.9))
    assert transcript.heard(said, seconds=4, speech_seconds=2, model="m").trusted


@pytest.mark.parametrize(
    ("said", "speech_seconds"),
    [
        ([("我", 0.5), ("要", 0.5), ("报销", 0.6)], 1.5),
        ([("我", 1), ("[unk]", 1), ("要", 1), ("去", 1), ("报销", 1)], 1.5),
        ([("我", 1)], 0.3),
        ([("我", 1)], 20),
        ([("我要报销医药费", 1)] * 9, 2),
        ([], 5),
    ],
    ids=[
        "unsure",
        "a word not heard",
        "one word",
        "one word in 20 s",
        "faster than speech",
        "no words",
    ],
)
def test_a_doubtful_text_is_not_trusted(
    said: list[tuple[str, float]], speech_seconds: float
) -> None:
    heard = transcript.heard(words(*said), seconds=30, speech_seconds=speech_seconds, model="m")
    assert heard.outcome is Outcome.HEARD
    assert not heard.trusted


def test_a_text_that_was_mostly_not_heard_says_nothing_of_what_it_is_about() -> None:
    """As the demonstration model heard a stranger's English: 车停了, and knew no more."""
    said = words(("车停了", 0.9), ("[unk]", 1.0), ("[unk]", 1.0))
    assert not transcript.heard(said, seconds=9, speech_seconds=7, model="m").telling
    said = words(("交", 0.9), ("水费", 0.7), ("[unk]", 1.0), ("我", 0.3))
    assert transcript.heard(said, seconds=9, speech_seconds=2, model="m").telling


def test_of_the_demonstration_model_a_few_sure_words_are_no_text_and_about_nothing() -> None:
    """As it heard people who said other things: it is sure of what it has not heard."""
    few = words(("喂", 1), ("能", 1), ("拿", 1), ("麻烦", 1), ("您", 1), ("了", 1))
    many = words(("快来", 1), ("人", 0.95), ("我", 0.97), ("老伴", 1), ("摔倒", 1), ("了", 1))
    for said, demo, sound in ((few, True, False), (few, False, True), (many, True, True)):
        heard = transcript.heard(said, seconds=4, speech_seconds=2, model="m", demo=demo)
        assert (heard.trusted, heard.telling) == (sound, sound)


def test_a_short_word_weighs_less_than_a_long_one() -> None:
    for said, sound in (
        ((("医药费报销", 1), ("我", 0.55), ("要", 0.8), ("去", 1)), True),
        ((("医药费报销", 0.5), ("我", 1), ("要", 1), ("去", 1)), False),
    ):
        heard = transcript.heard(words(*said), seconds=4, speech_seconds=2, model="m")
        assert heard.trusted == sound


def test_a_transcript_survives_being_written_down() -> None:
    heard = transcript.heard(
        words(("我", 0.9), ("[unk]", 0.2)), seconds=3, speech_seconds=1, model="m"
    )
    assert Transcript.from_json(heard.to_json()) == heard
