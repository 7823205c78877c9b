"""gunicorn's configuration: it is read in the master, so the web processes forked from it find the
application's modules loaded. Each still makes its own application and its own connections."""

import hotline.app  # noqa: F401
