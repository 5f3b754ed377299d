"""Which filters run: said in mappings, files and options, refused with a reason, and named for artifacts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextmine.errors import ParameterError
from bitextmine.filters import FilterSettings, filter_names

DEFAULTS = FilterSettings.defaults()


def names(settings: FilterSettings) -> list[str]:
    return [each.name for each in settings.filters]


def bounds(settings: FilterSettings) -> dict[str, Any]:
    return {name: value for name, value in settings.as_json().items() if name != "defaults"}


def refusal(wanted: object) -> str:
    with pytest.raises(ParameterError) as caught:
        FilterSettings.parse(wanted)
    assert caught.value.code == "invalid-filters"
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_words_for_all_defaults_and_for_none() -> None:
    assert FilterSettings.parse("default") == FilterSettings.parse({}) == DEFAULTS
    assert FilterSettings.parse("none") == FilterSettings.parse({"defaults": False}) == FilterSettings.none()
    assert [*names(DEFAULTS), "ceiling"] == filter_names()


def test_a_mapping_changes_the_defaults() -> None:
    settings = FilterSettings.parse({"copy": False, "numbers": {"least": 0.25}, "ceiling": {"most": 1.5}})
    assert names(settings) == [name for name in filter_names() if name != "copy"]
    assert bounds(settings)["numbers"] == {"least": 0.25, "most": None}
    assert bounds(settings)["ceiling"] == {"least": None, "most": 1.5}
    assert bounds(settings)["overlap"] == bounds(DEFAULTS)["overlap"]


def test_a_mapping_may_stand_alone_and_order_makes_no_difference() -> None:
    one = FilterSettings.parse({"defaults": False, "language": True, "copy": {"most": 1}})
    other = FilterSettings.parse({"copy": {"most": 1.0, "least": None}, "language": {}, "defaults": False})
    assert names(one) == names(other) == ["copy", "language"]
    assert json.dumps(one.as_json()) == json.dumps(other.as_json())
    assert one == other


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"lenght-ratio": True}, "unknown filter 'lenght-ratio'; there are: length-ratio, punctuation, addresses"),
        ({7: True}, "unknown filter 7"),
        ("all", "'all' is no choice of filters"),
        (None, "not None"),
        ([], "not []"),
        (True, "not True"),
        ({"defaults": 1}, "defaults is true or false, not 1"),
        ({"copy": None}, "copy is true, false or its bounds"),
        ({"copy": 1}, "copy is true, false or its bounds"),
        ({"copy": "no"}, "copy is true, false or its bounds"),
        ({"copy": {"upper": 1}}, "copy has no bound 'upper'; there are least and most"),
        ({"copy": {"most": "1"}}, "copy.most is '1'"),
        ({"copy": {"most": True}}, "copy.most is True"),
        ({"copy": {"most": float("nan")}}, "copy.most is nan"),
        ({"copy": {"most": float("inf")}}, "copy.most is inf"),
        ({"copy": {"most": 10**400}}, "copy.most is 1000000"),
        ({"copy": {"least": 0.97}}, "copy.least 0.97 is above its most 0.95: no pair could pass"),
        ({"copy": {"most": None}}, "copy needs a bound, as in copy.most"),
        ({"ceiling": True}, "ceiling needs a bound"),
        ({"x" * 500: True}, "unknown filter 'xxx"),
    ],
)
def test_what_cannot_be_is_refused_with_a_reason(wanted: object, said: str) -> None:
    message = refusal(wanted)
    assert said in message
    assert len(message) < 300


Bounds = st.dictionaries(st.sampled_from(["least", "most"]), st.none() | st.floats(-10, 10))
Wanted = st.dictionaries(st.sampled_from(filter_names()), st.booleans() | Bounds)


@given(Wanted, st.booleans())
def test_settings_survive_json(wanted: dict[str, Any], others: bool) -> None:
    try:
        settings = FilterSettings.parse({**wanted, "defaults": others})
    except ParameterError:
        return
    assert FilterSettings.parse(json.loads(json.dumps(settings.as_json(), allow_nan=False))) == settings


json_values = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists)


@given(st.dictionaries(st.text() | st.sampled_from([*filter_names(), "defaults"]), json_values | Bounds) | json_values)
def test_rubbish_is_refused_and_never_a_surprise(wanted: object) -> None:
    try:
        found: object = FilterSettings.parse(wanted)
    except ParameterError as error:
        found = (error.code, "\n" in str(error))
    assert isinstance(found, FilterSettings) or found == ("invalid-filters", False)


def test_options_change_settings() -> None:
    assert names(DEFAULTS.only(["language", "copy"])) == ["copy", "language"]
    assert names(DEFAULTS.without(["copy", "ceiling"])) == [name for name in names(DEFAULTS) if name != "copy"]
    changed = DEFAULTS.with_bound(" ceiling.most = 1.5 ").with_bound("length-ratio.least=-9")
    assert bounds(changed)["ceiling"] == {"least": None, "most": 1.5}
    assert bounds(changed)["length-ratio"] == {"least": -9.0, "most": 4.0}
    assert bounds(changed.only(["length-ratio"])) == {"length-ratio": {"least": -9.0, "most": 4.0}}


@pytest.mark.parametrize(
    "said", ["", "copy", "copy=1", "copy.most", "copy.most=", "copy.most=x", ".most=1", "copy.most=inf", "x.most=1"]
)
def test_bounds_that_cannot_be(said: str) -> None:
    with pytest.raises(ParameterError) as caught:
        DEFAULTS.with_bound(said)
    assert caught.value.code == "invalid-filters"


def test_files_of_settings(tmp_path: Path) -> None:
    toml, js = tmp_path / "filters.toml", tmp_path / "filters.JSON"
    toml.write_text("numbers = false\n[length-ratio]\nleast = -3\nmost = 3\n")
    js.write_text('{"numbers": false, "length-ratio": {"least": -3, "most": 3.0}}')
    assert FilterSettings.read(toml) == FilterSettings.read(js) != DEFAULTS


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("f.toml", b"copy = ", "f.toml is not TOML"),
        ("f.toml", b"\xff\xfe", "f.toml is not TOML"),
        ("f.toml", b'kopy = true\nmost = "x"', "f.toml: unknown filter 'kopy'"),
        ("f.toml", b"[copy]\nmost = nan", "f.toml: copy.most is nan"),
        ("f.json", b"[1]", "f.json: filters are default and none"),
        ("f.json", b"[" * 100_000, "f.json is not JSON"),
        ("f.json", b"", "f.json is not JSON"),
        ("f.toml", b"#" * (2 << 20), "no settings of filters"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    for path, words in ((tmp_path / name, said), (tmp_path / "nowhere.toml", "cannot read"), (tmp_path, "cannot read")):
        with pytest.raises(ParameterError) as caught:
            FilterSettings.read(path)
        assert caught.value.code == "invalid-filters"
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)
