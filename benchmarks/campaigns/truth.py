"""An independent model of what is true of citations.

It knows what the documents said, and nothing of how they are tracked; it shares no code with Sourceline. A document is
its sentences, and an id is known by the passage that a snapshot showed with it.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

CURRENT, MOVED, CHANGED, REMOVED, UNKNOWN = "current", "moved", "changed", "removed", "unknown"

Corpus = Mapping[str, tuple[str, ...]]  # the sentences of each document, by its id
Shown = Mapping[str, Sequence[tuple[str, str]]]  # the id and the text of each passage of each document


@dataclass(frozen=True, slots=True)
class Cited:
    """What an id stands for: a sentence of a document, and which repetition of it this is, from 0."""

    document: str
    text: str
    occurrence: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What a lookup says. ``document`` and ``text`` are of the place where the sentence stands now, if there is one."""

    status: str
    cited_text: str = ""
    document: str | None = None
    text: str | None = None


@dataclass
class Truth:
    """What was published, and which ids were seen in it.

    ``kept`` are the whole snapshots that a fallback can go to, oldest first; the last one is served.
    """

    published: dict[str, Corpus] = field(default_factory=dict)  # by the id of the snapshot
    issued: dict[str, Cited] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    _unpublished: set[str] = field(default_factory=set)
    # Since a new snapshot was last served: what a build published that was killed may be served a moment later.
    _attempted: list[Corpus] = field(default_factory=list)
    _copied: set[str] = field(default_factory=set)  # sentences that once stood in two places at once

    @property
    def unpublished(self) -> set[str]:
        """The ids that were given out by nothing but builds that did not publish."""
        return self._unpublished - self.issued.keys()

    def attempt(self, corpus: Corpus) -> None:
        """Take note that a build of this corpus was started: it may publish, and be served from some time on."""
        self._attempted.append(dict(corpus))
        self._unpublished |= ids_of(corpus).keys()
        sentences = [sentence for document in corpus.values() for sentence in document]
        self._copied |= {sentence for sentence in sentences if sentences.count(sentence) > 1}

    def fall_back(self) -> None:
        """Take note that the newest snapshot is no longer whole."""
        self.kept.pop()

    def serve(self, snapshot: str, shown: Shown) -> list[str]:
        """Take what is served; return what is false of it: it is a corpus that a build was started of, or the last."""
        corpus = {document: tuple(text for _, text in passages) for document, passages in shown.items()}
        if snapshot not in self.published:
            attempted, self._attempted = self._attempted, []
            if corpus not in attempted:
                return [f"{snapshot} holds {corpus}, of which no build was started, but of {attempted}"]
            self.published[snapshot] = corpus
            self.kept = [*self.kept, snapshot][-2:]
        elif [snapshot] != self.kept[-1:]:
            return [f"{snapshot} is served, and not {self.kept[-1:]}"]
        elif corpus != self.published[snapshot]:
            return [f"{snapshot} holds {corpus}, and was {self.published[snapshot]}"]
        self.issued |= ids_of(corpus)
        expected = {id_: cited.text for id_, cited in ids_of(corpus).items()}
        found = {id_: text for passages in shown.values() for id_, text in passages}
        return [] if found == expected else [f"{snapshot} has the ids {found}, and not as documented {expected}"]

    def statuses(self, id_: str, snapshot: str) -> set[str]:
        """Return which statuses are true of an id in a snapshot: several, where the texts alone cannot decide."""
        if id_ not in self.issued:
            return {UNKNOWN}
        corpus, cited = self.published[snapshot], self.issued[id_]
        here = corpus.get(cited.document, ()).count(cited.text)
        if here > cited.occurrence:
            return {CURRENT}
        if here:  # one of several equal sentences went, and this is the id of the last
            return {MOVED}
        if any(cited.text in sentences for sentences in corpus.values()):
            # Whether it stands for a copy depends on the text around both.
            return {MOVED, CHANGED, REMOVED} if cited.text in self._copied else {MOVED}
        return {CHANGED, REMOVED}  # how similar another sentence is, is not for this model to say

    def falsehood(self, id_: str, answer: Answer, snapshot: str | None = None) -> str | None:
        """Return what is false in an answer from a snapshot, the one that is served by default; None if all is true."""
        snapshot = snapshot or self.kept[-1]
        statuses, corpus = self.statuses(id_, snapshot), self.published[snapshot]
        if answer.status not in statuses:
            right = " or ".join(sorted(statuses))
            return f"{id_} ({self.issued.get(id_)}) is {answer.status} in {snapshot}, not {right}"
        if answer.status == UNKNOWN:
            return None
        cited = self.issued[id_]
        if answer.cited_text != cited.text:
            return f"{id_} was cited as {cited.text!r}, and not as {answer.cited_text!r}"
        if answer.status == REMOVED:
            return f"{id_} is removed, and stands in {answer.document}" if answer.document else None
        if answer.document is None or answer.text not in corpus.get(answer.document, ()):
            return f"{id_} is {answer.status}, to {answer.text!r} in {answer.document}, where that does not stand"
        if (answer.text == cited.text) is (answer.status == CHANGED):
            return f"{id_} is {answer.status}, from {cited.text!r} to {answer.text!r}"
        return None


def ids_of(corpus: Corpus) -> dict[str, Cited]:
    """Return the ids of a corpus of plain ASCII, as documented: hashes of document, repetition and text."""
    ids = {}
    for document, sentences in corpus.items():
        for at, text in enumerate(sentences):
            occurrence = sentences[:at].count(text)
            digest = hashlib.sha256(f"{document}\0{occurrence}\0{text}".encode()).digest()[:10]
            ids[base64.b32encode(digest).decode().lower()] = Cited(document, text, occurrence)
    return ids
