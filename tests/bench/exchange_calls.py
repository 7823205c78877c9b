"""The exchange under twenty calls at once, a long call and a thousand short ones.

The exchange, the telephones and the application are three processes; their clocks are one
(CLOCK_MONOTONIC of the same machine).
"""

import json
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import sipp_lines as sipp
from exchange_house import ACCOUNT, TOKEN, default_settings, find, wav_bytes, worst_window

from ivr.exchange.server import main as exchange_main
from ivr.exchange.settings import ExchangeSettings
from tests.bench.exchange_app import LeanApp
from tests.bench.exchange_crowd import voice

AT_ONCE = 20
PROMPT_SECONDS = 3.0
LONG_SECONDS = float(os.environ.get("HOTLINE_BENCH_LONG_CALL_SECONDS", "60"))
SHORT_CALLS = int(os.environ.get("HOTLINE_BENCH_SHORT_CALLS", "1000"))
# Transactions are remembered for 32 s (RFC 3261) and swept every 5: until then they gather.
FULL_AFTER_SECONDS = 40.0
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")


def run() -> Iterator[tuple[str, str]]:
    """The rows of the exchange: name, figure."""
    with tempfile.TemporaryDirectory(prefix="hotline-bench-") as name:
        folder = Path(name)
        app = LeanApp()
        first, second = voice(1, PROMPT_SECONDS), voice(2, PROMPT_SECONDS)
        app.sounds |= {"/first.wav": wav_bytes(first), "/second.wav": wav_bytes(second)}
        app.pages["/voice"] = (
            '<Gather action="/turn" numDigits="1" timeout="600" finishOnKey="">'
            "<Play>/first.wav</Play></Gather>"
        )
        app.pages["/turn"] = (
            '<Play>/second.wav</Play><Record action="/kept" maxLength="60" timeout="30"'
            ' finishOnKey="#" playBeep="true"/>'
        )
        app.pages["/kept"] = "<Hangup/>"
        app.start()
        settings = ExchangeSettings(
            **{**default_settings(folder, app), "max_new_calls_a_second": 200.0}
        )
        process = multiprocessing.get_context("spawn").Process(
            target=exchange_main, args=(settings,)
        )
        process.start()
        try:
            _wait_for(settings.rest_port)
            pid = int(process.pid or 0)
            yield from _crowd(settings, app, pid, folder, first, second)
            yield from _many(settings, pid, folder, app)
            yield from _long(settings)
        finally:
            process.terminate()
            process.join(20)
            app.stop()


def _crowd(
    settings: ExchangeSettings,
    app: LeanApp,
    pid: int,
    folder: Path,
    first: np.ndarray,
    second: np.ndarray,
) -> list[tuple[str, str]]:
    _phones("crowd", settings.sip_port, 1, folder, PROMPT_SECONDS)  # prompts fetched, code warm
    app.requests.clear()
    idle = _memory(pid)
    cpu, began = _cpu(pid), time.monotonic()
    results = _phones("crowd", settings.sip_port, AT_ONCE, folder, PROMPT_SECONDS)
    lasted = time.monotonic() - began
    share = (_cpu(pid) - cpu) / lasted / AT_ONCE
    busy = _memory(pid)
    app.wait_for("/kept", count=AT_ONCE)
    turns = {r.form["From"]: r for r in app.requests if r.path == "/turn"}
    kept = {r.form["From"]: r for r in app.requests if r.path == "/kept"}
    prompts: list[float] = []
    recordings: list[float] = []
    starts: list[float] = []
    for result in results:
        number = result["number"]
        heard = np.load(folder / f"heard-{number}.npy")
        prompts += [worst_window(s, heard, find(s, heard)[1]) for s in (first, second)]
        recording = _recording(settings, kept[f"1380000{number:04d}"].form["RecordingSid"])
        words = voice(1000 + number, 12.0)
        at = find(recording[800:8800], words)[1] - 800
        spoken = words[max(at, 0) : at + len(recording) - 4000]
        recordings.append(worst_window(spoken[800:], recording, 800))
        sent = np.load(folder / f"sent-{number}.npy")
        starts.append(float(sent[at // 160]) - result["beep_over_at"])
    keys = sum(turns[f"1380000{r['number']:04d}"].form["Digits"] == "1" for r in results)
    answers = sorted(r["answer_seconds"] for r in results)
    to_turn = [turns[f"1380000{r['number']:04d}"].at - r["key_up_at"] for r in results]
    to_kept = [kept[f"1380000{r['number']:04d}"].at - r["end_key_up_at"] for r in results]
    return [
        (f"exchange: keys right, of {AT_ONCE} calls at once", str(keys)),
        ("exchange: prompts, poorest half second (correlation ≥ 0.9)", f"{min(prompts):.3f}"),
        ("exchange: recordings, poorest half second (≥ 0.9)", f"{min(recordings):.3f}"),
        ("exchange: share of a core a call (≤ 1.2 %)", f"{share * 100:.2f} %"),
        ("exchange: INVITE → 200, p95 (≤ 40 ms)", _ms(answers[int(0.95 * len(answers))])),
        ("exchange: key-up → webhook, median / worst (≤ 50 ms)", f"{_ms(median(to_turn))} / {_ms(max(to_turn))}"),
        ("exchange: beep → recording, worst (≤ 200 ms)", _ms(max(starts))),
        ("exchange: end of recording → webhook, worst (≤ 300 ms)", _ms(max(to_kept))),
        ("exchange: memory a call (≤ 1 MB)", f"{(busy - idle) / AT_ONCE / 1e6:.2f} MB"),
    ]  # fmt: skip


def _long(settings: ExchangeSettings) -> list[tuple[str, str]]:
    result = _phones("long", settings.sip_port, LONG_SECONDS)
    name = f"exchange: drift in a call of {LONG_SECONDS:.0f} s (≤ 20 ms)"
    return [(name, f"{result['drift_seconds'] * 1000:.1f} ms")]


def _many(
    settings: ExchangeSettings, pid: int, folder: Path, app: LeanApp
) -> list[tuple[str, str]]:
    app.requests.clear()
    steps = sipp.INVITE + sipp.ANSWERED + sipp.PAUSE + sipp.BYE
    first, until = 0, time.monotonic() + FULL_AFTER_SECONDS
    while time.monotonic() < until:
        _short(folder, settings.sip_port, steps, AT_ONCE)
        first += AT_ONCE
    before = _memory(pid)
    _short(folder, settings.sip_port, steps, SHORT_CALLS)
    after = _memory(pid)
    app.wait_for("/status", count=first + SHORT_CALLS, seconds=30)
    name = f"exchange: memory grown over {SHORT_CALLS} calls after the first {first}"
    return [(name, f"{(after - before) / 1e6:.2f} MB")]


def _short(folder: Path, port: int, steps: str, calls: int) -> None:
    for start in range(0, calls, AT_ONCE):
        sipp.run(folder, port, steps, calls=min(AT_ONCE, calls - start), pause=200)


def _phones(what: str, port: int, *given: object) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.exchange_crowd", what, str(port), *map(str, given)],
        capture_output=True,
        check=True,
        timeout=LONG_SECONDS + 120,
        cwd=Path(__file__).parents[2],
    )
    return json.loads(done.stdout)


def _recording(settings: ExchangeSettings, sid: str) -> np.ndarray:
    import requests

    url = f"{settings.rest_base}/2010-04-01/Accounts/{ACCOUNT}/Recordings/{sid}.wav"
    return np.frombuffer(requests.get(url, auth=(ACCOUNT, TOKEN), timeout=10).content[44:], "<i2")


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError("the exchange did not start")


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _memory(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


if __name__ == "__main__":
    for name, figure in run():
        sys.stdout.write(f"{name:66} {figure}\n")
