"""`/api/v2/teleop/…`. Signals themselves go to ingest and never get here."""

from django.urls import path

from teleop.api import views

app_name = "teleop"
urlpatterns = [
    path("teleop", views.SummaryView.as_view(), name="summary"),
    path("teleop/sessions", views.Sessions.as_view(), name="sessions"),
    path("teleop/sessions/<uuid:session>", views.SessionView.as_view(), name="session"),
    path("teleop/robots", views.Operations.as_view(), name="operations"),
    path("teleop/robots/<str:robot_id>", views.OperationView.as_view(), name="operation"),
    path("teleop/robots/<str:robot_id>/stop", views.StopView.as_view(), name="stop"),
    path("teleop/stops", views.Stops.as_view(), name="stops"),
    path("teleop/stops/<uuid:stop>", views.StopRequestView.as_view(), name="stop-request"),
]
