"""Django with its own applications: users, groups, permissions, sessions, the admin's log."""

from __future__ import annotations

import os

import django
from django.conf import settings
from django.core.management import call_command

settings.configure(
    SECRET_KEY="tried",
    USE_TZ=True,
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.sites",
        "django.contrib.flatpages",
        "django.contrib.redirects",
    ],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": os.environ["PGHOST"],
            "PORT": os.environ["PGPORT"],
            "USER": os.environ["PGUSER"],
            "PASSWORD": os.environ["PGPASSWORD"],
            "NAME": os.environ["PGDATABASE"],
        }
    },
)
django.setup()
call_command("migrate", verbosity=0)

from django.contrib.admin.models import LogEntry  # noqa: E402 - models want Django set up
from django.contrib.auth.models import Group, Permission, User  # noqa: E402
from django.contrib.contenttypes.models import ContentType  # noqa: E402
from django.contrib.sessions.backends.db import SessionStore  # noqa: E402

groups = [Group.objects.create(name=f"group {n}") for n in range(5)]
permissions = list(Permission.objects.all())
kind = ContentType.objects.get_for_model(User)
for n in range(120):
    user = User.objects.create_user(f"user{n}", f"user{n}@example.org", "word")
    user.groups.add(groups[n % 5])
    user.user_permissions.add(permissions[n % len(permissions)])
    for m in range(120 // (n + 1)):
        LogEntry.objects.create(
            user=user, content_type=kind, object_id=n, action_flag=2, object_repr=f"change {m}"
        )
    session = SessionStore()
    session["user"] = user.pk
    session.save()
print(django.__version__)
