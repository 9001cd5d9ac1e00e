"""What people change here, told to whoever keeps a record of it. Listeners register in their `AppConfig.ready()`."""

from collections.abc import Callable, Mapping
from typing import Any

#: (who, what in a word, a sentence that follows the name, the particulars)
Listener = Callable[[str, str, str, Mapping[str, Any]], None]

_listeners: list[Listener] = []


def listen(listener: Listener) -> None:
    """Call `listener` for every change, inside its transaction: a change that cannot be recorded is not made."""
    _listeners.append(listener)


def tell(actor: str, action: str, sentence: str, **detail: Any) -> None:
    """Tell every listener what `actor` did."""
    for listener in _listeners:
        listener(actor, action, sentence, detail)
