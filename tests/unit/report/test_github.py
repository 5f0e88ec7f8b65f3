"""Answers for GitHub Actions: where annotations point, and that nothing from outside gets out."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from loadpath.answer import Answer, Check, Interval, Line, State
from loadpath.experiment.assess import Assessment, LimitVerdict
from loadpath.questions.growth_figures import DatabaseGrowth, Growth, StatementGrowth
from loadpath.report.github import workflow_commands
from loadpath.report.markdown import markdown
from loadpath.spec import Source, read_source
from loadpath.statements.findings import Finding

FILE = """\
[service]
start = "x --port {port}"

[workload]
arrivals = { open = "10/s" }

[objective]
errors = "0.1%"
p99 = "50ms"

[operations."GET /"]
request = "GET /"
"""
SHARE = Interval(0.04, 0.03, 0.05, 0.95, "", 900)


@pytest.fixture
def source(tmp_path: Path) -> Source:
    (tmp_path / "loadpath.toml").write_text(FILE)
    return read_source(tmp_path)


def answer(*, slow: bool = True, failing: bool = False) -> Answer:
    limit = LimitVerdict(
        quantile=0.99,
        limit_s=0.05,
        response=Interval(0.08, 0.07, 0.09, 0.95, "", 900),
        slower=SHARE,
        met=not slow,
    )
    today = Assessment(
        requests=900,
        offered_per_s=10.0,
        done_per_s=10.0,
        response_mean_s=0.01,
        errors=SHARE,
        errors_met=not failing,
        limits=(limit,),
        met=not (slow or failing),
    )
    return Answer(
        question="bottleneck",
        state=State.INCONCLUSIVE,
        claim="the knee was not found",
        lines=(Line("the mix", "misses | p99", "<b>a loop</b>"),),
        figures={"today": today},
        validity=(Check("steady state", True, "steady"),),
        objectives_met=not (slow or failing),
    )


def test_a_missed_limit_is_an_error_at_its_line(source: Source) -> None:
    told = workflow_commands([answer()], source, "api/loadpath.toml")
    assert told.startswith("::error file=api/loadpath.toml,line=9,title=Loadpath%3A objective p99")
    assert "4.0 %25 of requests were slower" in told
    assert told.count("\n") == 1


def test_failing_requests_are_an_error_at_the_line_of_errors(source: Source) -> None:
    told = workflow_commands([answer(slow=False, failing=True)], source, "loadpath.toml")
    assert "::error file=loadpath.toml,line=8,title=Loadpath%3A objective errors missed::" in told


def test_doubt_is_a_warning_and_success_says_nothing(source: Source) -> None:
    doubtful = answer(slow=False)
    assert workflow_commands([doubtful], source, "f").startswith("::warning file=f,line=7,")
    sure = msgspec.structs.replace(doubtful, state=State.CONFIRMED)
    assert workflow_commands([sure], source, "f") == ""


def test_a_key_that_was_not_written_points_at_its_table(source: Source) -> None:
    assert source.line_of(("objective", "p50")) == 7
    assert source.line_of(("nowhere",)) == 1


def test_a_message_cannot_start_another_command(source: Source) -> None:
    evil = msgspec.structs.replace(answer(slow=False), claim="a\n::error::injected")
    assert workflow_commands([evil], source, "f").count("\n") == 1


def test_the_summary_is_a_table_without_markup_from_outside() -> None:
    told = markdown([answer()], "shop")
    assert "| the mix | misses \\| p99 | &lt;b&gt;a loop&lt;/b&gt; |" in told
    assert "Trust: 1 of 1 checks held" in told


def test_a_statement_that_grows_is_a_warning_at_the_operation_that_makes_it(
    source: Source,
) -> None:
    finding = Finding(kind="missing_index", said="100 → 1,600 pages", advice="An index.")
    statement = StatementGrowth(
        dependency="db",
        shape="SELECT a FROM t WHERE b = $1",
        operations=("GET /",),
        calls_per_s=1.0,
        course=None,
        findings=(finding,),
    )
    database = DatabaseGrowth(
        dependency="db",
        version="18.6",
        problem="",
        sizes=(),
        told=(),
        statements=(statement,),
        indexes=(),
        only_grow=(),
        keys=(),
        held=(),
    )
    asked = msgspec.structs.replace(
        answer(slow=False),
        state=State.CONFIRMED,
        figures={"growth": Growth(databases=(database,))},
        objectives_met=True,
    )
    said = workflow_commands([asked], source, "loadpath.toml")
    assert said.startswith("::warning file=loadpath.toml,line=11,")
    assert "missing index in GET /" in said
    assert "100 → 1,600 pages" in said
