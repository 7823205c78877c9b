"""The wiring: everything a room needs, made once from the settings and handed over as arguments."""

from dataclasses import dataclass
from typing import Protocol

from hotline import clock as clocks
from hotline.clock import Clock
from hotline.config import Settings
from hotline.db import Database
from hotline.store import Store
from hotline.training import training
from ivr.carrier import Carrier
from tickets.house_rules import Rules
from worker.queue import RedisBell


class Bell(Protocol):
    """Tells the hands that promises were made; may be deaf."""

    def ring(self, *promise_ids: int) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class Runtime:
    """One process's view of the house. `rules` keeps the settings as the committee changes them."""

    settings: Settings
    rules: Rules
    clock: Clock
    db: Database
    bell: Bell
    carrier: Carrier
    browsers: Carrier  # the telephone in the browser
    store: Store
    prompt_store: Store

    def carrier_of(self, *, test: bool) -> Carrier:
        """Who rings for it: a test never leaves the house."""
        return self.browsers if test else self.carrier

    def close(self) -> None:
        self.bell.close()
        self.db.close()


def build(settings: Settings, clock: Clock = clocks.now, bell: Bell | None = None) -> Runtime:
    """The house by its settings. Touches nothing outside this process yet but the data folder."""
    settings.data_folder.mkdir(
        mode=0o700, parents=True, exist_ok=True
    )  # people's numbers lie in it
    db = Database(settings.database, synchronous=settings.sqlite_synchronous)
    return Runtime(
        settings=settings,
        rules=Rules(db, settings),
        clock=clock,
        db=db,
        bell=bell or RedisBell(settings.redis),
        carrier=Carrier(settings),
        browsers=Carrier(training(settings)),
        store=Store(settings.recordings),
        prompt_store=Store(settings.prompts),
    )
