"""Watches who operates a robot from the kernel's view of its connections, and opens none of them."""

from lekiwi_agent._version import VERSION

__version__ = VERSION
