"""The lines of a TOML file's keys."""

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from mayfly.settings.toml import TomlFile, key_lines

TEXT = '''# a comment with = in it
port = 8080

"quoted key" = 1
dotted.key = 2

[labels]
site = "fact"   # why

[renditions.thumb]
# a comment
steps = [
  "orient",

  {resize = {width = 3}},
  [
    1,
  ],
]
text = """
port = 9
[table]
"""
inline = {a = [1, 2], b = {c = 3}}

[[many]]
a = 1
[[many]]
'''


def test_each_key_has_its_line() -> None:
    lines = key_lines(TEXT)
    assert {path: lines[path] for path in ("port", "quoted key", "dotted.key", "labels", "labels.site")} == {
        "port": 2,
        "quoted key": 4,
        "dotted.key": 5,
        "labels": 7,
        "labels.site": 8,
    }
    thumb = {path.removeprefix("renditions.thumb."): line for path, line in lines.items() if "thumb." in path}
    assert thumb == {
        "steps": 12,
        "steps[0]": 13,
        "steps[1]": 15,
        "steps[1].resize": 15,
        "steps[1].resize.width": 15,
        "steps[2]": 16,
        "steps[2][0]": 17,
        "text": 20,
        "inline": 24,
        "inline.a": 24,
        "inline.a[0]": 24,
        "inline.a[1]": 24,
        "inline.b": 24,
        "inline.b.c": 24,
    }
    assert "table" not in lines
    assert lines["many[0].a"] == 27


def test_a_path_without_a_line_of_its_own_has_that_of_what_is_around_it() -> None:
    file = TomlFile("m.toml", {}, key_lines(TEXT))
    assert file.place("renditions.thumb.steps[1].resize.height") == "m.toml:15"
    assert file.place("renditions.thumb.steps[9].x[1]") == "m.toml:12"
    assert file.place("nothing.of.the.kind") == "m.toml"
    assert file.place("") == "m.toml"


@given(st.dictionaries(st.from_regex(r"[a-z]{1,6}", fullmatch=True), st.integers(), max_size=8), st.data())
def test_every_line_found_is_the_one_the_key_was_written_on(values: dict[str, int], data: st.DataObject) -> None:
    text, expected, number = "", {}, 1
    for key, value in values.items():
        gap = data.draw(st.sampled_from(["", "\n", "# x = 1\n", "\n# [y]\n\n"]))
        number += gap.count("\n")
        layout = data.draw(st.sampled_from(["{} = {}\n", "{} = [\n{},\n]\n", '{} = """\n{}\n"""\n']))
        text += gap + layout.format(key, value)
        expected[key] = number
        number += layout.count("\n")
    tomllib.loads(text)
    assert {key: line for key, line in key_lines(text).items() if key in values} == expected
