"""What the programs' command lines share: settings as JSON, logging, errors without a traceback."""

import argparse
import logging
import sys
from collections.abc import Callable
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from scripts.common.errors import UserError

Settings = TypeVar("Settings", bound=BaseModel)


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the one option of every program: its settings, as JSON."""
    created = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    created.add_argument(
        "--settings", required=True, help="the program's settings, as JSON (shown in the job's log)"
    )
    return created


def parse_settings(model: type[Settings], text: str) -> Settings:
    """Validate a program's ``--settings``; raises UserError naming each key at fault."""
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise UserError(f"--settings: {error}") from None


def run(main: Callable[[], None]) -> None:
    """Run a program's ``main``: log to standard error, end with status 1 on a UserError."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr
    )
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
