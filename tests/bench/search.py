"""Searching transcripts: rare and common words among 100,000, on SQLite."""

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from hotline import clock
from hotline.config import Settings
from hotline.db import Database
from hotline.schema import metadata
from tickets import search
from tickets.models import Recording, Transcript

MANY = 100_000
BATCH = 5_000
SENTENCES = Path(__file__).with_name("model_sentences.txt")
RARE = ("丰巢柜", "桂圆", "佘", "鹞子翻身")
COMMON = ("我要", "水费", "我住在三幢", "的")


def run() -> Iterator[tuple[str, str]]:
    said = [
        line.strip() for line in SENTENCES.read_text(encoding="utf-8").splitlines() if line.strip()
    ]
    with tempfile.TemporaryDirectory() as folder:
        db = Database(Settings(_env_file=None, data_folder=Path(folder)).database)
        metadata.create_all(db.engine)
        began = time.perf_counter()
        now = clock.now()
        for start in range(0, MANY, BATCH):
            with db.writing() as session:
                rows = [
                    Recording(carrier_id=f"RE{i}", url="", made_at=now)
                    for i in range(start, start + BATCH)
                ]
                session.add_all(rows)
                session.flush()
                session.add_all(
                    Transcript(
                        recording_id=row.id, outcome="heard", trusted=True, made_at=now,
                        text=f"我住在{i % 11 + 1}幢，{said[i % len(said)]}" + (RARE[i % 4] if i % 9_973 == 0 else ""),
                    )
                    for i, row in enumerate(rows, start)
                )  # fmt: skip
        yield (
            f"writing {MANY} transcripts with their index",
            f"{(time.perf_counter() - began) / MANY * 1e6:.0f} µs each",
        )
        for kind, words in (("rare", RARE), ("common", COMMON)):
            for word in words:
                spent = []
                for _ in range(20):
                    with db.reading() as session:
                        began = time.perf_counter()
                        found = search.find(session, word, 50)
                        spent.append((time.perf_counter() - began) * 1000)
                yield f"{kind} {word!r}, {len(found)} found", f"{statistics.median(spent):.2f} ms"
        db.close()
