"""The JSON that goes out: a list shows nothing that is stored sealed."""

from mayfly.entrypoints.http.shapes import ImageListed, ImageOut, image_out, listed
from mayfly.model.identity import ImageId
from mayfly.model.image import ImageRecord, Personal, Rendition, Source
from mayfly.model.instant import Ms
from mayfly.model.lifecycle import State
from mayfly.model.retention import Retention

SEALED = {"sha256", "file_name", "uploader", "personal_facts", "receipt"}
IMAGE = {
    *("id", "state", "source", "media_type", "bytes", "sha256", "received_at", "expires_at", "attempts", "reason"),
    *("file_name", "uploader", "labels", "personal_facts", "renditions", "facts", "receipt"),
}

RECORD = ImageRecord(
    id=ImageId.new(Ms(1_795_400_975_120), Retention(60)),
    state=State.PROCESSED,
    source=Source.HTTP,
    media_type="image/jpeg",
    size=4_096,
    sealed=b"",
    labels={"site": "north"},
    attempts=1,
    renditions=(Rendition("thumb", "image/webp", 512, 256, 192, "recipe"),),
    facts={"width": 1_600},
)
PERSONAL = Personal(
    sha256="ab" * 32,
    file_name="ada.jpg",
    uploader="local",
    labels={"customer": "Ada"},
    step_facts={"thumb": {"plate": "M-AY 1"}},
)


def test_an_image_has_the_fields_of_the_interface() -> None:
    assert set(ImageOut.model_fields) == IMAGE
    assert set(ImageListed.model_fields) == IMAGE - SEALED


def test_an_item_of_a_list_carries_nothing_sealed() -> None:
    item = listed(RECORD).model_dump()
    assert item["labels"] == {"site": "north"}
    assert not SEALED & item.keys()
    assert "recipe" not in item["renditions"][0]


def test_one_image_carries_its_personal_fields_too() -> None:
    image = image_out(RECORD, PERSONAL).model_dump()
    assert {name: image[name] for name in SEALED} == {
        "sha256": "ab" * 32,
        "file_name": "ada.jpg",
        "uploader": "local",
        "personal_facts": {"thumb": {"plate": "M-AY 1"}},
        "receipt": None,
    }
    assert image["labels"] == {"site": "north", "customer": "Ada"}


def test_times_are_rfc_3339_in_utc_and_links_lead_to_the_renditions() -> None:
    item = listed(RECORD).model_dump()
    assert item["received_at"] == "2026-11-23T02:29:35.120Z"
    assert item["expires_at"] == "2026-11-23T03:29:35Z"
    assert item["renditions"][0]["href"] == f"/v1/images/{RECORD.id}/renditions/thumb"
