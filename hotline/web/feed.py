"""The address a volunteer's calendar looks at: its secret is all it asks for."""

from flask import Blueprint, Response, abort

from hotline.runtime import Runtime
from hotline.web.guard import signed
from tickets import feed


def make_blueprint(runtime: Runtime) -> Blueprint:
    """One route, read by calendar programs that cannot sign in."""
    room = Blueprint("feed", __name__)

    @room.get("/roster/<secret>.ics")
    @signed
    def shifts(secret: str) -> Response:
        with runtime.db.reading() as session:
            person = feed.whose(session, secret)
            if person is None:
                abort(404)
            body = feed.render(session, person, runtime.settings.line_name, runtime.clock())
        return Response(body, content_type="text/calendar; charset=utf-8")

    return room
