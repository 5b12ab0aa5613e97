"""Files of certificates that settings name, tried when the settings are read and not at a later connection."""

import ssl
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator


def require_authorities(path: Path | str) -> None:
    """Raises ValueError, in words that follow a setting's name, where there are no CA certificates or revocations."""
    try:
        ssl.create_default_context(cafile=path)
    except ssl.SSLError:
        raise ValueError("names a file without a CA certificate in PEM") from None
    except (OSError, ValueError):
        raise ValueError("names a file that cannot be read") from None


def require_pair(certificate: Path | str, key: Path | str | None, password: str) -> None:
    """Raises ValueError where a client certificate and its key cannot be used together."""
    try:
        # without a text, OpenSSL asks at the terminal
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, password)
    except (OSError, ValueError) as error:
        raise ValueError(f"name no certificate with its key: {getattr(error, 'strerror', None) or error}") from None


def _of_authorities(path: Path | None) -> Path | None:
    if path is not None:
        require_authorities(path)
    return path


CaFile = Annotated[Path | None, AfterValidator(_of_authorities)]
