"""Whose rows multiply, told from the foreign keys alone."""

from __future__ import annotations

import msgspec
import pytest

from loadpath.errors import ConfigurationError
from loadpath.growing.families import Families, families
from loadpath.growing.plan import Refusal
from loadpath.growing.planning import plan
from loadpath.growing.schema import Column, ForeignKey, Part, Schema, Sequence, Table, Unique
from loadpath.spec import Growth


def table(name: str, rows: int, *columns: str) -> Table:
    return Table(
        name=name,
        sql=f'public."{name}"',
        rows=rows,
        columns=tuple(
            Column(name=c, type="bigint", base="bigint", kind="integer", lowest=1, highest=rows)
            for c in ("id", *columns)
        ),
    )


def key(child: str, column: str, parent: str) -> ForeignKey:
    return ForeignKey(
        name=f"{child}_{column}_fkey",
        table=child,
        columns=(column,),
        parent=parent,
        parent_columns=("id",),
    )


def unique(name: str, *columns: str, primary: bool = True) -> Unique:
    parts = tuple(Part((column,)) for column in columns)
    return Unique(name=f"{name}_{columns[0]}", table=name, parts=parts, primary=primary)


SHOP = Schema(
    database="shop",
    version=180000,
    bytes=0,
    tables=(
        table("country", 200),
        table("product", 5000),
        table("product_image", 9000, "product_id"),
        table("customer", 1000, "country_id"),
        table("profile", 1000, "customer_id"),
        table("purchase", 4000, "customer_id"),
        table("purchase_line", 9000, "purchase_id", "product_id"),
        table("favorite", 3000, "customer_id", "product_id"),
        table("migration", 30),
        table("event", 100_000),
    ),
    foreign_keys=(
        key("product_image", "product_id", "product"),
        key("customer", "country_id", "country"),
        key("profile", "customer_id", "customer"),
        key("purchase", "customer_id", "customer"),
        key("purchase_line", "purchase_id", "purchase"),
        key("purchase_line", "product_id", "product"),
        key("favorite", "customer_id", "customer"),
        key("favorite", "product_id", "product"),
    ),
    uniques=(
        *(unique(n, "id") for n in ("country", "product", "product_image", "customer")),
        *(unique(n, "id") for n in ("purchase", "purchase_line", "migration", "event")),
        unique("profile", "customer_id"),
        unique("favorite", "customer_id", "product_id"),
    ),
)


def what(found: Families) -> dict[str, str]:
    return {member.table: member.multiplies for member in found.members}


def test_rows_belong_to_users_by_way_of_foreign_keys() -> None:
    found = families(SHOP)
    assert found.roots == ("customer",)
    assert what(found) == {
        "customer": "users",
        "purchase": "both",
        "purchase_line": "both",
        "event": "both",
        # The same parents can have one row only.
        "profile": "users",
        "favorite": "users",
        # No foreign key leads from these to a customer.
        "country": "none",
        "product": "none",
        "product_image": "none",
        "migration": "none",
    }
    why = {member.table: member.why for member in found.members}
    assert why["purchase_line"] == "belongs to purchase → customer"
    assert "favorite_customer_id (customer_id, product_id)" in why["favorite"]


def test_the_user_overrides_what_was_found() -> None:
    found = families(SHOP, Growth(tables={"product": "users", "event": "none"}))
    assert what(found)["product"] == "users"
    assert what(found)["event"] == "none"
    assert families(SHOP, Growth(root=("country",))).multiplying("users") >= {"country", "customer"}


def test_a_table_that_is_not_there_is_told_with_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match="no table prodct; did you mean product"):
        families(SHOP, Growth(tables={"prodct": "users"}))


def test_a_table_said_to_have_history_that_it_cannot_have_is_refused() -> None:
    found = families(SHOP, Growth(tables={"profile": "history"}))
    made = plan(SHOP, found, "history", 4)
    assert isinstance(made, Refusal)
    assert made.table == "profile"
    assert "customer_id refers to rows that do not multiply" in made.why


def test_where_nothing_multiplies_it_is_said_how_to_have_it() -> None:
    lonely = Schema(database="d", version=180000, bytes=0, tables=(table("setting", 3),))
    made = plan(lonely, families(lonely), "users", 4)
    assert isinstance(made, Refusal)
    assert "no table in it multiplies" in str(made)
    assert made.advice is not None and "[growth] tables" in made.advice


def test_numbers_that_would_be_used_up_are_refused() -> None:
    ending = Sequence(
        name="purchase_id_seq", sql="s", highest=25_000, columns=(("purchase", "id"),)
    )
    schema = msgspec.structs.replace(SHOP, sequences=(ending,))
    assert not isinstance(plan(schema, families(schema), "users", 3), Refusal)
    refused = plan(schema, families(schema), "users", 4)
    assert isinstance(refused, Refusal)
    assert refused.table == "purchase"
    assert "purchase_id_seq of id ends at 25,000" in refused.why


@pytest.mark.parametrize(
    ("names", "root"),
    [
        (("tenants", "users"), "users"),
        (("auth_user", "auth_user_groups"), "auth_user"),
        (("Customer", "blog"), "Customer"),
        (("blog", "wiki"), "blog"),
    ],
)
def test_the_root_is_named_like_users_if_any_is(names: tuple[str, str], root: str) -> None:
    tables = (*(table(name, 10) for name in names), table("note", 500, "a", "b"))
    notes = tuple(key("note", c, name) for c, name in zip("ab", names, strict=True))
    more = (key("note", "a", "blog"),) if "blog" in names else ()
    schema = Schema(
        database="d", version=180000, bytes=0, tables=tables, foreign_keys=(*notes, *more)
    )
    assert families(schema).roots == (root,)
