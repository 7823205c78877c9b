"""Where a call stands, in plain words, for whoever watches it: the step, and what it waits for."""

from typing import NamedTuple

from hotline.config import Settings
from ivr import turns
from ivr.steps import Await, Find, Menu, Number, Pin, Record

STEPS = {
    "greet": "打招呼，第一次打来", "greet_again": "打招呼，上次的事还没办完",
    "progress_one": "说上次那件事怎么样了", "progress_two": "说上次那两件事怎么样了",
    "add_to_request": "给上次的事补几句", "add_to_request_once_more": "没听到，请再说一次",
    "message": "请说什么事", "message_withheld": "看不到号码，请连号码一起说",
    "kept": "记下了，问要不要重说", "again": "重新说一遍", "add": "再补充几句",
    "once_more": "没听到，请再说一次", "ring_back": "还是没听到，答应回电话",
    "come_by": "还是没听到，请过来一趟", "closing": "等听写出来，看要带什么",
    "goodbye": "再见", "goodbye_withheld": "再见，按他说的号码回", "thanks": "谢谢，再见",
    "person": "找志愿者接电话", "all_busy": "没人有空，请留话", "talked": "跟人说上话了",
    "news": "告诉他有什么消息", "satisfaction": "问办得好不好", "things": "问东西还了没有",
    "trips": "问自己跑了几趟", "reply": "听他要说什么", "sorry": "没办好，听他说哪里不好",
    "reply_once_more": "没听到，请再说一次", "not_confirmed": "没按键，晚一点再打",
    "machine": "是留言机，不说内容", "nothing_new": "消息变了，以后再打",
    "begins": "开始值班，有事等着", "begins_quietly": "开始值班，没有事等着", "new": "有新的事",
    "errand": "听一件事，问怎么办", "new_errand": "听一件新的事，问怎么办", "taken": "归他了，说号码",
    "late": "有事过了时限", "spoken": "问跟居民说过话没有", "spoken_and_done": "办好了，问跟居民说过话没有",
    "why": "问为什么多跑一趟", "why_else": "问还有什么原因", "tell_them": "问要不要告诉居民",
    "outings": "问出门几趟", "ring": "志愿者打来，问是不是值班的事", "pin": "等密码",
    "locked": "密码错太多次", "committee": "找居委会接电话", "committee_away": "居委会没人接",
    "studio_pin": "等密码，要录提示语", "which": "问录哪一句", "sentence": "录这一句",
    "take": "问这一句要不要用", "whisper": "志愿者先按1，再打给居民", "connect": "打给居民",
    "not_reached": "居民没接到", "with_committee": "跟居委会说上话了",
    "all_heard": "都听完了", "good_day": "知道了，再见", "not_heard": "没按键，再找别人",
}  # fmt: skip
WHISPER = "志愿者接起来，先听一句"


class Standing(NamedTuple):
    step: str
    waits: str


def standing(settings: Settings, flow: str, name: str) -> Standing:
    """The step of a call and what it waits for."""
    step = turns.step(flow, name)
    match step:
        case Menu():
            keys = "、".join(sorted({*step.keys, *filter(None, (step.repeats, step.replays))}))
            opening = step.wait == "opening"
            seconds = settings.opening_wait_seconds if opening else settings.menu_wait_seconds
            waits = f"等按键（{keys}），说完 {seconds} 秒不按也接着走"
        case Pin() | Number():
            waits = "等按几个数字，按完等一等"
        case Record():
            waits = f"等说话，挂断就算说完，最多 {settings.message_max_seconds} 秒"
        case Find():
            waits = "等有人接起来"
        case Await():
            waits = "等听写，几秒钟"
        case _:
            waits = "什么也不等，说完就挂"
    named = STEPS.get(f"{flow}.{name}") or STEPS.get(name, "")  # a call goes on without
    return Standing(named, waits)
