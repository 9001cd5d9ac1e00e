"""Ports and times of robots, to be edited."""

from django.contrib import admin

from teleop.models import RobotLayout


@admin.register(RobotLayout)
class RobotLayoutAdmin(admin.ModelAdmin):
    list_display = ("kind", "site", "command_ports", "observation_ports", "command_timeout_ms")
