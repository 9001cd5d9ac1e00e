"""The baseline: the same heartbeat taken by Django REST framework, as complete as `POST /api/v2/heartbeat`.

Token, validation field by field, idempotency by a unique constraint, the robot's state that never moves back, all in
one transaction. `gunicorn -w 1 benchmarks.drf_site:application` with `DATABASE_URL`; the benchmark makes its tables.
"""

import hashlib
from typing import Any

import dj_database_url
import django
from django.conf import settings

settings.configure(
    SECRET_KEY="only-for-the-benchmark",
    ALLOWED_HOSTS=["*"],
    DATABASES={"default": dj_database_url.config(env="DATABASE_URL", conn_max_age=None)},
    INSTALLED_APPS=["rest_framework"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    USE_TZ=True,
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": [],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
        "UNAUTHENTICATED_USER": None,
    },
)
django.setup()

from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import IntegrityError, connection, models, transaction  # noqa: E402
from django.urls import path  # noqa: E402
from django.utils import timezone  # noqa: E402
from rest_framework import serializers  # noqa: E402
from rest_framework.request import Request  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402


class Token(models.Model):
    """A robot's token."""

    digest = models.BinaryField(unique=True)
    robot_id = models.TextField()

    class Meta:
        app_label = "drf"

    def __str__(self) -> str:
        return self.robot_id


class State(models.Model):
    """A robot's state."""

    robot_id = models.TextField(unique=True)
    boot_id = models.TextField(default="")
    sequence = models.BigIntegerField(default=-1)
    last_seen_at = models.DateTimeField(null=True)
    status = models.TextField(default="")
    payload = models.JSONField(null=True)

    class Meta:
        app_label = "drf"

    def __str__(self) -> str:
        return self.robot_id


class Beat(models.Model):
    """One heartbeat."""

    robot_id = models.TextField()
    boot_id = models.TextField()
    sequence = models.BigIntegerField()
    received_at = models.DateTimeField()
    payload = models.JSONField()

    class Meta:
        app_label = "drf"
        constraints = [models.UniqueConstraint(fields=["robot_id", "boot_id", "sequence"], name="drf_once")]

    def __str__(self) -> str:
        return f"{self.robot_id} {self.sequence}"


class Motor(serializers.Serializer):
    """One servo."""

    id = serializers.IntegerField(min_value=0, max_value=253)
    name = serializers.CharField(max_length=128, required=False)
    position_degrees = serializers.FloatField(required=False, allow_null=True)
    velocity = serializers.FloatField(required=False, allow_null=True)
    temperature_celsius = serializers.FloatField(required=False, allow_null=True)
    voltage_volts = serializers.FloatField(required=False, allow_null=True)
    load_percent = serializers.FloatField(required=False, allow_null=True)
    current_milliamperes = serializers.FloatField(required=False, allow_null=True)
    status = serializers.IntegerField(required=False, allow_null=True)


class Camera(serializers.Serializer):
    """One camera."""

    name = serializers.CharField(max_length=64)
    fps = serializers.FloatField(min_value=0, required=False)


class HeartbeatSerializer(serializers.Serializer):
    """The body."""

    robot_id = serializers.CharField(max_length=128)
    kind = serializers.CharField(max_length=128, required=False)
    site = serializers.CharField(max_length=64, required=False)
    firmware = serializers.CharField(max_length=128, required=False)
    boot_id = serializers.CharField(max_length=64)
    sequence = serializers.IntegerField(min_value=0, max_value=2**63 - 1)
    sent_at = serializers.DateTimeField(required=False)
    status = serializers.CharField(max_length=128, default="idle")
    version = serializers.CharField(max_length=128, required=False)
    deployment_id = serializers.CharField(max_length=128, required=False)
    battery_percent = serializers.FloatField(min_value=0, max_value=100, required=False)
    cpu_temperature_celsius = serializers.FloatField(required=False)
    cpu_load_percent = serializers.FloatField(min_value=0, required=False)
    memory_percent = serializers.FloatField(min_value=0, max_value=100, required=False)
    disk_percent = serializers.FloatField(min_value=0, max_value=100, required=False)
    network = serializers.DictField(child=serializers.FloatField(), required=False)
    motors = Motor(many=True, required=False)
    cameras = Camera(many=True, required=False)
    base = serializers.DictField(child=serializers.FloatField(), required=False)
    services = serializers.DictField(child=serializers.ChoiceField(["active", "inactive", "unknown"]), required=False)
    teleop = serializers.DictField(required=False)
    next_in_s = serializers.FloatField(min_value=0.001, max_value=86_400, required=False)


class HeartbeatView(APIView):
    """Takes one heartbeat."""

    def post(self, request: Request) -> Response:
        """200 after the commit."""
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        owner = Token.objects.filter(digest=hashlib.sha256(token.encode()).digest()).first()
        if owner is None:
            return Response({"detail": "unknown token"}, status=401)
        serializer = HeartbeatSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        said: dict[str, Any] = serializer.validated_data
        if said["robot_id"] != owner.robot_id:
            return Response({"detail": "another robot's token"}, status=403)
        now = timezone.now()
        identity = {name: said[name] for name in ("robot_id", "boot_id", "sequence")}
        try:
            with transaction.atomic():
                Beat.objects.create(**identity, received_at=now, payload=request.data)
                State.objects.filter(robot_id=said["robot_id"]).exclude(
                    boot_id=said["boot_id"], sequence__gte=said["sequence"]
                ).update(
                    boot_id=said["boot_id"],
                    sequence=said["sequence"],
                    last_seen_at=now,
                    status=said["status"],
                    payload=request.data,
                )
        except IntegrityError:
            return Response({"status": "duplicate"})
        return Response({"status": "accepted", "robot_id": said["robot_id"], "received_at": now})


urlpatterns = [path("heartbeat/", HeartbeatView.as_view())]
application = get_wsgi_application()


def prepare(robots: list[tuple[str, str]]) -> None:
    """Make the tables, and a token and a state for each (robot, token)."""
    with connection.schema_editor() as editor:
        for model in (Token, State, Beat):
            editor.create_model(model)
    Token.objects.bulk_create(
        Token(digest=hashlib.sha256(token.encode()).digest(), robot_id=robot) for robot, token in robots
    )
    State.objects.bulk_create(State(robot_id=robot) for robot, _ in robots)
