"""JSON that every health can be written in."""

from rest_framework.renderers import JSONRenderer


class EscapingJSONRenderer(JSONRenderer):
    """Escapes what is not ASCII: a lone surrogate, which a robot may send, has no bytes in UTF-8."""

    ensure_ascii = True
