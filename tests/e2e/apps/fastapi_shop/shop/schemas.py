"""What comes in and goes out."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field


class ProductIn(BaseModel):
    sku: str = Field(max_length=40)
    name: str = Field(min_length=1, max_length=120)
    price_cents: int = Field(ge=0)


class ProductOut(ProductIn):
    model_config = ConfigDict(from_attributes=True)
    id: int


class LineIn(BaseModel):
    product_id: int
    quantity: int = Field(default=1, ge=1)


class LineOut(LineIn):
    model_config = ConfigDict(from_attributes=True)


class OrderIn(BaseModel):
    customer_id: int
    lines: list[LineIn] = Field(min_length=1)


class OrderOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    id: int
    customer_id: int
    placed_at: datetime
    shipping_cents: int | None
    lines: list[LineOut]
