"""Under /api/v2/. Heartbeats themselves go to ingest and never get here."""

from django.urls import path

from heartbeat.api import views

app_name = "heartbeat"
urlpatterns = [
    path("robots", views.RobotList.as_view(), name="robots"),
    path("robots/<str:robot_id>", views.robot, name="robot"),
    path("robots/<str:robot_id>/heartbeats", views.heartbeats, name="heartbeats"),
    path("fleet/summary", views.summary, name="fleet-summary"),
    path("validation/robot-count", views.count, name="robot-count"),
]
