"""The base of every settings class: where values come from, and the variable that each field is read from."""

from pathlib import Path

from pydantic import AliasChoices, AliasGenerator
from pydantic_settings import BaseSettings, SettingsConfigDict

# Docker and Kubernetes mount secrets as files named like the variable; a missing folder is no error.
SECRETS_DIR = Path("/run/secrets")
# Addresses and credentials keep the names that every tool of their server uses; all else is ours.
USUAL_PREFIXES = ("KAFKA_", "DATABASE_URL", "DATABASE_SSL_", "REDIS_", "SOURCE_DATABASE_URL")
OUR_PREFIX = "SOLVE_"


def variable_of(field: str) -> str:
    """The environment variable of a field: `SOLVE_` and its name, or its name alone where that is a usual one."""
    name = field.upper()
    return name if name.startswith(USUAL_PREFIXES) else OUR_PREFIX + name


class Settings(BaseSettings):
    """Values from arguments, then the environment, then `.env`, then files in `/run/secrets`; frozen."""

    model_config = SettingsConfigDict(
        alias_generator=AliasGenerator(validation_alias=lambda field: AliasChoices(variable_of(field), field)),
        case_sensitive=True,  # else a judge's own TOPIC would be read as our `topic`
        env_file=".env",
        env_file_encoding="utf-8",
        extra="ignore",
        frozen=True,
        secrets_dir=str(SECRETS_DIR) if SECRETS_DIR.is_dir() else None,
        hide_input_in_errors=True,
    )

    @classmethod
    def variables(cls) -> dict[str, str]:
        """The environment variable of each field."""
        aliases = {name: field.validation_alias for name, field in cls.model_fields.items()}
        return {name: str(alias.choices[0]) for name, alias in aliases.items() if isinstance(alias, AliasChoices)}
