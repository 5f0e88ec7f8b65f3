"""django-oscar, a shop: products, partners' stock, baskets, orders and their lines."""

from __future__ import annotations

import os

import django
from django.conf import settings
from django.core.management import call_command
from oscar import INSTALLED_APPS, defaults

own = {name: getattr(defaults, name) for name in dir(defaults) if name.startswith("OSCAR_")}
settings.configure(
    **own,
    SECRET_KEY="tried",
    USE_TZ=True,
    SITE_ID=1,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    ROOT_URLCONF="none",
    STATIC_URL="/static/",
    HAYSTACK_CONNECTIONS={"default": {"ENGINE": "haystack.backends.simple_backend.SimpleEngine"}},
    INSTALLED_APPS=INSTALLED_APPS,
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

from oscar import get_version  # noqa: E402 - models want Django set up
from oscar.test import factories  # noqa: E402

products = [
    factories.create_product(upc=f"upc-{n}", price=10 + n, num_in_stock=10_000) for n in range(40)
]
for n in range(50):
    user = factories.UserFactory(username=f"user{n}", email=f"user{n}@example.org")
    factories.UserAddressFactory(user=user)
    for m in range(50 // (n + 1)):
        basket = factories.BasketFactory(owner=user)
        for product in products[n % 30 : n % 30 + 1 + m % 3]:
            basket.add_product(product)
        factories.create_order(number=f"{n}-{m}", user=user, basket=basket)
print(get_version())
