import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sourceline.ingest import questions
from sourceline.ingest.questions import MAX_CHARACTERS, asks
from tests.support.texts import texts

ASK = [
    "What is the budget for the new ferry?",
    "Anna: What is the budget for the new ferry?",
    "[00:12:03] Bo Lind: When does the ferry leave?",
    '"Is it open?"',
    "(Is it open?)",
    'He asked: "Is it open?"',
    "The treasurer asked, “Who pays for this?”",
    "She asked him “who pays?”",
    "Really?!",
    "9,000 euros?",
    "桥什么时候开放？",
    "他问桥什么时候开放。",
    "متى يفتح الجسر؟",
    "¿Quién paga la obra?",
    "Qui paiera ?",
    "« Qui paiera ? »",
    "Πότε ανοίγει η γέφυρα;",
    "The chair then asked how much the crane costs.",
    "She wanted to know whether the pool opens in May.",
    "Herr Lind fragte, ob die Brücke offen ist.",
    "Herr Lind wollte wissen, wie viel der Kran kostet.",
    "Frau Kern hat gefragt, wann das Bad öffnet.",
    "Mme Leroy a demandé combien coûte la grue.",
    "La alcaldesa preguntó cuánto cuesta la grúa.",
    "Mr. Lind asked the treasurer why the fee had gone up.",
    "It was asked who pays for the rope.",
    "Bo wondered whether the crane is safe.",
    "I'd like to know when the next meeting is.",
    "The question was raised whether the crane is safe.",
    "The question remains who will pay.",
    "Mr. Lind was asked whether the rope is new.",
    "A member enquired as to whether the minutes were public.",
    "Who pays, and when?",
    "So what do we do now?",
    "If we sell the crane, who buys it?",
    "Anna asked what Mr. Lind had said about the rope.",
    "Bo: I wonder who has the key.",
    "What did he say; and when?",
    "会議はいつですか。",
    "Bo Lind vroeg of de brug open is.",
    "Il sindaco ha chiesto quanto costa la gru.",
    "What is the fee, 60 euros or 90?",
    "When is the next meeting, please?",
    "Councillor Hughes asked if the report would be made public.",
    "Ms. Adeyemi asked the surveyor whether he had looked at the north wall.",
    "Members wondered who had signed the lease.",
    "The clerk was asked how many tickets had been sold.",
    "Mr. Bray wants to know when the hall will be free again.",
    "Does anybody have the key to the shed?",
    "And the fence?",
    "Where, exactly, did the money go?",
    "How much did we pay Lund last year, by the way?",
    "She enquired when the next audit was due.",
    "The question is whether we can afford it.",
    "Several residents asked why the bus no longer stops there.",
    '"And who," she asked, "is going to pay?"',
    "Frau Kern erkundigte sich, wann die Heizung repariert wird.",
    "Er fragte die Vorsitzende, warum der Zaun fehlt.",
    "Wer bezahlt das?",
    "Il a demandé si le pont était fermé.",
    "Preguntó si la piscina abre en mayo.",
    "पुल कब खुलेगा?",
    "Will the crane, which is now sixty years old, be replaced?",
    "One resident asked: who will clean it?",
    "I was wondering whether the heating could be turned down.",
    "Can you tell me what the crane costs?",
    "Mr. Lind then asked again whether the vote was secret.",
    "Could we please move on?",
]
TELL = [
    "Asked about the crane, Kern said it costs 9,000 euros.",
    "They asked for 9,000 euros.",
    "The question is closed.",
    "Asked whether the crane is safe, Kern said no.",
    "When asked who pays, Mr. Lind pointed at the statutes.",
    "The board asked Kern to find out how much it costs.",
    "The crane costs 9,000 euros, doesn't it?",
    "It opens in May, right?",
    "The crane was built in 1963 (?)",
    'The song is called "Who Is She?"',
    "The crane costs 9,000 euros (or was it 8,000?)",
    "Kern asked who pays, and Lind said that the county does.",
    "Kern asked who pays and was told that the county does.",
    "Kern asked who pays; the county does.",
    "Kern asked what the crane costs: 9,000 euros.",
    "The questions were answered by Mr. Lind.",
    "Nobody asked who pays.",
    "He asked that the crane be repaired.",
    "The firm asked about 9,000 euros for it.",
    "Who pays is not known.",
    "How the crane was repaired is told below.",
    "Whether the pool opens in May depends on the pump.",
    "Auf die Frage, ob der Kran sicher ist, sagte Frau Kern nein.",
    "Herr Lind fragte, was der Kran kostet, und erfuhr: 9.000 Euro.",
    'The answer to "who pays?" is: the county.',
    "We have 9,000 euros, so who needs more?",
    "Is it open? Yes, says Kern.",
    "The pool opens in May.",
    "Question time was cut short.",
    "Mr. Lind asked the board to approve the budget.",
    "The asking price is 9,000 euros.",
    "He wanted to know nothing of it.",
    "They will ask when they need more.",
    '"Is it open?" he asked, and Kern said yes.',
    "Der Antrag fragt nicht nach den Kosten.",
    "The crane was sold;",
    "Die Anfrage wurde vertagt.",
    "Bei der Frage der Kosten gab es keine Einigung.",
    "委员会决定询问三家公司。",
    "La question est close.",
    "The chair answered that the report would be made public in May.",
    "Mr. Bray asked that his vote be recorded.",
    "The treasurer explained why the fee had gone up.",
    "The surveyor was asked to look at the north wall.",
    "No questions were asked.",
    "There were three questions from the floor.",
    "The board decided whether to repair the crane on 4 May.",
    "Asked by Ms. Coe, he said that the lease ends in 2028.",
    "In reply to Mr. Lind, who asked about the rope, Kern said it is new.",
    "Ms. Coe asked whether the lease was signed, to which the clerk replied that it was.",
    "It is not known who signed the lease.",
    "You asked for the figures, and here they are.",
    "The residents asked for a bus stop.",
    "Kern asked how old the crane is and heard that it was built in 1963.",
    "What we need is a new crane.",
    "When the pool opens, the fee rises to 60 euros.",
    "Which firm gets the order was left to the treasurer.",
    "The fee rises, as you know, don't you?",
    "He asked the firm from Lund when it could start, and it offered June.",
    'The company "Who Cares?" won the tender.',
    "Die Frage wurde an den Ausschuss verwiesen.",
    "Auf Nachfrage erklärte Herr Lind, wann die Heizung repariert wird.",
    "Er bat darum, die Frage zu vertagen.",
    "Why not? Because the rope is old.",
    "Bo asked for 200 euros to find out what is wrong with it.",
    "",
]


ASK_UNMARKED = [
    "so what about the snow plough where is it now",
    "how much is the crane",
    "wo ist der schneepflug jetzt",
    "and how many boats are there in the yard",
    "okay where did the old rope go",
    "well do you have the key to the shed",
    "when is the next meeting",
    "who's the man with the ladder",
    "is there any paint left in the loft",
    "und wann kommt der neue kran",
    "also was kostet das boot im winter",
    "can anyone tell me about the lease",
    "why don't we sell the winch",
    "hat jemand den schlüssel",
]
TELL_UNMARKED = [
    "what we did was paint the hull in march",
    "how to get there is described below",
    "what was the old office is now a café",
    "where there is a quay there are boats",
    "so we looked at the crane in the yard",
    "how much is the crane it is nine thousand euros",
    "is there paint in the loft yes two tins",
    "when the crane is up we can start",
    "who pays is not known",
    "which is the one that we bought",
    "had it repaired in may by a firm from lund",
    "do the hull first and the deck after it",
    "was wir gemacht haben ist den rumpf streichen",
    "wo der kran steht ist noch kein zaun",
    "have it ready by the end of may",
    "where is the crane, in the yard",
    "what's left goes to the museum",
    "How much is the crane",
    "and then we had a look at how it was done",
]


@pytest.mark.parametrize("text", ASK_UNMARKED)
def test_what_asks_in_speech_without_punctuation(text: str) -> None:
    assert asks(text)
    assert not asks(f"{text} " + "and so on " * 15)


@pytest.mark.parametrize("text", TELL_UNMARKED)
def test_what_tells_in_speech_without_punctuation(text: str) -> None:
    assert not asks(text)


@pytest.mark.parametrize("text", ASK)
def test_what_asks(text: str) -> None:
    assert asks(text)
    assert asks(text.replace(" ", "\n", 1))


@pytest.mark.parametrize("text", TELL)
def test_what_tells(text: str) -> None:
    assert not asks(text)


@given(texts, st.sampled_from(ASK))
def test_any_text_is_told_apart(text: str, question: str) -> None:
    assert asks(text) in (True, False)
    assert asks(f"  {question}\n") is True


@pytest.mark.parametrize("unit", ["asked ", "a, ", "? ", "A: ", "asked who ", '"', "(", "; ", "- ", ". ", "[1] "])
def test_a_long_line_asks_nothing(unit: str) -> None:
    assert not asks(f"He {unit * 100_000}?")
    assert asks(f"He {unit * 100}?"[:MAX_CHARACTERS]) in (True, False)


def test_the_examples_of_the_module_hold() -> None:
    assert doctest.testmod(questions).failed == 0
