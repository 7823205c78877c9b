"""A call that the pure-Python engine places: from the INVITE until it is answered or given up."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from aiosipua.auth import SipDigestAuth
from aiosipua.dialog import Dialog, DialogState
from aiosipua.headers import stringify_uri
from aiosipua.message import SipRequest, SipResponse
from aiosipua.outgoing_call import OutgoingCall
from aiosipua.sdp import SdpNegotiationError
from aiosipua.uac_responses import process_response

from ivr.exchange import g711
from ivr.exchange.directory import Target
from ivr.exchange.leg import NotAnsweredError, Outcome
from ivr.exchange.offers import EVENT_TYPE, chosen_law, offer, where
from ivr.exchange.settings import Trunk
from ivr.exchange.sip_leg import SipLeg
from ivr.exchange.sip_messages import USER_AGENT

if TYPE_CHECKING:
    from ivr.exchange.sip import SipEngine

log = logging.getLogger(__name__)

OUTCOMES = {  # what Twilio calls them; any other code is "failed"
    408: Outcome.NO_ANSWER,
    480: Outcome.NO_ANSWER,
    486: Outcome.BUSY,
    487: Outcome.NO_ANSWER,
    600: Outcome.BUSY,
    603: Outcome.BUSY,
}


async def place(
    engine: "SipEngine",
    target: Target,
    number: str,
    caller_id: str,
    ring_seconds: float,
    on_ringing: Callable[[], None],
) -> SipLeg:
    """See `ivr.exchange.leg.Engine.dial`."""
    host = engine.settings.sip_host
    trunk = engine.settings.trunk or Trunk(target.host, target.port)
    leg = SipLeg(engine, "", number, g711.PCMA)
    try:
        leg.media = await engine.open_media(leg, (trunk.host, 0), EVENT_TYPE)
    except OSError as error:
        raise NotAnsweredError(Outcome.FAILED, 503) from error
    call = engine.uac.send_invite(
        f"sip:{caller_id or trunk.username or 'hotline'}@{host}",
        f"sip:{target.user}@{trunk.host}:{trunk.port}",
        (trunk.host, trunk.port),
        offer(host, leg.media.port),
        user_agent=USER_AGENT,
        auth=SipDigestAuth(trunk.username, trunk.password) if trunk.password else None,
    )
    call.on_ringing = lambda _: on_ringing()
    leg.call_id, leg.outgoing = call.call_id, call
    engine.legs[call.call_id] = leg
    try:
        await _wait_for_answer(leg, call, ring_seconds)
    except BaseException:
        if call.dialog.state is DialogState.CONFIRMED:
            call.hangup(engine.uac)
        elif call.dialog.state is DialogState.EARLY:
            call.cancel(engine.uac)
        engine.lost(call.call_id)
        raise
    return leg


async def _wait_for_answer(leg: SipLeg, call: OutgoingCall, seconds: float) -> None:
    try:
        await call.wait_answered(seconds)
    except TimeoutError as error:
        raise NotAnsweredError(Outcome.NO_ANSWER) from error
    except RuntimeError as error:
        code = call._reject_code
        if code == 408 and call.dialog.remote_tag == "":
            raise NotAnsweredError(Outcome.FAILED, code) from error  # nobody there at all
        raise NotAnsweredError(OUTCOMES.get(code, Outcome.FAILED), code) from error
    if leg.gone.is_set():
        raise NotAnsweredError(Outcome.CANCELED)
    answer = call.sdp_answer
    try:
        if answer is None:
            raise SdpNegotiationError("answered without SDP")
        remote, event_type = where(answer)
        leg.law = chosen_law(answer)
    except (SdpNegotiationError, ValueError) as error:
        log.warning("our call was answered badly: %s", error)
        raise NotAnsweredError(Outcome.FAILED, 488) from error
    assert leg.media is not None  # noqa: S101
    leg.media.law = leg.media._payload_type = leg.law
    assert leg.media._sender is not None  # noqa: S101
    leg.media._sender._payload_type = leg.law
    leg.media._dtmf_payload_type = event_type
    leg.media.moved(remote)
    leg.begin()


def end_stray(engine: "SipEngine", response: SipResponse) -> None:
    """Somebody picked up in the moment we gave up: take the call, and end it."""
    call = OutgoingCall(
        dialog=_dialog_of(response), invite=SipRequest(method="INVITE", uri="sip:peer")
    )
    if engine.settings.trunk is not None:
        call.remote_addr = (engine.settings.trunk.host, engine.settings.trunk.port)
    engine.uac._calls[call.call_id] = call
    process_response(engine.uac, response, call.remote_addr)
    call.hangup(engine.uac)


def _dialog_of(response: SipResponse) -> Dialog:
    from_addr, to_addr = response.from_addr, response.to_addr
    assert from_addr is not None  # noqa: S101
    assert to_addr is not None  # noqa: S101
    contacts = response.contact
    return Dialog(
        call_id=response.call_id or "",
        local_tag=from_addr.tag or "",
        remote_tag=to_addr.tag or "",
        local_uri=stringify_uri(from_addr.uri),
        remote_uri=stringify_uri(to_addr.uri),
        remote_target=stringify_uri(contacts[0].uri) if contacts else "",
        local_cseq=response.cseq.seq if response.cseq else 1,
    )
