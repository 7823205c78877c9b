"""A web server with one model on it, whose line breaks when told to."""

import io
import re
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from asr import recognizer

DEMO = Path(recognizer.__file__).parent / "model" / "demo-cn"
NAME = "vosk-model-small-cn-0.22"


def zipped(extra: dict[str, bytes] | None = None, *, leave_out: str = "", top: str = NAME) -> bytes:
    """Pack the demonstration model as the official ones are packed: one folder of the model's name."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(DEMO.rglob("*")):
            if path.is_file() and str(path.relative_to(DEMO)) != leave_out:
                archive.write(path, f"{top}/{path.relative_to(DEMO)}")
        for name, content in (extra or {}).items():
            archive.writestr(name, content)
    return file.getvalue()


@dataclass
class Mirror:
    """A web server with one file, that breaks off after so many bytes of each answer while told to."""

    content: bytes = b""
    digest: str | None = None
    breaks_after: list[int] = field(default_factory=list)
    understands_ranges: bool = True
    tag: str = '"one"'
    asked: list[str | None] = field(default_factory=list)
    address: str = ""


@contextmanager
def serving(it: Mirror) -> Iterator[Mirror]:

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == f"/models/{NAME}.zip.sha256" and it.digest:
                self.answer(200, it.digest.encode())
            elif self.path == f"/models/{NAME}.zip":
                asked = self.headers.get("Range")
                it.asked.append(asked)
                start = (
                    int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
                    if asked and it.understands_ranges
                    else 0
                )
                if asked and self.headers.get("If-Range") != it.tag:
                    start = 0
                self.answer(206 if start else 200, it.content[start:])
            else:
                self.answer(404, b"")

        def answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", it.tag)
            self.end_headers()
            if self.path.endswith(".zip") and it.breaks_after:
                body = body[: it.breaks_after.pop(0)]
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        it.address = f"http://127.0.0.1:{server.server_port}/models"
        yield it
        server.shutdown()
