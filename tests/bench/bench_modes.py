"""The proxy modes side by side as `netlab modes --measure` has them; JSON out, and two plots.

    python tests/bench/bench_modes.py [--plots FOLDER] [SERVICES ...]      10, 100, 1000, 3000, 10000 where none is said

It works as root and, where there are user namespaces, as an ordinary user: everything is in namespaces of its own. With
--plots it writes modes-connection.svg and modes-throughput.svg there: ratios to the same without a Service.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from svg_plot import Axis, Plot, Series

from netlab.lab.comparison import compare_measured
from netlab.model.comparison import Measurement, ModeComparison, Paired
from netlab.model.modes import ProxyMode

SIZES = (10, 100, 1000, 3000, 10000)
NUMBERS = {mode: number for number, mode in enumerate(ProxyMode)}
Figure = Callable[[Measurement], Paired | None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plots", type=Path, metavar="FOLDER")
    parser.add_argument("services", type=int, nargs="*", default=SIZES)
    arguments = parser.parse_args()
    found = compare_measured(arguments.services, progress=lambda step: print(step, file=sys.stderr))
    print(found.model_dump_json(indent=2, by_alias=True))
    if arguments.plots:
        for name, plot in plots(found).items():
            (arguments.plots / name).write_text(plot.svg())


def plots(found: ModeComparison) -> dict[str, Plot]:
    """Both pictures by their files' names."""
    return {
        "modes-connection.svg": connection_plot(tuple(_series(found, lambda each: each.connection))),
        "modes-throughput.svg": throughput_plot(tuple(_series(found, lambda each: each.transfer))),
    }


def connection_plot(series: tuple[Series, ...]) -> Plot:
    highest = max((y for each in series for _, y in each.points), default=1.0)
    ticks = (0.8, 1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 50.0, 100.0)
    return Plot(
        title="A new connection through a ClusterIP",
        description="Time until a Pod has greeted, by the same without a Service, against the number of Services.",
        x=_services(series),
        y=Axis("times as long as Pod to Pod", _reaching(ticks, highest), logarithmic=True),
        series=series,
        reference=(1.0, "Pod to Pod"),
    )


def throughput_plot(series: tuple[Series, ...]) -> Plot:
    highest = max((y for each in series for _, y in each.points), default=1.0)
    return Plot(
        title="One transfer through a ClusterIP",
        description="Bytes a second by the same without a Service, against the number of Services.",
        x=_services(series),
        y=Axis("share of Pod to Pod", _reaching((0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 2.0), max(1.2, highest))),
        series=series,
        reference=(1.0, "Pod to Pod"),
    )


def _services(series: tuple[Series, ...]) -> Axis:
    counts = tuple(sorted({x for each in series for x, _ in each.points}))
    return Axis("Services of two endpoints each", counts, logarithmic=True)


def _reaching(ticks: tuple[float, ...], highest: float) -> tuple[float, ...]:
    """The ticks up to the first that is not below the highest point."""
    return tuple(tick for at, tick in enumerate(ticks) if at == 0 or ticks[at - 1] < highest)


def _series(found: ModeComparison, figure: Figure) -> Iterator[Series]:
    for row in found.modes:
        points = tuple((each.services, paired.ratio) for each in row.measurements if (paired := figure(each)))
        if points:
            yield Series(row.mode, NUMBERS[row.mode], points)


if __name__ == "__main__":
    main()
