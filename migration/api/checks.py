"""The checklist before the migration in the REST API."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework import status as http
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from heartbeat.api.parsing import body_of
from heartbeat.api.queries import Query
from heartbeat.api.serializers import Text
from migration.actors import Actor
from migration.api.permissions import may
from migration.api.serializers import Reason, ReasonRequest
from migration.checklist import reading, running, signing
from migration.checklist.registry import checks
from migration.clock import system_clock
from migration.models import CheckResult, SignOff
from migration.rules.sequential import Verdict

HISTORY = 20
VERDICTS = [verdict.value for verdict in Verdict]


class PointSerializer(serializers.Serializer):
    """One point of the checklist as it stands now."""

    name = serializers.CharField(help_text="A check's name, or that of a point to sign")
    title = serializers.CharField()
    role = serializers.CharField(help_text="Who looks after it, or signs it")
    verdict = serializers.ChoiceField(VERDICTS)
    sentence = serializers.CharField(help_text="What was found, or what the signature says")
    fix = serializers.CharField(help_text="What to do when it does not hold")
    is_signed_by_hand = serializers.BooleanField()
    at = serializers.DateTimeField(allow_null=True, help_text="When it ran or was signed")
    seconds = serializers.FloatField(allow_null=True, help_text="How long the check took")
    by = serializers.CharField(allow_blank=True)
    evidence = serializers.DictField(help_text="The figures behind the sentence")


class ChecklistSerializer(serializers.Serializer):
    """All points, and what the gate of Preparation makes of them."""

    verdict = serializers.ChoiceField(VERDICTS)
    sentence = serializers.CharField()
    points = PointSerializer(many=True)


class ResultSerializer(serializers.ModelSerializer):
    """What a check found when it ran; what a setting waives is not waived here."""

    class Meta:
        model = CheckResult
        fields = ["id", "verdict", "sentence", "evidence", "at", "seconds", "asked_by"]


class RunRequest(serializers.Serializer):
    """Which checks to run; all of them without a name."""

    names = serializers.ListField(child=Text(max_length=64), required=False, default=list, max_length=100)


class RunAnswer(serializers.Serializer):
    """What was asked. Results come with `GET`."""

    asked = serializers.ListField(child=serializers.CharField())
    run_here = serializers.BooleanField(help_text="No worker could be told, so they have run already")


class SignRequest(serializers.Serializer):
    """What somebody vouches for, in their words."""

    comment = Reason()


class SignOffSerializer(serializers.ModelSerializer):
    """A signature."""

    person = serializers.CharField(source="person.username", read_only=True)

    class Meta:
        model = SignOff
        fields = [
            "id",
            "subject",
            "role",
            "person",
            "as_backup",
            "comment",
            "signed_at",
            "withdrawn_at",
            "withdrawn_by",
            "withdrawn_because",
        ]


class ChecksView(APIView):
    """The checklist before the migration."""

    @extend_schema(responses=ChecklistSerializer)
    def get(self, request: Request) -> Response:
        """Answer every point as it stands now, failures first."""
        Query().parsed(request.query_params)
        now = system_clock().now()
        judgement, _ = reading.judge(now)
        points = [reading.as_plain(point) for point in reading.points(now)]
        return Response({"verdict": judgement.verdict, "sentence": judgement.sentence, "points": points})


class CheckRunsView(APIView):
    """Running checks."""

    permission_classes = [may("run_checks")]

    @extend_schema(request=RunRequest, responses={202: RunAnswer})
    def post(self, request: Request) -> Response:
        """Have a worker run these checks; what they find is kept."""
        asked = RunRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        names = asked.validated_data["names"] or list(checks())
        if unknown := [name for name in names if name not in checks()]:
            raise ValidationError({"names": [f"there is no check {', '.join(unknown)}"]})
        run_here = running.ask(names, actor=Actor.of(request.user))
        return Response({"asked": names, "run_here": run_here}, status=http.HTTP_202_ACCEPTED)


class CheckView(APIView):
    """What one check found lately."""

    @extend_schema(responses=ResultSerializer(many=True))
    def get(self, request: Request, name: str) -> Response:
        """Answer its latest results, newest first."""
        Query().parsed(request.query_params)
        if name not in checks():
            raise NotFound(f"there is no check {name}")
        return Response(ResultSerializer(CheckResult.objects.filter(name=name)[:HISTORY], many=True).data)


class SignaturesView(APIView):
    """Signing a point that only a person can know."""

    permission_classes = [may("sign_off")]

    @extend_schema(request=SignRequest, responses={201: SignOffSerializer})
    def post(self, request: Request, subject: str) -> Response:
        """Sign it as the caller's role, or as that role's named backup."""
        asked = _asked(SignRequest, subject, request)
        signed = signing.sign(request.user, subject, asked["comment"])
        return Response(SignOffSerializer(signed).data, status=http.HTTP_201_CREATED)


class WithdrawalView(APIView):
    """Taking a signature back."""

    permission_classes = [may("sign_off")]

    @extend_schema(request=ReasonRequest, responses=SignOffSerializer)
    def post(self, request: Request, subject: str) -> Response:
        """Withdraw the signature of this point."""
        asked = _asked(ReasonRequest, subject, request)
        return Response(SignOffSerializer(signing.withdraw(request.user, subject, asked["reason"])).data)


def _asked(serializer: Any, subject: str, request: Request) -> dict[str, Any]:
    if subject not in signing.SUBJECTS:
        raise NotFound(f"there is nothing to sign by the name {subject}")
    return body_of(request, serializer)
