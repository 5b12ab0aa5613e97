"""Files of CA certificates that settings name, tried when the settings are read and not at a later connection."""

import ssl
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator


def _of_authorities(path: Path | None) -> Path | None:
    if path is None:
        return None
    try:
        ssl.create_default_context(cafile=path)
    except ssl.SSLError:
        raise ValueError("names a file without a CA certificate in PEM") from None
    except (OSError, ValueError):
        raise ValueError("names a file that cannot be read") from None
    return path


CaFile = Annotated[Path | None, AfterValidator(_of_authorities)]
