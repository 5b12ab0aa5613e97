"""The base of every settings class: where its values come from, and which variable each field is read from."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, overload

from pydantic import AfterValidator, AliasChoices, AliasGenerator, BeforeValidator, SecretStr, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from solve_runtime.errors import SettingsRefused, SolveCountsError

ENV_FILE = ".env"
# Docker and Kubernetes mount secrets as files named like the variable; a missing folder is no error.
SECRETS_DIR = Path("/run/secrets")
# Addresses and credentials keep the names that every tool of their server uses; all else is ours.
USUAL_PREFIXES = (
    "KAFKA_", "DATABASE_URL", "DATABASE_SSL_", "REDIS_", "SOURCE_DATABASE_URL", "OUTBOX_DATABASE_URL", "CLICS_",
    "JUDGE0_",
)  # fmt: skip
OUR_PREFIX = "SOLVE_"
First = TypeVar("First")
Second = TypeVar("Second")
Third = TypeVar("Third")


def _level(named: object) -> object:
    """The standard library knows upper case alone, and people also write `info` and `WARN`."""
    upper = named.upper() if isinstance(named, str) else named
    return "WARNING" if upper == "WARN" else upper


LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_level)]


def _is_for_a_header(secret: SecretStr | None) -> SecretStr | None:
    if secret and not (secret.get_secret_value().isascii() and secret.get_secret_value().isprintable()):
        raise ValueError("must be printable ASCII characters, without a newline at the end")
    return secret


HeaderSecret = Annotated[SecretStr | None, AfterValidator(_is_for_a_header)]


def secrets_dir() -> str | None:
    """The folder of secrets, if this machine has one."""
    return str(SECRETS_DIR) if SECRETS_DIR.is_dir() else None


def variable_of(field: str) -> str:
    """The environment variable of a field: `SOLVE_` and its name, or its name alone where that is a usual one."""
    name = field.upper()
    return name if name.startswith(USUAL_PREFIXES) else OUR_PREFIX + name


class Settings(BaseSettings):
    """Values from arguments, then the environment, then `.env`, then files in `/run/secrets`; frozen."""

    model_config = SettingsConfigDict(
        alias_generator=AliasGenerator(validation_alias=lambda field: AliasChoices(variable_of(field), field)),
        case_sensitive=True,  # else a judge's own TOPIC would be read as our `topic`
        env_file=ENV_FILE,
        env_file_encoding="utf-8-sig",  # a mark at the beginning would hide the first variable
        extra="ignore",
        frozen=True,
        allow_inf_nan=False,
        secrets_dir=secrets_dir(),
        hide_input_in_errors=True,
    )

    def __init__(self, **given: Any) -> None:
        """Reads the settings. Raises SettingsRefused where a file is not text."""
        try:
            super().__init__(**given)
        except UnicodeDecodeError:  # it holds the file's bytes, so it is no cause to be shown
            raise SettingsRefused(
                f"{ENV_FILE} or a file in {SECRETS_DIR} is not text in UTF-8; save it as such"
            ) from None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the names are pydantic-settings'
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Leaves out variables that are named like a field, such as a judge's own `topic`."""
        ours = set(cls.variables().values())
        for source in (env_settings, dotenv_settings):
            if isinstance(source, EnvSettingsSource):
                source.env_vars = {name: value for name, value in source.env_vars.items() if name in ours}
        return init_settings, env_settings, dotenv_settings, file_secret_settings

    @classmethod
    def variables(cls) -> dict[str, str]:
        """The environment variable of each field."""
        aliases = {name: field.validation_alias for name, field in cls.model_fields.items()}
        return {name: str(alias.choices[0]) for name, alias in aliases.items() if isinstance(alias, AliasChoices)}


def matching(pattern: str, rule: str) -> AfterValidator:
    """A check of a whole text, with the rule in words for whoever has to correct it."""
    whole = re.compile(pattern)

    def check(text: str) -> str:
        if not whole.fullmatch(text):
            raise ValueError(rule)
        return text

    return AfterValidator(check)


Limits = Mapping[str, Any]
# pydantic's kinds of error, as an operator would put them
IN_WORDS: Mapping[str, Callable[[Limits], str]] = {
    "int_parsing": lambda _: "must be a whole number",
    "int_from_float": lambda _: "must be a whole number",
    "int_parsing_size": lambda _: "is too large a number",
    "float_parsing": lambda _: "must be a number",
    "finite_number": lambda _: "must be a finite number",
    "bool_parsing": lambda _: "must be true or false",
    "greater_than": lambda limits: f"must be more than {limits['gt']:g}",
    "greater_than_equal": lambda limits: f"must be at least {limits['ge']}",
    "less_than": lambda limits: f"must be less than {limits['lt']:g}",
    "less_than_equal": lambda limits: f"must be at most {limits['le']}",
    "string_too_short": lambda _: "must not be empty",
    "string_too_long": lambda limits: f"must have at most {limits['max_length']} characters",
    "literal_error": lambda limits: f"must be one of {limits['expected'].replace(chr(39), '').replace(' or ', ', ')}",
    "missing": lambda _: "is not set",
    "value_error": lambda limits: str(limits["error"]),
}


def settings_problems(error: ValidationError) -> list[str]:
    """What is wrong with each setting, in words and by the name of its variable; never its value (I12)."""
    problems = []
    for one in error.errors(include_url=False, include_input=False):
        in_words = IN_WORDS.get(one["type"])
        said = in_words(one.get("ctx", {})) if in_words else "has a value that cannot be used"
        problems.append(f"{'.'.join(map(str, one['loc']))} {said}".strip())
    return problems


@overload
def read_together(first: Callable[[], First], second: Callable[[], Second], /) -> tuple[First, Second]: ...
@overload
def read_together(
    first: Callable[[], First], second: Callable[[], Second], third: Callable[[], Third], /
) -> tuple[First, Second, Third]: ...
def read_together(*readers: Callable[[], Any]) -> tuple[Any, ...]:
    """Several classes of settings, with the problems of all in one error. Raises SettingsRefused."""
    found: list[Any] = []
    problems: list[str] = []
    for read in readers:
        try:
            found.append(read())
        except ValidationError as error:
            problems += settings_problems(error)
        except SolveCountsError as error:
            problems.append(str(error))
    if problems:
        raise SettingsRefused("; ".join(dict.fromkeys(problems)))
    return tuple(found)
