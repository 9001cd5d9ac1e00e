"""Under /api/v2/. Heartbeats themselves go to ingest and never get here."""

from django.urls import path

from heartbeat.api import views
from heartbeat.api.heartbeats import Heartbeats

app_name = "heartbeat"
urlpatterns = [
    path("robots", views.Robots.as_view(), name="robots"),
    path("robots/<str:robot_id>", views.RobotView.as_view(), name="robot"),
    path("robots/<str:robot_id>/heartbeats", Heartbeats.as_view(), name="heartbeats"),
    path("fleet/summary", views.FleetSummaryView.as_view(), name="fleet-summary"),
    path("validation/robot-count", views.RobotCountView.as_view(), name="robot-count"),
]
