"""Configuration documents are read strictly, and nothing in them can crash the process."""

from __future__ import annotations

import subprocess
import sys

import pytest

from corrida.errors import InvalidConfig
from corrida.runs.documents import dump_yaml, parse_document, parse_value


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.json", b"", "a.json: the file is empty"),
        ("a.json", b'{\n "a": }', "a.json, line 2, column 7: not valid JSON"),
        ("a.json", b'{"a": 1,\n"a": 2}', "a.json, line 1, 2: the key 'a' stands twice"),
        ("a.json", b'{"a": "\\ud800"}', "surrogates"),
        ("a.json", b'{"a":\n"\xe9"}', "a.json, line 2: not UTF-8"),
        ("a.json", b"[" * 150 + b"]" * 150, "nested deeper than 100 levels"),
        ("a.json", b"[" * 90_000, "nested deeper than 100 levels"),
        ("a.yaml", b"a: 1\nb: 2\na: 3\n", "a.yaml, line 3: the key 'a' stands twice"),
        ("a.yaml", b"a: [1\n", "a.yaml, line 2, column 1: not valid YAML"),
        ("a.yaml", b"? [a, b]\n: 1\n", "not valid YAML"),
        ("a.yaml", b"a: 2026-13-45\n", "not valid YAML"),
        ("a.yaml", b"a: 1\n---\nb: 2\n", "single document"),
        ("a.toml", b"a = \n", "a.toml: not valid TOML"),
        ("a.ini", b"", "is a .json, .yaml or .toml file"),
        ("a.json", b" " * (33 * 1024 * 1024), "a.json has 35 MB"),
    ],
)
def test_what_cannot_be_read_says_where_and_why(name, data, said):
    with pytest.raises(InvalidConfig) as caught:
        parse_document(name, data)
    assert said in str(caught.value)


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_deep_yaml_does_not_crash_the_process(opening, tmp_path):
    path = tmp_path / "deep.yaml"
    path.write_text(opening * 50_000, encoding="utf-8")
    code = (
        "import sys; from corrida.errors import InvalidConfig; from corrida.runs.documents import parse_document\n"
        "try: parse_document('deep.yaml', open(sys.argv[1], 'rb').read())\n"
        "except InvalidConfig as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "nested deeper" in done.stdout


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("0.5", 0.5),
        ("true", True),
        ("True", True),
        ("null", None),
        ("abc", "abc"),
        ("[a,b]", ["a", "b"]),
        ('{"a": 1}', {"a": 1}),
        ("{a: 1}", {"a": 1}),
        ("[a", "[a"),
        ("[" * 5_000, "[" * 5_000),
        ("0110", "0110"),
        ("más", "más"),
    ],
)
def test_values_of_set(text, value):
    assert parse_value(text) == value


def test_what_is_read_is_what_was_written():
    document = {"b": [1, 2.5, None, True, "ñ 漢"], "a": {"x": "1"}}
    data = dump_yaml(document)
    assert parse_document("a.yaml", data) == document
    assert list(parse_document("a.yml", b"\xef\xbb\xbf" + data)) == ["b", "a"]
    assert parse_document("a.yaml", b"a: &x {k: 1}\nb:\n  <<: *x\n  k: 2\n") == {"a": {"k": 1}, "b": {"k": 2}}
