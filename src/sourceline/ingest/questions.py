"""Tells sentences that ask from those that tell: what asks a question in the text does not answer it.

In doubt a sentence tells, for an answer that is taken for a question is lost.
"""

import re

MAX_CHARACTERS = 1_000  # of a sentence that does nothing but ask
MAX_UNMARKED = 150  # of one without a question mark

_CLOSERS = "\"'”“’»«)]」』*_~` \t\r\n\u00a0\u202f"
_ENDS_ASKING = re.compile(r"[?？؟\u037e⁇⁈⁉‽][?!？！.…]*$|[吗嗎呢][。.]?$|(?:です|ます|でした|ました)か[。.]?$")
_GREEK_QUESTION = re.compile(r"[α-ωά-ώ][^.!?]*;$")
_OPENING_QUOTES = {
    '"': '"',
    "”": "“",
    "’": "‘",
    "»": "«",
    "」": "「",
    "』": "『",
    "“": "„",
    "«": "»",
    ")": "(",
    "]": "[",
}
_LABEL = re.compile(r"(?:\s*(?:\[[\d:., ]+\]|[-–—•*>]))*\s*(?:[^\s:?.!]+(?:\.?\s+[^\s:?.!]+){0,4}\s?[:：]\s*)?")

# What is asked at the end of a statement only asks for a nod: "It costs 9,000 euros, doesn't it?"
_TAG = re.compile(
    r"(?i),\s*(?:(?:is|are|was|were|do|does|did|has|have|had|will|would|can|could|should|must|ca|wo)(?:n['’]t|\s+not)?"
    r"\s+(?:i|we|you|he|she|it|they|there)|right|yes|no|correct|okay|ok|eh|huh|innit|oder|nicht(?:\s+wahr)?|gell|ja"
    r"|n['’]est-ce\s+pas|non|¿?\s*(?:verdad|no)|vero|não|né|toch)\s*\?+$"
)
_IN_DOUBT = re.compile(r"\(\s*\?+\s*\)$")  # "in 1963 (?)"
# A statement in front of a question: "We have 9,000 euros, so who pays the rest?", "It is shut – do we mind?"
_STATES_FIRST = re.compile(r"(?i)^(?:\S+\s+){2,}\S+(?:\s+[–—-]+\s+|;\s+|,\s+(?:so|but|and|aber|und|mais|pero)\s+)\S")
_BEGINS_ASKING = re.compile(
    r"(?i)[¿\"“„«‘']*(?:(?:and|so|but|well|okay|ok|then|now|also|und|et|y)[, ]+)?(?:who|whom|whose|what|when|where"
    r"|which|why|how|is|are|was|were|am|do|does|did|has|have|had|will|would|can|could|shall|should|may|might|must|if|in"
    r"|for|to|on|at|by|given|since|isn['’]t|aren['’]t|don['’]t|w(?:er|en|em|as|ann|o|ie|arum|ieso|eshalb|elche\w*)|ist|sind"
    r"|war|hat|haben|kann|können|wird|werden|soll|sollen|muss|gibt|qu\S*|combien|comment|où|pourquoi|est|a-t|cu[aá]\S*"
    r"|d[oó]nde|c[oó]mo)\b"
)


def _report(verbs: str, words: str, between: str = r"(?:\s+[^\s,;:]+){0,4},?") -> re.Pattern[str]:
    """Return what finds a reported question: a verb of asking, perhaps who is asked, a word that opens what is asked.

    The words are separated by blanks; "_" stands for one.
    """
    verb, word = ("|".join(pattern.replace("_", r"\s+") for pattern in list_.split()) for list_ in (verbs, words))
    return re.compile(rf"(?i)\b(?<!not )(?<!never )(?:{verb}){between}\s+(?:{word})\b")


_ENGLISH_WORDS = "whether if who(?:m|se)? what when where which why how"
_REPORTS = (
    _report(
        "asked asks asking wonder(?:ed|s|ing)? [ei]nquire[ds] queried queries want(?:ed|s)?_to_know like_to_know",
        _ENGLISH_WORDS,
        # To be asked to do, for or about something is no question.
        r"(?:\s+(?!to\b|for\b|that\b|about\b)[^\s,;:]+){0,4},?(?:\s+as\s+to)?",
    ),
    _report(
        "question_(?:is|was|remains|remained|arose|(?:was|is)_(?:raised|put|asked))",
        _ENGLISH_WORDS,
        r",?(?:\s+as\s+to)?",
    ),
    _report(
        "(?:ge)?frag(?:t|te|ten|en) woll(?:te|ten|en)_wissen möchten?_wissen will_wissen erkundig(?:t|te|ten)_sich"
        " stell(?:t|te|ten)(?:_sich)?_die_frage frage_(?:ist|war|bleibt)",
        r"ob we[rnm] was wann wo\w* warum weshalb wie\w* welche\w* (?:auf|in|zu|bis|seit|von|für|mit)_we\w+",
        r"(?:\s+[^\s,;:]+){0,6},",
    ),
    _report(
        "demand(?:é|e|ent|a|èrent|ait|aient) (?:voulait|veut|souhaite|souhaitait|aimerait)_savoir",
        r"si s['’]ils? qui quand où comment combien pourquoi quel(?:le)?s? ce_qu\S*",
    ),
    _report(
        "pregunt(?:ó|a|an|aron|aba) (?:quiso|quería|quiere|querían)_saber",
        r"si qui[eé]n\w* qué cuándo dónde cómo cuánt\w* por_qué cuál\w*",
    ),
    _report(
        "chie(?:sto|se|de|sero|dono) (?:voleva|vuole)_sapere",
        r"se chi quando dove come quant\w* perché qual\w* (?:che_)?cosa",
    ),
    _report(
        "pergunt(?:ou|a|am|aram) (?:quis|queria|quer)_saber",
        r"se quem quando onde como quant\w* por_que porque qua(?:l|is)",
    ),
    _report("vroeg(?:en)? vraagt vragen (?:wilde|wil|wilden)_weten", r"of wie wat wanneer waar\w* hoe\w* welke?"),
)
# In speech without punctuation a question shows by the order of its words: "where is it", not "where it is".
_MARK = re.compile(r"[.!?;:…,，。–—]")
_SPOKEN_OPENERS = re.compile(
    r"(?:(?:so|and|but|okay|ok|well|now|then|right|yeah|um|uh|also|und|aber|gut|ja|äh|ähm)\s+)+"
)
_ABOUT = re.compile(r"(?:what|how)\s+about\s+\S|how\s+come\s+\S|what\s+if\s+\S|why\s+not\b")
_AUXILIARY = (
    r"(?:is|are|was|were|do|does|did|has|have|had|will|would|can|could|should|shall"
    r"|(?:is|are|was|do|does|did|has|have|wo|would|ca|could|should)n['’]t)"
)
_SUBJECT = (
    r"(?:the|a|an|this|that|these|those|it|we|you|they|he|she|i|there|my|our|your|their|his|her|its|any|anyone|anybody"
    r"|everyone|everybody|someone|somebody|mr|mrs|ms|dr)"
)
_GERMAN_VERB = (
    r"(?:ist|sind|war|waren|hat|haben|habt|hatte|kann|können|könnt|wird|werden|soll|sollen|muss|müssen|will|wollen|darf"
    r"|dürfen|gibt|kostet|kosten|macht|machen|kommt|kommen|geht|gehen|steht|stehen|liegt|heißt|bleibt|braucht|brauchen"
    r"|zahlt|bezahlt|dauert|fängt|beginnt)"
)
_GERMAN_SUBJECT = (
    r"(?:der|die|das|den|dem|ein|eine|einen|es|wir|ihr|sie|er|du|ich|man|denn|unser\w*|mein\w*|dein\w*|euer|eure\w*)"
)
_WORD_ORDER = re.compile(
    rf"(?:(?:what|where|when|why|how|whose|who)(?:\s+{_AUXILIARY}|['’]s)\s+{_SUBJECT}\b"
    rf"|how\s+(?:much|many|long|often|far|old|big|high|soon|late|expensive)(?:\s+\w+)?\s+{_AUXILIARY}\s+{_SUBJECT}\b"
    r"|(?:what|which)\s+\w+\s+(?:do|does|did|should|shall|will|can|could)\s+(?:i|we|you|they|he|she|it)\b"
    r"|who(?:\s+(?:is|was|will|can|could|would)\s+(?:going|coming|paying|doing|taking|bringing|pay|do|take|bring|come))\b"
    r"|(?:do|did|have|can|could|would|will|are|were|should)\s+(?:you|we|they)\b(?!\s+to\b)"
    r"|(?:does|did|can|could|will|would|should|has|is)\s+(?:he|she|anyone|anybody|everyone|everybody|someone|somebody)\b"
    r"|(?:is|was)\s+it\b|(?:is|are|was|were)\s+there\b|(?:can|could|may|shall|should|do|did)\s+i\b"
    rf"|(?:wo|wer|wann|was|wie|warum|wieso|weshalb|wohin|woher|wie\s?viele?|wie\s+(?:lange|oft|weit|alt|teuer|hoch))"
    rf"\s+{_GERMAN_VERB}\s+{_GERMAN_SUBJECT}\b"
    r"|(?:hat|weiß|kann|will)\s+jemand\b|(?:hast|kannst|willst)\s+du\b|(?:habt|könnt|wisst|wollt)\s+ihr\b)"
)
# An answer behind it, which must not be lost.
_ANSWERS = re.compile(
    r"\b(?:yes|yeah|yep|yup|nope|nein|no$|nee|because|weil|hundred|thousand|million|euros?|dollars?|pounds?|percent"
    r"|hundert|tausend|prozent|\w+['’](?:re|m|ll))\b|(?:it|that|there|he|she)['’]s\b|\d"
)
_STATES_LATER = re.compile(
    r"(?<!\bthat)(?<!\bwhich)(?<!\bwho)(?<!\bwhat)(?<!\bwhere)(?<!\bwhen)(?<!\bhow)(?<!\band)(?<!\bor)(?<!\bbut)"
    r"\s(?:is|are|was|were|remains?|depends)\b"
    r"|\b(?:und|aber|dass?)\s+(?:ist|sind|war)\b|\bthen we\b"
)
_REPORTS_CHINESE = re.compile(
    r"(?:问|問|询问|詢問|想知道)[^。]*(?:是否|多少|什么|什麼|谁|誰|何时|何時|哪|怎么|怎麼|为什么|為什麼|几|幾)"
)
# No question is reported by "When asked whether …, Kern said", nor by "Nobody asked who …".
_NO_REPORT = re.compile(
    r"(?i)(?:when|if|being|having|after|once|nobody|no one|none|no|asked|questioned|auf|gefragt|als|wenn|niemand|vor"
    r"|nach|interrogée?|lorsqu\S*|quand|personne|al|cuando|preguntad[oa]|nadie)\b"
)
# What is answered or decided in the same sentence.
_TELLS_BESIDE = re.compile(
    r"(?i)[;:(]|\s[–—-]\s|[a-z]\?.*\w|,\s(?:and|but|so|to which)\s(?!wh|how|if\b|for how|in wh)"
    r"|(?:[,–—]|\b(?:and|but|und|et|mais|y|pero|e|en)\b).*\b(?:said|says|repl(?:y|ied|ies)|answer(?:s|ed)?|explain(?:s|ed)?"
    r"|respon(?:d|ds|ded)|confirm(?:s|ed)?|stated?|told|tells|learn(?:s|ed|t)|heard|agree[ds]?|decid(?:e|ed|es)|resolved"
    r"|approved|assured|noted|it was|they were|sagt\w*|antwortet\w*|erwidert\w*|erklärt\w*|bestätigt\w*|mein(?:t|te)"
    r"|erfuhr\w*|hieß|beschloss\w*|dit|répond\w*|expliqu\w*|dijo|contest\w*|respond\w*|explic\w*|disse|rispo\w*|zei"
    r"|antwoord\w*)\b|答|表示"
)


def asks(text: str) -> bool:
    """Return whether a sentence asks, or reports a question, and tells nothing beside it.

    >>> asks("What is the budget?"), asks("The chair then asked how much the crane costs.")
    (True, True)
    >>> asks("Asked about the crane, Kern said it costs 9,000 euros."), asks("They asked for 9,000 euros.")
    (False, False)
    """
    if len(text) > MAX_CHARACTERS:
        return False
    text = " ".join(text.split())
    bare = text.rstrip(_CLOSERS)
    if _ENDS_ASKING.search(bare) or _GREEK_QUESTION.search(bare):
        return _asks_directly(text, bare)
    return _reports_question(text) or _asks_without_mark(text)


def _asks_directly(text: str, bare: str) -> bool:
    """Return whether a sentence that ends in a question mark asks all of what it says."""
    if _IN_DOUBT.search(text):
        return False
    closing = text[len(bare) :].strip()[:1]
    opening = _OPENING_QUOTES.get(closing)
    if opening and opening in bare:
        before = bare[: bare.rindex(opening)].rstrip()
        # A quotation asks if it is the sentence or somebody's words: not so the title of a song.
        if before and before[-1] not in ":,：，-–—":
            return any(report.search(f"{before} what") for report in _REPORTS[:1])
        return True
    spoken = bare[label.end() :] if (label := _LABEL.match(bare)) else bare
    if _TAG.search(spoken) and not _BEGINS_ASKING.match(spoken):
        return False
    return not _STATES_FIRST.search(spoken) or bool(_BEGINS_ASKING.match(spoken))


def _asks_without_mark(text: str) -> bool:
    """Return whether speech that was written down without punctuation asks: "so how much is the crane"."""
    if len(text) > MAX_UNMARKED or not text[:1].islower() or not text[-1:].isalnum() or _MARK.search(text):
        return False
    opener = _SPOKEN_OPENERS.match(text)
    spoken = text[opener.end() :] if opener else text
    if _ABOUT.match(spoken):
        return not _ANSWERS.search(spoken)
    question = _WORD_ORDER.match(spoken)
    if not question or _ANSWERS.search(spoken):
        return False
    return not _STATES_LATER.search(spoken, question.end())


def _reports_question(text: str) -> bool:
    """Return whether a sentence says what somebody asked, and nothing else."""
    label = _LABEL.match(text)
    spoken = text[label.end() :] if label else text
    if _NO_REPORT.match(spoken):
        return False
    for report in (*_REPORTS, _REPORTS_CHINESE):
        if match := report.search(spoken):
            return not _TELLS_BESIDE.search(spoken, match.end())
    return False
