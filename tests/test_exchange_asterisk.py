"""The Asterisk engine against a scripted ARI; `make test-asterisk` tries a real one."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from exchange_house import OUR_NUMBER, House, Running, find, house, prompt, wav_bytes
from scripted_asterisk import PASSWORD, USER, ScriptedAsterisk

from ivr.exchange import asterisk_config
from ivr.exchange.settings import Asterisk, EngineKind, ExchangeSettings, Trunk

GREETING, REQUEST = prompt(1, 3.0), prompt(7, 2.0)
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
def scene(tmp_path: Path) -> Iterator[Scene]:
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
        exchange = home.exchange(
            engine=EngineKind.ASTERISK,
            asterisk=Asterisk(
                url=f"http://127.0.0.1:{asterisk.port}",
                username=USER,
                password=PASSWORD,
                sounds_folder=tmp_path / "sounds",
            ),
        )
        yield Scene(home, asterisk, exchange)


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
    assert (asked["maxDurationSeconds"], asked["maxSilenceSeconds"]) == ("60", "8")
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
    scene.asterisk.falls_silent(grandma)
    scene.home.app.wait_for("/empty")
    scene.asterisk.wait_for("POST", "/record", count=2)
    grandma.spoken = REQUEST
    scene.asterisk.falls_silent(grandma)
    kept = scene.home.app.wait_for("/kept")
    assert "Digits" not in kept.form
    scene.home.app.wait_for("/status")
    assert grandma.cause == 16


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
    ("how", "outcome"), [("busy", "busy"), ("silent", "no-answer"), ("fail", "failed")]
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
    scene.home.app.pages["/dialled"] = lambda form: "<Hangup/>"
    grandma = scene.asterisk.rings("13812345678")
    scene.home.app.wait_for("/whisper")
    (volunteer,) = [c for c in scene.asterisk.channels.values() if c is not grandma]
    scene.asterisk.presses(volunteer, "1")
    scene.asterisk.wait_for("POST", "/addChannel")
    assert sorted(*scene.asterisk.bridges.values()) == sorted([grandma.id, volunteer.id])
    scene.asterisk.hangs_up(volunteer)
    form = scene.home.app.wait_for("/dialled").form
    assert (form["DialCallStatus"], form["DialBridged"]) == ("completed", "true")
    scene.home.app.wait_for("/status")


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
    assert "bindaddr=127.0.0.1" in (tmp_path / "http.conf").read_text()
    assert "Stasis(hotline)" in (tmp_path / "extensions.conf").read_text()
    assert "{" not in "".join(path.read_text() for path in written)
