"""Contacts, channels, the rota and the escalation path in the REST API."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework import status as http
from rest_framework.exceptions import NotFound
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from heartbeat.api.access_serializers import Flag
from heartbeat.api.parsing import body_of
from heartbeat.api.queries import Query
from heartbeat.api.serializers import Text
from migration import contacts
from migration.actors import Actor
from migration.api.permissions import may
from migration.clock import system_clock
from migration.contacts import changing
from migration.models import Channel, Contact, RotaShift
from migration.rules.contacts import Duty, Purpose

DUTIES = [(duty.value, duty.words) for duty in Duty]


class ContactRequest(serializers.ModelSerializer):
    """One person or desk in one duty; reachable by telephone or e-mail."""

    duty = serializers.ChoiceField(DUTIES)
    is_backup = Flag(required=False)
    name = Text(max_length=150)
    telephone = Text(max_length=64, required=False, allow_blank=True)
    note = Text(max_length=500, required=False, allow_blank=True)

    class Meta:
        model = Contact
        fields = ["duty", "is_backup", "name", "telephone", "email", "note"]
        # the use case refuses the same name twice in one duty, and says so in a sentence
        validators: list[Any] = []


class ContactSerializer(serializers.ModelSerializer):
    """One person or desk in one duty; `login` is their name here, if they have one."""

    login = serializers.CharField(source="login.username", read_only=True, allow_null=True, default=None)

    class Meta:
        model = Contact
        fields = ["id", "duty", "is_backup", "name", "login", "telephone", "email", "note", "changed_at"]


class ChannelRequest(serializers.Serializer):
    """Where to talk: a web address, a number to dial, a room."""

    name = Text(max_length=150)
    address = Text(max_length=500)


class ChannelSerializer(serializers.ModelSerializer):
    """Where to talk for one purpose."""

    class Meta:
        model = Channel
        fields = ["purpose", "name", "address", "changed_at"]


class RotaRequest(serializers.ModelSerializer):
    """Who is on call from when to when, UTC."""

    class Meta:
        model = RotaShift
        fields = ["contact", "starts_at", "ends_at"]


class RotaSerializer(serializers.ModelSerializer):
    """Who is on call from when to when, UTC."""

    name = serializers.CharField(source="contact.name", read_only=True)

    class Meta:
        model = RotaShift
        fields = ["id", "contact", "name", "starts_at", "ends_at"]


class StepSerializer(serializers.Serializer):
    """Who is told when nobody acknowledged for so long; real minutes."""

    after_minutes = serializers.IntegerField(min_value=0, max_value=1440)
    duty = serializers.ChoiceField(DUTIES)


class PathRequest(serializers.Serializer):
    """The whole escalation path."""

    steps = serializers.ListField(child=StepSerializer(), allow_empty=False, min_length=1, max_length=20)


class WalkedSerializer(StepSerializer):
    """A step of the path with who is reached by it now."""

    people = serializers.ListField(child=serializers.CharField())


class ContactsSerializer(serializers.Serializer):
    """Everything that an emergency asks for."""

    on_call = ContactSerializer(allow_null=True)
    contacts = ContactSerializer(many=True)
    channels = ChannelSerializer(many=True)
    rota = RotaSerializer(many=True)
    escalation = WalkedSerializer(many=True)
    missing = serializers.ListField(child=serializers.CharField(), help_text="What keeps this from being complete")


class ContactsView(APIView):
    """Whom to call and where to talk."""

    def get_permissions(self) -> list[Any]:
        """Everybody who is logged in reads; changing has a permission of its own."""
        return [may("change_contacts")()] if self.request.method == "POST" else super().get_permissions()

    @extend_schema(responses=ContactsSerializer)
    def get(self, request: Request) -> Response:
        """Answer all contacts, who is on call now, and what is missing."""
        Query().parsed(request.query_params)
        return Response(ContactsSerializer(everything()).data)

    @extend_schema(request=ContactRequest, responses={201: ContactSerializer})
    def post(self, request: Request) -> Response:
        """Enter somebody."""
        fields = body_of(request, ContactRequest)
        made = changing.put_contact(fields, actor=Actor.of(request.user))
        return Response(ContactSerializer(made).data, status=http.HTTP_201_CREATED)


class ContactView(APIView):
    """One contact."""

    permission_classes = [may("change_contacts")]

    @extend_schema(request=ContactRequest, responses=ContactSerializer)
    def put(self, request: Request, pk: int) -> Response:
        """Change it."""
        contact = get_object_or_404(Contact, pk=pk)
        fields = body_of(request, ContactRequest)
        return Response(
            ContactSerializer(changing.put_contact(fields, actor=Actor.of(request.user), contact=contact)).data
        )

    @extend_schema(responses={204: None})
    def delete(self, request: Request, pk: int) -> Response:
        """Take it away, with its place on the rota."""
        changing.remove(get_object_or_404(Contact, pk=pk), actor=Actor.of(request.user))
        return Response(status=http.HTTP_204_NO_CONTENT)


class ChannelView(APIView):
    """The channel of one purpose."""

    permission_classes = [may("change_contacts")]

    @extend_schema(request=ChannelRequest, responses=ChannelSerializer)
    def put(self, request: Request, purpose: str) -> Response:
        """Enter or change it."""
        fields = body_of(request, ChannelRequest)
        if purpose not in set(Purpose):
            raise NotFound(f"there is no channel for {purpose}; there are {chr(44).join(Purpose)}")
        channel = changing.put_channel({**fields, "purpose": purpose}, actor=Actor.of(request.user))
        return Response(ChannelSerializer(channel).data)


class RotaView(APIView):
    """Who is on call when."""

    permission_classes = [may("change_contacts")]

    @extend_schema(request=RotaRequest, responses={201: RotaSerializer})
    def post(self, request: Request) -> Response:
        """Put somebody on the rota."""
        given = body_of(request, RotaRequest)
        shift = changing.put_on_rota(
            given["contact"], given["starts_at"], given["ends_at"], actor=Actor.of(request.user)
        )
        return Response(RotaSerializer(shift).data, status=http.HTTP_201_CREATED)


class RotaShiftView(APIView):
    """One place on the rota."""

    permission_classes = [may("change_contacts")]

    @extend_schema(responses={204: None})
    def delete(self, request: Request, pk: int) -> Response:
        """Take it away."""
        changing.remove(get_object_or_404(RotaShift, pk=pk), actor=Actor.of(request.user))
        return Response(status=http.HTTP_204_NO_CONTENT)


class EscalationView(APIView):
    """Who is told when nobody acknowledges."""

    permission_classes = [may("change_contacts")]

    @extend_schema(request=PathRequest, responses=WalkedSerializer(many=True))
    def put(self, request: Request) -> Response:
        """Replace the path."""
        given = body_of(request, PathRequest)
        steps = [(step["after_minutes"], Duty(step["duty"])) for step in given["steps"]]
        changing.put_path(steps, actor=Actor.of(request.user))
        return Response(everything()["escalation"])


def everything() -> dict[str, Any]:
    """The contacts as they are now."""
    now = system_clock().now()
    return {
        "on_call": contacts.on_call(now),
        "contacts": Contact.objects.select_related("login"),
        "channels": Channel.objects.all(),
        "rota": RotaShift.objects.filter(ends_at__gt=now).select_related("contact"),
        "escalation": [
            {
                "after_minutes": int(step.after.total_seconds() // 60),
                "duty": step.duty.value,
                "people": [person.name for person in step.people],
            }
            for step in contacts.escalation_path(now)
        ],
        "missing": contacts.missing(now),
    }
