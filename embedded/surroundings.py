"""What a site has around the system, as far as the autopilot plays it."""

import secrets

from embedded.ports import LOOPBACK, free_ports


def of_the_autopilot() -> dict[str, str]:
    """Where the autopilot itself takes messages, as a chat would, and the secret of its Alertmanager."""
    chat = f"http://{LOOPBACK}:{free_ports(1)[0]}"
    return {
        "NOTIFY_STATUS_WEBHOOK": f"{chat}/status",
        "NOTIFY_ALERTS_WEBHOOK": f"{chat}/alerts",
        "ALERTMANAGER_TOKEN": secrets.token_urlsafe(24),
    }
