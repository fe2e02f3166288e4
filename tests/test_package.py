"""The package as its users import it."""

import dataclasses
import json
import re
import subprocess
import sys
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import sourceline
from sourceline import errors, types
from sourceline.api import Index

# Prints what a process looks like to other code in it, before and after some imports.
COMPARE = """
import gc, importlib, json, logging, os, signal, sys, threading, typing, warnings
from pydantic import BaseModel

def state():
    return {
        "environment": dict(os.environ),
        "pydantic": repr(BaseModel.model_config),
        "garbage collection": gc.get_threshold(),
        "logging": [logging.root.level, len(logging.root.handlers), logging.root.manager.disable],
        "warnings": repr(warnings.filters),
        "signals": [repr(signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)],
        "threads": threading.active_count(),
        "path": [os.getcwd(), *sys.path],
        "modules": sorted(sys.modules),
    }

before = state()
IMPORT
print(json.dumps([before, state()]))
"""


def states(statement: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the state of a fresh process before and after it runs a statement."""
    command = [sys.executable, "-c", COMPARE.replace("IMPORT", statement)]
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    assert process.stderr == ""
    before, after = json.loads(process.stdout)
    return before, after


def test_importing_the_package_changes_nothing_and_loads_nothing_else() -> None:
    before, after = states("import sourceline")

    assert {*after.pop("modules")} - {*before.pop("modules")} == {"sourceline"}
    assert after == before


@pytest.mark.parametrize("statement", ["from sourceline import *", "import sourceline.api, sourceline.errors"])
def test_importing_everything_changes_no_setting_of_the_process(statement: str) -> None:
    before, after = states(statement)

    assert "sourceline.api" in after["modules"]
    for name in ("environment", "pydantic", "garbage collection", "logging", "signals", "threads", "path"):
        assert after[name] == before[name]


def test_what_answers_is_imported_when_it_is_first_used_and_what_builds_is_not() -> None:
    _, after = states("from sourceline import Answer")
    assert "sourceline.types" in after["modules"]
    assert not {"numpy", "sourceline.api", "sourceline.errors"} & {*after["modules"]}

    _, after = states("from sourceline import Index")
    assert {"sourceline.api", "faiss", "tantivy"} <= {*after["modules"]}
    assert not {"torch", "onnxruntime", "fastapi", "typer", "sourceline.indexing.builder"} & {*after["modules"]}


def functions_of_index() -> Iterator[Callable[..., object]]:
    """Yield the public methods and properties of ``Index`` as plain functions."""
    for name, member in vars(Index).items():
        if not name.startswith("_"):
            function: Callable[..., object] = getattr(member, "fget", None) or getattr(member, "__func__", member)
            yield function


def classes_in(annotation: Any) -> Iterator[type]:
    """Yield the classes that a type annotation is made of."""
    parts = annotation if isinstance(annotation, list) else typing.get_args(annotation)
    if isinstance(annotation, type) and not parts:
        yield annotation
    for part in parts:
        yield from classes_in(part)


def classes_in_hints(owner: Any) -> Iterator[type]:
    for hint in typing.get_type_hints(owner).values():
        yield from classes_in(hint)


def types_of_index() -> set[str]:
    """Return the names of the package's types that a user of ``Index`` gives or gets, also inside of others."""
    pending = [cls for function in functions_of_index() for cls in classes_in_hints(function)]
    known: set[type] = set()
    while pending:
        cls = pending.pop()
        if cls.__module__ == types.__name__ and cls not in known:
            known.add(cls)
            if dataclasses.is_dataclass(cls):
                pending += classes_in_hints(cls)
    return {cls.__name__ for cls in known}


def test_exported_are_the_front_door_all_its_types_and_every_error() -> None:
    all_errors = {name for name, value in vars(errors).items() if isinstance(value, type)}

    assert {*sourceline.__all__} == {"Index"} | types_of_index() | all_errors
    assert len(sourceline.__all__) == len({*sourceline.__all__})
    assert {"Answer", "Hit", "Passage", "Citation", "CitationStatus", "BuildReport"} <= {*sourceline.__all__}


@pytest.mark.parametrize("name", sourceline.__all__)
def test_every_exported_name_is_the_class_of_that_name(name: str) -> None:
    exported = getattr(sourceline, name)

    assert isinstance(exported, type)
    assert exported.__name__ == name
    assert exported.__doc__
    assert name in dir(sourceline)


def test_every_error_stands_in_the_tree_that_its_module_draws() -> None:
    drawn: dict[str, str] = {}
    path: list[str] = []
    for branch, name in re.findall(r"^    ([│├└─ ]*)(\w+Error)", errors.__doc__ or "", re.MULTILINE):
        path[len(branch) // 4 :] = [name]
        drawn[name] = path[-2] if branch else "Exception"

    all_errors = [getattr(sourceline, name) for name in sourceline.__all__ if name.endswith("Error")]
    assert drawn == {error.__name__: error.__base__.__name__ for error in all_errors}


@pytest.mark.parametrize("name", ["Block", "Searcher", "api_", "_hidden", "build"])
def test_an_unknown_attribute_is_an_attribute_error(name: str) -> None:
    with pytest.raises(AttributeError, match=f"module 'sourceline' has no attribute '{name}'"):
        getattr(sourceline, name)


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(sourceline.__file__).parent / "py.typed").is_file()
