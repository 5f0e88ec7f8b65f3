from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from shop.database import Database
from shop.models import Product
from shop.schemas import ProductIn, ProductOut

router = APIRouter()


@router.get("", response_model=list[ProductOut])
def list_products(session: Database, limit: Annotated[int, Query(ge=1, le=100)] = 20):
    return session.scalars(select(Product).order_by(Product.id).limit(limit)).all()


@router.get("/search", response_model=list[ProductOut])
def search_products(session: Database, q: Annotated[str, Query(min_length=2)]):
    found = select(Product).where(Product.name.icontains(q)).order_by(Product.name).limit(20)
    return session.scalars(found).all()


@router.get("/{product_id}", response_model=ProductOut)
def read_product(product_id: int, session: Database):
    product = session.get(Product, product_id)
    if product is None:
        raise HTTPException(404, "no such product")
    return product


@router.post("", response_model=ProductOut, status_code=201)
def create_product(body: ProductIn, session: Database):
    product = Product(**body.model_dump())
    session.add(product)
    try:
        session.commit()
    except IntegrityError:
        raise HTTPException(409, "there is a product with this SKU") from None
    return product
