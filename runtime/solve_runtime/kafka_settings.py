"""The brokers and the topic, and how to log in to them, for every client of Kafka.

A judge that embeds the client has a `.env` and secrets of its own, so `KafkaConnection()` reads only the environment.
Our programs use `KafkaConnection.of_program()`, which reads those files too.
"""

import logging
import os
import ssl
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, AliasGenerator, Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from solve_runtime.addresses import Servers
from solve_runtime.certificates import CaFile
from solve_runtime.errors import SolveCountsError
from solve_runtime.settings import ENV_FILE, Settings, matching, secrets_dir
from solve_schemas.topic import TOPIC

TopicName = Annotated[
    str,
    matching(r"(?!\.{1,2}$)[a-zA-Z0-9._-]{1,249}", "must be 1 to 249 letters, digits, dots, _ or -, and not . or .."),
]


def _variable_of(field: str) -> str:
    return "SOLVE_TOPIC" if field == "topic" else f"KAFKA_{field.upper()}"


def _is_no_login(record: logging.LogRecord) -> bool:
    """At DEBUG the client logs each request whole, and one of them is the password (I12)."""
    arguments = record.args if isinstance(record.args, tuple) else ()
    return not any(type(one).__name__.startswith("SaslAuthenticateRequest") for one in arguments)


class TlsFileError(SolveCountsError):
    """A certificate or key file named in the settings cannot be used."""


class RenamedVariable(SolveCountsError):
    """A variable of an earlier version is set, and would name another log than the one that is read."""


class KafkaConnection(Settings):
    """Values from arguments, then from the environment; frozen."""

    model_config = SettingsConfigDict(
        alias_generator=AliasGenerator(validation_alias=lambda field: AliasChoices(_variable_of(field), field)),
        env_file=None,
        secrets_dir=None,
    )

    bootstrap_servers: Servers = Field("localhost:9092", description="Brokers: host:port, comma-separated.")
    topic: TopicName = Field(TOPIC, description="The topic that holds the log.")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How to connect to the brokers: with or without TLS, with or without a login."
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "PLAIN", description="How the user name and password are sent."
    )
    sasl_username: str | None = Field(None, description="User name; required with SASL.")
    sasl_password: SecretStr | None = Field(None, description="Password; required with SASL.")
    ssl_cafile: CaFile = Field(None, description="CA certificates (PEM) to trust; unset, the system's.")
    ssl_certfile: Path | None = Field(None, description="Client certificate (PEM), for brokers that require one.")
    ssl_keyfile: Path | None = Field(None, description="Private key (PEM) of the client certificate.")
    ssl_key_password: SecretStr | None = Field(None, description="Password of the private key, if it has one.")

    @classmethod
    def of_program(cls, **given: Any) -> Self:
        """As our programs read it: also from `.env`, then from files in `/run/secrets`. Raises RenamedVariable."""
        if "KAFKA_TOPIC" in os.environ and "SOLVE_TOPIC" not in os.environ:
            raise RenamedVariable("KAFKA_TOPIC is called SOLVE_TOPIC now; set that one, or unset KAFKA_TOPIC")
        return cls(_env_file=ENV_FILE, _secrets_dir=secrets_dir(), **given)

    @model_validator(mode="after")
    def _sasl_has_credentials(self) -> "KafkaConnection":
        if self.security_protocol.startswith("SASL") and not (self.sasl_username and self.sasl_password):
            raise ValueError(
                f"KAFKA_SECURITY_PROTOCOL={self.security_protocol} needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD"
            )
        return self

    @model_validator(mode="after")
    def _has_no_setting_without_effect(self) -> "KafkaConnection":
        """Whoever names a certificate or a user believes that the connection is encrypted, or logs in."""
        useless = [] if self.security_protocol.endswith("SSL") else ["ssl_cafile", "ssl_certfile", "ssl_keyfile"]
        if not self.security_protocol.startswith("SASL"):
            useless.append("sasl_username")
        if named := [_variable_of(field) for field in useless if getattr(self, field) is not None]:
            raise ValueError(
                f"KAFKA_SECURITY_PROTOCOL={self.security_protocol} has no use for {', '.join(named)}; "
                "set KAFKA_SECURITY_PROTOCOL=SASL_SSL, SSL or SASL_PLAINTEXT, or unset the others"
            )
        if self.ssl_keyfile and not self.ssl_certfile:
            raise ValueError("KAFKA_SSL_KEYFILE needs KAFKA_SSL_CERTFILE")
        return self

    @model_validator(mode="after")
    def _certificates_can_be_read(self) -> "KafkaConnection":
        if self.security_protocol.endswith("SSL"):
            try:
                self._ssl_context()
            except TlsFileError as error:
                raise ValueError(str(error)) from None
        return self

    def client_options(self) -> dict[str, Any]:
        """Keyword arguments that every aiokafka client takes.

        Raises TlsFileError where a certificate or key cannot be read.
        """
        logging.getLogger("aiokafka.conn").addFilter(_is_no_login)
        options: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap_servers,
            "security_protocol": self.security_protocol,
        }
        if self.security_protocol.startswith("SASL"):
            options |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.sasl_username,
                "sasl_plain_password": self.sasl_password.get_secret_value() if self.sasl_password else None,
            }
        if self.security_protocol.endswith("SSL"):
            options["ssl_context"] = self._ssl_context()
        return options

    def advice(self) -> str:
        """What to check when no broker lets us in; the Kafka client reports a refused login like a closed port."""
        checks = ["KAFKA_BOOTSTRAP_SERVERS"]
        if self.security_protocol.startswith("SASL"):
            checks += ["KAFKA_SASL_MECHANISM", "KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD"]
        if self.security_protocol.endswith("SSL"):
            checks += ["KAFKA_SSL_CAFILE (which must verify the brokers' certificates)"]
        return f"check {', '.join(checks)} and the brokers"

    def _ssl_context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.ssl_cafile)
        except OSError as error:
            raise TlsFileError(f"cannot use KAFKA_SSL_CAFILE: {error.strerror or error}") from error
        if self.ssl_certfile:
            # without a text, OpenSSL asks at the terminal
            password = self.ssl_key_password.get_secret_value() if self.ssl_key_password else ""
            try:
                context.load_cert_chain(self.ssl_certfile, self.ssl_keyfile, password)
            except OSError as error:
                names = "KAFKA_SSL_CERTFILE and KAFKA_SSL_KEYFILE" if self.ssl_keyfile else "KAFKA_SSL_CERTFILE"
                raise TlsFileError(f"cannot use {names}: {error.strerror or error}") from error
        return context
