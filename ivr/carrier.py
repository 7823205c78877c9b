"""What we ask of the phone company: place a call, look one up, delete a recording.

The twilio library speaks to every carrier of the dialect through another base address. It waits
for ever by default and retries nothing, so a time-out is given and retries are the promises'.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import requests
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from hotline.config import Capability, Settings
from ivr.models import CallStatus

EVENTS = ["initiated", "ringing", "answered", "completed"]

STATUSES: Mapping[str, CallStatus] = {
    "queued": CallStatus.UNDER_WAY,
    "initiated": CallStatus.UNDER_WAY,
    "ringing": CallStatus.UNDER_WAY,
    "in-progress": CallStatus.UNDER_WAY,
    "answered": CallStatus.UNDER_WAY,
    "completed": CallStatus.COMPLETED,
    "busy": CallStatus.BUSY,
    "no-answer": CallStatus.NO_ANSWER,
    "failed": CallStatus.FAILED,
    "canceled": CallStatus.CANCELED,
    "cancelled": CallStatus.CANCELED,
}


NOT_PLACED = frozenset({"inbound", "outbound-dial"})


class CarrierError(Exception):
    """The carrier refused, or could not be reached."""


class PerhapsPlacedError(CarrierError):
    """Nobody can say whether the call was placed: look before dialling again."""


@dataclass(frozen=True, slots=True)
class KnownCall:
    """A call as the carrier remembers it."""

    sid: str
    status: CallStatus
    seconds: int | None


def read_status(word: str | None) -> CallStatus:
    """A carrier's word for a call's state; one we do not know means it is under way."""
    return STATUSES.get((word or "").strip().lower(), CallStatus.UNDER_WAY)


class Carrier:
    """The REST side of one carrier."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._client: Client | None = None

    def warm_up(self) -> None:
        """Load what the library loads at first use (10 MB); asks nobody anything."""
        with suppress(TwilioException):  # without an account there is nothing to warm
            _ = self._connected().calls, self._connected().recordings

    def keeps(self, url: str) -> bool:
        """Whether a recording at this address is in this carrier's books."""
        return url.startswith(f"{self.settings.carrier_api}/")

    def place_call(self, phone: str, token: str) -> str:
        """Ring a resident or a volunteer; the first webhook carries the token. Returns the carrier's identifier.

        Raises CarrierError where the call was surely not placed, PerhapsPlacedError where it may
        have been.
        """
        settings, able = self.settings, self.settings.capabilities
        base = f"{settings.public_url}/ivr"
        options: dict[str, Any] = {
            "to": phone,
            "from_": settings.line_number,
            "url": f"{base}/answered?token={token}",
            "method": "POST",
            "status_callback": f"{base}/status?token={token}",
            "status_callback_method": "POST",
        }
        if Capability.TIMEOUT in able:
            options["timeout"] = settings.ring_resident_seconds
        if Capability.EVENTS in able:
            options["status_callback_event"] = EVENTS
        if Capability.MACHINE_DETECTION in able:
            options["machine_detection"] = "Enable"
        if Capability.FALLBACK in able:
            options["fallback_url"] = f"{base}/fallback"
        try:
            return str(self._connected().calls.create(**options).sid)
        except TwilioRestException as error:
            if error.status >= 500:
                raise PerhapsPlacedError(_plain(error)) from error
            raise CarrierError(_plain(error)) from error
        except (TwilioException, requests.RequestException) as error:
            if isinstance(error, requests.ConnectTimeout):
                raise CarrierError(_plain(error)) from error
            raise PerhapsPlacedError(_plain(error)) from error

    def look_up(self, sid: str) -> KnownCall | None:
        """A call by its identifier; None if the carrier does not know it."""
        try:
            return _known(self._connected().calls(sid).fetch())
        except TwilioRestException as error:
            if error.status == 404:
                return None
            raise CarrierError(_plain(error)) from error
        except (TwilioException, requests.RequestException) as error:
            raise CarrierError(_plain(error)) from error

    def calls_to(self, phone: str, since: datetime) -> list[KnownCall]:
        """Calls to a number that began at or after an instant, to the second."""
        try:
            found = self._connected().calls.list(
                to=phone, start_time_after=since.astimezone(UTC), limit=20
            )
        except (TwilioException, requests.RequestException) as error:
            raise CarrierError(_plain(error)) from error
        # a leg to a volunteer in somebody else's call is none that we placed
        return [_known(call) for call in found if call.direction not in NOT_PLACED]

    def delete_recording(self, carrier_id: str) -> None:
        """Have the carrier forget a recording; one it no longer has is fine."""
        try:
            self._connected().recordings(carrier_id).delete()
        except TwilioRestException as error:
            if error.status != 404:
                raise CarrierError(_plain(error)) from error
        except (TwilioException, requests.RequestException) as error:
            raise CarrierError(_plain(error)) from error

    def _connected(self) -> Client:
        if self._client is None:
            settings = self.settings
            http = TwilioHttpClient(timeout=settings.carrier_timeout_seconds)
            self._client = Client(
                settings.carrier_account, settings.carrier_token, http_client=http
            )
            self._client.api.base_url = settings.carrier_api
        return self._client


def _known(call: Any) -> KnownCall:
    seconds = int(call.duration) if str(call.duration or "").isdigit() else None
    return KnownCall(
        call.sid, read_status(str(getattr(call.status, "value", call.status))), seconds
    )


def _plain(error: Exception) -> str:
    return f"{type(error).__name__}: {getattr(error, 'msg', '') or getattr(error, 'status', '')}"
