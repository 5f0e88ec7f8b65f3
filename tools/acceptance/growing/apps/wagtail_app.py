"""Wagtail, a content management system: pages in a tree, their revisions, redirects."""

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
    WAGTAIL_SITE_NAME="tried",
    ROOT_URLCONF="none",
    STATIC_URL="/static/",
    WAGTAILSEARCH_BACKENDS={"default": {"BACKEND": "wagtail.search.backends.database"}},
    INSTALLED_APPS=[
        "wagtail.contrib.forms",
        "wagtail.contrib.redirects",
        "wagtail.embeds",
        "wagtail.sites",
        "wagtail.users",
        "wagtail.snippets",
        "wagtail.documents",
        "wagtail.images",
        "wagtail.search",
        "wagtail.admin",
        "wagtail",
        "modelcluster",
        "taggit",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.messages",
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

from django.contrib.auth.models import User  # noqa: E402 - models want Django set up
from wagtail import __version__  # noqa: E402
from wagtail.contrib.redirects.models import Redirect  # noqa: E402
from wagtail.models import Page  # noqa: E402

root = Page.objects.get(depth=1)
for n in range(60):
    user = User.objects.create_user(f"user{n}", f"user{n}@example.org", "word")
    section = root.add_child(instance=Page(title=f"Section {n}", slug=f"section-{n}", owner=user))
    for m in range(60 // (n + 1)):
        page = section.add_child(instance=Page(title=f"Page {m}", slug=f"page-{m}", owner=user))
        page.save_revision(user=user).publish()
        if m % 3 == 0:
            page.save_revision(user=user)
    Redirect.objects.create(old_path=f"/old-{n}", redirect_page=section)
print(__version__)
