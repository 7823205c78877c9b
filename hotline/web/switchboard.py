"""The carrier's side of a call on a browser's telephone: webhooks signed and told, what they answered
made readable, and two telephones connected."""

import re
import time
import xml.etree.ElementTree as ET  # our own documents only
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, abort
from twilio.request_validator import RequestValidator
from werkzeug.test import Client

from hotline.phone import mask
from hotline.runtime import Runtime
from hotline.training import training
from hotline.web import call_steps, twin
from hotline.web.twin import RING_SECONDS, Exchange, Leg
from ivr import turns

TOLD = re.compile(r"[A-Z][A-Za-z]{1,30}")  # names of a carrier's parameters
# What the house believes of a call comes from the exchange's books, not from the page.
OURS = frozenset(
    {"CallSid", "AccountSid", "From", "To", "Direction", "ApiVersion", "ParentCallSid"}
)
ANSWERS = "<Response />"  # for a telephone that nobody whispers to


class Switchboard:
    """Tells our webhooks what happens on the telephones of one house."""

    def __init__(self, runtime: Runtime, app: Flask, exchange: Exchange) -> None:
        self._runtime, self._exchange = runtime, exchange
        self._carrier = training(runtime.settings)
        self._signs = RequestValidator(next(iter(self._carrier.secrets), ""))
        self._client = Client(
            app
        )  # in this process: no second connection that could wait for a free thread

    def tell(self, leg: Leg, url: str, did: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One webhook: the document it answered, and all of it as a person reads it."""
        form = self._parameters(leg) | {
            name: str(value)[:500]
            for name, value in (did or {}).items()
            if TOLD.fullmatch(name) and name not in OURS
        }
        if leg.parent and not url:
            return self._heard(leg, ANSWERS, None)
        began = time.perf_counter()
        document = self._post(url, form)
        spent = round((time.perf_counter() - began) * 1000)
        path = url.removeprefix(self._runtime.settings.public_url)
        return self._heard(leg, document, {"path": path, "form": form, "ms": spent})

    def report(self, leg: Leg) -> dict[str, Any]:
        """How a telephone that was rung stands: rings, hears, talks, over; then what a carrier tells."""
        if not leg.over:
            stands = "talks" if leg.bridged_at else "rings" if leg.status in {"queued", "ringing"} else "hears"  # fmt: skip
            return {"stands": stands}
        talked = leg.seconds if leg.bridged_at else 0
        status = "completed" if self._exchange.was_picked_up(leg) else leg.status
        told = {"DialCallSid": leg.sid, "DialCallStatus": status, "DialCallDuration": str(talked)}
        return {"stands": "over", "form": told}

    def end(self, leg: Leg, status: str, seconds: int) -> dict[str, Any]:
        """A call is over, and with it whoever was rung for it."""
        if leg.over:
            return {}
        for child in self._exchange.children(leg):
            self._exchange.change(child, status="completed", seconds=self._talked(child))
        leg = self._exchange.change(
            leg, status=status if status in twin.FINAL else "completed",
            seconds=self._talked(leg) if leg.parent else seconds,
        )  # fmt: skip
        if leg.parent:
            return {}
        url = leg.status_callback or f"{self._runtime.settings.public_url}/ivr/status"
        return self.tell(leg, url, {"CallDuration": leg.seconds})

    def _talked(self, child: Leg) -> int:
        if not child.bridged_at:
            return 0
        return round(
            (self._runtime.clock() - datetime.fromisoformat(child.bridged_at)).total_seconds()
        )

    def _parameters(self, leg: Leg) -> dict[str, str]:
        told = {
            "CallSid": leg.sid, "AccountSid": self._carrier.carrier_account, "From": leg.caller,
            "To": leg.to, "Direction": leg.direction, "ApiVersion": "2010-04-01",
            "CallStatus": leg.status,
        }  # fmt: skip
        return told | ({"ParentCallSid": leg.parent} if leg.parent else {})

    def _post(self, url: str, form: dict[str, str]) -> str:
        if not url.startswith(f"{self._runtime.settings.public_url}/ivr/"):
            abort(400)
        parts = urlsplit(url)
        answer = self._client.post(
            parts.path + (f"?{parts.query}" if parts.query else ""), data=form,
            base_url=f"{parts.scheme}://{parts.netloc}",
            headers={self._carrier.signature_header: self._signs.compute_signature(url, form)},
        )  # fmt: skip
        return answer.get_data(as_text=True) if answer.status_code == 200 else abort(502)

    def _heard(self, leg: Leg, document: str, told: Mapping[str, Any] | None) -> dict[str, Any]:
        """Keep what the document says of somebody to ring; the page gets no number."""
        response = ET.fromstring(document)  # noqa: S314  our own
        if leg.parent and len(response) == 0:
            leg = self._exchange.change(leg, bridged_at=self._runtime.clock().isoformat())
        for dial in response.iter("Dial"):
            for number in dial.iter("Number"):
                self._exchange.change(
                    leg, dials=(number.text or "").strip(), dial_url=number.get("url", ""),
                    dial_seconds=int(dial.get("timeout", RING_SECONDS)),
                )  # fmt: skip
                number.text = mask(number.text or "")
        ET.indent(response)
        shown = ET.tostring(response, encoding="unicode")
        heard: dict[str, Any] = {"sid": leg.sid, "document": shown, "bridged": bool(leg.bridged_at)}
        if told:
            form = "\n".join(
                f"{name}: {_masked(name, value)}" for name, value in told["form"].items()
            )
            heard["told"] = {
                "path": mask(told["path"]), "form": form, "ms": told["ms"],
                "document": _readable(response), **self._standing(leg),
            }  # fmt: skip
        return heard

    def _standing(self, leg: Leg) -> dict[str, str]:
        if leg.parent:
            return {"step": call_steps.WHISPER, "waits": ""}
        with self._runtime.db.reading() as session:
            at = turns.where_it_stands(session, leg.sid)
        return call_steps.standing(self._runtime.settings, at.flow, at.step)._asdict() if at else {}


def _readable(response: ET.Element) -> str:
    """The document for a person's eyes, numbers masked; keys that end a recording are none."""
    for verb in response.iter():
        verb.text = mask(verb.text or "") or None
        for name, value in verb.attrib.items():
            verb.set(name, value if name == "finishOnKey" else mask(value))
    return ET.tostring(response, encoding="unicode")


def _masked(name: str, value: str) -> str:
    """Several digits are somebody's PIN."""
    is_pin = name == "Digits" and value.isdigit() and len(value) > 1
    return "*" * len(value) if is_pin else mask(value)
