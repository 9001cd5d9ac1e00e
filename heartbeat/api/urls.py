"""Under /api/v2/. Heartbeats themselves go to ingest and never get here."""

from django.urls import path

from heartbeat.api import access_views, liveness_views, views
from heartbeat.api.heartbeats import Heartbeats

app_name = "heartbeat"
urlpatterns = [
    path("robots", views.Robots.as_view(), name="robots"),
    path("robots/<str:robot_id>", views.RobotView.as_view(), name="robot"),
    path("robots/<str:robot_id>/heartbeats", Heartbeats.as_view(), name="heartbeats"),
    path("robots/<str:robot_id>/tokens", access_views.RobotTokens.as_view(), name="robot-tokens"),
    path("robots/<str:robot_id>/tokens/<int:pk>", access_views.RobotTokenView.as_view(), name="robot-token"),
    path("robots/<str:robot_id>/tokens/<int:pk>/rotate", access_views.Rotation.as_view(), name="robot-token-rotation"),
    path("enrolment-tokens", access_views.EnrolmentTokens.as_view(), name="enrolment-tokens"),
    path("enrolment-tokens/<int:pk>", access_views.EnrolmentTokenView.as_view(), name="enrolment-token"),
    path("operator-tokens", access_views.OperatorTokens.as_view(), name="operator-tokens"),
    path("operator-tokens/<int:pk>", access_views.OperatorTokenView.as_view(), name="operator-token"),
    path("legacy-closures", access_views.LegacyClosures.as_view(), name="legacy-closures"),
    path("legacy-closures/<int:pk>", access_views.LegacyClosureView.as_view(), name="legacy-closure"),
    path("robots/<str:robot_id>/events", liveness_views.Events.as_view(), name="events"),
    path("incidents", liveness_views.Incidents.as_view(), name="incidents"),
    path("incidents/<int:number>", liveness_views.IncidentView.as_view(), name="incident"),
    path("maintenance-windows", liveness_views.Windows.as_view(), name="maintenance-windows"),
    path("maintenance-windows/<int:number>", liveness_views.WindowView.as_view(), name="maintenance-window"),
    path("maintenance-windows/<int:number>/end", liveness_views.WindowEnd.as_view(), name="maintenance-window-end"),
    path("fleet/summary", views.FleetSummaryView.as_view(), name="fleet-summary"),
    path("validation/robot-count", views.RobotCountView.as_view(), name="robot-count"),
]
