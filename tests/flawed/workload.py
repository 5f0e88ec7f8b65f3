"""Orders, each found again by its token."""

from loadpath.flow import effects, get, operation, post


@operation("POST /orders", weight=40)
def order(state):
    """A client that tries again, with the key that makes it one order."""
    token = state.attempt("order")
    reply = yield post("/orders", headers={"Idempotency-Key": token}, json={}, retries=2)
    if reply.ok:
        state.acknowledge("order", token=token)


@effects("order")
def orders(attempt):
    reply = yield get("/orders", params={"token": attempt.token})
    return reply.json()["count"] if reply.ok else None
