"""The dashboard and the alert rules: Prometheus understands each expression, and the server has what it names."""

import json
from collections.abc import Iterator
from pathlib import Path

import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from promql_parser import AggModifierType, AggregateExpr, Expr, VectorSelector

from sourceline.types import NO_RERANKER
from tests.conftest import SEEDS
from tests.support.api import serve

DEPLOY = Path(__file__).parent.parent / "deploy"
DASHBOARD = json.loads((DEPLOY / "grafana.json").read_text("utf-8"))
RULES = [
    rule for group in yaml.safe_load((DEPLOY / "alerts.yml").read_text("utf-8"))["groups"] for rule in group["rules"]
]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
DASHBOARD_EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]]
EXPRESSIONS = [*DASHBOARD_EXPRESSIONS, *(rule["expr"] for rule in RULES)]
OF_PROMETHEUS = {"instance", "job"}  # labels that it adds


@pytest.fixture(scope="module")
def samples(seed_index: Path) -> dict[str, set[str]]:
    """The samples of a server that has answered, with the names of their labels."""
    labels: dict[str, set[str]] = {"up": set()}  # which Prometheus makes
    with serve(SEEDS, seed_index, reranker=NO_RERANKER) as client:
        assert client.get("/v1/ask", params={"question": "Who met?"}).status_code == 200
        for family in text_string_to_metric_families(client.get("/metrics").text):
            for sample in family.samples:
                labels.setdefault(sample.name, set()).update(sample.labels)
    return labels


def parts(expression: str) -> Iterator[Expr]:
    """Yield an expression of PromQL, as Prometheus reads it, and all that it is made of."""
    found: list[Expr] = []
    text = expression.replace("$__rate_interval", "5m").replace("$instance", ".*")
    promql_parser.walk(promql_parser.parse(text), pre_visit=found.append)
    yield from found


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_names_what_the_server_tells(expression: str, samples: dict[str, set[str]]) -> None:
    labels = set(OF_PROMETHEUS)
    selectors = [part for part in parts(expression) if isinstance(part, VectorSelector)]
    assert selectors
    for selector in selectors:
        assert selector.name in samples
        own = samples[selector.name] | OF_PROMETHEUS
        assert {matcher.name for matcher in selector.matchers.matchers} <= own
        labels |= own
    for part in parts(expression):
        if isinstance(part, AggregateExpr) and part.modifier:
            assert part.modifier.type is AggModifierType.By
            assert set(part.modifier.labels) <= labels


def test_the_dashboard_can_be_imported_and_asks_the_data_source_that_is_chosen() -> None:
    datasource, instance = DASHBOARD["templating"]["list"]
    assert (datasource["type"], datasource["query"]) == ("datasource", "prometheus")
    assert instance["query"]["query"] == "label_values(sourceline_passages, instance)"
    chosen = {"type": "prometheus", "uid": f"${{{datasource['name']}}}"}
    assert [part["datasource"] for part in [*PANELS, *(target for panel in PANELS for target in panel["targets"])]] == [
        chosen
    ] * (len(PANELS) + len(DASHBOARD_EXPRESSIONS))
    assert all('instance=~"$instance"' in expression for expression in DASHBOARD_EXPRESSIONS)
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert ids == sorted(set(ids))


def test_no_two_panels_lie_on_each_other() -> None:
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in DASHBOARD["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert {x for x, _ in cells} == set(range(24))


def test_every_alert_says_what_has_happened_and_how_bad_it_is() -> None:
    for rule in RULES:
        assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"]["summary"]
