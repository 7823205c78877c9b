"""The Asterisk engine against a scripted ARI; `make test-asterisk` tries a real one."""

import multiprocessing
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from exchange_house import OUR_NUMBER, House, Running, find, house, prompt, until, wav_bytes
from scripted_asterisk import PASSWORD, USER, ScriptedAsterisk

from ivr.exchange import asterisk_config
from ivr.exchange.server import main
from ivr.exchange.settings import Asterisk, EngineKind, ExchangeSettings, Trunk

GREETING, REQUEST = prompt(1, 3.0), prompt(7, 2.0)
SOFTLY = (REQUEST * 10 ** (-30 / 20)).astype(np.int16)
MESSAGE = (
    '<Record action="/kept" maxLength="60" timeout="8" finishOnKey="" playBeep="false"'
    ' recordingStatusCallback="/recorded"/><Redirect>/empty</Redirect>'
)


@dataclass
class Scene:
    home: House
    asterisk: ScriptedAsterisk
    exchange: Running


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[tuple[House, ScriptedAsterisk]]:
    with ScriptedAsterisk() as asterisk, house(tmp_path) as home:
        home.app.sounds["/greeting.wav"] = wav_bytes(GREETING)
        home.app.pages["/voice"] = lambda form: (
            '<Gather action="/turn" numDigits="1" timeout="4" finishOnKey="">'
            "<Play>/greeting.wav</Play></Gather><Redirect>/silent</Redirect>"
        )
        home.app.pages["/turn"] = lambda form: MESSAGE
        home.app.pages["/news"] = lambda form: (
            '<Gather action="/confirmed" numDigits="1" timeout="9" finishOnKey="">'
            "<Play>/greeting.wav</Play></Gather>"
        )
        home.settings |= {
            "engine": EngineKind.ASTERISK,
            "asterisk": Asterisk(
                url=f"http://127.0.0.1:{asterisk.port}",
                username=USER,
                password=PASSWORD,
                sounds_folder=tmp_path / "sounds",
            ),
        }
        yield home, asterisk


@pytest.fixture
def scene(stage: tuple[House, ScriptedAsterisk]) -> Scene:
    home, asterisk = stage
    return Scene(home, asterisk, home.exchange())


def test_a_caller_presses_speaks_and_hangs_up(scene: Scene) -> None:
    grandma = scene.asterisk.rings("13812345678")
    first = scene.home.app.wait_for("/voice")
    assert first.form["From"] == "13812345678"
    scene.asterisk.wait_for("POST", "/play/")
    scene.asterisk.presses(grandma, "1")
    assert scene.home.app.wait_for("/turn").form["Digits"] == "1"
    scene.asterisk.wait_for("DELETE", "playbacks/")
    assert sum(map(len, grandma.heard)) < len(GREETING)  # the key cut it short
    asked = scene.asterisk.wait_for("POST", "/record")
    assert (asked["maxDurationSeconds"], asked["maxSilenceSeconds"]) == ("60", "0")
    grandma.spoken = REQUEST
    scene.asterisk.hangs_up(grandma)
    kept = scene.home.app.wait_for("/kept", Digits="hangup")
    scene.home.app.wait_for("/recorded", RecordingStatus="completed")
    scene.home.app.wait_for("/status", CallStatus="completed")
    assert find(REQUEST, scene.exchange.recording(kept.form["RecordingSid"]))[0] >= 0.9
    scene.asterisk.wait_for("DELETE", "recordings/stored/")


def test_silence_ends_a_message_and_an_empty_one_falls_through(scene: Scene) -> None:
    scene.home.app.pages["/voice"] = lambda form: MESSAGE
    scene.home.app.pages["/empty"] = lambda form: MESSAGE
    scene.home.app.pages["/kept"] = lambda form: "<Hangup/>"
    grandma = scene.asterisk.rings("anonymous")
    scene.asterisk.wait_for("POST", "/record")
    scene.asterisk.ends_the_recording(grandma)
    scene.home.app.wait_for("/empty")
    scene.asterisk.wait_for("POST", "/record", count=2)
    grandma.spoken = REQUEST
    scene.asterisk.ends_the_recording(grandma)
    kept = scene.home.app.wait_for("/kept")
    assert "Digits" not in kept.form
    scene.home.app.wait_for("/status")
    assert grandma.cause == 16


def test_a_soft_voice_is_no_silence(scene: Scene) -> None:
    """Asterisk's own threshold is far above an old person's voice: silence is told by ours."""
    scene.home.app.pages["/voice"] = lambda form: MESSAGE.replace('timeout="8"', 'timeout="1"')
    scene.home.app.pages["/kept"] = lambda form: "<Hangup/>"
    grandma = scene.asterisk.rings("13812345678")
    scene.asterisk.wait_for("POST", "/record")
    scene.asterisk.speaks(grandma, on=True)
    time.sleep(1.5)  # she speaks for longer than the silence that ends a message
    assert not any("stop" in path for _, path, _ in scene.asterisk.commands)
    grandma.spoken = SOFTLY
    scene.asterisk.speaks(grandma, on=False)
    scene.asterisk.wait_for("POST", "/stop")
    kept = scene.home.app.wait_for("/kept")
    assert find(SOFTLY, scene.exchange.recording(kept.form["RecordingSid"]))[0] >= 0.9


def test_an_asterisk_that_cannot_tell_talk_measures_silence_itself(scene: Scene) -> None:
    scene.asterisk.tells_talk = False
    scene.home.app.pages["/voice"] = lambda form: MESSAGE
    grandma = scene.asterisk.rings("13812345678")
    assert scene.asterisk.wait_for("POST", "/record")["maxSilenceSeconds"] == "8"
    grandma.spoken = REQUEST
    scene.asterisk.ends_the_recording(grandma)
    scene.home.app.wait_for("/kept")


def test_asterisks_disk_is_full_while_she_speaks(scene: Scene) -> None:
    """What it has is kept and told as cut short, and she is asked again."""
    scene.home.app.pages["/voice"] = lambda form: MESSAGE
    scene.home.app.pages["/empty"] = lambda form: MESSAGE
    grandma = scene.asterisk.rings("13812345678")
    scene.asterisk.wait_for("POST", "/record")
    grandma.spoken = REQUEST
    scene.asterisk.cannot_go_on(grandma)
    scene.home.app.wait_for("/empty")
    recorded = scene.home.app.wait_for("/recorded", RecordingStatus="completed", ErrorCode="507")
    assert find(REQUEST, scene.exchange.recording(recorded.form["RecordingSid"]))[0] >= 0.9
    scene.asterisk.wait_for("POST", "/record", count=2)
    assert scene.home.app.count("/kept") == 0


def test_a_withheld_number_stays_withheld(scene: Scene) -> None:
    scene.asterisk.rings("13812345678", "prohib_passed_screen")
    assert scene.home.app.wait_for("/voice").form["From"] == "anonymous"


def test_a_key_ends_a_message(scene: Scene) -> None:
    scene.home.app.pages["/voice"] = lambda form: MESSAGE.replace(
        'finishOnKey=""', 'finishOnKey="123#"'
    )
    grandma = scene.asterisk.rings("13812345678")
    scene.asterisk.wait_for("POST", "/record")
    grandma.spoken = REQUEST
    scene.asterisk.presses(grandma, "2")
    assert scene.home.app.wait_for("/kept").form["Digits"] == "2"


def _place(scene: Scene, seconds: int = 20) -> None:
    scene.exchange.client.calls.create(
        to="+8613812345678",
        from_=OUR_NUMBER,
        url=f"{scene.home.app.base}/news",
        timeout=seconds,
        status_callback=f"{scene.home.app.base}/status",
        status_callback_event=["ringing", "answered", "completed"],
    )


def test_a_return_call(scene: Scene) -> None:
    _place(scene)
    scene.home.app.wait_for("/status", CallStatus="ringing")
    scene.home.app.wait_for("/news")
    (grandma,) = scene.asterisk.channels.values()
    assert grandma.number == "13812345678"
    scene.asterisk.wait_for("POST", "/play/")
    scene.asterisk.presses(grandma, "1")
    assert scene.home.app.wait_for("/confirmed").form["Digits"] == "1"
    scene.home.app.wait_for("/status", CallStatus="completed")


@pytest.mark.parametrize(
    ("how", "outcome"),
    [("busy", "busy"), ("silent", "no-answer"), ("off", "failed"), ("fail", "failed")],
)
def test_a_call_that_is_not_answered(scene: Scene, how: str, outcome: str) -> None:
    scene.asterisk.on_originate = how
    _place(scene, seconds=1)
    scene.home.app.wait_for("/status", CallStatus=outcome)
    scene.exchange.until(lambda: not scene.asterisk.channels)


def test_a_volunteer_takes_the_call(scene: Scene) -> None:
    scene.home.app.pages["/voice"] = lambda form: (
        '<Dial action="/dialled" timeout="20"><Number url="/whisper">+8613900000001</Number></Dial>'
    )
    scene.home.app.pages["/whisper"] = lambda form: (
        '<Gather action="/taken" numDigits="1" timeout="5"/><Hangup/>'
    )
    scene.home.app.pages["/dialled"] = lambda form: MESSAGE
    grandma = scene.asterisk.rings("13812345678")
    scene.home.app.wait_for("/whisper")
    (volunteer,) = [c for c in scene.asterisk.channels.values() if c is not grandma]
    scene.asterisk.presses(volunteer, "1")
    scene.asterisk.wait_for("POST", "/addChannel")
    assert sorted(*scene.asterisk.bridges.values()) == sorted([grandma.id, volunteer.id])
    scene.asterisk.hangs_up(volunteer)
    form = scene.home.app.wait_for("/dialled").form
    assert (form["DialCallStatus"], form["DialBridged"]) == ("completed", "true")
    scene.asterisk.wait_for("POST", "/record")  # taken out of the bridge, she goes on
    grandma.spoken = REQUEST
    scene.asterisk.hangs_up(grandma)
    scene.home.app.wait_for("/kept", Digits="hangup")


def test_asterisk_is_started_anew(scene: Scene) -> None:
    grandma = scene.asterisk.rings("13812345678")
    scene.home.app.wait_for("/voice")
    scene.asterisk.wait_for("POST", "/play/")
    scene.asterisk.drops_the_line()
    scene.home.app.wait_for("/status", CallStatus="completed")
    scene.exchange.until(lambda: grandma.id not in scene.asterisk.channels)  # tidied up
    scene.exchange.until(lambda: bool(scene.asterisk.sockets))
    scene.asterisk.rings("13812345679")
    scene.home.app.wait_for("/voice", From="13812345679")


def test_what_a_killed_exchange_was_recording_is_kept(
    stage: tuple[House, ScriptedAsterisk],
) -> None:
    home, asterisk = stage
    home.app.pages["/voice"] = lambda form: MESSAGE
    process = multiprocessing.get_context("spawn").Process(target=main, args=(home.arranged(),))
    process.start()
    until(lambda: bool(asterisk.sockets))
    grandma = asterisk.rings("13812345678")
    asterisk.wait_for("POST", "/record")
    grandma.spoken = REQUEST
    until(lambda: _written_down(home.arranged().data_folder / "exchange.db"))
    process.kill()
    process.join()
    process.close()
    again = home.exchange()
    assert grandma.id not in asterisk.channels  # nobody was left who could speak to her
    recorded = home.app.wait_for("/recorded", RecordingStatus="completed")
    assert find(REQUEST, again.recording(recorded.form["RecordingSid"]))[0] >= 0.9
    assert not asterisk.stored


def _written_down(books: Path) -> bool:
    """Whether her call and what she says are in the exchange's books."""
    with closing(sqlite3.connect(books)) as opened:
        (count,) = opened.execute(
            "SELECT count(*) FROM calls JOIN recordings ON call_sid = calls.sid"
            " WHERE calls.answered_at IS NOT NULL"
        ).fetchone()
    return bool(count)


def test_silence_is_sent_between_prompts_and_no_sound_stays(scene: Scene) -> None:
    grandma = scene.asterisk.rings("13812345678")
    folder = scene.exchange.settings.asterisk.sounds_folder
    scene.asterisk.wait_for("POST", "/play/")
    assert list(folder.iterdir())
    scene.asterisk.presses(grandma, "1")
    scene.asterisk.wait_for("POST", "/silence")
    scene.exchange.until(lambda: grandma.silent)
    scene.exchange.stop()
    assert not list(folder.iterdir())


def test_rejected(scene: Scene) -> None:
    scene.home.app.pages["/voice"] = lambda form: '<Reject reason="busy"/>'
    grandma = scene.asterisk.rings("13812345678")
    scene.home.app.wait_for("/status", CallStatus="busy")
    assert grandma.cause == 17
    assert not any("answer" in path for _, path, _ in scene.asterisk.commands)


def test_a_wrong_secret_is_said_at_the_start(scene: Scene) -> None:
    wrong = Asterisk(
        url=f"http://127.0.0.1:{scene.asterisk.port}", username=USER, password="x" * 20
    )
    with pytest.raises(OSError, match="401"):
        scene.home.exchange(engine=EngineKind.ASTERISK, asterisk=wrong, rest_port=0)


def test_the_configuration_opens_no_door(tmp_path: Path) -> None:
    from test_exchange_parts import GOOD

    settings = ExchangeSettings(
        **{
            **{name: getattr(GOOD, name) for name in GOOD.__slots__},
            "engine": EngineKind.ASTERISK,
            "sip_host": "192.168.1.10",
            "peers": ("192.168.1.20", "10.0.0.0/30"),
            "trunk": Trunk("192.168.1.20", username="0579", password="geheim", register=True),
            "asterisk": Asterisk(password=PASSWORD),
        }
    )
    written = asterisk_config.write(settings, tmp_path)
    assert {path.stat().st_mode & 0o007 for path in written} == {0}
    pjsip = (tmp_path / "pjsip.conf").read_text()
    assert "bind=192.168.1.10:5060" in pjsip
    assert pjsip.count("match=") == 2
    assert "match=192.168.1.20/32" in pjsip
    assert "anonymous" not in pjsip
    modules = (tmp_path / "modules.conf").read_text()
    assert "autoload=no" in modules
    loaded = " ".join(line for line in modules.splitlines() if line.startswith("load"))
    assert not re.search("anonymous|registrar|manager|iax2|res_pjsip_refer", loaded)
    assert "bindaddr=127.0.0.1" in (tmp_path / "http.conf").read_text()
    extensions = (tmp_path / "extensions.conf").read_text()
    assert "Stasis(hotline,${CALLERID(num-pres)})" in extensions
    texts = "".join(path.read_text() for path in written).replace("${", "")
    assert "{" not in texts
