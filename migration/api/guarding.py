"""REST v2 of what guards the migration: the watchdog's rules and switch, rehearsals, restores."""

from typing import Any

from drf_spectacular.utils import OpenApiTypes, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from heartbeat.api.access_serializers import Flag
from heartbeat.api.listing import Listing
from heartbeat.api.paging import Keyset, Order
from heartbeat.api.parsing import body_of
from heartbeat.api.queries import Query
from migration import guarding, rehearsing, restoring
from migration.actors import Actor
from migration.api.permissions import may
from migration.api.serializers import Reason, ReasonRequest
from migration.models import Rehearsal, Restore
from migration.rules.watching import Mode


class RuleRequest(serializers.Serializer):
    """How far a rule may go, and why."""

    mode = serializers.ChoiceField(choices=[mode.value for mode in Mode])
    reason = Reason()


class AutomationRequest(serializers.Serializer):
    """Automatic rollbacks on or off, and why."""

    on = Flag()
    reason = Reason()


class RestoreRequest(serializers.Serializer):
    """From the raw heartbeats, or with `until` from the archive as of that moment."""

    reason = Reason()
    until = serializers.DateTimeField(required=False, allow_null=True, default=None)


class RehearsalSerializer(serializers.ModelSerializer):
    """A rehearsal of the way back with its measured times."""

    class Meta:
        model = Rehearsal
        fields = "__all__"


class RestoreSerializer(serializers.ModelSerializer):
    """A restore with its measured steps."""

    class Meta:
        model = Restore
        fields = "__all__"


class NewestFirst(Keyset):
    """In the order in which they came to be."""

    orders = {"id": Order("id", int)}
    default = "-id"
    unique = Order("id", int)


class WatchdogView(APIView):
    """The watchdog: what its rules may do, who holds the lease, what it found, and the proof of the way back."""

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        """Answer the state as it is now."""
        Query().parsed(request.query_params)
        found = rehearsing.proof()
        proof = {"age_seconds": found.age_seconds, "seconds": found.seconds, "locks": found.locks}
        return Response({**guarding.state(), "proof": {**proof, "sentence": found.sentence}})


class WatchRuleView(APIView):
    """One rule of the rollback matrix."""

    permission_classes = [may("set_watch_rule")]

    @extend_schema(request=RuleRequest, responses=OpenApiTypes.OBJECT)
    def put(self, request: Request, name: str) -> Response:
        """Let the rule observe, hold or roll back."""
        asked = body_of(request, RuleRequest)
        rule = guarding.set_rule(name, asked["mode"], actor=Actor.of(request.user), reason=asked["reason"])
        return Response({"name": rule.name, "mode": rule.mode, "changed_by": rule.changed_by})


class AutomationView(APIView):
    """The switch of all automatic rollbacks."""

    permission_classes = [may("switch_automation")]

    @extend_schema(request=AutomationRequest, responses=OpenApiTypes.OBJECT)
    def put(self, request: Request) -> Response:
        """Switch it off or on. While it is off, every rule observes and steps forward are locked."""
        asked = body_of(request, AutomationRequest)
        switched = guarding.switch(asked["on"], actor=Actor.of(request.user), reason=asked["reason"])
        return Response({"on": switched.is_on, "by": switched.by, "at": switched.at})


class RehearsalsView(Listing):
    """Past rehearsals of the way back, and rehearsing it now."""

    queryset = Rehearsal.objects.all()
    serializer_class = RehearsalSerializer
    pagination_class = NewestFirst

    def get_permissions(self) -> list[Any]:
        """Everybody who is logged in reads; rehearsing has a permission of its own."""
        return [may("rehearse_rollback")()] if self.request.method == "POST" else super().get_permissions()

    @extend_schema(request=ReasonRequest, responses={201: RehearsalSerializer})
    def post(self, request: Request) -> Response:
        """Rehearse now. The answer is what was measured."""
        body_of(request, ReasonRequest)
        done = rehearsing.rehearse(actor=Actor.of(request.user))
        return Response(RehearsalSerializer(done).data, status=status.HTTP_201_CREATED)


class RestoresView(Listing):
    """Restores of the fleet's tables after data corruption."""

    queryset = Restore.objects.all()
    serializer_class = RestoreSerializer
    pagination_class = NewestFirst

    def get_permissions(self) -> list[Any]:
        """Everybody who is logged in reads; restoring has a permission of its own."""
        return [may("restore_fleet")()] if self.request.method == "POST" else super().get_permissions()

    @extend_schema(request=RestoreRequest, responses={202: RestoreSerializer})
    def post(self, request: Request) -> Response:
        """Ask for a restore; a worker takes it. 409 while robots are on `new`."""
        asked = body_of(request, RestoreRequest)
        restore = restoring.ask(actor=Actor.of(request.user), reason=asked["reason"], until=asked["until"])
        restoring.enqueue(restore)
        return Response(RestoreSerializer(restore).data, status=status.HTTP_202_ACCEPTED)
