"""What `loadpath init` finds out about what a request must bring: keys, queries, bodies, logins."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loadpath.spec import Operation, Setup, load
from loadpath.spec.detect import detect, render_service_file

HEAD = """
from enum import Enum
from typing import Annotated, Literal, Optional
from fastapi import Body, Depends, FastAPI, File, Query, Request, UploadFile
from pydantic import BaseModel, Field, EmailStr
from sqlalchemy import Column, String
app = FastAPI()
"""


def project(folder: Path, files: dict[str, str]) -> tuple[Setup, str]:
    """What is written for a folder with these files, read back, and its text."""
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    text = render_service_file(detect(folder))
    (folder / "loadpath.toml").write_text(text, "utf-8")
    return load(folder / "loadpath.toml", environ={}), text


def fastapi(folder: Path, code: str, *, seed: bool = True) -> tuple[dict[str, Operation], str]:
    """The live operations of a FastAPI service, and the whole text."""
    files = {"main.py": HEAD + code, "requirements.txt": "fastapi\nuvicorn\npsycopg\n"}
    if seed:
        files["seed.py"] = 'if __name__ == "__main__":\n    pass\n'
    setup, text = project(folder, files)
    return {o.name: o for o in setup.workload.operations}, text


def body_of(operation: Operation) -> object:
    assert operation.request is not None
    return json.loads(operation.request.body or "null")


class TestKeys:
    CODE = "@app.get('/items/{item_id}')\ndef item(item_id: int): ...\n"

    def test_ids_are_counted_from_one_once_something_seeds_them(self, tmp_path: Path) -> None:
        found, text = fastapi(tmp_path, self.CODE)
        assert found["GET /items/{item_id}"].request is not None
        assert "keys = { item_id = { first = 1, count = 10, zipf = 1.0 } }" in text
        assert "# Assumed: rows 1 to 10 exist. Say how many your seed makes." in text

    def test_without_a_seed_there_is_no_row_to_ask_for(self, tmp_path: Path) -> None:
        found, text = fastapi(tmp_path, self.CODE, seed=False)
        assert list(found) == ["GET /"]
        assert "# It needs rows that exist: say `seed`, then which {item_id} there are." in text

    def test_a_name_is_not_guessed(self, tmp_path: Path) -> None:
        found, text = fastapi(tmp_path, "@app.get('/tags/{name}')\ndef tag(name: str): ...\n")
        assert list(found) == ["GET /"]
        assert "# It needs values of {name} that exist." in text


class TestQueries:
    @pytest.mark.parametrize(
        ("parameter", "request_line"),
        [
            ("q: str", "GET /search?q=example"),
            ("page: int", "GET /search?page=1"),
            ("deep: bool", "GET /search?deep=true"),
            ("q: Annotated[str, Query(min_length=3)]", "GET /search?q=example"),
            ("q: str = Query(...)", "GET /search?q=example"),
            ("q: str = Query(min_length=3)", "GET /search?q=example"),
            ("q: str = Query('all')", "GET /search"),
            ("q: str = Query(default=None)", "GET /search"),
            ("q: str | None = None", "GET /search"),
            ("db: Annotated[str, Depends(open)]", "GET /search"),
        ],
    )
    def test_what_has_no_default_is_given_a_value(
        self, tmp_path: Path, parameter: str, request_line: str
    ) -> None:
        found, _ = fastapi(tmp_path, f"@app.get('/search')\ndef search({parameter}): ...\n")
        request = found["GET /search"].request
        assert request is not None
        assert f"{request.method} {request.path}" == request_line

    def test_a_date_is_left_to_the_reader(self, tmp_path: Path) -> None:
        code = "@app.get('/on')\ndef on(day: date): ...\n"
        found, text = fastapi(tmp_path, code)
        assert list(found) == ["GET /"]
        assert "# It needs a value for {day}." in text


class TestBodies:
    def test_a_model_gives_an_example_of_what_it_demands(self, tmp_path: Path) -> None:
        found, text = fastapi(
            tmp_path,
            "class Kind(str, Enum):\n    BIG = 'big'\n"
            "class Line(BaseModel):\n    product_id: int\n    note: str = ''\n"
            "class Base(BaseModel):\n    title: str = Field(min_length=9)\n"
            "class Order(Base):\n"
            "    email: EmailStr\n"
            "    count: int = Field(ge=3)\n"
            "    price: float\n"
            "    gift: bool\n"
            "    kind: Kind\n"
            "    size: Literal['s', 'm']\n"
            "    lines: list[Line] = Field(min_length=1)\n"
            "    left: Optional[int]\n"
            "    tags: list[str] = []\n"
            "    made: str = Field(default_factory=str)\n"
            "@app.post('/orders')\ndef place(order: Order): ...\n",
        )
        assert body_of(found["POST /orders"]) == {
            "title": "exampleee",
            "email": "somebody-{email}@example.com",
            "count": 3,
            "price": 1,
            "gift": True,
            "kind": "big",
            "size": "s",
            "lines": [{"product_id": 1}],
            "left": 1,
        }
        assert "keys = { email = { count = 1000000 } }" in text
        assert "that row 1 exists is assumed" in text

    def test_a_column_that_is_unique_differs_every_time(self, tmp_path: Path) -> None:
        found, _ = fastapi(
            tmp_path,
            "class Row:\n    code = Column(String(9), unique=True)\n"
            "class New(BaseModel):\n    code: str\n    title: str\n"
            "@app.post('/rows')\ndef make(new: New): ...\n",
        )
        assert body_of(found["POST /rows"]) == {"code": "example-{code}", "title": "example"}

    @pytest.mark.parametrize(
        ("model", "parameters", "said"),
        [
            ("code: str = Field(pattern='^[A-Z]{3}$')", "new: New", "a value for code of its body"),
            ("at: Whatever", "new: New", "a value for at of its body (New)"),
            ("x: int", "new: New, file: UploadFile", "file, which is no part of a JSON body"),
            ("x: int", "new: New, who=Depends(get_current_user)", "a user who is logged in"),
            ("x: int", "request: Request", "its body, which the code reads by itself"),
            ("x: int", "", "your word that it can be repeated"),
        ],
    )
    def test_what_cannot_be_derived_is_said(
        self, tmp_path: Path, model: str, parameters: str, said: str
    ) -> None:
        found, text = fastapi(
            tmp_path,
            f"class New(BaseModel):\n    {model}\n@app.post('/new')\ndef make({parameters}): ...\n",
        )
        assert list(found) == ["GET /"]
        assert f"# It needs {said}" in text

    def test_ids_in_a_body_need_rows_too(self, tmp_path: Path) -> None:
        code = (
            "class New(BaseModel):\n    user_id: int\n@app.post('/new')\ndef make(new: New): ...\n"
        )
        found, text = fastapi(tmp_path, code, seed=False)
        assert list(found) == ["GET /"]
        assert "# It needs rows that exist for the ids in its body: say `seed`." in text

    def test_a_login_behind_a_name_for_it_is_seen(self, tmp_path: Path) -> None:
        found, text = fastapi(
            tmp_path,
            "CurrentUser = Annotated[str, Depends(get_current_user)]\n"
            "@app.get('/me')\ndef me(user: CurrentUser): ...\n",
        )
        assert list(found) == ["GET /"]
        assert "# It needs a user who is logged in" in text

    def test_a_delete_is_left_to_a_flow(self, tmp_path: Path) -> None:
        code = "@app.delete('/items/{item_id}')\ndef drop(item_id: int): ...\n"
        found, text = fastapi(tmp_path, code)
        assert list(found) == ["GET /"]
        assert "# It needs a row of its own for each request" in text

    def test_a_model_that_holds_itself_ends(self, tmp_path: Path) -> None:
        code = (
            "class Tree(BaseModel):\n    child: 'Tree'\n    other: Tree\n"
            "@app.post('/trees')\ndef make(tree: Tree): ...\n"
        )
        found, text = fastapi(tmp_path, code)
        assert list(found) == ["GET /"]
        assert "# It needs a value for " in text


class TestDjango:
    def found(self, folder: Path, urls: str, views: str, **more: str) -> tuple[list[str], str]:
        files = {
            "manage.py": "",
            "site/urls.py": f"from django.urls import path\nfrom app import views\n{urls}",
            "site/settings.py": "ROOT_URLCONF = 'site.urls'\n" + more.pop("settings", ""),
            "app/views.py": views,
            "app/management/commands/seed.py": "",
            "requirements.txt": "django\npsycopg\n",
        }
        setup, text = project(folder, {**files, **more})
        return [o.name for o in setup.workload.operations], text

    def test_methods_are_those_that_the_view_answers(self, tmp_path: Path) -> None:
        names, _ = self.found(
            tmp_path,
            "urlpatterns = [path('a', views.a), path('b', views.B.as_view()),"
            " path('c', views.C.as_view()), path('d', views.d)]",
            "@require_POST\ndef a(request):\n    pass\n"
            "class B(View):\n    def get(self, request):\n        pass\n"
            "class C(ListView):\n    pass\n"
            "@api_view(['GET', 'PUT'])\ndef d(request):\n    pass\n",
        )
        assert names == ["GET /b", "GET /c", "GET /d"]

    VIEWS = (
        "from app.forms import CommentForm\n"
        "def add(request, pk):\n    form = CommentForm(request.POST)\n"
    )
    FORMS = (
        "class Comment(models.Model):\n"
        "    name = models.CharField(max_length=9)\n    note = models.TextField(blank=True)\n"
        "class CommentForm(forms.ModelForm):\n    age = forms.IntegerField()\n"
        "    class Meta:\n        model = Comment\n        fields = ['name', 'note', 'age']\n"
    )
    URLS = "urlpatterns = [path('<int:pk>/add', views.add)]"

    def test_a_form_gives_an_example(self, tmp_path: Path) -> None:
        views = self.VIEWS.replace("def add", "@require_POST\ndef add")
        names, text = self.found(tmp_path, self.URLS, views, **{"app/forms.py": self.FORMS})
        assert names == ["POST /{pk}/add"]
        assert '\nbody = "name=example&age=1"\n' in text
        assert 'headers = { Content-Type = "application/x-www-form-urlencoded" }' in text

    def test_one_that_checks_for_forgery_is_left_to_a_flow(self, tmp_path: Path) -> None:
        names, text = self.found(
            tmp_path,
            self.URLS,
            self.VIEWS.replace("def add", "@require_POST\ndef add"),
            settings="MIDDLEWARE = ['django.middleware.csrf.CsrfViewMiddleware']\n",
            **{"app/forms.py": self.FORMS},
        )
        assert names == ["GET /"]
        assert "# It needs Django's CSRF token" in text

    def test_a_view_for_those_who_are_logged_in(self, tmp_path: Path) -> None:
        names, text = self.found(
            tmp_path,
            "urlpatterns = [path('mine', views.mine)]",
            "@login_required\ndef mine(request):\n    pass\n",
        )
        assert names == ["GET /"]
        assert "# It needs a user who is logged in" in text


def test_what_flask_code_reads_is_shown_as_a_body_to_look_at(tmp_path: Path) -> None:
    _, text = project(
        tmp_path,
        {
            "app.py": "from flask import Flask, request\napp = Flask(__name__)\n"
            "@app.post('/rows')\ndef make():\n    sent = request.get_json()\n"
            "    return [sent['user_id'], sent.get('title'), request.json['note']]\n"
        },
    )
    assert "# It needs a look at its body: the code reads user_id, title, note from it." in text
    assert '# body = { user_id = 1, title = "example", note = "example" }' in text


def test_what_an_express_handler_reads_is_its_own(tmp_path: Path) -> None:
    setup, text = project(
        tmp_path,
        {
            "package.json": '{"dependencies": {"express": "5", "pg": "8"}}',
            "app.js": "const app = express();\n"
            "app.get('/search', (req, res) => { const { q = '' } = req.query; });\n"
            "app.get('/mine', requireLogin, (req, res) => res.json([]));\n"
            "app.post('/rows', (req, res) => { const { title, list_id: id } = req.body; });\n"
            "app.get('/rows', (req, res) => res.json(req.query.limit));\n"
            "app.listen(process.env.PORT);\n",
        },
    )
    lines = [o.request.path for o in setup.workload.operations if o.request]
    assert lines == ["/rows", "/search?q=example"]
    assert "# It needs a look at its body: the code reads title, list_id from it." in text
    assert '# body = { title = "example", list_id = 1 }' in text
    assert text.count("# It needs a user who is logged in") == 1
