"""A real telephone for the tests: baresip, a softphone nobody here wrote, without a sound card."""

import json
import queue
import random
import socket
import subprocess
import threading
import time
import wave
from pathlib import Path

import numpy as np

RATE = 8000
PATIENCE = 20.0

CONFIG = """
poll_method epoll
sip_listen 127.0.0.1:{sip}
net_interface 127.0.0.1
call_local_timeout 120
call_max_calls 1
audio_player aubridge,sink
audio_source aufile,{source}
audio_alert aubridge,alert
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
ausrc_format s16
auplay_format s16
auenc_format s16
audec_format s16
rtp_ports {rtp_low}-{rtp_high}
rtp_bandwidth 512-1024
rtcp_mux no
jitter_buffer_delay 1-5
ctrl_tcp_listen 127.0.0.1:{ctrl}
snd_path {sounds}
module_path /usr/lib/baresip/modules
module g711.so
module aufile.so
module aubridge.so
module sndfile.so
module ctrl_tcp.so
module_app account.so
module_app menu.so
"""


class Phone:
    """One telephone, rung and talked into. A context manager: leaving it puts it away."""

    def __init__(
        self,
        folder: Path,
        *,
        number: str = "057912345678",
        codec: str = "PCMA",
        dtmf: str = "rtpevent",
        answers: bool = False,
    ) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True)
        self.sounds = folder / "heard"
        self.sounds.mkdir()
        self.port = free_port(pair=True)
        self._ctrl = free_port()
        silence = folder / "silence.wav"
        write_wav(silence, np.zeros(RATE * 300, np.int16))
        rtp = free_port(pair=True)
        (folder / "config").write_text(
            CONFIG.format(
                sip=self.port,
                source=silence,
                ctrl=self._ctrl,
                sounds=self.sounds,
                rtp_low=rtp,
                rtp_high=rtp + 20,
            )
        )
        mode = "auto" if answers else "manual"
        (folder / "accounts").write_text(
            f"<sip:{number}@127.0.0.1:{self.port};transport=udp>;regint=0;"
            f"audio_codecs={codec}/8000;dtmfmode={dtmf};answermode={mode}\n"
        )
        (folder / "contacts").write_text("")
        self._events: queue.Queue[dict[str, object]] = queue.Queue()
        self._token = 0

    def __enter__(self) -> "Phone":
        self._log = (self.folder / "log").open("wb")
        self._process = subprocess.Popen(
            ["baresip", "-f", str(self.folder)],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env={"HOME": str(self.folder), "PATH": "/usr/bin:/bin"},
        )
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self._wire = socket.create_connection(("127.0.0.1", self._ctrl), 1)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        self._wire.settimeout(None)
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(0.3)  # it would wait for the answer to its BYE
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._wire.close()
        self._reader.join(5)
        self._log.close()

    def _listen(self) -> None:
        buffer = b""
        while True:
            try:
                data = self._wire.recv(65536)
            except OSError:
                return
            if not data:
                return
            buffer += data
            while b":" in buffer:
                size, _, rest = buffer.partition(b":")
                if len(rest) < int(size) + 1:
                    break
                self._events.put(json.loads(rest[: int(size)]))
                buffer = rest[int(size) + 1 :]

    def _do(self, command: str, params: str = "") -> None:
        self._token += 1
        body = json.dumps({"command": command, "params": params, "token": str(self._token)})
        self._wire.sendall(f"{len(body)}:{body},".encode())

    def wait_for(self, kind: str, seconds: float = PATIENCE) -> dict[str, object]:
        """The next event of this kind, such as CALL_ESTABLISHED."""
        deadline = time.monotonic() + seconds
        seen: list[object] = []
        while True:
            try:
                event = self._events.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                raise TimeoutError(f"no {kind}; there were {seen}") from None
            if event.get("event") and event.get("type") == kind:
                return event
            seen.append(event.get("type") or event.get("data"))

    def dials(self, port: int, user: str = "hotline") -> None:
        self._do("dial", f"sip:{user}@127.0.0.1:{port}")

    def picks_up(self) -> None:
        self._do("accept")

    def turns_away(self) -> None:
        self._do("hangup")

    def presses(self, keys: str) -> None:
        for key in keys:
            self._do("sndcode", key)
            self._do("sndcode", "")  # the finger leaves the key

    def says(self, samples: np.ndarray) -> None:
        """Speak into the handset; silence follows for five minutes."""
        path = self.folder / f"spoken-{time.monotonic_ns()}.wav"
        write_wav(path, np.concatenate([samples, np.zeros(RATE * 300, np.int16)]))
        self._do("ausrc", f"aufile,{path}")
        time.sleep(len(samples) / RATE + 0.3)  # speaking takes its time

    def hangs_up(self) -> None:
        self._do("hangup")

    def heard(self, call: int = 1) -> np.ndarray:
        """All that came out of the earpiece in its first, second … call; whole only after it."""
        files = sorted(self.sounds.glob("dump-*-dec.wav"), key=lambda file: file.stat().st_ctime_ns)
        return read_wav(files[call - 1]) if len(files) >= call else np.zeros(0, np.int16)


_given: set[int] = set()


def free_port(*, pair: bool = False) -> int:
    """A port nobody uses, on loopback, for UDP and TCP; with `pair`, an even one and the next.

    Below the ports that the system gives to whoever asks for any: those go in a moment.
    """
    for _ in range(500):
        port = random.randrange(12_000, 30_000, 2)
        wanted = (port, port + 1) if pair else (port,)
        if not _given & set(wanted) and all(_is_free(p, kind) for p in wanted for kind in (1, 2)):
            _given.update(wanted)
            return port
    raise OSError("no free port")


def _is_free(port: int, kind: int) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def write_wav(path: Path, samples: np.ndarray) -> None:
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(samples.astype("<i2").tobytes())


def read_wav(path: Path) -> np.ndarray:
    """Samples of an 8 kHz wav, also of one whose header was never finished."""
    data = path.read_bytes()
    at = data.find(b"data")
    body = data[at + 8 :] if at >= 0 else b""
    return np.frombuffer(body[: len(body) // 2 * 2], "<i2")
