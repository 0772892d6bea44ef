"""Print or draw the learning rate that a notation, or a published recipe, means.

``python -m scripts.train.schedule "Warmup(3e-3, 1M) -> Cosine(0)" --tokens 8M --at 0 1M 8M``
``python -m scripts.train.schedule --recipe dots-llm1 --plot dots.svg``

Without ``--tokens`` a notation is as long as its lengths add up to; without ``--at`` the edges of
its segments are told. For a recipe, tokens count from the first phase of the run, and the batch
size and context length stand beside the LR.
"""

import argparse
import csv
import sys
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path

from scripts.common import quantity
from scripts.common.command import run
from scripts.common.errors import UserError
from scripts.common.notation import DECAYS
from scripts.train.course import Course, courses
from scripts.train.schedule import Schedule

Row = tuple[str | int, ...]


def main() -> None:
    arguments = _arguments()
    if (arguments.notation is None) == (arguments.recipe is None):
        raise UserError("give either a notation or --recipe NAME")
    if arguments.recipe is None:
        _tell_notation(arguments)
    else:
        _tell_recipe(arguments)


def _tell_notation(arguments: argparse.Namespace) -> None:
    schedule = Schedule.parse(
        arguments.notation,
        tokens=arguments.tokens,
        inherited=arguments.inherit,
        decay=arguments.decay,
    )
    places = arguments.at or [round(edge) for edge in schedule.edges]
    _print(["tokens", "lr"], ((tokens, _number(schedule.at(tokens))) for tokens in places))
    if arguments.plot:
        from scripts.train.schedule import curve

        points = curve.sample(schedule, 0, schedule.edges[-1])
        curve.draw([("lr", points)], arguments.notation, arguments.plot)


def _tell_recipe(arguments: argparse.Namespace) -> None:
    from scripts.train.schedule.recipes import recipe

    found = recipe(arguments.recipe)
    planned = courses(found.phases)
    starts = {
        name: sum(found.phases[ancestor].tokens for ancestor in found.path(name)[:-1])
        for name in planned
    }
    rows = (
        (name, *row)
        for name, course in planned.items()
        for row in _course_rows(course, starts[name], arguments.at)
    )
    _print(["phase", "tokens", "lr", "batch_tokens", "context"], rows)
    if arguments.plot:
        from scripts.train.schedule import curve

        curves = []
        for name, course in planned.items():
            begin = course.begin
            points = curve.sample(
                course.schedule, begin, begin + course.tokens, starts[name] - begin
            )
            curves.append((name, points))
        curve.draw(curves, found.title, arguments.plot)


def _course_rows(course: Course, start: int, at: Sequence[int] | None) -> Iterator[Row]:
    """Yield what holds at the edges of a phase's LR and batches, or those of ``at`` within it."""
    if at is None:
        edges = {round(edge) - course.begin for edge in course.schedule.edges}
        within = {edge for edge in edges if 0 < edge < course.tokens}
        places = sorted({0, *within, *course.plan.edges, course.tokens})
    else:
        places = [tokens - start for tokens in at if start <= tokens <= start + course.tokens]
    stretches = course.plan.stretches
    ends = accumulate(stretch.batches * stretch.batch_tokens for stretch in stretches)
    last_starts = [end - one.batch_tokens for end, one in zip(ends, stretches, strict=True)]
    for tokens in places:  # each with the first batch that begins there or later
        stretch = stretches[min(bisect_left(last_starts, tokens), len(stretches) - 1)]
        yield start + tokens, _number(course.lr(tokens)), stretch.batch_tokens, stretch.context


def _number(lr: float) -> str:
    return f"{lr:.8g}"


def _print(header: list[str], rows: Iterator[Row]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)


def _arguments() -> argparse.Namespace:
    def count(text: str) -> int:
        try:
            return quantity.tokens(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    parser = argparse.ArgumentParser(
        prog="python -m scripts.train.schedule",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "notation", nargs="?", help='such as "Warmup(3e-3, 1M) -> Cosine(0.1x, 7M)"'
    )
    parser.add_argument("--recipe", help="a file's name under config/recipes, without .yaml")
    parser.add_argument("--at", type=count, nargs="+", help="consumed tokens, such as 0 1B 2T")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the curve: .svg or .png")
    parser.add_argument("--tokens", type=count, help="the phase's tokens, such as 8M")
    parser.add_argument("--inherit", type=float, help="the LR at which the parent phase ended")
    parser.add_argument("--decay", choices=DECAYS, default=DECAYS[0], help="the form of Decay")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
