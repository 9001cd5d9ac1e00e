"""Tokens and the legacy path in the REST API. A token itself is in the answer that makes it, and nowhere else."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Model, Q, QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from heartbeat.access import enrolment_tokens, legacy_path, operator_tokens, robot_tokens
from heartbeat.access.errors import Refused, WiderThanItself
from heartbeat.api import access_serializers as said
from heartbeat.api.authentication import actor_of
from heartbeat.api.listing import Listing
from heartbeat.api.paging import Keyset, Order
from heartbeat.api.permissions import holds
from heartbeat.api.problems import CONTENT_TYPE, problem
from heartbeat.api.queries import Query
from heartbeat.models import EnrolmentToken, LegacyClosure, OperatorToken, RobotToken
from heartbeat.rules.cohorts import Cohort
from heartbeat.rules.identity import why_no_bucket

ISSUE_TOKEN = "heartbeat.issue_token"
ISSUE_ENROLMENT_TOKEN = "heartbeat.issue_enrolment_token"
ISSUE_OPERATOR_TOKEN = "heartbeat.issue_operator_token"
MANAGE_OPERATOR_TOKENS = "heartbeat.manage_operator_tokens"
CLOSE_LEGACY_PATH = "heartbeat.close_legacy_path"


#: as it stands beside the answers that all operations have
_CONFLICT = {
    (409, CONTENT_TYPE): OpenApiResponse(
        {"$ref": "#/components/schemas/Problem"}, "It may not be done now; `detail` says why"
    )
}


class NewestFirst(Keyset):
    """Tokens and closures in the order in which they were made."""

    orders = {"id": Order("id", int)}
    default = "-id"


class LiveQuery(Query):
    """Which tokens."""

    live = serializers.BooleanField(required=False, help_text="Only those that are, or are not, good now")


class OpenQuery(Query):
    """Which closures."""

    closed = serializers.BooleanField(required=False, help_text="Only those that are in force, or that were lifted")


class Guarded:
    """Refusals of the use cases as problems: 409 for what may not be done now, 403 for what goes too far."""

    #: what a change needs; `reading` what a look needs beyond a login
    changing: str
    reading: str = ""

    def get_permissions(self) -> list[Any]:
        """A permission for each action."""
        needed = self.reading if self.request.method in ("GET", "HEAD", "OPTIONS") else self.changing  # type: ignore[attr-defined]
        return [holds(needed)()] if needed else super().get_permissions()  # type: ignore[misc]

    def handle_exception(self, error: Exception) -> Response:
        """DRF's hook."""
        if isinstance(error, Refused):
            return problem(403 if isinstance(error, WiderThanItself) else 409, str(error))
        return super().handle_exception(error)  # type: ignore[misc]


class TokenListing(Guarded, Listing):
    """A list of tokens, which can be narrowed to the live ones."""

    pagination_class = NewestFirst
    query_class = LiveQuery

    def narrowed(self, rows: QuerySet[Any], asked: Mapping[str, Any]) -> QuerySet[Any]:
        """Live ones, dead ones, or all."""
        if "live" not in asked:
            return rows
        live = Q(Q(expires_at=None) | Q(expires_at__gt=timezone.now()), revoked_at=None)
        return rows.filter(live) if asked["live"] else rows.exclude(live)


class RobotTokens(TokenListing):
    """The tokens of a robot, newest first, by their prefixes."""

    serializer_class = said.RobotTokenSerializer
    changing = reading = ISSUE_TOKEN

    def get_queryset(self) -> QuerySet[RobotToken]:
        """Of this robot, in any spelling."""
        return robot_tokens.tokens_of(self.kwargs["robot_id"])

    @extend_schema(request=said.RobotTokenRequest, responses={201: said.NewRobotToken, **_CONFLICT})
    def post(self, request: Request, robot_id: str) -> Response:
        """Give the robot a token; it is entered if it was never heard. 409 while it has one that is good."""
        now = timezone.now()
        asked = _asked(said.RobotTokenRequest, request, now)
        if reason := why_no_bucket(robot_id):
            raise NotFound(f"no robot can have this id: {reason}")
        row, token = robot_tokens.issue(robot_id, by=actor_of(request), at=now, **asked)
        return _made(said.NewRobotToken, row, token)


class RobotTokenView(Guarded, APIView):
    """One token of a robot."""

    changing = reading = ISSUE_TOKEN

    @extend_schema(responses={204: None})
    def delete(self, request: Request, robot_id: str, pk: int) -> Response:
        """Revoke it: from now on it is refused, and an open connection that used it is closed."""
        Query().parsed(request.query_params)
        robot_tokens.revoke(_token_of(robot_id, pk), by=actor_of(request), at=timezone.now())
        return Response(status=204)


class Rotation(Guarded, APIView):
    """Another token for the same robot."""

    changing = ISSUE_TOKEN

    @extend_schema(request=said.RotationRequest, responses={201: said.NewRobotToken, **_CONFLICT})
    def post(self, request: Request, robot_id: str, pk: int) -> Response:
        """Give the robot another token; the ones it has stay good for the overlap. 409 when this one is not good."""
        now = timezone.now()
        overlap = timedelta(seconds=_asked(said.RotationRequest, request, now)["overlap_seconds"])
        row, token = robot_tokens.rotate(_token_of(robot_id, pk), overlap=overlap, by=actor_of(request), at=now)
        return _made(said.NewRobotToken, row, token)


class EnrolmentTokens(TokenListing):
    """Tokens with which robots enrol by themselves, newest first, by their prefixes."""

    queryset = EnrolmentToken.objects.all()
    serializer_class = said.EnrolmentTokenSerializer
    changing = reading = ISSUE_ENROLMENT_TOKEN

    @extend_schema(request=said.EnrolmentTokenRequest, responses={201: said.NewEnrolmentToken})
    def post(self, request: Request) -> Response:
        """Make one, good for a number of robots and for a time."""
        now = timezone.now()
        asked = _asked(said.EnrolmentTokenRequest, request, now)
        row, token = enrolment_tokens.issue(by=actor_of(request), at=now, **asked)
        return _made(said.NewEnrolmentToken, row, token)


class EnrolmentTokenView(Guarded, APIView):
    """One enrolment token."""

    changing = ISSUE_ENROLMENT_TOKEN

    @extend_schema(responses={204: None})
    def delete(self, request: Request, pk: int) -> Response:
        """Revoke it: nobody enrols with it any more. Robots that did keep their tokens."""
        Query().parsed(request.query_params)
        enrolment_tokens.revoke(get_object_or_404(EnrolmentToken, pk=pk), by=actor_of(request), at=timezone.now())
        return Response(status=204)


class OperatorTokens(TokenListing):
    """Tokens for scripts, newest first, by their prefixes: one's own, or everybody's for who may manage them."""

    serializer_class = said.OperatorTokenSerializer
    changing = ISSUE_OPERATOR_TOKEN

    def get_queryset(self) -> QuerySet[OperatorToken]:
        """Those that the caller may see."""
        return _visible_to(self.request)

    @extend_schema(request=said.OperatorTokenRequest, responses={201: said.NewOperatorToken})
    def post(self, request: Request) -> Response:
        """Make one that acts for the caller; called with a token, one that can do no more than that one."""
        now, by = timezone.now(), actor_of(request)
        asked = _asked(said.OperatorTokenRequest, request, now)
        within = request.auth.scopes if isinstance(request.auth, OperatorToken) else None
        row, token = operator_tokens.issue(request.user, by=by, at=now, within=within, **asked)
        return _made(said.NewOperatorToken, row, token)


class OperatorTokenView(APIView):
    """One token for scripts."""

    @extend_schema(responses={204: None})
    def delete(self, request: Request, pk: int) -> Response:
        """Revoke it: one's own, or anybody's for who may manage them."""
        Query().parsed(request.query_params)
        operator_tokens.revoke(get_object_or_404(_visible_to(request), pk=pk), by=actor_of(request), at=timezone.now())
        return Response(status=204)


class LegacyClosures(Guarded, Listing):
    """Cohorts whose legacy path is or was closed, newest first."""

    queryset = LegacyClosure.objects.all()
    serializer_class = said.LegacyClosureSerializer
    pagination_class = NewestFirst
    query_class = OpenQuery
    changing = CLOSE_LEGACY_PATH

    def narrowed(self, rows: QuerySet[Any], asked: Mapping[str, Any]) -> QuerySet[Any]:
        """Those in force, those lifted, or all."""
        return rows.filter(opened_at__isnull=asked["closed"]) if "closed" in asked else rows

    @extend_schema(request=said.LegacyClosureRequest, responses={201: said.LegacyClosureSerializer, **_CONFLICT})
    def post(self, request: Request) -> Response:
        """Refuse legacy calls of a cohort's robots, which then have to speak v2. Lifted while v2 is refused."""
        now = timezone.now()
        asked = _asked(said.LegacyClosureRequest, request, now)
        reason = asked.pop("reason")
        closure = legacy_path.close(Cohort(**asked), reason=reason, by=actor_of(request), at=now)
        return Response(said.LegacyClosureSerializer(closure).data, status=201)


class LegacyClosureView(Guarded, APIView):
    """One closure."""

    changing = CLOSE_LEGACY_PATH

    @extend_schema(responses={204: None})
    def delete(self, request: Request, pk: int) -> Response:
        """Open the path again. The closure stays in the list, as lifted."""
        Query().parsed(request.query_params)
        legacy_path.open_again(get_object_or_404(LegacyClosure, pk=pk), by=actor_of(request), at=timezone.now())
        return Response(status=204)


def _asked(serializer: type[serializers.Serializer], request: Request, now: datetime) -> dict[str, Any]:
    """What the body asks for; a life in seconds as the moment at which it ends."""
    Query().parsed(request.query_params)
    body = serializer(data=request.data)
    body.is_valid(raise_exception=True)
    asked = dict(body.validated_data)
    if "expires_in_seconds" in asked:
        seconds = asked.pop("expires_in_seconds")
        asked["expires_at"] = None if seconds is None else now + timedelta(seconds=seconds)
    return asked


def _made(serializer: type[serializers.ModelSerializer], row: Model, token: str) -> Response:
    """201 with the token, which no cache may keep."""
    row.token = token  # type: ignore[attr-defined]
    return Response(serializer(row).data, status=201, headers={"Cache-Control": "no-store"})


def _token_of(robot_id: str, pk: int) -> RobotToken:
    return get_object_or_404(robot_tokens.tokens_of(robot_id), pk=pk)


def _visible_to(request: Request) -> QuerySet[OperatorToken]:
    tokens = OperatorToken.objects.select_related("user")
    return tokens if request.user.has_perm(MANAGE_OPERATOR_TOKENS) else tokens.filter(user=request.user)
