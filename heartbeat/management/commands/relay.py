"""`manage.py relay`: a supervised process that tells legacy what v2 robots said."""

import asyncio
import os
import signal
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from heartbeat.relay.relaying import relay


class Command(BaseCommand):
    help = "Tell legacy every v2 heartbeat in its own words. Runs until told to stop; a second one stands by."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        asyncio.run(_run())


async def _run() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await relay(os.environ.get("DATABASE_URL", "postgres:///lekiwi"), settings.LEGACY_URL, stop)
