"""Listening beyond loopback: what the settings need of one another."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from mayfly.model.errors import Misconfigured
from mayfly.settings import Settings

TLS = {"MAYFLY_TLS_CERTIFICATE": "c.pem", "MAYFLY_TLS_KEY": "k.pem"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(**environ: str) -> Settings:
    return Settings.load(None, {}, environ)


def fault(**environ: str) -> str:
    with pytest.raises(Misconfigured) as caught:
        load(**environ)
    (one,) = caught.value.faults
    return one


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "2001:db8::1"])
def test_a_public_address_takes_tls_or_a_proxy(host: str) -> None:
    assert load(MAYFLY_HOST=host, **TLS).host == host
    assert load(MAYFLY_HOST=host, MAYFLY_BEHIND_PROXY="true").behind_proxy
    for without in ({}, {"MAYFLY_BEHIND_PROXY": "false"}):
        told = fault(MAYFLY_HOST=host, **without)
        assert told.startswith("environment MAYFLY_HOST: ")
        for way in ("loopback", "tls_certificate", "behind_proxy", "mayfly token create", "ssh -L"):
            assert way in told


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_takes_neither(host: str) -> None:
    assert load(MAYFLY_HOST=host).host == host


def test_a_name_is_no_address() -> None:
    assert "IP address" in fault(MAYFLY_HOST="example.org", **TLS)


@pytest.mark.parametrize(
    ("given", "missing"), [("MAYFLY_TLS_KEY", "tls_certificate"), ("MAYFLY_TLS_CERTIFICATE", "tls_key")]
)
def test_half_of_tls_is_none(given: str, missing: str) -> None:
    assert fault(**{given: "x.pem"}) == f"environment {given}: needs {missing} beside it"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("photos.example.org", ("photos.example.org",)),
        (" A.example , b.example,", ("a.example", "b.example")),
        ("single", ("single",)),
    ],
)
def test_names_stand_between_commas(text: str, names: tuple[str, ...]) -> None:
    assert load(MAYFLY_PUBLIC_NAMES=text).public_names == names


def test_names_stand_in_a_list_of_the_file(folder: Path) -> None:
    (folder / "mayfly.toml").write_text('public_names = ["A.example"]')
    assert load().public_names == ("a.example",)


@pytest.mark.parametrize("text", ["https://a.example", "a.example:80", "a/b", "-a", "a..b", "a b", "x," * 17])
def test_what_is_no_name_is_refused(text: str) -> None:
    assert "host names" in fault(MAYFLY_PUBLIC_NAMES=text)


@pytest.mark.parametrize("value", ["public_names = 5", "public_names = [5]", 'behind_proxy = "maybe"'])
def test_other_types_are_refused(folder: Path, value: str) -> None:
    (folder / "mayfly.toml").write_text(value)
    assert "must be" in fault()


def test_paths_of_the_file_are_relative_to_it(folder: Path) -> None:
    (folder / "etc").mkdir()
    (folder / "etc" / "m.toml").write_text('tls_certificate = "c.pem"\ntls_key = "k.pem"')
    environ: Mapping[str, str] = {"MAYFLY_CONFIG": "etc/m.toml"}
    assert Settings.load(None, {}, environ).tls_key == Path("etc/k.pem")
