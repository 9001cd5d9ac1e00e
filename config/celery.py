"""The Celery application: `celery -A config worker`, `celery -A config beat`."""

import os

from celery import Celery

from config.broker import outlive_redis

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

outlive_redis()
app = Celery("lekiwi")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
