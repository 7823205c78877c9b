"""How a person's name is read: for finding 李桂芳 by liguifang or lgf. Pure."""

import re

# Surnames whose commonest reading is another one. Two characters first.
SURNAMES = {
    "尉迟": ("yu", "chi"), "万俟": ("mo", "qi"), "澹台": ("tan", "tai"), "长孙": ("zhang", "sun"),
    "单": ("shan",), "仇": ("qiu",), "曾": ("zeng",), "解": ("xie",), "查": ("zha",), "区": ("ou",),
    "盖": ("ge",), "朴": ("piao",), "任": ("ren",), "华": ("hua",), "缪": ("miao",), "乐": ("yue",),
    "员": ("yun",), "翟": ("zhai",), "盛": ("sheng",), "召": ("shao",), "折": ("she",),
    "覃": ("qin",), "种": ("chong",), "宿": ("su",), "隗": ("wei",), "冼": ("xian",),
    "洗": ("xian",), "应": ("ying",), "燕": ("yan",), "尹": ("yin",), "俞": ("yu",), "纪": ("ji",),
    "石": ("shi",), "车": ("che",), "令狐": ("ling", "hu"), "秘": ("bi",), "黑": ("he",),
    "卜": ("bu",), "柏": ("bai",), "晟": ("cheng",), "呙": ("guo",), "牟": ("mou",), "繁": ("po",),
    "不": ("fou",), "过": ("guo",), "都": ("du",), "沈": ("shen",), "夏侯": ("xia", "hou"),
}  # fmt: skip


def syllables(name: str) -> list[str]:
    """李桂芳 as li, gui, fang; what is no Chinese character is kept in small letters."""
    name = re.sub(r"\s|·", "", name)
    if len(name) == 2 and name[0] in "小老阿" and name[1] in SURNAMES:  # 小曾
        return [*_read(name[0]), *SURNAMES[name[1]]]
    for length in (2, 1):
        surname = name[:length]
        if surname in SURNAMES and len(name) > length:
            return [*SURNAMES[surname], *_read(name[length:])]
    return _read(name)


def pinyin(name: str) -> str:
    return "".join(syllables(name))


def initials(name: str) -> str:
    return "".join(syllable[0] for syllable in syllables(name) if syllable)


def _read(text: str) -> list[str]:
    from pypinyin import Style, lazy_pinyin  # a large dictionary: only where a name is read

    return [syllable.lower() for syllable in lazy_pinyin(text, style=Style.NORMAL, v_to_u=False)]
