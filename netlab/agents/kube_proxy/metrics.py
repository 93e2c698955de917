"""What a kube-proxy counts about itself, under the names that kube-proxy gives it.

Source: k8s.io/kubernetes/pkg/proxy/metrics, version 1.36; the text is the Prometheus exposition format 0.0.4.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from netlab.agents.kube_proxy.core import Synced
from netlab.model.rules import Family

BUCKETS = tuple(0.001 * 2**power for power in range(15))
"""Upper bounds in seconds: 1 ms to 16 s."""
PREFIX = "kubeproxy_sync"


class Histogram:
    """How often a sync took how long, in seconds."""

    def __init__(self) -> None:
        self._counts = [0] * len(BUCKETS)
        self._sum = 0.0
        self._count = 0

    def observe(self, seconds: float) -> None:
        self._sum += seconds
        self._count += 1
        for index, bound in enumerate(BUCKETS):
            self._counts[index] += seconds <= bound

    def lines(self, name: str, description: str) -> Iterator[str]:
        yield from _header(name, description, "histogram")
        for bound, count in zip(BUCKETS, self._counts, strict=True):
            yield f'{name}_bucket{{le="{bound:g}"}} {count}'
        yield f'{name}_bucket{{le="+Inf"}} {self._count}'
        yield f"{name}_sum {self._sum:.9f}"
        yield f"{name}_count {self._count}"


@dataclass(slots=True)
class Metrics:
    """The counters. Times are seconds since 1970."""

    durations: Histogram = field(default_factory=Histogram)
    full_durations: Histogram = field(default_factory=Histogram)
    partial_durations: Histogram = field(default_factory=Histogram)
    service_changes: int = 0
    endpoint_changes: int = 0
    failures: int = 0
    flows_deleted: int = 0
    last_sync: float = 0.0
    last_sync_seconds: float | None = None
    queued: float = 0.0
    health_answers: Counter[str] = field(default_factory=Counter)
    live_answers: Counter[str] = field(default_factory=Counter)

    def queue(self) -> None:
        """A sync was asked for."""
        self.queued = time.time()

    def synced(self, done: Synced) -> None:
        """A sync succeeded."""
        self.durations.observe(done.seconds)
        (self.full_durations if done.full else self.partial_durations).observe(done.seconds)
        self.flows_deleted += done.flows_deleted
        self.last_sync, self.last_sync_seconds = time.time(), done.seconds

    def overdue(self, seconds: float) -> bool:
        """Whether there was no sync yet, or one that was asked for has not come to pass for longer than that."""
        late = self.queued > self.last_sync and time.time() - self.queued > seconds
        return late or not self.last_sync

    def text(self, rules: Mapping[tuple[Family, str], int]) -> str:
        """Everything, for /metrics; `rules` are the rules in the kernel by family and table."""
        return "\n".join((*self._histograms(), *self._gauges(rules), *self._counters(), ""))

    def _histograms(self) -> Iterator[str]:
        yield from self.durations.lines(f"{PREFIX}_proxy_rules_duration_seconds", "SyncProxyRules latency in seconds")
        yield from self.full_durations.lines(
            f"{PREFIX}_full_proxy_rules_duration_seconds", "SyncProxyRules latency in seconds for full resyncs"
        )
        yield from self.partial_durations.lines(
            f"{PREFIX}_partial_proxy_rules_duration_seconds", "SyncProxyRules latency in seconds for partial resyncs"
        )

    def _gauges(self, rules: Mapping[tuple[Family, str], int]) -> Iterator[str]:
        name = f"{PREFIX}_proxy_rules_last_timestamp_seconds"
        yield from _metric(name, "The last time proxy rules were successfully synced", "gauge", self.last_sync)
        name = f"{PREFIX}_proxy_rules_last_queued_timestamp_seconds"
        yield from _metric(name, "The last time a sync of proxy rules was queued", "gauge", self.queued)
        name = f"{PREFIX}_proxy_rules_iptables_total"
        yield from _header(name, "Total number of iptables rules owned by kube-proxy", "gauge")
        for (family, table), count in rules.items():
            yield f'{name}{{ip_family="{family.value}",table="{table}"}} {count}'

    def _counters(self) -> Iterator[str]:
        counted = (
            (
                f"{PREFIX}_proxy_rules_service_changes_total",
                "Cumulative proxy rules Service changes",
                self.service_changes,
            ),
            (
                f"{PREFIX}_proxy_rules_endpoint_changes_total",
                "Cumulative proxy rules Endpoint changes",
                self.endpoint_changes,
            ),
            (
                f"{PREFIX}_proxy_rules_iptables_restore_failures_total",
                "Cumulative proxy iptables restore failures",
                self.failures,
            ),
            (
                "kubeproxy_conntrack_reconciler_deleted_entries_total",
                "Cumulative conntrack flows deleted by conntrack reconciler",
                self.flows_deleted,
            ),
        )
        for name, description, value in counted:
            yield from _metric(name, description, "counter", value)
        for name, description, answers in (
            ("kubeproxy_proxy_healthz_total", "Cumulative proxy healthz HTTP status", self.health_answers),
            ("kubeproxy_proxy_livez_total", "Cumulative proxy livez HTTP status", self.live_answers),
        ):
            yield from _header(name, description, "counter")
            for code, count in sorted(answers.items()):
                yield f'{name}{{code="{code}"}} {count}'


def _metric(name: str, description: str, kind: str, value: float) -> Iterator[str]:
    yield from _header(name, description, kind)
    yield f"{name} {value:.9g}" if isinstance(value, int) else f"{name} {value:.9f}"


def _header(name: str, description: str, kind: str) -> Iterator[str]:
    yield f"# HELP {name} {description}."
    yield f"# TYPE {name} {kind}"
