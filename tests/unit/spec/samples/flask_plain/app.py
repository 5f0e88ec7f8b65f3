import flask

app = flask.Flask(__name__)


@app.get("/status")
def status():
    return {"ok": True}
