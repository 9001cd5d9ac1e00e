"""Handing one message to one destination. Says why it was not taken, and whether it ever will be."""

import json
import logging
import smtplib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import httpx
from django.conf import settings
from django.core.mail import EmailMessage, get_connection

from migration.notifying.destinations import Destination, Kind
from migration.rules import notifying, signing
from migration.rules.notifying import Line

TIMEOUT_SECONDS = 5.0
#: what the receiver may take another time; other 4xx are its last word
_LATER = frozenset({408, 425, 429})
_LONGEST_ANSWER = 200


class NotTaken(Exception):
    """The destination did not take the message. Final: it never will; else it may after `retry_after` seconds."""

    def __init__(self, why: str, *, is_final: bool = False, retry_after: float | None = None) -> None:
        super().__init__(why)
        self.is_final = is_final
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Parcel:
    """What goes to a destination; `identity` is the same at every attempt."""

    identity: str
    lines: Sequence[Line]

    @property
    def title(self) -> str:
        """The subject."""
        return notifying.title(self.lines)

    @property
    def body(self) -> str:
        """The text."""
        return notifying.body(self.lines)


def send(destination: Destination, parcel: Parcel) -> None:
    """Hand it over; raises `NotTaken`. Returns only when the destination said that it has it."""
    _SENDERS[destination.kind](destination.address, parcel)


def _chat(address: str, parcel: Parcel) -> None:
    """An incoming webhook as Slack has it. What a robot or a person wrote must not become markup of the chat."""
    text = parcel.body if len(parcel.lines) == 1 else f"{parcel.title}\n{parcel.body}"
    for mark, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(mark, entity)
    _post(address, json.dumps({"text": text}).encode(), {})


def _signed(address: str, parcel: Parcel) -> None:
    told = [{"kind": line.kind, "sentence": line.sentence, "at": line.at.isoformat()} for line in parcel.lines]
    body = json.dumps({"type": "lekiwi.notifications", "title": parcel.title, "notifications": told}).encode()
    timestamp = int(time.time())
    try:
        signed = signing.signature(settings.NOTIFY_WEBHOOK_SECRET, parcel.identity, timestamp, body)
    except signing.BadSecret as error:
        raise NotTaken(str(error), is_final=True) from error
    headers = {"webhook-id": parcel.identity, "webhook-timestamp": str(timestamp), "webhook-signature": signed}
    _post(address, body, headers)


def _post(address: str, body: bytes, headers: Mapping[str, str]) -> None:
    headers = {"content-type": "application/json", **headers}
    try:
        answer = httpx.post(address, content=body, headers=headers, timeout=TIMEOUT_SECONDS)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise NotTaken("the address cannot be used: it needs http:// or https:// and a host", is_final=True) from error
    except httpx.HTTPError as error:
        raise NotTaken(f"no answer: {type(error).__name__}") from error  # its text may hold the address, a secret
    if answer.is_success:
        return
    said = " ".join(answer.text[:_LONGEST_ANSWER].split())
    is_final = 300 <= answer.status_code < 500 and answer.status_code not in _LATER
    raise NotTaken(f"answered {answer.status_code}: {said}", is_final=is_final, retry_after=_seconds(answer))


def _seconds(answer: httpx.Response) -> float | None:
    """`Retry-After` in seconds; a date there is not heeded."""
    asked = answer.headers.get("retry-after", "")
    return float(asked) if asked.isdecimal() else None


def _mail(address: str, parcel: Parcel) -> None:
    message = EmailMessage(
        subject=f"[Lekiwi] {parcel.title}",
        body=parcel.body,
        to=[address],
        # a mailbox that got it twice, because our first attempt was cut off, shows it once
        headers={"Message-ID": f"<{parcel.identity}@lekiwi-heartbeat>"},
        connection=get_connection(timeout=TIMEOUT_SECONDS),
    )
    try:
        message.send()
    except smtplib.SMTPRecipientsRefused as error:
        code, said = next(iter(error.recipients.values()))
        raise NotTaken(f"{address}: {code} {_text(said)}", is_final=code >= 500) from error
    except smtplib.SMTPResponseException as error:
        raise NotTaken(f"{error.smtp_code} {_text(error.smtp_error)}", is_final=error.smtp_code >= 550) from error
    except (smtplib.SMTPException, OSError) as error:
        raise NotTaken(f"the mail server: {error}") from error


def _text(said: bytes | str) -> str:
    return said.decode(errors="replace") if isinstance(said, bytes) else said


def _apprise(address: str, parcel: Parcel) -> None:
    """Any service that apprise knows. It says only whether it worked; why not is in its log."""
    import apprise  # more than 100 services take a while to import, and most installations need none of them

    service = apprise.Apprise()
    if not service.add(address):
        raise NotTaken("apprise cannot read this address", is_final=True)
    with apprise.LogCapture(level=logging.WARNING) as log:
        taken = service.notify(title=parcel.title, body=parcel.body)
        said = " ".join(log.getvalue().split())
    if not taken:
        raise NotTaken(f"apprise: {said[:_LONGEST_ANSWER] or 'not taken'}")


_SENDERS: Mapping[Kind, Callable[[str, Parcel], None]] = {
    Kind.CHAT: _chat,
    Kind.SIGNED: _signed,
    Kind.MAIL: _mail,
    Kind.APPRISE: _apprise,
}
