"""A recording on its way to the ear of a person: by ranges, so that one can go back."""

from collections.abc import Iterator
from typing import IO

from flask import Response, request

from hotline.store import Store

BLOCK_BYTES = 65_536
# What a browser may play. Anything else a carrier claims is not repeated to it.
PLAYED = frozenset({"audio/wav", "audio/x-wav", "audio/wave", "audio/mpeg", "audio/ogg", "audio/webm", "audio/mp4", "video/webm"})  # fmt: skip


def respond(store: Store, key: str, media_type: str) -> Response:
    """The stored bytes, or the part of them that was asked for; raises FileNotFoundError."""
    size = store.size(key)
    start, end, status = 0, size, 200
    if request.range is not None:
        wanted = request.range.range_for_length(size)
        if wanted is None:
            return Response(status=416, headers={"Content-Range": f"bytes */{size}"})
        start, end, status = wanted[0] or 0, wanted[1] or size, 206
    response = Response(
        _blocks(store.open(key), start, end),
        status=status,
        content_type=media_type if media_type in PLAYED else "audio/wav",
        direct_passthrough=True,
    )
    response.content_length = end - start
    response.accept_ranges = "bytes"
    if status == 206:
        response.headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    return response


def _blocks(file: IO[bytes], start: int, end: int) -> Iterator[bytes]:
    with file:
        file.seek(start)
        left = end - start
        while left > 0 and (block := file.read(min(BLOCK_BYTES, left))):
            left -= len(block)
            yield block
