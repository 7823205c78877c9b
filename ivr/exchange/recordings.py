"""What is said of a recording, and where it is fetched."""

from datetime import datetime

from ivr.exchange.call import API_VERSION, rfc2822
from ivr.exchange.settings import ExchangeSettings
from ivr.exchange.store import RecordingRow

CUT_SHORT = "507"  # the ErrorCode of a recording whose end is lost; HTTP's number for a full disk


def recording_form(
    row: RecordingRow, settings: ExchangeSettings, *, cut_short: bool = False
) -> dict[str, str]:
    """What a recording's callback says of it."""
    more = {"ErrorCode": CUT_SHORT} if cut_short else {}
    return more | {
        "RecordingSid": row.sid,
        "RecordingUrl": recording_url(row.sid, settings),
        "RecordingStatus": row.status,
        "RecordingDuration": str(max(1, round(row.seconds))),
        "RecordingChannels": "1",
        "RecordingSource": "RecordVerb",
        "RecordingStartTime": rfc2822(datetime.fromisoformat(row.started_at)),
    }


def recording_url(sid: str, settings: ExchangeSettings) -> str:
    return f"{settings.rest_base}/{API_VERSION}/Accounts/{settings.account_sid}/Recordings/{sid}"
