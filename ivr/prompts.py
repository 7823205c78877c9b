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
    "I33": "这条线接不过去。请您把事情说一下，我们{within}内打给您。听到嘀一声，请说。",
    "I40": "这里是{line}，通话会录音。现在下班了，您先说，{next_duty}我们打给您。有急病，请打120。",
    "I50": "对不起，电话出了点毛病。请过十分钟再打，或者打{committee_phone}。",
    # going out
    "O01": "您好，这里是{line}，给您回电话。您{day}打来说的事，有消息了。",
    "O02": "您好，这里是{line}，给您回电话。您有{count}件事，有消息了。",
    "O03": "第{nth}件，您{day}打来说的。",
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
    "O33": "您好，这里是{line}。刚才有一点变动，等有了准信再打给您。再见。",
    "O34": "您自己为这事跑过吗？没跑，请按1。跑一趟，请按2。不止一趟，请按3。",
    "O35": "您交给我们的东西，都还您了吗？还了，请按1。还没有，请按2。",
    "O36": "好，我们马上查清楚，再打给您。",
    "O40": "您好，这里是{line}。您的事有消息了，我们会再打来。再见。",
    # a volunteer is rung
    "D01": "您好，这里是{line}。{until}之前您值班，有{count}件事等着。",
    "D02": "您好，这里是{line}。{until}之前您值班，现在没有事等着。",
    "D03": "您好，这里是{line}。有{count}件新的事。",
    "D04": "现在听，请按1。找居委会，请按0。",
    "D05": "知道了，请按1。找居委会，请按0。",
    "D06": "第{nth}件，{when}打来的。",
    "D07": "我来办，请按1。请别人办，请按2。再听一遍，请按3。",
    "D08": "回电话打这个号码：{phone}。",
    "D09": "记下了，请按1。要我们先告诉他，请按2。再听号码，请按3。",
    "D10": "好，我们打电话告诉他，您会去办。",
    "D11": "好，请别人办。",
    "D12": "好，都听完了。办好以后，打这个电话告诉我们。再见。",
    "D13": "没关系，我们再找别人。再见。",
    "D14": "您好，这里是{line}，有事找您，请回个电话。再见。",
    "D15": "居委会现在没人接，请过一会儿再打。再见。",
    "D16": "这件事已经有人办了。",
    "D17": "现在找不到别人，居委会会安排。",
    "D18": "这是急事。",
    "D19": "没有留话，请打个电话问一问。",
    "D20": "号码没有显示，请听他留的话。",
    "D21": "好，辛苦您了。再见。",
    "D22": "好，这件事归您了。",
    "D23": "您手里还有{in_hand}件没办完。",
    "D24": "上一班留了话：{note}。",
    "D25": "您好，这里是{line}。有{count}件事过了时间，请您听一听。",
    "D26": "这件事过了时间。",
    "D27": "要带的东西：{materials}。",
    "D28": "这件办好了，还没告诉他。请您打个电话，说一声。",
    "D29": "这条线接不到居委会，请您直接打他们的电话。再见。",
    # a volunteer has pressed at the desk
    "B01": "这里是{line}。接通您要打的电话，请按1。",
    "B02": "好，正在接通，请等一等。",
    "B03": "没打通，请过一会儿再打。再见。",
    "B04": "没关系，要打的时候再点一下。再见。",
    # a volunteer rings
    "V01": "通话会录音。值班的事，请按1。您自己有事，请等一等。",
    "V02": "请按您的密码，按完等一等。",
    "V03": "密码不对，请再按一次。",
    "V04": "试了几次都不对。请过十分钟再打，或者找居委会。再见。",
    "V05": "办好了，请按1。请别人办，请按2。听下一件，请按3。",
    "V06": "为这件事出门几趟，就按几。没出门，请按0。",
    "V07": "好，记下了，我们打电话告诉他。",
    "V10": "好，记下了。",
    "V11": "告诉他了，请按1。听下一件，请按3。",
    "V12": "为什么多跑了？没带齐，请按1。没开门，请按2。别的，请按3。",
    "V13": "机器坏了，请按1。走错地方，请按2。要他本人去，请按3。",
    "V14": "跟他说过话了吗？说过了，请按1。还没有，请按2。",
    "V08": "没有别的事了，您辛苦了。再见。",
    "V09": "那您方便的时候再打。再见。",
    # an administrator records prompts
    "S01": "通话会录音。值班的事，请按1。录提示语，请按2。您自己有事，请等一等。",
    "S02": "请按提示语的四位编号。",
    "S03": "没有这个编号，请再按一次。",
    "S04": "听到嘀一声，请念：{words}",
    "S05": "听一遍，请按2。就用它，请按1。重新录，请按3。",
    "S06": "好，过一会儿就用上。",
    "S07": "没听到声音。",
    "S08": "先不用它，网页上还能听。",
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
    return filled(words, slots or {})


def filled(words: str, slots: Mapping[str, str]) -> str:
    """Words of the sheet with their slots filled."""
    return words.format_map({name: _speakable(value) for name, value in slots.items()})


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


def spoken_count(number: int) -> str:
    """How many 件: 一, 两, 三, 十二."""
    return "两" if number == 2 else spoken_number(min(number, 99))


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
