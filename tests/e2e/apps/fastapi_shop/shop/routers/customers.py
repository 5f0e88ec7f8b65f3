from fastapi import APIRouter
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from shop.database import Database
from shop.models import Order
from shop.schemas import OrderOut

router = APIRouter(prefix="/customers", tags=["customers"])


@router.get("/{customer_id}/orders", response_model=list[OrderOut])
def orders_of_customer(customer_id: int, session: Database):
    found = (
        select(Order)
        .where(Order.customer_id == customer_id)
        .options(selectinload(Order.lines))
        .order_by(Order.id.desc())
        .limit(20)
    )
    return session.scalars(found).all()
