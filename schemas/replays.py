"""What is written about replays (news.replays): what was asked for, how far it is, who did what and when.

A record is part of the transaction with whose outputs it belongs, so it is at once the audit trail and the point from
which a run goes on after its process has died. The key is the name of the run.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from schemas.messages import Instant

Operation = Literal["run", "in_place", "promote", "redrive"]
RunName = Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9_-]{0,63}$", description="name of the run")]
Offset = Annotated[int, Meta(ge=0)]

MAX_RUN_CHARS: Final = 64
"""Longest name of a run, in characters: with `replay.<run>.` a topic's name stays far below Kafka's 249."""


class Span(Struct, kw_only=True, frozen=True):
    """Offsets of one partition, from `start` up to and without `end`."""

    partition: Annotated[Offset, Meta(description="number of the partition")]
    start: Annotated[Offset, Meta(description="first offset")]
    end: Annotated[Offset, Meta(description="behind the last offset")]


class Plan(Struct, kw_only=True, frozen=True, omit_defaults=True):
    """What a run was asked to do. `spans` are frozen when it starts: what arrives later is not part of it."""

    topic: Annotated[str, Meta(description="topic that is read, without a namespace")]
    spans: Annotated[tuple[Span, ...], Meta(description="what is read of it, by partition")] = ()
    options: Annotated[
        dict[str, str], Meta(description="options as they were given: filters, limits, stages and their versions")
    ] = {}


class ReplayRecord(Struct, kw_only=True, frozen=True, omit_defaults=True):
    """One thing that happened to a run (news.replays).

    `started` holds the plan, `checkpoint` how far the outputs of its own transaction bring the run, `finished` the
    final counts. `continued` says that another process has taken the run up. `pause` and `resume` are asked of a
    process that runs. `dropped`: its topics and its state are gone, and it is never taken up again.
    """

    run: RunName
    operation: Annotated[Operation, Meta(description="what is being done; a run may be promoted later")]
    event: Annotated[
        Literal["started", "continued", "checkpoint", "pause", "resume", "finished", "dropped"],
        Meta(description="what happened"),
    ]
    at: Annotated[Instant, Meta(description="when")]
    who: Annotated[str, Meta(description="user and host of the process, `user@host`")]
    plan: Annotated[Plan | None, Meta(description="what is to be done (`started`)")] = None
    positions: Annotated[
        dict[str, Offset], Meta(description="next offset to read, by `topic/partition`, once this is committed")
    ] = {}
    counts: Annotated[dict[str, int], Meta(description="records since the run started, by what became of them")] = {}
    offsets: Annotated[
        tuple[Span, ...], Meta(description="input that this very transaction has put back (`redrive`)")
    ] = ()
    state: Annotated[str | None, Meta(description="what else this operation needs to go on")] = None
