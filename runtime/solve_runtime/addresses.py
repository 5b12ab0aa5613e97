"""The forms of servers' addresses that are accepted.

Any part of what is refused may be a password, so no message quotes it. Of what is accepted, only hosts and ports are
ever shown (I12).
"""

import ipaddress
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, NamedTuple
from urllib.parse import parse_qsl, unquote

from pydantic import AfterValidator, SecretStr

from solve_runtime.certificates import require_authorities, require_pair

ESCAPES = "in a user or password write % as %25, / as %2F, # as %23, ? as %3F, @ as %40"
DATABASE_FORM = f"must be postgresql://USER:PASSWORD@HOST:PORT/DATABASE, without quotes; {ESCAPES}"
SOURCE_FORM = DATABASE_FORM.replace(", without", " or mysql://USER:PASSWORD@HOST:PORT/DATABASE, without")
REDIS_FORM = (
    "must be redis://USER:PASSWORD@HOST:PORT/0, redis+cluster://HOST:PORT,HOST2:PORT, redis+sentinel://HOST:PORT,"
    f"HOST2:PORT/MASTER/0, with rediss for TLS, or unix:///PATH?db=0; {ESCAPES}"
)
SERVERS_FORM = "must be host:port, with commas between several, and no user or password"
PORT_MAX = 65_535

UNPRINTABLE = re.compile(r"[\x00-\x20\x7f]|%[01][0-9a-fA-F]|%7[fF]")
LOGIN = r"(?:[^/?#@\[\]]*@)?"
DATABASE = re.compile(rf"(?i:postgres(?:ql)?)://{LOGIN}(?P<hosts>[^/?#@]*)(?:/[^/?#@:\"']*)?(?:\?(?P<query>[^#]+))?")
MYSQL = re.compile(
    r"(?i:mysql|mariadb)://(?:(?P<login>[^/?#@\[\]]*)@)?(?P<hosts>[^/?#@,]*)(?:/(?P<database>[^/?#@:\"']*))?"
    r"(?:\?(?P<query>[^#]+))?"
)
MYSQL_SCHEME = re.compile(r"(?i:mysql|mariadb)://")
MYSQL_PORT = 3306
REDIS = re.compile(
    rf"(?:rediss?://{LOGIN}(?P<hosts>[^/?#@,]*)(?:/[0-9]*)?"
    rf"|rediss?\+cluster://{LOGIN}(?P<nodes>[^/?#@]+)(?:/[0-9]*)?"
    rf"|rediss?\+sentinel://{LOGIN}(?P<sentinels>[^/?#@]+)/[\w.-]+(?:/[0-9]*)?"
    rf"|unix://{LOGIN}/[^?#@]+)(?:\?(?P<query>[^#]+))?"
)
# a name, an address in brackets, or the folder of a socket as libpq writes it
SERVER = re.compile(r"(?P<host>\w(?:[\w.-]*\w)?\.?|\[[0-9a-fA-F:.]+\]|%2[fF][\w%.-]+)(?::(?P<port>[0-9]{1,5}))?")

Parameters = Mapping[str, re.Pattern[str]]
ANY, NUMBER, SWITCH = re.compile(".+"), re.compile(r"[0-9]{1,9}"), re.compile("(?i:true|false|yes|no|on|off|0|1)")
TLS_VERSION = re.compile(r"TLSv1(\.[1-3])?")
FILES = frozenset(
    ("sslcert", "sslcrl", "sslkey", "sslrootcert", "ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile")
) | {"ssl-ca", "ssl-cert", "ssl-key"}
AUTHORITIES = frozenset(("sslcrl", "sslrootcert", "ssl_ca_certs", "ssl-ca"))  # the files that a client loads as such
PAIRS = (
    ("sslcert", "sslkey", "sslpassword"),
    ("ssl_certfile", "ssl_keyfile", "ssl_password"),
    ("ssl-cert", "ssl-key", "ssl-key-password"),
)
VERIFYING = ("verify-ca", "verify-full")
HOST_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
# What each client reads; it would send anything else to the server, or fail over it later.
DATABASE_PARAMETERS: Parameters = {
    **dict.fromkeys(("application_name", "database", "dbname", "host", "krbsrvname", "passfile", "password"), ANY),
    **dict.fromkeys(("service", "sslcert", "sslcrl", "sslkey", "sslpassword", "sslrootcert", "user"), ANY),
    **dict.fromkeys(("ssl_min_protocol_version", "ssl_max_protocol_version"), TLS_VERSION),
    "port": re.compile("[0-9]{1,5}(,[0-9]{1,5})*"),
    "gsslib": re.compile("gssapi|sspi"),
    "sslmode": re.compile("disable|allow|prefer|require|verify-ca|verify-full"),
    "sslnegotiation": re.compile("postgres|direct"),
    "target_session_attrs": re.compile("any|primary|standby|read-write|read-only|prefer-standby"),
}
# in the words of MySQL's own clients
MYSQL_PARAMETERS: Parameters = {
    **dict.fromkeys(("socket", "ssl-ca", "ssl-cert", "ssl-key"), ANY),
    "ssl-mode": re.compile("(?i:disabled|preferred|required|verify_ca|verify_identity)"),
}
REDIS_PARAMETERS: Parameters = {
    **dict.fromkeys(("client_name", "password", "sentinel_password", "sentinel_username", "username"), ANY),
    **dict.fromkeys(("db", "health_check_interval", "max_connections"), NUMBER),
    **dict.fromkeys(("socket_connect_timeout", "socket_timeout"), re.compile(r"[0-9]+(\.[0-9]+)?")),
    **dict.fromkeys(("retry_on_timeout", "socket_keepalive"), SWITCH),
    "protocol": re.compile("[23]"),
}
REDIS_TLS_PARAMETERS: Parameters = {
    **REDIS_PARAMETERS,
    **dict.fromkeys(("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile", "ssl_password"), ANY),
    "ssl_cert_reqs": re.compile("none|optional|required"),
    "ssl_check_hostname": SWITCH,
}


def are_servers(text: str) -> bool:
    """Whether it is one host, or several with commas between, each with or without a port."""
    found = [SERVER.fullmatch(one.strip()) for one in text.split(",")]
    return all(one and _is_port(one["port"] or "1") and _is_host(one["host"]) for one in found)


def database_place(address: str) -> str:
    """The hosts and ports of an accepted address of PostgreSQL."""
    found = DATABASE.fullmatch(address)
    return (found and found["hosts"]) or "the address in its parameters"


def is_mysql(address: str) -> bool:
    """Whether an accepted address is of MySQL or MariaDB."""
    return MYSQL_SCHEME.match(address) is not None


class MySqlPlace(NamedTuple):
    """The parts of an accepted address of MySQL; `socket` instead of host and port where there is one."""

    host: str
    port: int
    user: str
    password: str
    database: str
    socket: str | None
    ssl_mode: str | None
    ssl_ca: str | None
    ssl_cert: str | None
    ssl_key: str | None

    @property
    def shown(self) -> str:
        """What a person may see of it."""
        return "its socket" if self.socket else f"{self.host}:{self.port}"


def mysql_place(address: str) -> MySqlPlace:
    """The parts of an accepted address of MySQL."""
    found = MYSQL.fullmatch(address)
    assert found is not None  # noqa: S101 - asked of accepted addresses
    given = dict(parse_qsl(found["query"] or ""))
    server = SERVER.fullmatch(found["hosts"])
    host, port = (
        (unquote(server["host"]).strip("[]"), int(server["port"] or MYSQL_PORT)) if server else ("", MYSQL_PORT)
    )
    user, _, password = (unquote(part) for part in (found["login"] or "").partition(":"))
    return MySqlPlace(
        host or "localhost",
        port,
        user,
        password,
        unquote(found["database"] or ""),
        given.get("socket") or (host if host.startswith("/") else None),
        given["ssl-mode"].lower() if "ssl-mode" in given else None,
        *(given.get(name) for name in ("ssl-ca", "ssl-cert", "ssl-key")),
    )


def unverifiable(address: str) -> str | None:
    """What an accepted address of PostgreSQL lacks for the verification that it asks for, as asyncpg looks for it."""
    if is_mysql(address):
        return None
    found = DATABASE.fullmatch(address)
    given = dict(parse_qsl((found and found["query"]) or ""))
    mode = given.get("sslmode") or os.environ.get("PGSSLMODE")
    if mode not in VERIFYING or "sslrootcert" in given:
        return None
    try:
        require_authorities(os.environ.get("PGSSLROOTCERT") or Path("~/.postgresql/root.crt").expanduser())
    except (ValueError, RuntimeError):  # this user has no home
        return f"asks for sslmode={mode} and names no CA certificates; add &sslrootcert=/path/to/ca.pem"
    return None


def _is_host(text: str) -> bool:
    """Whether a client can look it up: a name has labels of 1 to 63 characters in the form that DNS has of them."""
    try:
        if text.startswith("["):
            ipaddress.IPv6Address(text.strip("[]"))
        elif not text.startswith(("%", "/")):
            text.encode("idna")
    except ValueError:  # UnicodeError is one
        return False
    return True


def _is_port(text: str) -> bool:
    return 1 <= int(text) <= PORT_MAX


def _require_form(text: str, form: re.Pattern[str], parameters: Parameters, rule: str) -> None:
    found = None if UNPRINTABLE.search(text) else form.fullmatch(text)
    named = [found[group] for group in ("hosts", "nodes", "sentinels") if found.groupdict().get(group)] if found else []
    if not found or not all(map(are_servers, named)):
        raise ValueError(rule)
    seen: set[str] = set()
    for pair in found["query"].split("&") if found["query"] else ():
        name, _, value = pair.partition("=")
        if name not in parameters:
            raise ValueError(f"has a parameter after ? that is none of {', '.join(sorted(parameters))}; {rule}")
        if not parameters[name].fullmatch(value) or (name == "port" and not all(map(_is_port, value.split(",")))):
            raise ValueError(f"has a value of {name} after ? that cannot be used; correct it")
        if name == "host" and not all(map(_is_host, unquote(value).split(","))):
            raise ValueError("has a value of host after ? that is no host; correct it")
        if name in seen:  # clients differ in which they take
            raise ValueError(f"has {name} twice after ?; give it once")
        seen.add(name)
        if name in FILES and not os.access(unquote(value), os.R_OK):
            raise ValueError(f"has a value of {name} after ? that names no file that can be read; correct it")
    if found["query"]:
        _require_certificates(dict(parse_qsl(found["query"])))


def _require_certificates(given: Mapping[str, str]) -> None:
    """Tries what a client would load when it connects."""
    for name in AUTHORITIES & given.keys():
        try:
            require_authorities(given[name])
        except ValueError as error:
            raise ValueError(f"has a value of {name} after ? that {error}; correct it") from None
    for certificate, key, password in PAIRS:
        if key in given and certificate not in given:
            raise ValueError(f"has {key} after ? without {certificate}; give both")
        if certificate in given:
            try:
                require_pair(given[certificate], given.get(key) or _usual_key(key), given.get(password, ""))
            except ValueError as error:
                raise ValueError(f"has values of {certificate} and {key} after ? that {error}; correct them") from None


def _usual_key(parameter: str) -> Path | str | None:
    """The key that asyncpg takes if none is given; any other client takes the one in the certificate's file."""
    if parameter != "sslkey":
        return None
    with suppress(RuntimeError):  # this user has no home
        usual = Path("~/.postgresql/postgresql.key").expanduser()
        return os.environ.get("PGSSLKEY") or (usual if usual.exists() else None)
    return os.environ.get("PGSSLKEY")


def _database(address: SecretStr) -> SecretStr:
    text = address.get_secret_value().strip()  # a mounted secret often ends with a line end
    _require_form(text, DATABASE, DATABASE_PARAMETERS, DATABASE_FORM)
    return SecretStr(text)


def _source(address: SecretStr) -> SecretStr:
    text = address.get_secret_value().strip()
    form, parameters = (MYSQL, MYSQL_PARAMETERS) if is_mysql(text) else (DATABASE, DATABASE_PARAMETERS)
    _require_form(text, form, parameters, SOURCE_FORM)
    return SecretStr(text)


def _redis(address: SecretStr) -> SecretStr:
    text = address.get_secret_value().strip()
    parameters = REDIS_TLS_PARAMETERS if text.startswith("rediss") else REDIS_PARAMETERS
    _require_form(text, REDIS, parameters, REDIS_FORM)
    return SecretStr(text)


def _servers(text: str) -> str:
    if "%" in text or not are_servers(text):
        raise ValueError(SERVERS_FORM)
    return text


def _listening(text: str) -> str:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        if not HOST_NAME.fullmatch(text) or not _is_host(text) or text.replace(".", "").isdigit():
            raise ValueError("must be an address such as 127.0.0.1 or ::, or a name of this machine") from None
    return text


DatabaseAddress = Annotated[SecretStr, AfterValidator(_database)]
SourceAddress = Annotated[SecretStr, AfterValidator(_source)]
RedisAddress = Annotated[SecretStr, AfterValidator(_redis)]
Servers = Annotated[str, AfterValidator(_servers)]
ListeningHost = Annotated[str, AfterValidator(_listening)]
