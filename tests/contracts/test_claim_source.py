"""What every source of claimed files holds to: plain files beneath allowed folders, and nothing else."""

import hashlib

import pytest

from contracts.conftest import Claims
from mayfly.model.claim import LONGEST_URI, Claim
from mayfly.model.errors import ClaimMismatch, ClaimMissing, ClaimRefused, Unavailable
from mayfly.ports.claim_source import CHUNK_BYTES, ClaimSource

BODY = b"an image's bytes"


def claim(uri: str, body: bytes = BODY) -> Claim:
    return Claim(uri, hashlib.sha256(body).hexdigest(), len(body))


class TestOpening:
    def test_a_file_beneath_a_prefix_is_read_whole_in_bounded_chunks(self, claims: Claims) -> None:
        body = bytes(range(256)) * 1024 + b"end"
        claims.put("in/2026/photo.jpg", body)
        opened = claims.source.open(claim(claims.uri("in/2026/photo.jpg"), body))
        chunks = list(opened.chunks())
        opened.close()
        assert b"".join(chunks) == body
        assert max(map(len, chunks)) <= CHUNK_BYTES
        assert not opened.external

    @pytest.mark.parametrize("name", ["a b.jpg", "100%.jpg", "ü.jpg", "a?b#c.jpg", "..jpg", "x\ny"])
    def test_any_name_is_read_that_is_escaped(self, claims: Claims, name: str) -> None:
        claims.put(f"in/{name}", BODY)
        opened = claims.source.open(claim(claims.uri(f"in/{name}")))
        assert b"".join(opened.chunks()) == BODY
        opened.close()

    def test_what_lies_beside_a_prefix_or_is_the_prefix_is_refused(self, claims: Claims) -> None:
        for path in ("other/photo.jpg", "in-evil/photo.jpg", "photo.jpg"):
            claims.put(path, BODY)
            with pytest.raises(ClaimRefused):
                claims.source.open(claim(claims.uri(path)))
        for uri in (claims.uri("in"), claims.uri("in") + "/", "file:///"):
            with pytest.raises(ClaimRefused):
                claims.source.open(claim(uri))

    @pytest.mark.parametrize(
        "beneath",
        [
            "../other/photo.jpg",
            "./photo.jpg",
            "/photo.jpg",
            "sub//photo.jpg",
            "sub/../photo.jpg",
            "%2e%2e/other/photo.jpg",
            ".%2E/other/photo.jpg",
            "sub%2Fphoto.jpg",
            "..%2fother%2fphoto.jpg",
            "photo.jpg%00",
            "photo.jpg%00.png",
            "photo.jpg?x",
            "photo.jpg#x",
            "photo.jpg%",
            "photo.jpg%zz",
            "photo\ud800.jpg",
            "photo.jpg/",
            "a/" * LONGEST_URI + "photo.jpg",
        ],
        ids=lambda text: ascii(text)[:30],
    )
    def test_a_path_that_is_not_plain_is_refused(self, claims: Claims, beneath: str) -> None:
        for path in ("in/photo.jpg", "in/sub/photo.jpg", "other/photo.jpg"):
            claims.put(path, BODY)
        with pytest.raises(ClaimRefused):
            claims.source.open(claim(claims.uri("in") + "/" + beneath))

    @pytest.mark.parametrize(
        "begin",
        [
            *("", "file:", "file:/", "file://localhost/", "file://somewhere/", "file:////", "FILE:///", " file:///"),
            *("http:///", "http://localhost/", "https:///", "s3:///", "ftp:///", "//", "\x00file:///"),
        ],
        ids=ascii,
    )
    def test_an_address_that_is_no_plain_file_address_is_refused(self, claims: Claims, begin: str) -> None:
        claims.put("in/photo.jpg", BODY)
        with pytest.raises(ClaimRefused):
            claims.source.open(claim(begin + claims.uri("in/photo.jpg").removeprefix("file:///")))

    def test_nothing_there_is_missing(self, claims: Claims) -> None:
        for path in ("in/photo.jpg", "in/no/such/photo.jpg"):
            with pytest.raises(ClaimMissing):
                claims.source.open(claim(claims.uri(path)))

    def test_what_is_no_plain_file_is_refused(self, claims: Claims) -> None:
        claims.put("in/thing", None)
        with pytest.raises(ClaimRefused):
            claims.source.open(Claim(claims.uri("in/thing"), "00", 0))

    @pytest.mark.parametrize("body", [b"", BODY[:-1], BODY + b"!"])
    def test_another_size_than_was_said_is_told_before_a_byte_is_read(self, claims: Claims, body: bytes) -> None:
        claims.put("in/photo.jpg", BODY)
        with pytest.raises(ClaimMismatch):
            claims.source.open(claim(claims.uri("in/photo.jpg"), body))

    def test_a_prefix_that_is_away_may_come_back(self, claims: Claims) -> None:
        claims.put("in/photo.jpg", BODY)
        claims.away(True)
        with pytest.raises(Unavailable):
            claims.source.open(claim(claims.uri("in/photo.jpg")))
        claims.away(False)
        claims.source.open(claim(claims.uri("in/photo.jpg"))).close()


class TestReading:
    @pytest.mark.parametrize("body", [BODY + b"!", BODY[:-1], b""])
    def test_a_file_that_changes_its_size_while_it_is_open_is_a_mismatch(self, claims: Claims, body: bytes) -> None:
        claims.put("in/photo.jpg", BODY)
        opened = claims.source.open(claim(claims.uri("in/photo.jpg")))
        claims.write("in/photo.jpg", body)
        with pytest.raises(ClaimMismatch):
            list(opened.chunks())
        opened.close()

    def test_a_file_whose_name_another_one_took_is_still_the_one_that_was_opened(self, claims: Claims) -> None:
        claims.put("in/photo.jpg", BODY)
        opened = claims.source.open(claim(claims.uri("in/photo.jpg")))
        claims.put("in/photo.jpg", b"another image, and larger")
        assert b"".join(opened.chunks()) == BODY
        opened.close()


class TestRemoving:
    def test_a_removed_file_is_gone_and_removing_it_again_is_no_error(self, claims: Claims) -> None:
        claims.put("in/sub/photo.jpg", BODY)
        claims.put("in/sub/other.jpg", BODY)
        opened = claims.source.open(claim(claims.uri("in/sub/photo.jpg")))
        opened.remove()
        opened.remove()
        opened.close()
        opened.close()
        assert not claims.stands("in/sub/photo.jpg")
        assert claims.stands("in/sub/other.jpg")

    def test_a_file_that_took_its_name_meanwhile_stays(self, claims: Claims) -> None:
        claims.put("in/photo.jpg", BODY)
        opened = claims.source.open(claim(claims.uri("in/photo.jpg")))
        claims.put("in/photo.jpg", BODY)
        opened.remove()
        opened.close()
        assert claims.stands("in/photo.jpg")

    def test_what_is_external_stays_where_it_is(self, claims: Claims) -> None:
        """Of a prefix within another one, the inner one's word counts."""
        claims.put("in/theirs/photo.jpg", BODY)
        opened = claims.source.open(claim(claims.uri("in/theirs/photo.jpg")))
        assert opened.external
        opened.remove()
        opened.close()
        assert claims.stands("in/theirs/photo.jpg")


def test_with_no_prefix_nothing_is_opened(claims: Claims, no_claims: ClaimSource) -> None:
    claims.put("in/photo.jpg", BODY)
    with pytest.raises(ClaimRefused):
        no_claims.open(claim(claims.uri("in/photo.jpg")))
