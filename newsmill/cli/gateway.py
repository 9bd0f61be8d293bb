"""`newsmill gateway`: documents over HTTP into news.raw."""

from __future__ import annotations

import os

import click

from newsmill import logs
from newsmill.gateway.serve import run_gateway
from newsmill.settings import from_environment


@click.command()
@click.option("--host", help="Address to listen on; any but loopback needs tokens.  [default: NEWSMILL_GATEWAY_HOST]")
@click.option("--port", type=int, help="Port to listen on.  [default: NEWSMILL_GATEWAY_PORT]")
def command(host: str | None, port: int | None) -> None:
    """Take documents over HTTP (POST /v1/articles) and send them to news.raw, until SIGTERM or Ctrl-C.

    A sender is answered when Kafka has acknowledged. Whoever may send has a token in NEWSMILL_GATEWAY_TOKENS; without
    tokens the gateway is for this machine alone. GET /v1/openapi.json describes it all.
    """
    settings = from_environment(os.environ, gateway_host=host, gateway_port=port)
    logs.set_up(settings, {"stage": "gateway"})
    run_gateway(settings)
