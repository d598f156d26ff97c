"""A form's fields hold as they were signed, and in no other way."""

import base64
import json
from typing import Any

import pytest
from botocore.auth import S3SigV4PostAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from mayfly.intake.form_policy import REGION, FormTerms, fields_of, image_of, posted, signature, verified
from mayfly.model.errors import FormRefused, InvalidRequest
from mayfly.model.identity import ImageId
from mayfly.model.image import MediaType
from mayfly.model.instant import MINUTE, Ms
from mayfly.model.retention import Retention

BIRTH = Ms(29_833_334 * MINUTE + 1_234)
SECRET = "ab" * 32
TERMS = FormTerms(ImageId.compose(BIRTH, Retention(60), 7), MediaType.JPEG, 1, 1_000, Ms(29_833_349 * MINUTE + 1_000))


@pytest.fixture
def fields() -> dict[str, str]:
    return posted(fields_of(TERMS, SECRET, BIRTH).items())


def resigned(fields: dict[str, str], document: dict[str, Any]) -> dict[str, str]:
    """The same fields with another policy, signed with the right secret."""
    policy = base64.b64encode(json.dumps(document).encode()).decode()
    day = fields["x-amz-credential"].split("/")[1]
    return {**fields, "policy": policy, "x-amz-signature": signature(SECRET, day, policy)}


def test_what_boto3_signs_with_the_same_secret_is_signed_the_same_and_holds() -> None:
    ours = fields_of(TERMS, SECRET, BIRTH)
    document = json.loads(base64.b64decode(ours["policy"]))
    # Its signer states the three fields of the signature itself.
    stated = [each for each in document["conditions"] if isinstance(each, list) or not any("x-amz" in n for n in each)]
    request = AWSRequest("POST", "http://localhost")
    request.context["s3-presign-post-fields"] = {"Content-Type": ours["Content-Type"], "key": ours["key"]}
    request.context["s3-presign-post-policy"] = {"expiration": document["expiration"], "conditions": stated}
    S3SigV4PostAuth(Credentials(str(TERMS.image_id), SECRET), "s3", REGION).add_auth(request)
    theirs = request.context["s3-presign-post-fields"]
    assert theirs.keys() == ours.keys()
    assert signature(SECRET, theirs["x-amz-date"][:8], theirs["policy"]) == theirs["x-amz-signature"]
    assert verified(posted(theirs.items()), SECRET) == TERMS


def test_fields_as_issued_hold(fields: dict[str, str]) -> None:
    assert image_of(fields) == TERMS.image_id
    assert verified(fields, SECRET) == TERMS


def test_the_fields_are_those_of_a_presigned_post_of_s3() -> None:
    fields = fields_of(TERMS, SECRET, BIRTH)
    assert set(fields) == {
        "Content-Type",
        "key",
        "policy",
        "x-amz-algorithm",
        "x-amz-credential",
        "x-amz-date",
        "x-amz-signature",
    }
    policy = json.loads(base64.b64decode(fields["policy"]))
    assert policy["expiration"] == "2026-09-21T14:29:01Z"
    assert ["content-length-range", 1, 1_000] in policy["conditions"]
    assert {"key": f"original/20260921T1514Z/{TERMS.image_id}/original"} in policy["conditions"]
    assert fields["x-amz-date"] == "20260921T141401Z"
    assert fields["x-amz-credential"] == f"{TERMS.image_id}/20260921/{REGION}/s3/aws4_request"


def test_names_count_in_any_case_and_once() -> None:
    shouted = [(name.upper(), value) for name, value in fields_of(TERMS, SECRET, BIRTH).items()]
    assert verified(posted(shouted), SECRET) == TERMS
    with pytest.raises(InvalidRequest, match="two fields"):
        posted([*shouted, ("Key", "another")])


@pytest.mark.parametrize("name", [name.lower() for name in fields_of(TERMS, SECRET, BIRTH)])
def test_a_field_that_is_missing_or_changed_is_refused(fields: dict[str, str], name: str) -> None:
    without = {each: value for each, value in fields.items() if each != name}
    for changed in (without, {**fields, name: ""}, {**fields, name: fields[name] + "x"}, {**fields, name: "é"}):
        with pytest.raises(FormRefused, match="form"):
            verified(changed, SECRET) if image_of(changed) else None


def test_every_single_character_of_policy_and_signature_counts(fields: dict[str, str]) -> None:
    for name in ("policy", "x-amz-signature"):
        for place, character in enumerate(fields[name]):
            other = "A" if character != "A" else "B"
            changed = {**fields, name: fields[name][:place] + other + fields[name][place + 1 :]}
            with pytest.raises(FormRefused, match="signature"):
                verified(changed, SECRET)


def test_another_secret_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(FormRefused, match="signature"):
        verified(fields, "ba" * 32)


@pytest.mark.parametrize("scope", ["20260922/mayfly/s3/aws4_request", "20260921/eu-west-1/s3/aws4_request", ""])
def test_another_scope_is_refused(fields: dict[str, str], scope: str) -> None:
    with pytest.raises(FormRefused):
        verified({**fields, "x-amz-credential": f"{TERMS.image_id}/{scope}"}, SECRET)


def test_a_field_that_was_not_signed_is_refused_unless_its_name_says_that_it_means_nothing(
    fields: dict[str, str],
) -> None:
    with pytest.raises(FormRefused, match="'acl'"):
        verified({**fields, "acl": "public-read"}, SECRET)
    with pytest.raises(FormRefused, match="'success_action_status'"):
        verified({**fields, "success_action_status": "201"}, SECRET)
    assert verified({**fields, "x-ignore-me": "x"}, SECRET) == TERMS


@pytest.mark.parametrize(
    "credential", ["", "AKIAIOSFODNN7EXAMPLE/20260921/mayfly/s3/aws4_request", "é", "/", "a" * 4_000]
)
def test_a_credential_of_nobody_is_refused(fields: dict[str, str], credential: str) -> None:
    with pytest.raises(FormRefused, match="credential"):
        image_of({**fields, "x-amz-credential": credential})


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        "policy",
        {"expiration": "2026-09-21T14:29:01Z", "conditions": []},
        {"expiration": "tomorrow", "conditions": [["content-length-range", 1, 2]]},
        {"expiration": "2026-09-21T14:29:01Z", "conditions": [["content-length-range", 1]]},
        {"expiration": "2026-09-21T14:29:01Z", "conditions": [["starts-with", "$key", ""]]},
        {"expiration": "2026-09-21T14:29:01Z", "conditions": [["content-length-range", 1, 2], {"key": "x"}]},
        {"expiration": "2026-09-21T14:29:01Z", "conditions": 7},
    ],
    ids=str,
)
def test_a_policy_that_is_none_of_ours_allows_nothing_though_it_is_signed(
    fields: dict[str, str], document: Any
) -> None:
    with pytest.raises(FormRefused, match="none of ours"):
        verified(resigned(fields, document), SECRET)
