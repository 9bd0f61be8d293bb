"""Transactions that a dead worker has left open.

Its own next start would end them, under the same name. Whoever takes its partitions over has another name, and would
wait until the broker ends them: `NEWSMILL_TRANSACTION_TIMEOUT_S`, and until it looks (every 10 s by default). So the
one that takes over announces the dead one's name, which ends them at once. A worker that was only thought dead is shut
out by that, and ends when it goes on; it is out of its group, and the broker would refuse what it had in its hands.
"""

from __future__ import annotations

import logging

from kafka.errors import KafkaError

from newsmill import clients, topics
from newsmill.engines.kafka.producer import FencedError, TransactionalProducer, TransactionError
from newsmill.engines.kafka.transaction import transactional_id
from newsmill.settings import Settings

log = logging.getLogger(__name__)


def end_abandoned(settings: Settings, stage: str) -> list[str]:
    """End the open transactions of workers of `stage` that are no members of its group (any more); return their
    instances. To be called by a member.

    What goes wrong is logged. The transactions then end by themselves, later.
    """
    try:
        abandoned = _abandoned(settings, stage)
        for instance in abandoned:
            log.warning("%s-%s has left a transaction open, and is not in its group: it is shut out", stage, instance)
            producer = TransactionalProducer(settings, transactional_id(settings, stage, instance), "by its like")
            try:
                producer.start()
            finally:
                producer.close()
    except (KafkaError, TransactionError, FencedError) as error:
        log.info("open transactions of others end by themselves: %r", error)
        return []
    return abandoned


def _abandoned(settings: Settings, stage: str) -> list[str]:
    prefix = transactional_id(settings, stage, "")
    group = clients.group(settings, stage)
    with topics.admin_client(clients.connection(settings)) as admin:
        listed = admin.list_transactions(state_filters=["Ongoing"])
        names = {one.transactional_id for listings in listed.values() for one in listings}
        found = {name.removeprefix(prefix) for name in names if name.startswith(prefix)} - {settings.instance}
        if not found:
            return []
        # Asked after the transactions: who has one open and is not among these is out of the group since.
        members = {member["client_id"] for member in admin.describe_groups([group])[group].get("members") or ()}
    if client_id(stage, settings.instance) not in members:
        # The caller is one: this answer tells nothing of the others either.
        return []
    return sorted(instance for instance in found if client_id(stage, instance) not in members)


def client_id(stage: str, instance: str) -> str:
    """Return the name under which a worker is a member of its group."""
    return f"{stage}-{instance}"
