"""The least a signed, durable voice webhook can be: form, signature, one prebuilt upsert, TwiML.

It knows no call and keeps no promise; it is what the house's own webhook is measured against.
"""

import os
import sqlite3
import threading

from flask import Flask, Response, abort, request
from twilio.request_validator import RequestValidator
from twilio.twiml.voice_response import Gather, VoiceResponse

UPSERT = (
    "INSERT INTO calls (sid, turn) VALUES (?, 1) ON CONFLICT (sid) DO UPDATE SET turn = turn + 1"
)


def create() -> Flask:
    """The floor as a WSGI application; FLOOR_DB, FLOOR_URL and FLOOR_SECRET say where and how."""
    app = Flask("floor")
    validator = RequestValidator(os.environ["FLOOR_SECRET"])
    public_url, path = os.environ["FLOOR_URL"], os.environ["FLOOR_DB"]
    own = threading.local()

    def connection() -> sqlite3.Connection:
        if not hasattr(own, "connection"):
            own.connection = sqlite3.connect(path, isolation_level=None, timeout=10)
            own.connection.execute("PRAGMA journal_mode=WAL")
            own.connection.execute("PRAGMA synchronous=FULL")
            own.connection.execute(
                "CREATE TABLE IF NOT EXISTS calls (sid TEXT PRIMARY KEY, turn INT)"
            )
        return own.connection  # type: ignore[no-any-return]

    @app.post("/ivr/<path:path>")
    def answer(path: str) -> Response:
        url = public_url + request.environ["RAW_URI"]
        if not validator.validate(url, request.form, request.headers.get("X-Twilio-Signature", "")):
            abort(403)
        connection().execute(UPSERT, (request.form["CallSid"],))
        response = VoiceResponse()
        gather = Gather(
            action=f"{public_url}/ivr/turn?turn=1",
            method="POST",
            num_digits=1,
            timeout=4,
            finish_on_key="",
        )
        gather.say("您好，这里是红色助跑热线。您说的话会录下来，好帮您办事。", language="zh-CN")
        gather.say("想找人说话，请按0。", language="zh-CN")
        response.append(gather)
        response.redirect(f"{public_url}/ivr/turn?turn=1&silent=1", method="POST")
        return Response(str(response), content_type="text/xml; charset=utf-8")

    return app
