"""Session descriptions: what a telephone offers for its sound, and what we answer and offer."""

from ipaddress import ip_address

from aiosipua.sdp import SdpMessage, SdpNegotiationError, build_sdp, negotiate_sdp

from ivr.exchange import g711
from ivr.exchange.udp import Address

EVENT_TYPE = 101  # of keys, in our own offer; an answer takes the number that was offered


def offer(host: str, port: int) -> SdpMessage:
    """G.711 of both laws, and keys."""
    sdp = build_sdp(host, port, g711.PCMA, "PCMA", dtmf_payload_type=EVENT_TYPE)
    audio = sdp.audio
    assert audio is not None  # noqa: S101
    audio.formats.insert(1, str(g711.PCMU))
    audio.attributes["rtpmap"].insert(1, f"{g711.PCMU} PCMU/8000")
    return sdp


def answer_to(offered: SdpMessage, host: str, port: int, event_type: int) -> tuple[SdpMessage, int]:
    """Our answer and the law it settles on; raises SdpNegotiationError."""
    return negotiate_sdp(
        offered,
        host,
        port,
        supported_codecs=[g711.PCMA, g711.PCMU],
        dtmf_payload_type=event_type,
    )


def where(sdp: SdpMessage) -> tuple[Address, int]:
    """Address of the sound and payload type of the keys (0: none); raises ValueError."""
    place, audio = sdp.rtp_address, sdp.audio
    if place is None or audio is None or audio.proto != "RTP/AVP":
        raise ValueError("no plain audio in the SDP")
    # An address and no name to look up; the port above it is RTCP's.
    if ip_address(place[0]).version != 4 or not 0 < place[1] < 65535:
        raise ValueError("no place for the sound in the SDP")
    events = [
        codec.payload_type
        for codec in audio.codecs
        if codec.encoding_name.lower() == "telephone-event" and codec.clock_rate == g711.RATE_HZ
    ]
    return place, next((kind for kind in events if 95 < kind < 128), 0)


def is_hold(offered: SdpMessage) -> bool:
    """Whether a re-INVITE lets us wait: no sound comes until another."""
    audio, place = offered.audio, offered.rtp_address
    quiet = audio is not None and audio.direction in {"sendonly", "inactive"}
    return quiet or (place is not None and place[0] == "0.0.0.0")  # noqa: S104


def chosen_law(answer: SdpMessage) -> int:
    """Of an answer to our offer; raises SdpNegotiationError."""
    for codec in answer.audio.codecs if answer.audio else ():
        if codec.payload_type in g711.NAMES:
            return codec.payload_type
    raise SdpNegotiationError("no G.711 in the answer")
