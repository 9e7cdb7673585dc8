"""Messages as data for programs."""

import json

from lem.diagnostics import Diagnostic, Diagnostics
from lem.diagnostics.as_json import all_to_json, to_json
from lem.diagnostics.codes import E0201, E0610
from lem.source import SourceFile, Span

SOURCE = SourceFile("a.lem", "x = 1\ny = zz\n")


def test_everything_that_the_text_says() -> None:
    also = ((Span(SOURCE, 0, 1), "near"),)
    diag = Diagnostic(E0201, Span(SOURCE, 10, 12), "not known", also, ("n",), ("h",), "warning")
    assert to_json(diag) == {
        "code": "E0201",
        "headline": "unknown name",
        "severity": "warning",
        "label": "not known",
        "file": "a.lem",
        "range": {
            "start": {"line": 2, "column": 5, "offset": 10},
            "end": {"line": 2, "column": 7, "offset": 12},
        },
        "also": [
            {
                "file": "a.lem",
                "range": {
                    "start": {"line": 1, "column": 1, "offset": 0},
                    "end": {"line": 1, "column": 2, "offset": 1},
                },
                "label": "near",
            }
        ],
        "notes": ["n"],
        "help": ["h"],
    }


def test_nothing_to_point_at() -> None:
    data = to_json(Diagnostic(E0610, None, "gone"))
    assert data["file"] is None and data["range"] is None


def test_collection_survives_json() -> None:
    diags = Diagnostics(limit=1)
    diags.error(E0201, Span(SOURCE, 10, 12), "not known")
    diags.error(E0201, Span(SOURCE, 0, 1), "not known")
    data = all_to_json(diags)
    assert json.loads(json.dumps(data)) == data
    assert data["dropped"] == 1
