"""The streaming form reader: what it yields, what it refuses, and that chunk boundaries never matter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mayfly.entrypoints.http.multipart import (
    MAX_OVERHEAD_BYTES,
    Event,
    Field,
    FileData,
    FileEnd,
    FileStart,
    UploadForm,
    is_form,
)
from mayfly.model.errors import BodyCut, InvalidRequest, Refused

BOUNDARY = "----boundary7MA4YWxk"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"
PICTURE = bytes(range(256)) * 20 + b"\r\n--" + BOUNDARY.encode()[:-1] + b"\r\n\r\n--\r\n"


def part(headers: str, body: bytes) -> bytes:
    return f"--{BOUNDARY}\r\n{headers}\r\n\r\n".encode() + body + b"\r\n"


def field(name: str, value: str) -> bytes:
    return part(f'Content-Disposition: form-data; name="{name}"', value.encode())


def file(body: bytes = PICTURE, name: str = "file", more: str = '; filename="a.jpg"') -> bytes:
    return part(f'Content-Disposition: form-data; name="{name}"{more}\r\nContent-Type: image/jpeg', body)


END = f"--{BOUNDARY}--\r\n".encode()


def read(body: bytes, step: int | None = None, form: UploadForm | None = None) -> list[Event]:
    """All events, with neighbouring data joined."""
    form = form or UploadForm(CONTENT_TYPE)
    events: list[Event] = []
    for start in range(0, len(body), step or len(body) or 1):
        for event in form.feed(body[start : start + (step or len(body))]):
            if isinstance(event, FileData) and isinstance(last := events[-1], FileData):
                events[-1] = FileData(last.data + event.data)
            else:
                events.append(event)
    form.finish()
    return events


def refusal(body: bytes, step: int | None = None) -> str:
    try:
        read(body, step)
    except Refused as refused:
        return f"{type(refused).__name__}: {refused}"
    return "taken"


def test_fields_come_before_the_file_and_the_file_streams() -> None:
    body = field("retain", "PT1H") + field("label.site", "Zürich") + file() + END
    assert read(body) == [
        Field("retain", "PT1H"),
        Field("label.site", "Zürich"),
        FileStart("a.jpg", "image/jpeg"),
        FileData(PICTURE),
        FileEnd(),
    ]


def test_data_is_handed_on_as_it_comes_not_held() -> None:
    form = UploadForm(CONTENT_TYPE)
    form.feed(file(b"")[: -len(b"\r\n")])
    handed = 0
    for _ in range(100):
        handed += sum(len(event.data) for event in form.feed(b"x" * 65_536) if isinstance(event, FileData))
    assert handed >= 100 * 65_536 - 100


@pytest.mark.parametrize("step", [1, 2, 3, 7, 64, 1000])
def test_chunk_boundaries_never_matter(step: int) -> None:
    body = b"\r\n" + field("retain", "PT1H") + field("empty", "") + file() + END + b"an epilogue"
    assert read(body, step) == read(body)


def test_a_file_may_be_empty_or_without_a_name_or_a_type() -> None:
    assert read(file(b"") + END) == [FileStart("a.jpg", "image/jpeg"), FileEnd()]
    bare = part("content-disposition:form-data;name=file", b"x")
    assert read(bare + END) == [FileStart(None, None), FileData(b"x"), FileEnd()]


def test_a_file_name_is_made_safe() -> None:
    assert read(file(more='; filename="../Zürich.jpg"') + END)[0] == FileStart("Zürich.jpg", "image/jpeg")
    assert read(file(more="; filename*=UTF-8''%E2%82%AC.jpg") + END)[0] == FileStart("€.jpg", "image/jpeg")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (file() + field("retain", "PT1H") + END, "comes once, and last"),
        (file() + file() + END, "comes once, and last"),
        (field("a", "1") + field("a", "2") + file() + END, "two parts named 'a'"),
        (file(name="photo") + END, "the file's part is named 'photo': name it 'file'"),
        (file(name="photo", more="; filename*=UTF-8''x") + END, "name it 'file'"),
        (field("a", "1") + END, "no part named 'file'"),
        (END, "no part named 'file'"),
        (part("Content-Type: text/plain", b"x") + END, "no 'Content-Disposition"),
        (part("Content-Disposition: form-data", b"x") + END, "no 'Content-Disposition"),
        (part("Content-Disposition: attachment; name=file", b"x") + END, "no 'Content-Disposition"),
        (part('Content-Disposition: form-data; name="a"\r\nCONTENT-disposition: x', b"x") + END, "two 'content-disp"),
        (
            part("Content-Disposition: form-data; name=file\r\nContent-Transfer-Encoding: base64", b"eA==") + END,
            "as they",
        ),
        (part("Content-Disposition: form-data; name=a", b"\xff") + file() + END, "'a' is not UTF-8"),
        (field("a", "x" * 4097) + file() + END, "'a' is longer than 4096 bytes"),
        (field("x" * 129, "1") + file() + END, "name is longer than 128"),
        (b"".join(field(f"f{n}", "") for n in range(33)) + file() + END, "more than 32 fields"),
        (part("X-Long: " + "x" * 5000, b"") + END, "malformed"),
        (part("\r\n".join(f"X-{n}: 1" for n in range(9)), b"") + END, "malformed"),
        (b"--another\r\n\r\n", "malformed"),
        (b'{"file": "x"}', "malformed"),
        (b"\x89PNG\r\n\x1a\n", "malformed"),
        (file() + END + b"x" * (MAX_OVERHEAD_BYTES + 1), "bytes beside its file"),
        (b"\r\n" * MAX_OVERHEAD_BYTES, "bytes beside its file"),
    ],
)
def test_a_form_of_another_shape_is_refused(body: bytes, said: str) -> None:
    told = refusal(body)
    assert told.startswith("InvalidRequest")
    assert said in told
    assert refusal(body, 1) == told


def test_as_many_fields_as_allowed_are_taken() -> None:
    fields = b"".join(field(f"f{n}", "") for n in range(32))
    assert len(read(fields + file(b"x") + END)) == 32 + 3


@pytest.mark.parametrize("length", range(len(field("a", "1") + file(b"12345678") + END) - 3))
def test_a_form_cut_anywhere_says_so(length: int) -> None:
    body = field("a", "1") + file(b"12345678") + END
    with pytest.raises(BodyCut, match="send the whole form again"):
        read(body[:length])


@pytest.mark.parametrize(
    ("content_type", "said"),
    [
        ("multipart/form-data", "boundary"),
        ("multipart/form-data; boundary=", "boundary"),
        ("multipart/form-data; boundary=" + "x" * 71, "boundary"),
        ("multipart/form-data; boundary=a\nb", "boundary"),
        ("multipart/form-data; boundary=日本", "boundary"),
        ("multipart/mixed; boundary=x", "not multipart/form-data"),
        ("", "not multipart/form-data"),
    ],
)
def test_a_form_needs_its_boundary(content_type: str, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        UploadForm(content_type)


def test_a_form_is_told_by_its_content_type() -> None:
    assert is_form('Multipart/Form-Data; boundary="x"')
    assert not is_form("image/jpeg")
    assert not is_form(None)


def test_the_bounds_on_fields_can_be_set() -> None:
    assert read(field("a", "12") + file(b"x") + END, form=UploadForm(CONTENT_TYPE, max_field_bytes=2, max_fields=1))
    with pytest.raises(InvalidRequest, match="longer than 1 bytes"):
        read(field("a", "12"), form=UploadForm(CONTENT_TYPE, max_field_bytes=1))


@given(data=st.data())
def test_a_mutated_form_ends_the_same_however_it_is_cut(data: st.DataObject) -> None:
    body = bytearray(field("retain", "PT1H") + file(b"1234\r\n--56") + END)
    for _ in range(data.draw(st.integers(1, 5))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.sampled_from(b'\r\n-:;="\0\xffax '))
    whole = bytes(body)
    told = refusal(whole)
    assert refusal(whole, 1) == told
    if told == "taken":
        assert read(whole, 1) == read(whole)
