"""The browser's telephone as a carrier: the settings by which the house reaches it, in this very house.

In a demonstration it is the only carrier there is. In a house that serves it stands beside the real
one, with a secret of its own: whatever that secret signs is a test, and what a test owes is rung there
and nowhere else.
"""

import hashlib

from hotline import secret
from hotline.config import CarrierKind, Settings
from hotline.exchange import inside

KEY_FILE = "training.key"


def training(settings: Settings) -> Settings:
    """The settings with the browser's telephone in the place of the carrier."""
    if settings.demo:
        return settings
    key = secret.kept(settings.data_folder, KEY_FILE)
    made = {name: hashlib.sha256(f"{name} {key}".encode()).hexdigest() for name in ("account", "token")}  # fmt: skip
    return settings.model_copy(
        update={
            "carrier": CarrierKind.TWILIO, "carrier_api_url": f"{inside(settings)}/twin",
            "carrier_account": f"AC{made['account'][:32]}", "carrier_token": made["token"],
            "signing_secrets": (), "media_hosts": (), "signature_scheme": "HMAC_SHA1",
        }
    )  # fmt: skip


def holding(settings: Settings, url: str) -> Settings:
    """The settings of whichever carrier holds the recording at this address."""
    browsers = training(settings)
    return browsers if url.startswith(f"{browsers.carrier_api}/") else settings
