"""Where each path goes. Inside an app, its own `urls.py` decides."""

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path, re_path

from heartbeat.api.problems import NothingHere
from heartbeat.api.schema import SchemaView
from heartbeat.api.views import RobotCountView
from migration.exposition import metrics
from migration.rules.voting import Role

handler400 = "heartbeat.api.problems.bad_request"
handler500 = "heartbeat.api.problems.server_error"
urlpatterns = [
    path("admin/", admin.site.urls),
    path(
        "login/",
        LoginView.as_view(
            template_name="dashboard/login.html", redirect_authenticated_user=True, extra_context={"roles": list(Role)}
        ),
        name="login",
    ),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("api/v2/schema", SchemaView.as_view(), name="schema"),
    path("api/v2/", include("migration.api.urls")),
    path("api/v2/", include("heartbeat.api.urls")),
    path("api/v2/", include("teleop.api.urls")),
    re_path(r"^api/v2/", NothingHere.as_view()),
    # the name that old runbooks have for it
    path("api/validation/robot-count", RobotCountView.as_view(schema=None), name="robot-count-of-old"),
    path("metrics", metrics, name="metrics"),
    path("", include("dashboard.urls")),
]
