"""Flows of service.py: a note that is written and must be readable afterwards."""

from __future__ import annotations

from loadpath.flow import Acknowledged, Flow, State, get, operation, post, still_holds


@operation("POST /notes", weight=1)
def write(state: State) -> Flow:
    text = state.unique("note ")
    reply = yield post("/notes", body=text)
    if reply.ok:
        state.acknowledge("note", id=reply.json()["id"], text=text)


@still_holds("note")
def is_readable(note: Acknowledged) -> Flow:
    reply = yield get(f"/notes/{note.id}")
    return reply.status == 200 and reply.text == note.text
