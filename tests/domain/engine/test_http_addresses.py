"""What a request may reach: no address that leads back inside, however it is written, looked up or redirected to."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.kernel.outbound.addresses import PRIVATE, PUBLIC, SPECIAL, kind, plain
from domain.kernel.outbound.rules import parse_places, parse_ports
from tests.domain.engine.http_calls import LOCAL, allow, failure, request, resolve_to
from tests.domain.engine.http_servers import Site, answering, serving_site


@pytest.fixture
def canary(monkeypatch):
    """A server that nobody may reach: its port is allowed, its address is not."""
    with serving_site(answering(200, b"reached")) as site:
        allow(monkeypatch, ports=str(site.port))
        yield site
        assert site.connections == 0


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:{port}/",
        "http://localhost:{port}/",
        "http://localhost.:{port}/",
        "http://LOCALHOST:{port}/",
        "http://127.1:{port}/",
        "http://2130706433:{port}/",
        "http://0x7f.1:{port}/",
        "http://0x7f000001:{port}/",
        "http://017700000001:{port}/",
        "http://127.0.0.1.:{port}/",
        "http://127。0。0。1:{port}/",
        "http://１２７.0.0.1:{port}/",
        "http://0.0.0.0:{port}/",
        "http://[::]:{port}/",
        "http://[::1]:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "http://[::ffff:7f00:1]:{port}/",
        "http://[::127.0.0.1]:{port}/",
        "http://[64:ff9b::7f00:1]:{port}/",
        "http://[2002:7f00:1::]:{port}/",
        "http://[fe80::1%25lo]:{port}/",
        "http://good.example@127.0.0.1:{port}/",
        "http://good.example:pass@127.0.0.1:{port}/",
        "http://127.0.0.1:{port}\\@good.example/",
        "http://127.0.0.1:{port}#@good.example/",
        "http://127.0.0.1:{port}?@good.example/",
        "http:\\\\127.0.0.1:{port}/",
        "http://127.0.0.1:{port}/\r\nX-Injected: 1",
        "http://127.0.0.1\t:{port}/",
        "//127.0.0.1:{port}/",
        "https:127.0.0.1:{port}",
        "file:///etc/passwd",
        "ftp://127.0.0.1:{port}/",
        "gopher://127.0.0.1:{port}/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/latest/meta-data/",
        "http://100.100.100.200/latest/meta-data/",
        "http://10.0.0.1/",
        "http://",
        "http:///x",
        "nothing",
    ],
)
def test_no_way_of_writing_an_address_leads_inside(canary: Site, address):
    failed = failure(address.format(port=canary.port))
    assert (failed.code, failed.category) == ("ADDRESS_NOT_ALLOWED", "ValidationError")


@pytest.mark.parametrize(
    "address", ["http://user@{place}/", "http://user:pass@{place}/", "http://{place}\\@other/", "ftp://{place}/"]
)
def test_a_way_of_writing_that_readers_differ_on_is_refused_even_where_the_host_is_allowed(monkeypatch, address):
    with serving_site(answering(200)) as site:
        allow(monkeypatch, places=f"{LOCAL} other", ports=str(site.port))
        assert failure(address.format(place=f"127.0.0.1:{site.port}")).code == "ADDRESS_NOT_ALLOWED"
        assert site.connections == 0


def test_ports_that_nobody_named_are_not_asked(monkeypatch):
    for port in (22, 25, 5432, 6379, 8080, 0):
        assert failure(f"http://example.com:{port}/").code == "ADDRESS_NOT_ALLOWED"


@pytest.mark.parametrize(
    "inside", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "100.64.0.1", "::1", "fd00::1", "fe80::1", "::ffff:10.0.0.1"]
)
def test_a_name_with_one_address_inside_is_not_asked_at_all(canary: Site, monkeypatch, inside):
    resolve_to(monkeypatch, [("93.184.215.14", canary.port), (inside, canary.port)])
    assert failure(f"http://two.example:{canary.port}/").code == "ADDRESS_NOT_ALLOWED"


def test_a_name_server_that_changes_its_mind_is_asked_once(canary: Site, monkeypatch):
    with serving_site(answering(200, b"good")) as good:
        allow(monkeypatch, places="rebind.example", ports=str(canary.port))
        asked = resolve_to(monkeypatch, [("127.0.0.1", good.port)], [("127.0.0.1", canary.port)])

        assert request(f"http://rebind.example:{canary.port}/")["text"] == "good"

        assert asked == ["rebind.example"]
        assert f"Host: rebind.example:{canary.port}".lower().encode() in good.requests[0].lower()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_told_and_never_followed(canary: Site, monkeypatch, status):
    target = f"http://127.0.0.2:{canary.port}/secret"
    with serving_site(answering(status, Location=target)) as site:
        allow(monkeypatch, places=LOCAL, ports=f"{site.port} {canary.port}")
        failed = failure(f"{site.url}/", method="POST", body={"a": 1})
        assert (failed.code, failed.category) == (f"HTTP_{status}", "ActionError")
        assert "never followed" in failed.message

        expected = request(f"{site.url}/", expect=[status])
        assert (expected["status"], expected["headers"]["location"]) == (status, target)


def test_proxies_of_the_environment_are_not_used(canary: Site, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.2:{canary.port}")
    with serving_site(answering(200, b"direct")) as site:
        allow(monkeypatch, places=LOCAL, ports=str(site.port))
        assert request(site.url)["text"] == "direct"


def test_an_allowed_name_may_be_private_but_never_the_metadata_of_a_machine(monkeypatch):
    with serving_site(answering(200, b"in")) as site:
        allow(monkeypatch, places="runner.internal", ports=str(site.port))
        resolve_to(monkeypatch, [("127.0.0.1", site.port)], [("169.254.169.254", site.port)])
        assert request(f"http://Runner.Internal.:{site.port}/")["text"] == "in"
        assert failure(f"http://runner.internal:{site.port}/").code == "ADDRESS_NOT_ALLOWED"


def test_what_is_denied_is_not_asked_unless_it_is_allowed_too(monkeypatch):
    with serving_site(answering(200, b"in")) as site:
        resolve_to(monkeypatch, [("93.184.215.14", 9)])
        for deny in ("example.com", "93.184.0.0/16", "0.0.0.0/0 ::/0"):
            allow(monkeypatch, deny=deny)
            assert failure("http://example.com/").code == "ADDRESS_NOT_ALLOWED"
        resolve_to(monkeypatch, [("127.0.0.1", site.port)])
        allow(monkeypatch, places="api.example", deny="0.0.0.0/0, ::/0, api.example")
        assert request("http://api.example/")["text"] == "in"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("93.184.215.14", PUBLIC),
        ("2606:2800:220:1::1", PUBLIC),
        ("64:ff9b::5db8:d70e", PUBLIC),
        ("64:ff9b::a00:1", PRIVATE),
        ("172.31.255.255", PRIVATE),
        ("172.32.0.0", PUBLIC),
        ("100.127.255.255", PRIVATE),
        ("100.128.0.0", PUBLIC),
        ("::ffff:192.168.0.1", PRIVATE),
        ("fdff::1", PRIVATE),
        ("0.0.0.0", SPECIAL),
        ("169.254.169.254", SPECIAL),
        ("168.63.129.16", SPECIAL),
        ("100.100.100.200", SPECIAL),
        ("192.0.2.1", SPECIAL),
        ("198.19.255.255", SPECIAL),
        ("224.0.0.1", SPECIAL),
        ("255.255.255.255", SPECIAL),
        ("::", SPECIAL),
        ("::7f00:1", SPECIAL),
        ("2001::1", SPECIAL),
        ("2001:db8::1", SPECIAL),
        ("2002:7f00:1::", SPECIAL),
        ("64:ff9b:1::1", SPECIAL),
        ("fe80::1", SPECIAL),
        ("fec0::1", SPECIAL),
        ("ff02::1", SPECIAL),
        ("fd00:ec2::254", SPECIAL),
    ],
)
def test_every_kind_of_address_is_known(address, expected):
    assert kind(ip_address(address)) == expected


@given(st.ip_addresses())
def test_nothing_that_the_registries_call_special_counts_as_public(address):
    if kind(address) == PUBLIC:
        inner = plain(address)
        assert inner.is_global and not inner.is_multicast and not inner.is_reserved and not inner.is_link_local


@pytest.mark.parametrize("text", ["10.0.0.1/8", "10.0.0.0/33", "a b!", "http://x", "*.example.com", "127.1", "-a"])
def test_a_setting_that_names_no_place_is_refused(text):
    with pytest.raises(ValueError, match="neither a host name, an address nor a range"):
        parse_places(text)


@pytest.mark.parametrize("text", ["0", "65536", "http", "-1", "8080;8081"])
def test_a_setting_that_names_no_port_is_refused(text):
    with pytest.raises(ValueError, match="numbers of ports"):
        parse_ports(text)


def test_names_and_ranges_stand_together_in_a_setting():
    places = parse_places("Runner.Internal., 10.0.0.0/8 ::1")
    assert places.has_name("runner.internal") and places.has_address(ip_address("::ffff:10.2.3.4"))
    assert not places.has_name("internal") and not places.has_address(ip_address("11.0.0.1"))
    assert parse_ports("8080, 8443") == {8080, 8443}
