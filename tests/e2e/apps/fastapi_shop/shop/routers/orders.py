from fastapi import APIRouter, HTTPException
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from shop import shipping
from shop.database import Database
from shop.mistakes import HELD_TRANSACTION, N_PLUS_ONE
from shop.models import Customer, Order, OrderLine, Product
from shop.schemas import OrderIn, OrderOut

router = APIRouter(prefix="/orders", tags=["orders"])


@router.get("", response_model=list[OrderOut])
def list_orders(session: Database, limit: int = 20):
    found = select(Order).order_by(Order.placed_at.desc(), Order.id.desc()).limit(limit)
    if not N_PLUS_ONE:
        found = found.options(selectinload(Order.lines))
    return session.scalars(found).all()


@router.get("/{order_id}", response_model=OrderOut)
def read_order(order_id: int, session: Database):
    order = session.get(Order, order_id, options=[selectinload(Order.lines)])
    if order is None:
        raise HTTPException(404, "no such order")
    return order


@router.post("", response_model=OrderOut, status_code=201)
def place_order(body: OrderIn, session: Database):
    if session.get(Customer, body.customer_id) is None:
        raise HTTPException(422, "no such customer")
    wanted = {line.product_id for line in body.lines}
    if len(session.scalars(select(Product.id).where(Product.id.in_(wanted))).all()) < len(wanted):
        raise HTTPException(422, "no such product")
    order = Order(
        customer_id=body.customer_id,
        lines=[OrderLine(**line.model_dump()) for line in body.lines],
    )
    session.add(order)
    session.commit()
    return order


@router.post("/{order_id}/shipping", response_model=OrderOut)
def price_shipping(order_id: int, session: Database):
    """Ask what it costs to ship an order, and note it."""
    order = session.get(Order, order_id)
    if order is None:
        raise HTTPException(404, "no such order")
    if not HELD_TRANSACTION:
        session.commit()  # gives the connection back: the answer may take long
    price_cents = shipping.price_cents(order_id)
    order.shipping_cents = price_cents
    session.commit()
    return order
