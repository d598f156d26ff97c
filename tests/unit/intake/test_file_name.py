"""File names from Content-Disposition headers, made safe."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mayfly.intake.file_name import file_name_of


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (None, None),
        ("", None),
        ("inline", None),
        ("attachment; filename=a.jpg", "a.jpg"),
        ('attachment; FileName="holiday photo.jpg"', "holiday photo.jpg"),
        ('attachment; filename="semi;colon.jpg"; x=y', "semi;colon.jpg"),
        (r'attachment; filename="say \"hi\".jpg"', 'say "hi".jpg'),
        ('attachment; filename=""', None),
        ('attachment; filename="../../etc/passwd"', "passwd"),
        (r'attachment; filename="C:\photos\a.jpg"', "a.jpg"),
        (r'attachment; filename="\\server\share\a.jpg"', "a.jpg"),
        ('attachment; filename=".."', None),
        ('attachment; filename="folder/"', None),
        ('attachment; filename="a\tb\x00c\x7f.jpg"', "abc.jpg"),
        ("attachment; filename*=UTF-8''na%C3%AFve%20plan.jpg", "naïve plan.jpg"),
        ("attachment; filename*=\"UTF-8''na%C3%AFve.jpg\"", "naïve.jpg"),
        ("attachment; filename=plain.jpg; filename*=utf-8'en'%E2%82%AC.jpg", "€.jpg"),
        ("attachment; filename*=ISO-8859-1''caf%E9.jpg; filename=x", "café.jpg"),
        ("attachment; filename*=UTF-8''..%2F..%2Fpasswd", "passwd"),
        ("attachment; filename*=UTF-8''a%00b%0A.jpg", "ab.jpg"),
        ("attachment; filename*=UTF-8''%FF.jpg", "\ufffd.jpg"),
        ("attachment; filename*=KOI8-R''%C1.jpg; filename=known.jpg", "known.jpg"),
        ("attachment; filename=\"a; filename*=UTF-8''b\"", "a; filename*=UTF-8''b"),
        ("attachment; filename*=UTF-8''photo%E2%80%AEgpj.exe", "photogpj.exe"),
    ],
)
def test_a_name_is_read_and_made_safe(header: str | None, name: str | None) -> None:
    assert file_name_of(header) == name


def test_a_name_in_utf8_is_read_however_the_server_decoded_the_header() -> None:
    header = 'attachment; filename="Zürich 日本.jpg"'
    assert file_name_of(header) == "Zürich 日本.jpg"
    assert file_name_of(header.encode().decode("latin-1")) == "Zürich 日本.jpg"


def test_a_name_that_is_no_utf8_is_read_as_latin1() -> None:
    assert file_name_of('attachment; filename="Z\xfcrich.jpg"') == "Zürich.jpg"


def test_a_name_is_at_most_255_characters() -> None:
    assert file_name_of(f'attachment; filename="{"é" * 300}"') == "é" * 255


@given(st.text(max_size=80), st.text(max_size=80))
def test_no_header_breaks_it_and_no_name_is_unsafe(plain: str, extended: str) -> None:
    name = file_name_of(f"attachment; filename=\"{plain}\"; filename*=UTF-8''{extended}")
    if name is not None:
        assert 1 <= len(name) <= 255
        assert not set(name) & set("/\\")
        assert not any(unicodedata.category(character) == "Cc" for character in name)
        name.encode("utf-8")
