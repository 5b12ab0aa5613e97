"""The user of the system who runs a command, as the kernel knows them, and who the environment claims it is.

`$LOGNAME` and `$SUDO_USER` are whatever somebody set: they help people, and prove nothing.
"""

import os
import pwd

CLAIMS = ("LOGNAME", "SUDO_USER")


def system_user() -> str:
    """The name of this process's user id, or the id where it has no name, as in many containers."""
    uid = os.getuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def claimed_users() -> dict[str, str]:
    """Who the environment says it is, by variable."""
    return {name: os.environ[name] for name in CLAIMS if os.environ.get(name)}


def described_user() -> str:
    """Both in one text, for where there is a single field: `root (claims LOGNAME ada)`."""
    user = system_user()
    others = [f"{name} {claimed}" for name, claimed in claimed_users().items() if claimed != user]
    return f"{user} (claims {', '.join(others)})" if others else user
