"""Settings are checked when they are read: one line that names the variable, never its value, and exit status 2."""

import ipaddress
import os
import re
from pathlib import Path

import certifi
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from solve_api.settings import ApiSettings
from solve_gateway.settings import CallbackSettings, Judge0Settings
from solve_projector.settings import ProjectorSettings
from solve_runtime.kafka_settings import KafkaConnection
from solve_runtime.settings import Settings, settings_problems
from solve_sources.outbox.settings import OutboxSettings
from solve_sources.tables.settings import SourceSettings
from tests.test_command_lines import run_all

PROXIES = "SOLVE_API_TRUSTED_PROXIES"
ORIGINS = "SOLVE_API_CORS_ORIGINS"
HERE = Path(__file__)
CA_FILE = certifi.where()
NO_TLS = {"KAFKA_SECURITY_PROTOCOL": "PLAINTEXT"}
TLS = {"KAFKA_SECURITY_PROTOCOL": "SSL"}
WRONG: list[tuple[type[Settings], str, str, dict[str, str]]] = [
    *[
        (ApiSettings, PROXIES, one, {})
        for one in (
            "*",
            "::/0",
            "0.0.0.0/0",
            "nginx",
            "10.0.0.0/33",
            "10.0.0.1/8",
            "10.0.0.1,*",
            "0.0.0.0/1,128.0.0.0/1",
        )
    ],
    *[(ApiSettings, PROXIES, one, {}) for one in ("::/1", "::ffff:0:0/96", "10.0.0.1:80", "[::1]", "unix:")],
    *[(ApiSettings, PROXIES, one, {}) for one in ("0.0.0.0/1", "0.0.0.0/1,128.0.0.0/2", "2000::/3", "::ffff:10.0.0.1")],
    *[
        (ApiSettings, ORIGINS, one, {})
        for one in ("judge.example", "https://judge.example/", "https://*.example", "null", "https://Judge.example")
    ],
    *[
        (ApiSettings, name, one, {})
        for name in ("SOLVE_API_HOST", "SOLVE_METRICS_HOST")
        for one in ("[::]", "a b", "1.2.3", "a..b", "a" * 64)
    ],
    *[
        (settings, variable, address.format(host), {})
        for settings, variable, address in (
            (KafkaConnection, "KAFKA_BOOTSTRAP_SERVERS", "h:9092,{}:9092"),
            (ProjectorSettings, "DATABASE_URL", "postgresql://u:p@{}:5432/x"),
            (ProjectorSettings, "DATABASE_URL", "postgresql:///x?host=h,{}"),
            (SourceSettings, "SOURCE_DATABASE_URL", "postgresql://h,{}/x"),
            (OutboxSettings, "OUTBOX_DATABASE_URL", "postgresql://h,{}/x"),
            (ProjectorSettings, "REDIS_URL", "redis://u:p@{}:6379/0"),
            (ProjectorSettings, "REDIS_URL", "redis+cluster://h:1,{}:2"),
            (ProjectorSettings, "REDIS_URL", "redis+sentinel://h:1,{}:2/m"),
        )
        for host in ("a..b", "a" * 64, "\u0434" * 64, "[::1::2]")
        if not ("?host" in address and "[" in host)
    ],
    *[
        (ProjectorSettings, "DATABASE_URL", f"postgresql://h/x?{one}", {})
        for one in (
            f"sslcert={HERE}",
            f"sslcert={CA_FILE}",
            f"sslkey={CA_FILE}",
            "sslmode=verify-full&sslmode=disable",
            f"sslrootcert={HERE}&sslrootcert={CA_FILE}",
        )
    ],
    *[
        (ProjectorSettings, "REDIS_URL", f"rediss://h/0?{one}", {})
        for one in (
            f"ssl_certfile={HERE}",
            f"ssl_certfile={CA_FILE}",
            f"ssl_keyfile={CA_FILE}",
            f"ssl_ca_certs={HERE}&ssl_ca_certs={CA_FILE}",
            "ssl_cert_reqs=required&ssl_cert_reqs=none",
        )
    ],
    (KafkaConnection, "KAFKA_SSL_CERTFILE", CA_FILE, TLS),
    *[
        (ApiSettings, "SOLVE_API_LOGIN_RATE", one, {})
        for one in ("0/minute", "5/0second", "5/0 minute", "5/minute;5/0second", "5/99999999999999999999second")
    ],
    (CallbackSettings, "SOLVE_GATEWAY_CALLBACK_KEY", "x" * 31, {}),
    (CallbackSettings, "SOLVE_GATEWAY_URL", "https://u:p@h", {}),
    (CallbackSettings, "SOLVE_GATEWAY_URL", "gateway.example", {}),
    *[
        (Judge0Settings, "JUDGE0_URL", one, {})
        for one in (
            "https://h?key=x",
            "https://h/#x",
            "https://h:0",
            "https://h:99999",
            "https://h:a",
            "https://[x",
            "ftp://h",
        )
    ],
    (Judge0Settings, "JUDGE0_TOKEN", "x\n", {"JUDGE0_URL": "https://h"}),
    (Judge0Settings, "JUDGE0_TOKEN_HEADER", "a: b", {"JUDGE0_URL": "https://h"}),
    (ProjectorSettings, "SOLVE_DATABASE_SCHEMA", "pg_solves", {}),
    (ProjectorSettings, "SOLVE_DATABASE_SCHEMA", "information_schema", {}),
    (ProjectorSettings, "SOLVE_GROUP_ID", "a\x1b[2J", {}),
    (ProjectorSettings, "SOLVE_STALL_AFTER_S", "1e300", {}),
    (ProjectorSettings, "DATABASE_SSL_CAFILE", "/nowhere/ca.pem", {}),
    (ProjectorSettings, "DATABASE_SSL_CAFILE", str(HERE), {}),
    (ProjectorSettings, "DATABASE_SSL_CAFILE", str(HERE.parent), {}),
    (ProjectorSettings, "REDIS_SSL_CAFILE", "/nowhere/ca.pem", {"REDIS_URL": "rediss://h"}),
    (ProjectorSettings, "REDIS_SSL_CAFILE", CA_FILE, {"REDIS_URL": "redis://h"}),
    (ProjectorSettings, "REDIS_URL", "redis://h/0?foo=bar", {}),
    (ProjectorSettings, "REDIS_URL", "rediss://h/0?ssl_ca_certs=/nowhere/ca.pem", {}),
    (ProjectorSettings, "DATABASE_URL", "postgresql://h/x?foo=bar", {}),
    (ProjectorSettings, "DATABASE_URL", "postgresql://h/x?sslmode=very", {}),
    (ProjectorSettings, "DATABASE_URL", "postgresql://h/x?sslrootcert=/nowhere/ca.pem", {}),
    (ProjectorSettings, "DATABASE_URL", "postgresql://h/x?ssl_min_protocol_version=TLSv1.0", {}),
    (SourceSettings, "SOURCE_DATABASE_URL", "postgresql://h/x?sslkey=/nowhere/key", {}),
    (SourceSettings, "SOURCE_DATABASE_URL", "postgresql://h/x?sslmode=verify-full", {}),
    (OutboxSettings, "OUTBOX_DATABASE_URL", "postgresql://h/x?sslmode=verify-full", {}),
    *[
        (SourceSettings, "SOURCE_DATABASE_URL", f"mysql://{one}", {})
        for one in (
            "h/x?sslmode=require",
            "h/x?ssl-mode=very",
            "h/x?ssl-ca=/nowhere/ca.pem",
            f"h/x?ssl-ca={HERE}",
            f"h/x?ssl-key={CA_FILE}",
            "h,i/x",
            "a..b/x",
            "h:0/x",
        )
    ],
    (ProjectorSettings, "DATABASE_URL", "mysql://h/x", {}),
    (ProjectorSettings, "DATABASE_URL", "postgresql://h/x?sslmode=verify-full", {}),
    (ProjectorSettings, "DATABASE_URL", "postgresql://h/x?sslmode=verify-ca", {"PGSSLROOTCERT": "/nowhere/ca.pem"}),
    (ProjectorSettings, "DATABASE_URL", "postgresql://h/x", {"PGSSLMODE": "verify-full"}),
    (ProjectorSettings, "DATABASE_URL", f"postgresql://h/x?sslmode=verify-full&sslrootcert={HERE}", {}),
    (ProjectorSettings, "DATABASE_URL", f"postgresql://h/x?sslcrl={HERE}", {}),
    (ProjectorSettings, "DATABASE_URL", f"postgresql://h/x?sslcert={CA_FILE}&sslkey={HERE}", {}),
    (ProjectorSettings, "REDIS_URL", f"rediss://h/0?ssl_ca_certs={HERE}", {}),
    (ProjectorSettings, "REDIS_URL", f"rediss://h/0?ssl_certfile={CA_FILE}&ssl_keyfile={HERE}", {}),
    (KafkaConnection, "SOLVE_TOPIC", "..", {}),
    (KafkaConnection, "KAFKA_SSL_CAFILE", "/nowhere/ca.pem", TLS),
    (KafkaConnection, "KAFKA_SSL_CERTFILE", str(HERE), TLS),
    (KafkaConnection, "KAFKA_SSL_KEYFILE", str(HERE), TLS),
    *[
        (KafkaConnection, name, CA_FILE, NO_TLS)
        for name in ("KAFKA_SSL_CAFILE", "KAFKA_SSL_CERTFILE", "KAFKA_SASL_USERNAME")
    ],
]


@pytest.mark.parametrize(("settings", "variable", "value", "others"), WRONG)
def test_what_cannot_be_used_is_refused_by_the_name_of_its_variable(
    settings: type[Settings], variable: str, value: str, others: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in list(os.environ):
        if name.startswith(("SOLVE_", "KAFKA_", "REDIS_", "DATABASE_")):
            monkeypatch.delenv(name)
    for name, one in {"HOME": "/nowhere", **others, variable: value}.items():
        monkeypatch.setenv(name, one)
    with pytest.raises(ValidationError) as refused:
        settings()
    (said,) = settings_problems(refused.value)
    assert variable in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        (PROXIES, ""),
        (PROXIES, "127.0.0.1, 10.0.0.0/8,fd00::/8, ::1"),
        (PROXIES, "fc00::/7,2400:cb00::/32,173.245.48.0/20"),
        (ORIGINS, "https://judge.example,http://localhost:3000, http://[::1]:8000"),
        (ORIGINS, "*"),
        *[("SOLVE_API_HOST", one) for one in ("::", "0.0.0.0", "localhost", "fe80::1%lo", "node-1.example")],
        ("DATABASE_URL", f"postgresql://h/x?sslmode=verify-full&sslrootcert={CA_FILE}"),
        ("DATABASE_URL", "postgresql://my_db.example.,[::1]:5432/x?host=/run/postgresql,h"),
        ("DATABASE_URL", "postgresql://%2Frun%2Fpostgresql/x"),
        ("REDIS_URL", "redis+sentinel://b\u00fccher.example:1,[fe80::1]:2/m"),
        ("DATABASE_SSL_CAFILE", CA_FILE),
    ],
)
def test_what_can_be_used_is_not_refused(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)
    ApiSettings()


@given(st.lists(st.ip_addresses(v=4).flatmap(lambda one: st.integers(1, 32).map(lambda n: f"{one}/{n}")), max_size=4))
def test_proxies_are_accepted_as_networks_that_one_site_can_have(texts: list[str]) -> None:
    texts = [str(ipaddress.ip_network(one, strict=False)) for one in texts]
    largest = min(
        (one.prefixlen for one in ipaddress.collapse_addresses(map(ipaddress.IPv4Network, texts))), default=32
    )
    try:
        ApiSettings(api_trusted_proxies=tuple(texts))
    except ValidationError:
        assert largest < 8
    else:
        assert largest >= 8


def test_verification_needs_authorities_and_says_where_to_name_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", "postgresql://h/x?sslmode=verify-full")
    with pytest.raises(ValidationError) as refused:
        ProjectorSettings()
    assert settings_problems(refused.value) == [
        "DATABASE_URL asks for sslmode=verify-full and names no CA certificates; add &sslrootcert=/path/to/ca.pem, "
        "or set DATABASE_SSL_CAFILE"
    ]
    for name in ("PGSSLROOTCERT", "DATABASE_SSL_CAFILE"):
        with monkeypatch.context() as named:
            named.setenv(name, CA_FILE)
            ProjectorSettings()
    (tmp_path / ".postgresql").mkdir()
    (tmp_path / ".postgresql" / "root.crt").write_bytes(Path(CA_FILE).read_bytes())
    ProjectorSettings()


def test_of_the_files_for_kafka_the_wrong_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "SSL")
    for name in ("KAFKA_SSL_CAFILE", "KAFKA_SSL_CERTFILE"):
        with monkeypatch.context() as wrong:
            wrong.setenv(name, "/nowhere/x.pem")
            with pytest.raises(ValidationError) as refused:
                KafkaConnection()
        (said,) = settings_problems(refused.value)
        assert re.findall("KAFKA_SSL_[A-Z]+", said) == [name]


def test_each_program_ends_with_one_line_and_2() -> None:
    unverifiable = {"DATABASE_URL": "postgresql://u:secret@h/x?sslmode=verify-full", "HOME": "/nowhere"}
    kafka = {**TLS, "KAFKA_SSL_CAFILE": "/nowhere/secret"}
    changes = [
        ("solve-api serve", {PROXIES: "*"}),
        ("solve-api serve --host a=b", {}),
        ("solve-api admin list", {"REDIS_URL": "redis://u:secret@h/0?foo=bar"}),
        ("solve-projector top", {"REDIS_URL": "redis://u:secret@h/0?foo=bar"}),
        ("solve-projector setup", {"DATABASE_SSL_CAFILE": "/nowhere/secret"}),
        *((program, unverifiable) for program in ("solve-projector top", "solve-api serve", "solve-api admin list")),
        *((program, kafka) for program in ("solve-producer publish -", "solve-projector lag", "solve-api serve")),
    ]
    for one in run_all(os.environ, changes):
        assert (one.status, one.out, len(one.err.splitlines())) == (2, "", 1), one
        assert "secret" not in one.err


def test_an_option_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOLVE_API_PORT", "8123")
    assert ApiSettings(api_port=0).api_port == 0
