"""Forms in which people write addresses and credentials, each with the secret in it."""

from collections.abc import Sequence

SECRET = "TOPSECRET"
NOWHERE = "127.0.0.1:1"
# the same mistakes in each of the three addresses
MISTAKES = [
    "{scheme}:/u:{secret}@{place}/0",
    "{scheme}:u:{secret}@{place}/0",
    "u:{secret}@{place}/0",
    "//u:{secret}@{place}/0",
    "{secret}@{place}",
    "{secret}",
    '"{scheme}://u:{secret}@{place}/0"',
    "'{scheme}://u:{secret}@{place}/0'",
    " {scheme}://u:{secret}@{place}/0",
    "{scheme}://u:{secret}@{place}/0\n",
    "{scheme}://u:p w{secret}@{place}/0",
    "{scheme}://u:{secret}@127.0.0.1:port/0",
    "{scheme}://u:{secret}@127.0.0.1:99999/0",
    "{scheme}://u:{secret}@127.0.0.1:0/0",
    "{scheme}://u:{secret}@127.0.0.1:-1/0",
    "{scheme}://u:1/{secret}@{place}/0",
    "{scheme}://u:1#{secret}@{place}/0",
    "{scheme}://u:1?{secret}@{place}/0",
    "{scheme}://u:1?password={secret}@{place}/0",
    "{scheme}://u:a@{secret}@{place}/0",
    "{scheme}://u:[{secret}@{place}/0",
    "{scheme}://u:{secret}",
    "{scheme}://u@{place}:{secret}",
    "{scheme}://u:%00{secret}@{place}/0",
    "{scheme}s+x://u:{secret}@{place}/0",
    "http://u:{secret}@{place}/0",
    "jdbc:{scheme}://{place}/0?user=u&password={secret}",
    "{scheme}://{place}/0?pasword={secret}",
    "{scheme}://{place}/0?{secret}",
    "{scheme}://{place}/0?password={secret}&",
    "{scheme}://{place}/0?db=0:{secret}",
    "{scheme}://{place}/0?sslmode={secret}",
    "{scheme}://{place}/0?port={secret}",
    "{scheme}://{place}/0:{secret}",
    "{scheme}://{place}/{secret}@/0",
    "{scheme}://{place}/0#{secret}",
    "{scheme}://u:{secret}@[::1/0",
    "{scheme}://u:{secret}@{place},,/0",
    "{scheme}://u:{secret}@{place},h:port/0",
    "",
]
# accepted: what then fails is a server that is not there
ADDRESSES = {
    "DATABASE_URL": [
        "postgresql://u:{secret}@{place}/x",
        "postgres://u:%2F{secret}%40@{place}/x",
        "POSTGRESQL://u:{secret}:a@{place}/x",
        "postgresql://{place}/x?user=u&password={secret}",
        "postgresql://u@/x?host=127.0.0.1&port=1&password={secret}",
        "postgresql://u:{secret}@127.0.0.1:1,127.0.0.1:2/x?target_session_attrs=primary",
        "postgresql://u:{secret}@[::1]:1/x",
        "postgresql://u:{secret}@{place}/x?sslmode=require&sslpassword={secret}",
        "postgresql://u:{secret}@%2Fnowhere/x",
        "postgresql://u:{secret}@no..host/x",
        "postgresql://u:{secret}@{place},127.0.0.1/x?port=1,2,3",
    ],
    "REDIS_URL": [
        "redis://u:{secret}@{place}/0",
        "redis://:{secret}@{place}",
        "rediss://u:%2F{secret}@{place}/0?ssl_cert_reqs=none&ssl_password={secret}",
        "unix://u:{secret}@/nowhere?db=0",
        "unix:///nowhere?db=0&password={secret}",
        "redis://{place}/0?username=u&password={secret}&protocol=2",
    ],
}
DATABASE_KEYWORDS = [
    "host=127.0.0.1 port=1 dbname=x user=u password={secret}",
    "password={secret}",
    "service=x password='{secret}'",
    "postgresql+asyncpg://u:{secret}@{place}/x",
    "postgresql://u:{secret}@{place}/x?host=a:{secret}@b",
    "postgresql://{place}/x?options=-c%20x={secret}",
]
MYSQL = [
    "mysql://u:{secret}@{place}/x",
    "mariadb://u:%2F{secret}%40@{place}/x?ssl-mode=VERIFY_IDENTITY",
    "MySQL://{secret}@{place}",
    "mysql://u:{secret}@127.0.0.1/x?socket=/nowhere/{secret}",
    "mysql://u:{secret}@%2Fnowhere/x",
    "mysql+pymysql://u:{secret}@{place}/x",
    "mysql://u:{secret}@{place},{place}/x",
    "mysql://u:1/{secret}@{place}/x",
    "mysql://u:1#{secret}@{place}/x",
    "mysql://{place}/x?password={secret}",
    "mysql://u:p@{place}/x?ssl-mode={secret}",
    "mysql://u:p@{place}/x?ssl-ca={secret}",
    "mysql://u:p@{place}/x?ssl-key=pyproject.toml&ssl-cert=pyproject.toml&x={secret}",
]
REDIS_OTHERS = [
    "redis-sentinel://:{secret}@{place},{place}/service/0",
    "redis://u:{secret}@{place},{place}/0",
    "redis://{place}/{secret}",
    "redis://{place}/0?db={secret}",
    "unix://u:{secret}@",
    "-a {secret} -h 127.0.0.1",
]
SERVERS = [
    "u:{secret}@{place}",
    "{secret}@{place}",
    "SASL_SSL://u:{secret}@{place}",
    "PLAINTEXT://{place},u:{secret}@{place}",
    "{place};password={secret}",
    "{place},{place}/{secret}",
    "127.0.0.1:99999{secret}",
    "kafka://{place}?sasl_password={secret}",
    '["{place}"]{secret}',
]


def forms(variable: str, scheme: str, more: Sequence[str]) -> list[dict[str, str]]:
    return [
        {variable: form.format(scheme=scheme, secret=SECRET, place=NOWHERE)}
        for form in [*MISTAKES, *more, *ADDRESSES.get(variable, ())]
    ]


def sasl(**changes: str) -> dict[str, str]:
    return {
        "KAFKA_BOOTSTRAP_SERVERS": NOWHERE,
        "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "KAFKA_SASL_USERNAME": "u",
        "KAFKA_SASL_PASSWORD": SECRET,
        **changes,
    }


SETTINGS = [
    *forms("DATABASE_URL", "postgresql", DATABASE_KEYWORDS),
    *forms("REDIS_URL", "redis", REDIS_OTHERS),
    *forms("SOURCE_DATABASE_URL", "postgresql", DATABASE_KEYWORDS),
    *[{"SOURCE_DATABASE_URL": form.format(secret=SECRET, place=NOWHERE)} for form in MYSQL],
    *forms("OUTBOX_DATABASE_URL", "postgresql", DATABASE_KEYWORDS),
    *[{"OUTBOX_DATABASE_URL": form.format(secret=SECRET, place=NOWHERE)} for form in MYSQL],
    *[{"KAFKA_BOOTSTRAP_SERVERS": form.format(secret=SECRET, place=NOWHERE)} for form in SERVERS],
    sasl(),
    sasl(KAFKA_SASL_USERNAME=""),
    sasl(KAFKA_SASL_MECHANISM=SECRET),
    sasl(KAFKA_SECURITY_PROTOCOL=SECRET),
    sasl(KAFKA_SASL_MECHANISM="SCRAM-SHA-256", KAFKA_SASL_PASSWORD=f"\u0661{SECRET}\u00a0"),
    sasl(KAFKA_SECURITY_PROTOCOL="SASL_SSL", KAFKA_SSL_KEYFILE=SECRET, KAFKA_SSL_CERTFILE="pyproject.toml"),
    sasl(KAFKA_SECURITY_PROTOCOL="SSL", KAFKA_SSL_CERTFILE=f"-----BEGIN {SECRET}" * 500, KAFKA_SSL_KEY_PASSWORD=SECRET),
]
