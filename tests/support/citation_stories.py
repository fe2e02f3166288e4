"""What can happen to documents that were cited, and what is to be said of the citations afterwards."""

from dataclasses import dataclass

MET, CLOSED, OTHER = "The council met on Monday.", "The chair closed the session.", "Other things are here."
GREW, LESS, MORE = "Trade grew by 7 percent.", "Trade grew by 6 percent.", "Trade grew by 8 percent."
THANKS = "Thank you."
REPORT = f"{MET} {GREW}\n{THANKS}\n{CLOSED}\n{THANKS}\nGoodbye.\n"
EDITED = REPORT.replace(GREW, MORE)
JOINED = "The council met on Monday and it voted for the bridge."
VOTED = "It voted for the bridge."

# Documents by name; None stands for the deletion of all snapshots.
State = dict[str, str] | None
# A sentence of a.txt; with a number, that repetition of it, counted from 0.
Cited = str | tuple[str, int]
# A status; and, if something stands for the sentence today, the document that it is in and its text.
Outcome = str | tuple[str, str, str]


@dataclass(frozen=True)
class Story:
    """What was published, one state after the other, and what is to be said of sentences of a.txt in the end."""

    states: list[State]
    outcomes: dict[Cited, Outcome]


STORIES = {
    "nothing happened": Story(
        [{"a.txt": REPORT}, {"a.txt": REPORT}],
        {MET: ("current", "a.txt", MET), (THANKS, 1): ("current", "a.txt", THANKS)},
    ),
    "edited elsewhere": Story(
        [{"a.txt": REPORT}, {"a.txt": f"A new preface.\n\n{REPORT}And an end.", "b.txt": OTHER}],
        {MET: ("current", "a.txt", MET), (THANKS, 1): ("current", "a.txt", THANKS)},
    ),
    "put in another order": Story(
        [{"a.txt": f"{MET} {GREW} {CLOSED}"}, {"a.txt": f"{CLOSED} {MET} {GREW}"}],
        {MET: ("current", "a.txt", MET), CLOSED: ("current", "a.txt", CLOSED)},
    ),
    "renamed": Story(
        [{"a.txt": REPORT}, {"d/b.txt": REPORT}],
        {
            MET: ("moved", "d/b.txt", MET),
            THANKS: ("moved", "d/b.txt", THANKS),
            (THANKS, 1): ("moved", "d/b.txt", THANKS),
        },
    ),
    "renamed to another format": Story([{"a.txt": REPORT}, {"a.md": REPORT}], {GREW: ("moved", "a.md", GREW)}),
    "renamed twice": Story([{"a.txt": REPORT}, {"b.txt": REPORT}, {"c.txt": REPORT}], {MET: ("moved", "c.txt", MET)}),
    "renamed and back": Story(
        [{"a.txt": REPORT}, {"b.txt": REPORT}, {"a.txt": REPORT}],
        {MET: ("current", "a.txt", MET), (THANKS, 1): ("current", "a.txt", THANKS)},
    ),
    "renamed, back, and away again": Story(
        [{"a.txt": REPORT}, {"b.txt": REPORT}, {"a.txt": REPORT}, {"c.txt": REPORT}], {MET: ("moved", "c.txt", MET)}
    ),
    "two documents changed names": Story(
        [{"a.txt": REPORT, "b.txt": OTHER}, {"b.txt": REPORT, "a.txt": OTHER}],
        {MET: ("moved", "b.txt", MET), THANKS: ("moved", "b.txt", THANKS)},
    ),
    "copied": Story([{"a.txt": REPORT}, {"a.txt": REPORT, "b.txt": REPORT}], {MET: ("current", "a.txt", MET)}),
    "copied, then deleted": Story(
        [{"a.txt": REPORT}, {"a.txt": REPORT, "b.txt": REPORT}, {"b.txt": REPORT}],
        {MET: ("moved", "b.txt", MET), (THANKS, 1): ("moved", "b.txt", THANKS)},
    ),
    "renamed, then copied, then the copy edited": Story(
        [{"a.txt": REPORT}, {"b.txt": REPORT}, {"b.txt": REPORT, "c.txt": REPORT}, {"b.txt": REPORT, "c.txt": EDITED}],
        {GREW: ("moved", "b.txt", GREW)},
    ),
    "cut out and put into another document": Story(
        [{"a.txt": REPORT, "b.txt": OTHER}, {"a.txt": REPORT.replace(f"{GREW}\n", "\n"), "b.txt": f"{OTHER} {GREW}"}],
        {GREW: ("moved", "b.txt", GREW), MET: ("current", "a.txt", MET)},
    ),
    "put into another document and back": Story(
        [
            {"a.txt": REPORT, "b.txt": OTHER},
            {"a.txt": MET, "b.txt": f"{OTHER} {GREW}"},
            {"a.txt": REPORT, "b.txt": OTHER},
        ],
        {GREW: ("current", "a.txt", GREW)},
    ),
    "the document was cut into two": Story(
        [{"a.txt": REPORT}, {"b.txt": f"{MET} {GREW}", "c.txt": f"{CLOSED}\n{THANKS}\nGoodbye."}],
        {GREW: ("moved", "b.txt", GREW), CLOSED: ("moved", "c.txt", CLOSED)},
    ),
    "the first of two equal sentences went": Story(
        [{"a.txt": REPORT}, {"a.txt": REPORT.replace(f"{THANKS}\n", "", 1)}],
        {THANKS: ("current", "a.txt", THANKS), (THANKS, 1): ("moved", "a.txt", THANKS)},
    ),
    "both of two equal sentences went": Story(
        [{"a.txt": REPORT}, {"a.txt": REPORT.replace(THANKS, "")}], {THANKS: "removed", (THANKS, 1): "removed"}
    ),
    "one of two equal sentences went while another document came with it": Story(
        [
            {"a.txt": f"{MET} {GREW} {CLOSED} {GREW}"},
            {"a.txt": f"{MET} {CLOSED} {GREW}", "b.txt": f"{OTHER} {GREW}"},
            {"a.txt": f"{MET} {CLOSED} {GREW}"},
        ],
        {(GREW, 1): ("moved", "a.txt", GREW)},
    ),
    "changed": Story([{"a.txt": REPORT}, {"a.txt": EDITED}], {GREW: ("changed", "a.txt", MORE)}),
    "changed and renamed at once": Story([{"a.txt": REPORT}, {"b.txt": EDITED}], {GREW: ("changed", "b.txt", MORE)}),
    "changed, then renamed": Story(
        [{"a.txt": REPORT}, {"a.txt": EDITED}, {"b.txt": EDITED}], {GREW: ("changed", "b.txt", MORE)}
    ),
    "renamed, then changed": Story(
        [{"a.txt": REPORT}, {"b.txt": REPORT}, {"b.txt": EDITED}], {GREW: ("changed", "b.txt", MORE)}
    ),
    "changed twice": Story(
        [{"a.txt": REPORT}, {"a.txt": REPORT.replace(GREW, LESS)}, {"a.txt": EDITED}],
        {GREW: ("changed", "a.txt", MORE)},
    ),
    "changed and back": Story(
        [{"a.txt": REPORT}, {"a.txt": EDITED}, {"a.txt": REPORT}], {GREW: ("current", "a.txt", GREW)}
    ),
    "changed, back, and removed": Story(
        [{"a.txt": REPORT}, {"a.txt": EDITED}, {"a.txt": REPORT}, {"a.txt": f"{MET} {CLOSED}"}], {GREW: "removed"}
    ),
    "changed, renamed, and its text back in the new place": Story(
        [{"a.txt": REPORT}, {"a.txt": EDITED}, {"b.txt": EDITED}, {"b.txt": REPORT}], {GREW: ("moved", "b.txt", GREW)}
    ),
    "changed, then removed": Story(
        [{"a.txt": REPORT}, {"a.txt": EDITED}, {"a.txt": f"{MET} {CLOSED}"}], {GREW: "removed"}
    ),
    "split": Story(
        [{"a.txt": f"{JOINED} {CLOSED}"}, {"a.txt": f"{MET} {VOTED} {CLOSED}"}],
        {JOINED: ("changed", "a.txt", VOTED), CLOSED: ("current", "a.txt", CLOSED)},
    ),
    "merged": Story(
        [{"a.txt": f"{MET} {VOTED} {CLOSED}"}, {"a.txt": f"{JOINED} {CLOSED}"}],
        {MET: ("changed", "a.txt", JOINED), VOTED: ("changed", "a.txt", JOINED)},
    ),
    "removed": Story(
        [{"a.txt": REPORT}, {"a.txt": f"{MET} {CLOSED}"}], {GREW: "removed", MET: ("current", "a.txt", MET)}
    ),
    "the document was removed": Story(
        [{"a.txt": REPORT, "b.txt": OTHER}, {"b.txt": OTHER}], {MET: "removed", (THANKS, 1): "removed"}
    ),
    "removed and back": Story(
        [{"a.txt": REPORT, "b.txt": OTHER}, {"b.txt": OTHER}, {"a.txt": REPORT, "b.txt": OTHER}],
        {MET: ("current", "a.txt", MET), (THANKS, 1): ("current", "a.txt", THANKS)},
    ),
    "removed and back under another name": Story(
        [{"a.txt": REPORT, "b.txt": OTHER}, {"b.txt": OTHER}, {"b.txt": OTHER, "c.txt": REPORT}],
        {MET: ("moved", "c.txt", MET), (THANKS, 1): ("moved", "c.txt", THANKS)},
    ),
    "removed, back, and removed": Story(
        [{"a.txt": REPORT, "b.txt": OTHER}, {"b.txt": OTHER}, {"a.txt": REPORT, "b.txt": OTHER}, {"b.txt": OTHER}],
        {MET: "removed"},
    ),
    "removed while another document ends with the same phrase": Story(
        [{"a.txt": f"{MET} {THANKS}"}, {"b.txt": f"{OTHER} {THANKS}"}], {MET: "removed", THANKS: "removed"}
    ),
    "removed while another document begins with the same phrase": Story(
        [{"a.txt": f"{THANKS} {MET}"}, {"b.txt": f"{THANKS} {OTHER}"}], {MET: "removed", THANKS: "removed"}
    ),
    "removed while the phrase stood in another document before": Story(
        [{"a.txt": f"{MET} {THANKS}", "b.txt": f"{OTHER} {THANKS}"}, {"b.txt": f"{OTHER} {THANKS}"}],
        {THANKS: "removed"},
    ),
    "snapshots deleted": Story(
        [{"a.txt": REPORT}, None, {"a.txt": REPORT}],
        {MET: ("current", "a.txt", MET), (THANKS, 1): ("current", "a.txt", THANKS)},
    ),
    "snapshots deleted and the document renamed": Story(
        [{"a.txt": REPORT}, None, {"b.txt": REPORT}],
        {MET: ("moved", "b.txt", MET), (THANKS, 1): ("moved", "b.txt", THANKS)},
    ),
    "renamed before the snapshots were deleted": Story(
        [{"a.txt": REPORT}, {"b.txt": REPORT}, None, {"b.txt": REPORT}], {MET: ("moved", "b.txt", MET)}
    ),
    "changed before the snapshots were deleted": Story(
        [{"a.txt": REPORT}, {"a.txt": EDITED}, None, {"a.txt": EDITED}], {GREW: ("changed", "a.txt", MORE)}
    ),
    "snapshots deleted and the sentence gone": Story(
        [{"a.txt": REPORT}, None, {"a.txt": f"{MET} {CLOSED}\n{THANKS}"}],
        {GREW: "removed", MET: ("current", "a.txt", MET), (THANKS, 1): ("moved", "a.txt", THANKS)},
    ),
}
