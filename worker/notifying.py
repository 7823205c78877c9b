"""A word to the volunteers' groups through apprise, which knows WeCom, DingTalk, Feishu and others."""

import apprise

from hotline.config import Settings

TITLE = ""  # the line's name stands in the text; some groups print an empty title as a line


def send(settings: Settings, text: str) -> bool:
    """Send it to every address; False if one of them did not take it.

    Apprise gives up by itself after some seconds on each.
    """
    groups = apprise.Apprise()
    known = [groups.add(url) for url in settings.notice_urls]
    return all(known) and bool(groups.notify(title=TITLE, body=f"{settings.line_name}：{text}"))
