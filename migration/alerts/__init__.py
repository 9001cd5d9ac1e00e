"""Alerts: taken from Alertmanager, acknowledged by people, escalated until they are."""
