"""REST v2 of the migration: parse, call a use case, answer."""

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import OpenApiTypes, extend_schema
from rest_framework import status as http
from rest_framework.generics import RetrieveAPIView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from heartbeat.api.listing import Listing
from heartbeat.api.paging import Keyset, Order
from heartbeat.api.parsing import body_of
from heartbeat.api.queries import Query
from migration import advancing, health, latching, recording, rolling_back, shifting, voting
from migration.actors import Actor
from migration.api import serializers
from migration.api.permissions import may
from migration.api.phase_serializers import ProposalSerializer
from migration.models import Proposal, Rollback, TrafficShift
from migration.status import status


class NewestFirst(Keyset):
    """In the order in which they came to be."""

    orders = {"id": Order("id", int)}
    default = "-id"
    unique = Order("id", int)


class StatusView(APIView):
    """The state of the migration: phase, split, gates, votes, both systems, guards."""

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        """Answer the state as it is now."""
        Query().parsed(request.query_params)
        return Response(status())


class AdvanceView(APIView):
    """Take the fleet to the next phase."""

    permission_classes = [may("advance_phase")]

    @extend_schema(request=serializers.AdvanceRequest, responses={202: serializers.ShiftSerializer})
    def post(self, request: Request) -> Response:
        """Ask for the next phase; 409 with every reason while anything stands in the way.

        Where a step takes two people, the first one's call is answered with a `proposal` that waits for the second.
        """
        asked = body_of(request, serializers.AdvanceRequest)
        order = advancing.advance(actor=Actor.of(request.user), reason=asked["reason"])
        if isinstance(order, Proposal):
            return Response({"proposal": ProposalSerializer(order).data}, status=http.HTTP_202_ACCEPTED)
        return Response(serializers.ShiftSerializer(order).data, status=http.HTTP_202_ACCEPTED)


class VotesView(APIView):
    """Vote on leaving the current phase."""

    permission_classes = [may("cast_vote")]

    @extend_schema(request=serializers.VoteRequest, responses={201: serializers.VoteSerializer})
    def post(self, request: Request) -> Response:
        """Cast or change the caller's vote."""
        asked = body_of(request, serializers.VoteRequest)
        vote = voting.cast(request.user, asked["choice"], asked["comment"], asked["role"] or None)
        return Response(serializers.VoteSerializer(vote).data, status=http.HTTP_201_CREATED)


class RollbacksView(Listing):
    """Past rollbacks, and rolling back."""

    queryset = Rollback.objects.all()
    serializer_class = serializers.RollbackSerializer
    pagination_class = NewestFirst

    def get_permissions(self) -> list[Any]:
        """Everybody who is logged in reads; rolling back has a permission of its own."""
        return [may("roll_back")()] if self.request.method == "POST" else super().get_permissions()

    @extend_schema(request=serializers.RollbackRequest, responses={201: OpenApiTypes.OBJECT})
    def post(self, request: Request) -> Response:
        """Roll back now. The answer is what was measured."""
        asked = body_of(request, serializers.RollbackRequest)
        record = rolling_back.roll_back(
            asked["target"], reason=asked["reason"], actor=Actor.of(request.user), leaving=asked.get("leaving")
        )
        recorded = rolling_back.record_now()
        return Response({**asdict(record), "recorded": recorded}, status=http.HTTP_201_CREATED)


class LatchReleaseView(APIView):
    """Release the latch of an emergency."""

    permission_classes = [may("release_latch")]

    @extend_schema(request=serializers.ReasonRequest, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        """Route as the active phase asks again."""
        asked = body_of(request, serializers.ReasonRequest)
        recording.drain()
        version = latching.release(actor=Actor.of(request.user), reason=asked["reason"])
        return Response({"version": version})


class ShiftsView(Listing):
    """Every change of the split."""

    queryset = TrafficShift.objects.all()
    serializer_class = serializers.ShiftSerializer
    pagination_class = NewestFirst


class ShiftView(RetrieveAPIView):
    """One change of the split."""

    queryset = TrafficShift.objects.all()
    serializer_class = serializers.ShiftSerializer


class ShiftCancelView(APIView):
    """Cancel a shift that no worker has taken."""

    permission_classes = [may("advance_phase")]

    @extend_schema(request=serializers.ReasonRequest, responses=serializers.ShiftSerializer)
    def post(self, request: Request, pk: int) -> Response:
        """Cancel it; 409 if it is too late."""
        asked = body_of(request, serializers.ReasonRequest)
        shift = shifting.cancel(pk, actor=Actor.of(request.user), reason=asked["reason"])
        return Response(serializers.ShiftSerializer(shift).data)


class HealthView(APIView):
    """Whether this system can do its work."""

    permission_classes = [AllowAny]
    authentication_classes: list[Any] = []

    @extend_schema(responses={200: OpenApiTypes.OBJECT, 503: OpenApiTypes.OBJECT})
    def get(self, request: Request) -> Response:
        """Answer each dependency's state: 200 when all are well, 503 with the reasons otherwise."""
        Query().parsed(request.query_params)
        found = health.look()
        return Response(found, status=http.HTTP_200_OK if found["status"] == "healthy" else 503)
