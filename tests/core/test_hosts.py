"""Which hosts may be reached: what a user may write, what code may ask for, and what a name may stand for."""

from __future__ import annotations

import pytest

from codeact.core import hosts
from codeact.core.errors import UsageError
from codeact.core.execution import Policy


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("api.github.com", hosts.Rule("api.github.com", (80, 443))),
        ("API.GitHub.com.:443", hosts.Rule("api.github.com", (443,))),
        ("*.Example.org:8443", hosts.Rule("example.org", (8443,), below=True)),
        ("localhost:8000", hosts.Rule("localhost", (8000,))),
        ("127.0.0.1:5432", hosts.Rule("127.0.0.1", (5432,))),
        ("10.0.0.7", hosts.Rule("10.0.0.7")),
        ("[2001:DB8:0::1]:443", hosts.Rule("2001:db8::1", (443,))),
        ("[::1]", hosts.Rule("::1")),
        ("a_b.example.org", hosts.Rule("a_b.example.org")),
        ("xn--mnchen-3ya.de", hosts.Rule("xn--mnchen-3ya.de")),
    ],
)
def test_what_a_user_writes_is_read(written: str, meant: hosts.Rule) -> None:
    rule = hosts.parse(written)
    assert rule == meant
    assert hosts.parse(str(rule)) == rule


@pytest.mark.parametrize(
    ("written", "mend"),
    [
        ("https://api.github.com", "the host alone"),
        ("api.github.com/repos", "the host alone"),
        ("me@example.org", "the host alone"),
        ("münchen.de", "xn--mnchen-3ya.de"),
        ("*", "a star stands before a domain"),
        ("*.com", "a star stands before a domain"),
        ("api.*.org", "a star stands before a domain"),
        ("*.*.example.org", "a star stands before a domain"),
        ("*example.org", "a star stands before a domain"),
        ("*.127.0.0.1", "a star stands before a domain"),
        ("::1", r"\[::1\]"),
        ("[::1", r"\[2001:db8::1\]:443"),
        ("[127.0.0.1]:80", r"\[2001:db8::1\]:443"),
        ("[::ffff:127.0.0.1]", "write it as 127.0.0.1"),
        ("example.org:0", "one port, from 1 to 65535"),
        ("example.org:65536", "one port, from 1 to 65535"),
        ("example.org:+80", "one port, from 1 to 65535"),
        ("example.org:80,443", "one port, from 1 to 65535"),
        ("example.org:", "one port, from 1 to 65535"),
        ("", "not a host"),
        (" example.org", "not a host"),
        ("example.org\n", "not a host"),
        ("a.evil\0.example.org", "not a host"),
        ("a..example.org", "not a host"),
        (".example.org", "not a host"),
        ("example.org..", "not a host"),
        ("-a.example.org", "not a host"),
        ("a" * 64 + ".org", "not a host"),
        ("a." * 127 + "org", "not a host"),
        ("127.1", "not a host"),
        ("2130706433", "not a host"),
        ("0x7f.0.0.1", "not a host"),
        ("0177.0.0.1", "not a host"),
        ("fe80::1%eth0", "one port"),
        ("0.0.0.0", "no address of one host"),
        ("224.0.0.1", "no address of one host"),
    ],
)  # fmt: skip
def test_what_is_no_host_is_refused_with_what_to_write(written: str, mend: str) -> None:
    with pytest.raises(UsageError, match=mend):
        Policy(network=(written,))


def test_a_bare_string_is_not_a_list_of_hosts() -> None:
    with pytest.raises(TypeError, match=r"network=\['example.org'\]"):
        Policy(network="example.org")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a host is a str"):
        Policy(network=(443,))  # type: ignore[arg-type]


def test_a_policy_holds_each_host_once_in_one_spelling() -> None:
    assert Policy(network=("Example.org.", "example.org", "[0::1]:80")).network == ("example.org", "[::1]:80")


RULES = hosts.rules(["api.github.com", "*.example.org:443", "127.0.0.1:8000", "localhost:9000", "[::1]:80"])


@pytest.mark.parametrize(
    ("host", "port", "reached"),
    [
        ("api.github.com", 443, True),
        ("api.github.com", 80, True),
        ("api.github.com", 22, False),
        ("API.github.com.", 443, True),
        ("evil.api.github.com", 443, False),
        ("api.github.com.evil.org", 443, False),
        ("evilapi.github.com", 443, False),
        ("github.com", 443, False),
        ("a.example.org", 443, True),
        ("a.b.example.org", 443, True),
        ("a.example.org", 80, False),
        ("example.org", 443, False),
        ("evilexample.org", 443, False),
        (".example.org", 443, False),
        (".example.org.", 443, False),
        ("..example.org", 443, False),
        ("a.evil\0.example.org", 443, False),
        ("evil.org\0.example.org", 443, False),
        ("evil.org#.example.org", 443, False),
        ("evil.org/.example.org", 443, False),
        ("evil.org:80@a.example.org", 443, False),
        ("a.example.org\n", 443, False),
        ("a\r\n.example.org", 443, False),
        ("ａ.example.org", 443, False),
        ("a。example.org", 443, False),
        ("a.example。org", 443, False),
        ("*.example.org", 443, False),
        ("%2e.example.org", 443, False),
        ("127.0.0.1", 8000, True),
        ("127.0.0.1", 8001, False),
        ("127.0.0.2", 8000, False),
        ("127.1", 8000, False),
        ("2130706433", 8000, False),
        ("0177.0.0.1", 8000, False),
        ("0x7f000001", 8000, False),
        ("0x7f.0.0.1", 8000, False),
        ("127.0.0.1.", 8000, False),
        ("::ffff:127.0.0.1", 8000, False),
        ("localhost", 8000, False),
        ("localhost", 9000, True),
        ("localhost.", 9000, True),
        ("localhost.localdomain", 9000, False),
        ("a.localhost", 9000, False),
        ("0:0:0:0:0:0:0:1", 80, True),
        ("::1", 81, False),
        ("[::1]", 80, False),
        ("::1%lo", 80, False),
        ("", 443, False),
        ("api.github.com", -1, False),
    ],
)
def test_nt_17_code_reaches_what_a_rule_names_and_nothing_else(host: str, port: int, reached: bool) -> None:
    assert (hosts.allowed(RULES, host, port) is not None) is reached
    assert hosts.allowed((), host, port) is None


def test_a_refusal_says_what_may_be_reached() -> None:
    rules = hosts.rules(["api.github.com:443"])
    assert hosts.refusal(rules, "evil.org", 443) == "this run may reach api.github.com:443 alone, not evil.org:443"
    assert (
        hosts.refusal(rules, "api.github.com", 22) == "this run may reach api.github.com at port 443 alone, not at 22"
    )
    assert "evil\\x00.example.org:443" in hosts.refusal(RULES, "evil\0.example.org", 443)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        *((text, False) for text in (
            "127.0.0.1", "127.255.255.254", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
            "0.0.0.0", "0.1.2.3", "192.0.2.1", "198.18.0.1", "203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1",
            "255.255.255.255", "::", "::1", "fe80::1", "fec0::1", "fc00::1", "fd12::1", "ff02::1", "ff0e::1",
            "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1",
            "64:ff9b::808:808", "64:ff9b:1::a00:1", "2002:7f00:1::", "2002:a00:1::1", "2001:0:7f00:1::", "2001:db8::1",
            "100::1",
        )),
    ],
)  # fmt: skip
def test_a_name_may_stand_for_an_address_of_the_internet_alone(address: str, public: bool) -> None:
    found = hosts.address_of(address)
    assert found is not None and hosts.is_public(found) is public
