"""Where each path goes. Inside an app, its own `urls.py` decides."""

from django.contrib import admin
from django.urls import path

urlpatterns = [
    path("admin/", admin.site.urls),
]
