"""REST v2 of the way forward: settings, dry runs, pauses, ramps, pins, freezes, second persons, presence."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiTypes, extend_schema, extend_schema_view
from rest_framework import status as http
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from heartbeat.api.parsing import body_of
from heartbeat.api.queries import Query
from migration import climbing, configuring, foreseeing, freezing, pausing, pinning, presence, proposing, ramping
from migration.actors import Actor
from migration.api.permissions import may
from migration.api.phase_serializers import (
    DryRunQuery,
    FreezeRequest,
    FreezeSerializer,
    PinRequest,
    PinSerializer,
    ProposalSerializer,
    RampSerializer,
    SettingsRequest,
)
from migration.api.serializers import ReasonRequest, ShiftSerializer
from migration.models import FreezeWindow, Pin, Ramp
from migration.rules.settings import InvalidSetting
from migration.shortening import shorten


class SettingsView(APIView):
    """The settings of one phase."""

    def get_permissions(self) -> list[Any]:
        """Everybody who is logged in reads; changing has a permission of its own."""
        return super().get_permissions() if self.request.method == "GET" else [may("configure_phase")()]

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, slug: str) -> Response:
        """Answer every setting as it holds now."""
        Query().parsed(request.query_params)
        return Response(configuring.told(slug))

    @extend_schema(request=SettingsRequest, responses=OpenApiTypes.OBJECT)
    def patch(self, request: Request, slug: str) -> Response:
        """Change some; votes and evidence of the phase before and of this one are void then."""
        asked = body_of(request, SettingsRequest)
        try:
            configuring.change(slug, asked["changes"], actor=Actor.of(request.user), reason=asked["reason"])
        except InvalidSetting as error:
            raise ValidationError({f"changes.{error.field}": [error.reason]}) from error
        return Response(configuring.told(slug))


class DryRunView(APIView):
    """What a step would do."""

    @extend_schema(parameters=[DryRunQuery], responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        """Answer which robots would change sides, step by step, on the way to a phase. Nothing moves."""
        asked = DryRunQuery().parsed(request.query_params)
        return Response(foreseeing.dry_run(asked["to"]))


class _Action(APIView):
    """One action that needs nothing but a reason."""

    codename = ""
    status = http.HTTP_200_OK

    def get_permissions(self) -> list[Any]:
        """Its own permission."""
        return [may(self.codename)()]

    def act(self, actor: Actor, reason: str, **where: Any) -> Any:
        """Call the use case and return what is answered."""
        raise NotImplementedError

    @extend_schema(request=ReasonRequest, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request, **where: Any) -> Response:
        """Do it; 409 with the reasons if it may not be done now."""
        asked = body_of(request, ReasonRequest)
        return Response(self.act(Actor.of(request.user), asked["reason"], **where), status=self.status)


class PauseView(_Action):
    """Hold every step forward."""

    codename = "pause_phase"

    def act(self, actor: Actor, reason: str, **where: Any) -> Any:
        """Pause the active phase."""
        run = pausing.pause(actor=actor, reason=reason)
        return {"run": run.pk, "paused_at": run.paused_at, "paused_by": run.paused_by, "reason": run.pause_reason}


class ResumeView(_Action):
    """Let the way forward go on."""

    codename = "pause_phase"

    def act(self, actor: Actor, reason: str, **where: Any) -> Any:
        """Resume the active phase."""
        return {"run": pausing.resume(actor=actor, reason=reason).pk, "paused_at": None}


@extend_schema_view(post=extend_schema(responses=RampSerializer))
class RampCancelView(_Action):
    """Give up the rest of the way into a phase."""

    codename = "advance_phase"

    def act(self, actor: Actor, reason: str, **where: Any) -> Any:
        """Cancel the running ramp; traffic stays where it is."""
        return RampSerializer(ramping.cancel(actor=actor, reason=reason)).data


@extend_schema_view(post=extend_schema(responses={202: ShiftSerializer}))
class RampCompleteView(_Action):
    """Take all of the remaining way at once."""

    codename = "advance_phase"
    status = http.HTTP_202_ACCEPTED

    def act(self, actor: Actor, reason: str, **where: Any) -> Any:
        """Complete the running ramp in one step."""
        return ShiftSerializer(climbing.complete(actor=actor, reason=reason)).data


@extend_schema_view(post=extend_schema(responses={202: ShiftSerializer}))
class RampBeginView(_Action):
    """Take the rest of the way after a ramp was cancelled."""

    codename = "advance_phase"
    status = http.HTTP_202_ACCEPTED

    def act(self, actor: Actor, reason: str, **where: Any) -> Any:
        """Begin the rest of the way."""
        return ShiftSerializer(climbing.begin_again(actor=actor, reason=reason)).data


@extend_schema_view(post=extend_schema(responses={202: ProposalSerializer}))
class ShortenView(_Action):
    """Let the phase's time end now; takes two people."""

    codename = "shorten_phase"
    status = http.HTTP_202_ACCEPTED

    def act(self, actor: Actor, reason: str, **where: Any) -> Any:
        """Propose it, or confirm what another person proposed."""
        return ProposalSerializer(shorten(actor=actor, reason=reason)).data


@extend_schema_view(post=extend_schema(responses=ProposalSerializer))
class ProposalCancelView(_Action):
    """Take a proposal back."""

    codename = "advance_phase"

    def act(self, actor: Actor, reason: str, **where: Any) -> Any:
        """Cancel it."""
        return ProposalSerializer(proposing.cancel(where["pk"], actor=actor, reason=reason)).data


@extend_schema_view(post=extend_schema(responses=FreezeSerializer))
class FreezeLiftView(_Action):
    """End a freeze before its time."""

    codename = "freeze_migration"

    def act(self, actor: Actor, reason: str, **where: Any) -> Any:
        """Lift it."""
        return FreezeSerializer(freezing.lift(where["pk"], actor=actor, reason=reason)).data


class ListedView(APIView):
    """A short list that everybody who is logged in reads, and a POST with a permission of its own."""

    codename = ""
    rows: QuerySet[Any]
    answered: Any = None

    def get_permissions(self) -> list[Any]:
        """Reading is free."""
        return super().get_permissions() if self.request.method == "GET" else [may(self.codename)()]

    def listed(self, request: Request) -> Response:
        """The newest hundred."""
        Query().parsed(request.query_params)
        return Response(self.answered(self.rows.all()[:100], many=True).data)


class FreezesView(ListedView):
    """Freeze windows."""

    codename = "freeze_migration"
    rows = FreezeWindow.objects.all()
    answered = FreezeSerializer

    @extend_schema(responses=FreezeSerializer(many=True))
    def get(self, request: Request) -> Response:
        """List them, newest first."""
        return self.listed(request)

    @extend_schema(request=FreezeRequest, responses={201: FreezeSerializer})
    def post(self, request: Request) -> Response:
        """Freeze the way forward."""
        window = freezing.freeze(actor=Actor.of(request.user), **body_of(request, FreezeRequest))
        return Response(FreezeSerializer(window).data, status=http.HTTP_201_CREATED)


class PinsView(ListedView):
    """Pinned robots."""

    codename = "advance_phase"
    rows = Pin.objects.all()
    answered = PinSerializer

    @extend_schema(responses=PinSerializer(many=True))
    def get(self, request: Request) -> Response:
        """List them."""
        return self.listed(request)

    @extend_schema(request=PinRequest, responses={202: ShiftSerializer})
    def post(self, request: Request) -> Response:
        """Ask to pin or unpin one robot; it holds once the shift is observed."""
        asked, actor = body_of(request, PinRequest), Actor.of(request.user)
        if asked["side"]:
            shift = pinning.pin(asked["robot_id"], asked["side"], actor=actor, reason=asked["reason"])
        else:
            shift = pinning.unpin(asked["robot_id"], actor=actor, reason=asked["reason"])
        return Response(ShiftSerializer(shift).data, status=http.HTTP_202_ACCEPTED)


class RampsView(ListedView):
    """Ways into phases."""

    rows = Ramp.objects.all()
    answered = RampSerializer
    http_method_names = ["get", "head", "options"]

    @extend_schema(responses=RampSerializer(many=True))
    def get(self, request: Request) -> Response:
        """List them, newest first."""
        return self.listed(request)


class PresenceView(APIView):
    """Who is on watch."""

    permission_classes = [may("roll_back")]

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        """The caller has the dashboard in front of them now."""
        return Response({"at": presence.is_here(request.user).at})
