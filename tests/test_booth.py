"""The booth: whatever is in a recording, one plain outcome comes back and nothing of the room is left."""

import gc
import os
import random
import select
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
import sounds

from asr import isolation, recognizer, transcript
from asr.audio import Sound
from asr.booth import LONGEST_SECONDS, Booth
from asr.recognizer import Recognizer
from asr.transcript import Outcome, Transcript, Word

DEMO = Path(recognizer.__file__).parent / "model" / "demo-cn"
SAID = sounds.wav(sounds.pcm16(sounds.voice(2)))
FUZZ_SEED = 20261123
FUZZ_CASES = 2_010


class Actor:
    """A recogniser that plays a part once the sound is decoded."""

    name, demo, rate_hz = "actor", False, 8000

    def __init__(self, part: Callable[[], object]) -> None:
        self._part = part

    def transcribe(self, sound: Sound) -> Transcript:
        self._part()
        return transcript.heard(
            [Word("好", 0, 0.3, 1)], seconds=sound.seconds, speech_seconds=0.3, model=self.name
        )


@pytest.fixture(scope="module")
def demo() -> Recognizer:
    return recognizer.load(DEMO)


@pytest.fixture(autouse=True)
def strangers() -> Iterator[set[int]]:
    """The children that were here before a test, as a database server; and no other, nor a file, stays behind."""
    gc.collect()  # what other tests have forgotten
    before, files = children(), len(list(Path("/proc/self/fd").iterdir()))
    yield before
    assert children() == before
    assert len(list(Path("/proc/self/fd").iterdir())) == files


def children() -> set[int]:
    """The children of this process, the dead that nobody has waited for included."""
    of_threads = Path("/proc/self/task").glob("*/children")
    return {int(child) for each in of_threads for child in each.read_text().split()}


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return sounds.saved(tmp_path, "recording.wav", SAID)


@contextmanager
def open_booth(ear: Recognizer | None, *, max_wall_seconds: float = 20) -> Iterator[Booth]:
    with closing(
        Booth(ear, max_wall_seconds=max_wall_seconds, max_memory_bytes=512 << 20)
    ) as booth:
        yield booth


def listen(recording: Path, ear: Recognizer | None, *, max_wall_seconds: float = 20) -> Transcript:
    with open_booth(ear, max_wall_seconds=max_wall_seconds) as booth:
        return booth.transcribe(recording)


def test_a_recording_is_heard(demo: Recognizer, recording: Path) -> None:
    heard = listen(recording, demo)
    assert (heard.outcome, heard.model) == (Outcome.HEARD, "demo-cn")
    assert heard.seconds == pytest.approx(2, abs=0.01)


def test_without_a_model_it_is_still_known_how_long_somebody_spoke(recording: Path) -> None:
    heard = listen(recording, None)
    assert heard.outcome is Outcome.NO_MODEL
    assert heard.seconds == pytest.approx(2, abs=0.01)
    assert heard.speech_seconds > 0.5


@pytest.mark.parametrize("with_model", [True, False])
@pytest.mark.parametrize(
    ("content", "outcome"),
    [
        (b"", Outcome.UNREADABLE),
        (b"<html>404</html>", Outcome.UNREADABLE),
        (sounds.wav(b"", data_size=9000), Outcome.SILENT),
        (sounds.wav(sounds.pcm16(sounds.silence(3))), Outcome.SILENT),
        (sounds.wav(sounds.pcm16(sounds.noise(3))), Outcome.SILENT),
        (sounds.wav(sounds.pcm16(sounds.busy_tone(6))), Outcome.SILENT),
        (sounds.wav(sounds.pcm16(sounds.ring_tone(12))), Outcome.SILENT),
    ],
    ids=["empty", "error page", "header only", "silence", "noise", "busy tone", "ring tone"],
)
def test_what_nobody_said_has_a_plain_outcome(
    demo: Recognizer, tmp_path: Path, content: bytes, outcome: Outcome, with_model: bool
) -> None:
    heard = listen(sounds.saved(tmp_path, "recording.wav", content), demo if with_model else None)
    assert (heard.outcome, heard.text) == (outcome, "")


def hang() -> None:
    while True:
        time.sleep(1)


def grow() -> None:
    hoard = []
    while True:
        hoard.append(np.ones(10_000_000))


@pytest.mark.parametrize(
    "part",
    [
        hang,
        grow,
        os.abort,
        lambda: os.kill(os.getpid(), signal.SIGSEGV),
        lambda: os._exit(0),
        lambda: 1 / 0,
    ],
    ids=["hangs", "grows", "aborts", "crashes", "leaves", "fails"],
)
def test_an_ear_that_dies_is_tried_twice_and_then_given_up(
    recording: Path, tmp_path: Path, part: Callable[[], object]
) -> None:
    tries = tmp_path / "tries"

    def once_more() -> None:
        with tries.open("a") as file:
            file.write("x")
        part()

    start = time.monotonic()
    heard = listen(recording, Actor(once_more), max_wall_seconds=0.6 if part is hang else 20)
    assert heard.outcome is Outcome.GAVE_UP
    assert tries.read_text() == "xx"
    assert heard.seconds == pytest.approx(2, abs=0.01)
    assert heard.speech_seconds > 0.5
    assert heard.note
    assert time.monotonic() - start < 10


def test_one_child_listens_to_one_recording_after_another(
    demo: Recognizer, recording: Path, strangers: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolation, "MOST_REQUESTS", 3)
    seen = []
    with open_booth(demo) as booth:
        for _ in range(4):
            assert booth.transcribe(recording).outcome is Outcome.HEARD
            seen.append(children() - strangers)
    assert len(seen[0]) == len(seen[3]) == 1
    assert seen[1:3] == [seen[0], set()]  # after three it has done its share
    assert seen[3] != seen[0]


def test_a_child_that_died_while_it_waited_costs_no_recording(
    demo: Recognizer, recording: Path, strangers: set[int]
) -> None:
    with open_booth(demo) as booth:
        booth.open()
        (child,) = children() - strangers
        os.kill(child, signal.SIGKILL)
        assert booth.transcribe(recording).outcome is Outcome.HEARD


def test_a_booth_that_nobody_holds_any_more_leaves_no_child(
    demo: Recognizer, strangers: set[int]
) -> None:
    booth = Booth(demo, max_wall_seconds=20, max_memory_bytes=512 << 20)
    booth.open()
    assert len(children() - strangers) == 1
    del booth
    assert children() == strangers


def test_a_child_whose_parent_is_killed_ends_by_itself(demo: Recognizer) -> None:
    told, tells = os.pipe()
    parent = os.fork()
    if parent == 0:
        booth = Booth(demo, max_wall_seconds=20, max_memory_bytes=512 << 20)
        booth.open()
        os.write(tells, " ".join(map(str, children())).encode())
        signal.pause()
    child = int(os.read(told, 100))
    os.close(told)
    os.close(tells)
    end = os.pidfd_open(child)
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    ended, _, _ = select.select([end], [], [], 10)
    os.close(end)
    assert ended


def test_an_ear_that_dies_once_is_heard_the_second_time(recording: Path, tmp_path: Path) -> None:
    def first_time_only() -> None:
        if not (tmp_path / "tried").exists():
            (tmp_path / "tried").touch()
            os.abort()

    assert listen(recording, Actor(first_time_only)).text == "好"


def test_nothing_of_the_child_reaches_the_streams_of_the_service(
    recording: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def talk() -> None:
        os.write(1, b"words")
        os.write(2, b"last words")

    listen(recording, Actor(talk))
    assert capfd.readouterr() == ("", "")


def test_a_job_that_is_interrupted_leaves_no_child(recording: Path) -> None:
    def interrupt(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        with pytest.raises(TimeoutError):
            listen(recording, Actor(hang))
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_parent_that_ignores_its_children_is_served_too(
    demo: Recognizer, recording: Path
) -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert listen(recording, demo).outcome is Outcome.HEARD
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_threads_take_turns_in_one_booth(demo: Recognizer, recording: Path) -> None:
    outcomes: list[Outcome] = []
    with open_booth(demo) as booth:
        threads = [
            threading.Thread(
                target=lambda: outcomes.extend(
                    booth.transcribe(recording).outcome for _ in range(5)
                )
            )
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert outcomes == [Outcome.HEARD] * 20


def test_the_warning_of_newer_pythons_about_forks_is_no_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fork = os.fork

    def warning_fork() -> int:
        child = fork()
        if child:
            warnings.warn(
                "use of fork() may lead to deadlocks in the child", DeprecationWarning, stacklevel=2
            )
        return child

    monkeypatch.setattr(os, "fork", warning_fork)
    report = isolation.apart(
        lambda send: send("done"), max_wall_seconds=5, max_memory_bytes=1 << 28
    )
    assert report == isolation.Report(("done",), None)


def test_a_long_report_comes_whole(recording: Path) -> None:
    report = isolation.apart(
        lambda send: send("字" * 300_000), max_wall_seconds=10, max_memory_bytes=1 << 28
    )
    assert report == isolation.Report(("字" * 300_000,), None)


def spoilt(whole: bytes, draw: random.Random) -> bytes:
    """Flip, cut, repeat or overwrite some bytes, the first hundred more often: headers are there."""
    content = bytearray(whole)
    for _ in range(draw.choice((1, 1, 2, 4, 16))):
        at = (
            draw.randrange(min(len(content), draw.choice((100, len(content), len(content)))))
            if content
            else 0
        )
        match draw.randrange(6):
            case 0 | 1 if content:
                content[at] ^= 1 << draw.randrange(8)
            case 2 if content:
                content[at : at + 4] = draw.choice(
                    (b"\xff\xff\xff\xff", bytes(4), draw.randbytes(4))
                )
            case 3:
                del content[at:]
            case 4:
                del content[at : at + draw.randrange(1, 200)]
            case _:
                content[at:at] = content[at : at + draw.randrange(1, 200)]
    return bytes(content)


def test_two_thousand_spoilt_recordings_cost_nothing_but_themselves(
    demo: Recognizer, tmp_path: Path
) -> None:
    voice = sounds.voice(0.4)
    two_legs = sounds.wav(sounds.pcm16(np.array([voice, -voice])), channels=2)
    kinds = [*sounds.every_kind(voice).values(), two_legs]
    draw = random.Random(FUZZ_SEED)
    path = tmp_path / "spoilt"
    slowest, seen = 0.0, dict.fromkeys(Outcome, 0)
    with (
        open_booth(demo, max_wall_seconds=10) as with_model,
        open_booth(None, max_wall_seconds=10) as without,
    ):
        for case in range(FUZZ_CASES):
            path.write_bytes(spoilt(kinds[case % len(kinds)], draw))
            start = time.monotonic()
            heard = (without if case % 3 else with_model).transcribe(path)
            slowest = max(slowest, time.monotonic() - start)
            seen[heard.outcome] += 1
            assert heard.seconds <= LONGEST_SECONDS
    assert slowest < 10
    assert seen[Outcome.HEARD] > 200, seen
    assert seen[Outcome.UNREADABLE] > 30, seen
    assert seen[Outcome.GAVE_UP] == 0, seen
