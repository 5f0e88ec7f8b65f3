"""Fill an empty database: python seed.py [ORDERS]"""

import random
import sys

from sqlalchemy import insert
from sqlalchemy.orm import Session

from shop.database import engine
from shop.models import Base, Customer, Order, OrderLine, Product

PRODUCTS, CUSTOMERS = 300, 200
MATERIALS = ("oak", "steel", "linen", "cork", "glass", "wool")
THINGS = ("chair", "lamp", "table", "bowl", "shelf", "blanket", "clock")


def main(orders: int) -> None:
    chosen = random.Random(1)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        products = [
            {
                "sku": f"SKU-{n:05d}",
                "name": f"{chosen.choice(MATERIALS)} {chosen.choice(THINGS)} {n}",
                "price_cents": chosen.randint(500, 90_000),
            }
            for n in range(1, PRODUCTS + 1)
        ]
        session.execute(insert(Product), products)
        customers = [{"email": f"customer{n}@example.com"} for n in range(1, CUSTOMERS + 1)]
        session.execute(insert(Customer), customers)
        placed = [{"customer_id": chosen.randint(1, CUSTOMERS)} for _ in range(orders)]
        session.execute(insert(Order), placed)
        lines = [
            {"order_id": order, "product_id": product, "quantity": chosen.randint(1, 4)}
            for order in range(1, orders + 1)
            for product in chosen.sample(range(1, PRODUCTS + 1), chosen.randint(1, 4))
        ]
        session.execute(insert(OrderLine), lines)
        session.commit()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 400)
