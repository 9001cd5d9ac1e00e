"""Who may see a page and who may act: a login to watch, a permission to change."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django_htmx.http import HttpResponseClientRedirect

View = Callable[..., HttpResponse]


def signed_in(view: View) -> View:
    """Send a page without a login to the login page; for a form of htmx the whole page goes there."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.user.is_authenticated:
            return view(request, *args, **kwargs)
        if getattr(request, "htmx", False):
            return HttpResponseClientRedirect(f"{reverse('login')}?next={reverse('dashboard:overview')}")
        return redirect_to_login(request.get_full_path())

    return guarded


def signed_in_script(view: View) -> View:
    """Answer a script without a login 401, which it can tell from a site that is down."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.user.is_authenticated:
            return view(request, *args, **kwargs)
        return JsonResponse({"signed_out": True}, status=401)

    return guarded


def needs(codename: str, app: str = "migration") -> Callable[[View], View]:
    """Require a login and one of an app's permissions; 403 without it."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not request.user.has_perm(f"{app}.{codename}"):
                raise PermissionDenied(f"your login lacks the permission {app}.{codename}")
            return view(request, *args, **kwargs)

        return signed_in(guarded)

    return decorate
