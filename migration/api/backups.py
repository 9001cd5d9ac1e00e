"""Backups in the REST API."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework import status as http
from rest_framework.generics import RetrieveAPIView, get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from heartbeat.api.listing import Listing
from migration.actors import Actor
from migration.api.permissions import may
from migration.api.serializers import Reason
from migration.api.views import NewestFirst
from migration.backups import asking
from migration.models import Backup


class BackupSerializer(serializers.ModelSerializer):
    """A backup and whether it was read back."""

    rows = serializers.IntegerField(read_only=True, allow_null=True)

    class Meta:
        model = Backup
        fields = [
            "id",
            "kind",
            "state",
            "reason",
            "asked_by",
            "run",
            "path",
            "size_bytes",
            "sha256",
            "rows",
            "left_out",
            "begun_at",
            "made_at",
            "verified_at",
            "removed_at",
            "failure",
        ]


class BackupRequest(serializers.Serializer):
    """What to back up, and why."""

    kind = serializers.ChoiceField(Backup.Kind.values, default=Backup.Kind.DATABASE.value)
    reason = Reason(required=True)


class AskedSerializer(serializers.Serializer):
    """What a worker was asked to do; the backup appears in the list."""

    asked = serializers.CharField()


class BackupsView(Listing):
    """Every backup there was, and making one."""

    queryset = Backup.objects.all()
    serializer_class = BackupSerializer
    pagination_class = NewestFirst

    def get_permissions(self) -> list[object]:
        """Everybody who is logged in reads; making one has a permission of its own."""
        return [may("back_up")()] if self.request.method == "POST" else super().get_permissions()

    @extend_schema(request=BackupRequest, responses={202: AskedSerializer})
    def post(self, request: Request) -> Response:
        """Have a worker make a backup, restore it beside the database and compare; 409 while no worker can be told."""
        asked = BackupRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        given = asked.validated_data
        told = asking.make(given["kind"], given["reason"], actor=Actor.of(request.user))
        return Response({"asked": told}, status=http.HTTP_202_ACCEPTED)


class BackupView(RetrieveAPIView):
    """One backup."""

    queryset = Backup.objects.all()
    serializer_class = BackupSerializer


class VerificationsView(APIView):
    """Trying a backup once more."""

    permission_classes = [may("back_up")]

    @extend_schema(request=None, responses={202: AskedSerializer})
    def post(self, request: Request, pk: int) -> Response:
        """Have a worker read it back again; 409 for one that has no file."""
        backup = get_object_or_404(Backup, pk=pk)
        told = asking.verify(backup, actor=Actor.of(request.user))
        return Response({"asked": told}, status=http.HTTP_202_ACCEPTED)
