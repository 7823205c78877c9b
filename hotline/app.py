"""The web application: the carrier's door and the pages, made from one runtime."""

from flask import Flask

from hotline import logs, mishaps
from hotline.config import Settings
from hotline.exchange import furnish
from hotline.runtime import Runtime, build
from hotline.web import pages, phone_door
from ivr import webhooks


def create_app(runtime: Runtime) -> Flask:
    """An application for this house; the same one in production, demonstration and tests."""
    app = Flask("hotline")
    app.before_request(runtime.rules.look)  # a glance at a clock, and a query every few seconds
    app.register_blueprint(webhooks.make_blueprint(runtime, phone_door.porter(runtime)))
    pages.install(app, runtime)
    return app


def from_environment() -> Flask:
    """What the web server starts: the application by the settings of the environment."""
    logs.start()
    settings = furnish(Settings.read())
    mishaps.keep(settings.data_folder)
    return create_app(build(settings))
