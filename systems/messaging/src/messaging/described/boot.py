"""What the endpoints that clients ask when they start answer."""

from __future__ import annotations

from messaging.described.schemas import (
    ANY_OBJECT,
    BOOLEAN,
    CLIENT,
    EMPTY,
    STRING,
    V1,
    Shape,
    at_least,
    list_of,
    obj,
)

__all__ = ["SHAPES"]

SHAPES = (
    Shape(
        "GET",
        f"{CLIENT}/voip/turnServer",
        obj(username=STRING, password=STRING, uris=list_of(STRING), ttl=at_least(0)),
    ),
    Shape("GET", f"{CLIENT}/thirdparty/protocols", EMPTY),
    Shape("GET", f"{CLIENT}/account/3pid", obj(threepids_=list_of(ANY_OBJECT))),
    Shape(
        "GET",
        f"{V1}/register/m.login.registration_token/validity",
        obj(valid_=BOOLEAN),
        query={"token!": STRING},
    ),
)
