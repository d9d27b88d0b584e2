"""Words around numbers in Chinese text by which the released rules differ from ours.

Found by asking the released rules about "12" with each word behind or before it.
"""

LEFT_ALONE = frozenset(
    (
        "GB GHz HK$ KB KG MB TB US$ dB kV l um ₩ 亩 份 倍 像素 公斤 公顷 列 副 加仑 包 "
        "华氏度 卢布 句 台 安 局 届 幅 成 所 批 排 期 栋 株 楼 次 欧元 款 步 毛 海里 港元 "
        "港币 瓦 种 章 等 类 级 组 美元 节 英寸 英尺 英里 英镑 行 角 赫兹 轮 遍 部 门 间 "
        "韩元 项 折"
    ).split()
)
"""Units and currencies that we know; the released rules leave a number before them as it is."""

OTHER_UNITS = {
    "W": "瓦特",
    "Pa": "帕斯卡",
    "MPa": "兆帕",
    "kHz": "千赫",
    "MHz": "兆赫",
    "hz": "赫兹",
    "khz": "千赫兹",
    "mhz": "兆赫兹",
    "ghz": "吉赫兹",
    "db": "分贝",
    "gb": "吉字节",
    "tb": "太字节",
    "kbps": "千比特每秒",
    "mbps": "兆比特每秒",
    "bit": "比特",
    "byte": "字节",
    "kw": "千瓦",
    "kwh": "千瓦时",
    "v": "伏特",
    "mV": "毫伏",
    "Ω": "欧姆",
    "N": "牛顿",
    "kN": "千牛",
    "kJ": "千焦",
    "KJ": "千焦",
    "cal": "卡路里",
    "kcal": "千卡",
    "mol": "摩尔",
    "mmol": "毫摩尔",
    "mmHg": "毫米汞柱",
    "bpm": "次每分",
    "rpm": "转每分",
    "mph": "英里每小时",
    "dL": "分升",
    "ul": "微升",
    "μL": "微升",
    "μg": "微克",
    "μs": "微秒",
    "ns": "纳秒",
    "cm³": "立方厘米",
    "mm²": "平方毫米",
    "in": "英寸",
    "ft": "英尺",
    "mi": "英里",
    "lb": "磅",
    "oz": "盎司",
    "ha": "公顷",
    "day": "天",
    "U": "单位",
    "IU": "单位",
    "F": "法拉",
    "°c": "摄氏度",
    "°f": "华氏度",
    "#": "号",
}
"""Symbols that the released rules read otherwise, or that we leave to the general reading."""

OTHER_COUNTED = (
    "丈 世 丝 代 兆 具 冬 几 刀 到 刻 加上 单 厘 叠 合 堂 堆 墙 壶 夏 夜 季 客 寸 封 "
    "尺 山 帧 平方 平米 强 手 担 指数 捆 斗 旬 时 春 曲 更 板 档 毫 的 盆 盏 石 碟 票 "
    "秋 程 立方 笔 笼 管 篮 纪 线 罐 网 群 脚 至 袭 课 贯 贴 跳 身 辈 道 里 针 钟 钱 "
    "铺 锅 队 阵 面 顶"
).split()
"""Words behind a number that the released rules take for something counted."""

CURRENCIES = {
    "EUR": "欧元成员国",
    "CNY": "人民币",
    "HKD": "港元",
    "JPY": "日元",
    "KRW": "韩元",
    "AUD": "澳元",
    "A$": "澳元",
    "CAD": "加元",
    "CAD$": "加元",
    "CHF": "瑞士法郎",
    "SGD": "新加坡元",
    "INR": "印度卢比",
    "₹": "印度卢比",
    "RUB": "俄罗斯卢布",
    "₽": "卢布",
    "THB": "泰铢",
    "฿": "泰铢",
    "￡": "英镑",
}

SAID = ("", "是", "为")
QUANTITIES = {
    "等于": "等于",
    **{f"{word}{said}": f"{word}{said}" for word in "门票 套票 价格 花费".split() for said in SAID},
    **{f"{word}{blank}": word for word in "iOS Android Windows".split() for blank in ("", " ")},
}
"""Words before a number that the released rules read as a quantity, and no others."""

NUMBERED = (
    "FM",
    "AM",
    *(
        f"{word}{said}"
        for word in "id ID 学号 身份证 手机 手机号 电话 尾号".split()
        for said in SAID
    ),
)
"""Words before a number that they read digit by digit."""

INDICES = (
    "上证50 沪深300 中证500 科创50 标普500 道琼斯30 纳斯达克100 罗素2000 富时100 标准普尔500"
).split()
"""Stock indices whose number they read anywhere in a text."""
