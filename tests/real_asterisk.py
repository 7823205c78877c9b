"""A real Asterisk of one's own, in a folder, with the configuration that the exchange writes.

Only for `make test-asterisk`: Debian 12 has no Asterisk; Ubuntu, Debian 14 and FreePBX have. Where
the system has none, the one that `.ci/asterisk` unpacked is run from its folder as it lies.
"""

import os
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from urllib.request import urlopen

from softphone import free_port

from ivr.exchange import asterisk_config
from ivr.exchange.settings import Asterisk, EngineKind, ExchangeSettings

UNPACKED = Path(os.environ.get("HOTLINE_TEST_ASTERISK", ".stamps/asterisk")).resolve()
CONF = """
[directories]
astetcdir => {etc}
astmoddir => {modules}
astvarlibdir => {var}
astdbdir => {var}
astkeydir => {var}
astdatadir => {var}
astagidir => {var}/agi-bin
astspooldir => {spool}
astrundir => {run}
astlogdir => {log}
[options]
verbose = 1
"""


class RealAsterisk:
    """Started with `settings`; `settings` afterwards name it as the engine."""

    def __init__(self, folder: Path, settings: ExchangeSettings) -> None:
        places = {name: folder / name for name in ("etc", "var", "spool", "run", "log")}
        for place in places.values():
            place.mkdir(parents=True)
        program, base = _program()
        for needed in ("sounds", "agi-bin"):
            (places["var"] / needed).mkdir()
        for shipped in ("documentation", "rest-api"):  # modules refuse to load without their words
            (places["var"] / shipped).symlink_to(base / "usr/share/asterisk" / shipped)
        (places["spool"] / "recording").mkdir()  # or recording answers 500
        self.settings = replace(
            settings,
            engine=EngineKind.ASTERISK,
            asterisk=Asterisk(
                url=f"http://127.0.0.1:{free_port()}",
                password="a-secret-of-the-tests",
                sounds_folder=folder / "elsewhere" / "sounds" / "hotline",
            ),
        )
        asterisk_config.write(self.settings, places["etc"])
        modules = next((base / "usr/lib").glob("**/asterisk/modules"))
        self._program = program
        self._conf = folder / "asterisk.conf"
        self._conf.write_text(CONF.format(modules=modules, **places))
        self._log = (folder / "output").open("wb")

    def start(self) -> None:
        self._process = subprocess.Popen(
            [*self._program, "-C", str(self._conf), "-f", "-n", "-T"],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        deadline = time.monotonic() + 60
        address = f"{self.settings.asterisk.url}/ari/api-docs/resources.json"
        key = f"{self.settings.asterisk.username}:{self.settings.asterisk.password}"
        while True:
            try:
                urlopen(f"{address}?api_key={key}", timeout=2).close()
            except OSError:
                assert self._process.poll() is None, "Asterisk ended; see its output file"
                assert time.monotonic() < deadline, "Asterisk did not start"
                time.sleep(0.2)
            else:
                return

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


def _program() -> tuple[list[str], Path]:
    """How it is started, and the folder that its own files lie in."""
    installed = shutil.which("asterisk")
    if installed is not None:
        return [installed], Path("/")
    loader = next(UNPACKED.glob("usr/lib*/ld-linux*"))
    libraries = next(UNPACKED.glob("usr/lib/*/libc.so.6")).parent
    program = UNPACKED / "usr/sbin/asterisk"
    return [str(loader), "--library-path", str(libraries), str(program)], UNPACKED
