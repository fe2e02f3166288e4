"""Guesses the language of a text, as far as it matters for where its sentences end."""

import re
import unicodedata
from collections import Counter

DEFAULT_LANGUAGE = "en"
SAMPLE_CHARACTERS = 20_000

# The first word of a character's Unicode name is its script. A script of several languages stands for the commonest.
_SCRIPTS = {
    "CJK": "zh", "HIRAGANA": "ja", "KATAKANA": "ja", "HANGUL": "ko", "ARABIC": "ar", "HEBREW": "he", "DEVANAGARI": "hi",
    "BENGALI": "bn", "GURMUKHI": "pa", "GUJARATI": "gu", "TAMIL": "ta", "TELUGU": "te", "KANNADA": "kn",
    "MALAYALAM": "ml", "CYRILLIC": "ru", "GREEK": "el", "ARMENIAN": "hy", "THAI": "th",
}  # fmt: skip
# Words that a sentence hardly does without, and that the other languages here do not share.
_STOP_WORDS = {
    "en": "the of and to is was were that it for with on are this by from at be have not you he she they which will",
    "de": "der die das und ist nicht ein eine zu den mit von für auf im dem des sich wurde wird auch als war sind bei",
    "fr": "le les et est des du une dans qui pour sur pas au avec il elle ce sont par été nous vous cette aux ont",
    "es": "el los las y es del una en para con por se su fue está al como pero más son lo ha muy también",
    "it": "il lo gli e è di della che una per con del non sono alla nel dei si ha questo anche delle più",
    "pt": "o os as e é do da uma em para com não no na dos das por foi um ao mais são pelo pela",
    "nl": "de het een en van is dat niet op te zijn voor met wordt werd aan bij ook naar door deze wij",
}
_LANGUAGES_OF = Counter(word for words in _STOP_WORDS.values() for word in words.split())
_WORD = re.compile(r"[^\W\d_]+")


def guess_language(text: str) -> str:
    """Return the ISO 639-1 code of the language of ``text``; "en" where nothing tells.

    >>> guess_language("Der Rat tagte im alten Zollhaus, und die Brücke wurde genehmigt.")
    'de'
    >>> guess_language("会议于三点开始。"), guess_language("Budget 2026")
    ('zh', 'en')
    """
    sample = text[:SAMPLE_CHARACTERS]
    if not sample.isascii():
        scripts = Counter(_script(character) for character in sample if character.isalpha())
        # Japanese is written with Chinese characters, too; Chinese has no kana.
        if scripts["HIRAGANA"] + scripts["KATAKANA"] > scripts["CJK"] / 10:
            scripts["HIRAGANA"] += scripts.pop("CJK", 0)
        # A word of these is one character or two, so a third of the letters is most of the text.
        if scripts["CJK"] > scripts["LATIN"] / 2:
            return _SCRIPTS["CJK"]
        if scripts and (script := scripts.most_common(1)[0][0]) in _SCRIPTS:
            return _SCRIPTS[script]
    words = Counter(word.lower() for word in _WORD.findall(sample))
    # A word that three languages have says a third as much.
    scores = {
        language: sum(words[word] / _LANGUAGES_OF[word] for word in stop_words.split())
        for language, stop_words in _STOP_WORDS.items()
    }
    return max(scores, key=lambda language: scores[language]) if any(scores.values()) else DEFAULT_LANGUAGE


def _script(character: str) -> str:
    return "LATIN" if character.isascii() else unicodedata.name(character, "").partition(" ")[0]
