"""What every SIP message must have, and what makes two of them the same."""

from ipaddress import ip_address

from aiosipua.message import SipMessage, SipRequest, SipResponse
from aiosipua.transport import _response_destination

USER_AGENT = "hotline-exchange"


def branch_of(message: SipMessage) -> str:
    vias = message.via
    return (vias[0].branch or "") if vias else ""


def transaction_of(message: SipMessage, method: str) -> str:
    """What makes two copies of a request the same (RFC 3261 §17.2.3)."""
    vias = message.via
    sent_by = f"{vias[0].host}:{vias[0].port}" if vias else ""
    branch = branch_of(message)
    if not branch.startswith("z9hG4bK"):
        branch = f"{message.call_id}:{message.cseq.seq if message.cseq else 0}"
    return f"{branch} {sent_by} {method}"


def call_and_number(message: SipMessage) -> tuple[str, str]:
    return (message.call_id or "", str(message.cseq.seq if message.cseq else 0))


def check(message: SipMessage) -> None:
    """What every message needs before anybody looks at it closely; raises ValueError."""
    if not (message.via and message.call_id and message.cseq and message.cseq.method):
        raise ValueError("Via, Call-ID or CSeq is missing")
    if not (message.from_addr and message.to_addr):
        raise ValueError("From or To is missing")
    if isinstance(message, SipRequest):
        if message.cseq.method != message.method:
            raise ValueError("CSeq names another method")
        way_back = _response_destination(answer_for(message, 100, ""))
        # Checked here and not left to the socket: asyncio closes one for ever that was once
        # asked to send to a port beyond 65535.
        if way_back is None or not 0 < way_back[1] < 65536:
            raise ValueError("no way back")
        ip_address(way_back[0])


def answer_for(request: SipRequest, code: int, reason: str) -> SipResponse:
    response = SipResponse(status_code=code, reason_phrase=reason)
    for via in request.headers.get("via"):
        response.headers.append("Via", via)
    for name in ("From", "To", "Call-ID", "CSeq"):
        response.headers.set_single(name, request.headers.get_first(name) or "")
    if code > 100 and "tag=" not in (response.headers.get_first("to") or ""):
        response.headers.set_single("To", f"{response.headers.get_first('to')};tag=hotline")
    return response
