"""Packages that are installed by those who want what they are for."""

import importlib.util

from scripts.common.errors import UserError


def require(package: str, key: str, requirement: str | None = None) -> None:
    """Raise UserError if a package is not installed that ``key`` of the configuration asks for.

    ``requirement`` is what to install where not any version will do.
    """
    if importlib.util.find_spec(package) is None:
        raise UserError(
            f"{key}: the package is not installed: `pip install {requirement or package}`, or "
            "leave the key out"
        )
