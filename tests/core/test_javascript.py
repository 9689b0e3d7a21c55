"""JSON in the form that receivers get who check a signature over what they have written again."""

from typing import Any

import pytest

from comfyserve.core.javascript import json_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": [1, 2.5], "a": None}, '{"b":[1,2.5],"a":null}'),
        ({"size": 8.0, "negative": -0.0, "huge": 1e22}, '{"size":8,"negative":0,"huge":1e+22}'),
        ({"10": "x", "b": 1, "9": "y", "01": 2, "4294967295": 3}, '{"9":"y","10":"x","b":1,"01":2,"4294967295":3}'),
        ({"nan": float("nan"), "far": float("inf")}, '{"nan":null,"far":null}'),
        ("\u00e9\u2028", '"\u00e9\u2028"'),
        ("half \ud800", '"half ?"'),
        ((True, ()), "[true,[]]"),
        (
            [0.1, 1e-4, 1e-5, 5e-05, 1.5e-6, 1e-7, -2.5e-8, 5e-324],
            "[0.1,0.0001,0.00001,0.00005,0.0000015,1e-7,-2.5e-8,5e-324]",
        ),
        (
            [1e15, 1e16, 1.5e20, 123456789012345680000.0, 1e21, -1.25e300],
            "[1000000000000000,10000000000000000,150000000000000000000,123456789012345680000,1e+21,-1.25e+300]",
        ),
        (2**64 - 1, "18446744073709551615"),
        ({}, "{}"),
    ],
)
def test_a_value_is_written_as_javascript_does(value: Any, text: str) -> None:
    assert json_text(value).decode() == text
