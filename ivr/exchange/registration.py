"""Being known to a trunk that asks for a name and a password."""

import asyncio

from aiosipua.auth import SipDigestAuth
from aiosipua.registration import Registration
from aiosipua.uac import SipUAC

from ivr.exchange.settings import Trunk
from ivr.exchange.sip_messages import USER_AGENT

AGAIN_SECONDS = 30.0


def register(uac: SipUAC, trunk: Trunk) -> Registration:
    """Register, and again whenever it fails or runs out: the box may be starting."""
    registration = Registration(
        uac,
        f"sip:{trunk.username}@{trunk.host}",
        (trunk.host, trunk.port),
        auth=SipDigestAuth(trunk.username, trunk.password),
        user_agent=USER_AGENT,
    )

    def later(registration: Registration, *_: object) -> None:
        asyncio.get_running_loop().call_later(AGAIN_SECONDS, registration.register)

    registration.on_failed = later
    registration.on_expired = later
    registration.register()
    return registration
