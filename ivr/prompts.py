"""Every word a caller hears. The sheet has one line a prompt; `{slots}` are filled by `speak`."""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta

SHEET: Mapping[str, str] = {
    # coming in
    "I01": "您好，这里是{line}。您说的话会录下来，好帮您办事。",
    "I02": "想找人说话，请按0。",
    "I03": "有新的事，请按1。问上次的事，请按2。想找人说话，请按0。",
    "I04": "您上次说的事，{progress}。",
    "I05": "再听一遍，请按2。要补充几句，请按1。想找人说话，请按0。",
    "I10": "请说贵姓，住哪一幢，什么事。说完了，挂掉就行。听到嘀一声，请说。",
    "I11": "您的号码我们看不到。请先说您的电话号码，再说要办什么事。听到嘀一声，请说。",
    "I12": "好，记下了。对了就挂电话。要重新说，请按2。要再补充，请按1。",
    "I13": "好。{time}之前，我们打这个电话找您。我们不会问您银行卡和密码。再见。",
    "I14": "好，记下了，我们按您说的号码打给您。我们不会问您银行卡和密码。再见。",
    "I15": "办这件事，请准备好：{materials}。",
    "I16": "您稍等一下。",
    "I20": "不好意思，没听明白您按的键。我再说一遍。",
    "I21": "没关系，您直接说就行。",
    "I22": "好像没听到您说话。请靠近一点，再说一次。听到嘀一声，请说。",
    "I23": "还是没听清。没关系，我们一会儿打电话给您。再见。",
    "I24": "还是没听清。请过一会儿再打，或者到{place}来找我们。再见。",
    "I30": "好，帮您找人，请不要挂。",
    "I31": "志愿者都在忙。请您把事情说一下，我们{within}内打给您。听到嘀一声，请说。",
    "I32": "{line}来电。接听请按1。",
    "I40": "这里是{line}，通话会录音。现在下班了，您先说，{next_duty}我们打给您。有急病，请打120。",
    "I50": "对不起，电话出了点毛病。请过十分钟再打，或者打{committee_phone}。",
    # going out
    "O01": "您好，这里是{line}，给您回电话。您{day}打来说的事，有消息了。",
    "O11": "您的事，我们收到了。{time}，{who}来帮您办。",
    "O12": "{news_day}{who}到您家来过了，事情还在办。{by}之前，再打电话给您。",
    "O13": "您要办的事，已经办好了。",
    "O14": "您的事，还缺一样东西，{materials}。请准备好，{time}我们来拿，不用您跑。",
    "O20": "听清楚了，请按1。再听一遍，请按2。要说话给我们听，请按3。",
    "O21": "好，谢谢您。我们不会问您银行卡和密码。再见。",
    "O22": "您慢慢来，我再说一遍。",
    "O23": "没关系，我们晚一点再打给您。再见。",
    "O24": "请说。说完了，直接挂掉就行。听到嘀一声，请说。",
    "O30": "办得好不好，告诉我们一声。好，请按1。一般，请按2。不好，请按3。",
    "O31": "对不住。哪里不好，请您说一说，我们再来办。听到嘀一声，请说。",
    "O32": "好，谢谢您。再见。",
    "O40": "您好，这里是{line}。您的事有消息了，我们会再打来。再见。",
}  # fmt: skip

NEWS = {"accepted": "O11", "visited": "O12", "done": "O13", "materials": "O14"}

# Neutral on purpose: a landline is shared, so nothing says whose errand it is or what it is.
PROGRESS = {
    "new": "已经记下了，正在找人办",
    "assigned": "已经派了人，很快会打给您",
    "in_hand": "正在帮您办",
    "waiting": "还差一样东西，我们会打给您说",
    "done": "已经办好了",
}

NEXT_DUTY_UNKNOWN = "上班以后"
SOMEBODY = "志愿者"

DIGITS = str.maketrans("0123456789", "零幺二三四五六七八九")
NUMERALS = "零一二三四五六七八九"
WEEKDAYS = "一二三四五六日"
WITHIN = {60: "一小时", 30: "半小时", 120: "两小时"}


class UnknownPromptError(KeyError):
    """No such line in the sheet."""


def text(prompt: str, slots: Mapping[str, str] | None = None) -> str:
    """The words of a prompt with its slots filled and control characters taken out."""
    try:
        words = SHEET[prompt]
    except KeyError:
        raise UnknownPromptError(prompt) from None
    return words.format_map({name: _speakable(value) for name, value in (slots or {}).items()})


def has_slots(prompt: str) -> bool:
    return "{" in SHEET[prompt]


def count_spoken(words: str) -> int:
    """字 of a prompt as the sheet counts them: without punctuation."""
    return sum(character not in "，。：、；？！{}" for character in words)


def spoken_number(number: int) -> str:
    """0 to 99 as it is said: 8 八, 12 十二, 30 三十."""
    tens, ones = divmod(number, 10)
    if tens == 0:
        return NUMERALS[ones]
    return ("" if tens == 1 else NUMERALS[tens]) + "十" + (NUMERALS[ones] if ones else "")


def spoken_digits(dialled: str) -> str:
    """A telephone number digit by digit with 幺, said twice."""
    once = dialled.translate(DIGITS)
    return f"{once}，{once}"


def spoken_day(day: date, today: date) -> str:
    """今天, 昨天, 前天, 明天, 后天, 星期三 within six days, else 十一月五号."""
    near = {0: "今天", -1: "昨天", -2: "前天", 1: "明天", 2: "后天"}
    days = (day - today).days
    if days in near:
        return near[days]
    if 2 < days < 7:
        return f"星期{WEEKDAYS[day.weekday()]}"
    return f"{spoken_number(day.month)}月{spoken_number(day.day)}号"


def spoken_time(at: time) -> str:
    """上午八点半, 下午四点: to the half hour, rounding is the caller's business."""
    part = "早上" if at.hour < 8 else "上午" if at.hour < 12 else "中午" if at.hour < 13 else "下午" if at.hour < 18 else "晚上"  # fmt: skip
    hour = at.hour if at.hour <= 12 else at.hour - 12
    name = "两" if hour == 2 else spoken_number(hour)
    minutes = "半" if at.minute == 30 else f"{spoken_number(at.minute)}分" if at.minute else ""
    return f"{part}{name}点{minutes}"


def spoken_moment(at: datetime, now: datetime) -> str:
    """明天上午八点半; both instants in local time."""
    return spoken_day(at.date(), now.date()) + spoken_time(at.time())


def spoken_deadline(at: datetime, now: datetime) -> str:
    """A promise's time, rounded up to the half hour so that it is never said too early."""
    return spoken_moment(next_half_hour(at), now)


def next_half_hour(at: datetime) -> datetime:
    """This instant, if it is a full or a half hour, else the next that is."""
    whole = at.replace(minute=at.minute // 30 * 30, second=0, microsecond=0)
    return at if whole == at else whole + timedelta(minutes=30)


def spoken_duration(minutes: int) -> str:
    """一小时, 半小时, 两小时, else so many 分钟 or 小时."""
    if minutes in WITHIN:
        return WITHIN[minutes]
    if minutes % 60 == 0 and minutes < 6000:
        return f"{spoken_number(minutes // 60)}个小时"
    return f"{spoken_number(min(minutes, 99))}分钟"


def spoken_person(name: str) -> str:
    """王秀兰 → 王师傅: the surname is enough on a shared line."""
    double = ("欧阳", "上官", "司马", "诸葛", "东方", "皇甫", "尉迟", "公孙")
    return f"{name[:2] if name.startswith(double) else name[:1]}师傅"


def _speakable(value: str) -> str:
    return "".join(
        character for character in value if ord(character) >= 32 and ord(character) != 127
    )
