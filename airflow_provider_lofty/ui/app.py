"""
The pages behind the tab "Lofty rows", served by Airflow's own web server.

Each of them asks Airflow who is there (its session cookie or a bearer token: else 401) and whether that user may
read the Dag's XComs, of which these pages are made (else 403). Only style and script are for everybody.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import FileResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles

from airflow_provider_lofty.task_key import NOT_MAPPED, TaskKey
from airflow_provider_lofty.ui.queries import tries_of
from airflow_provider_lofty.ui.reports import FAILED, OutOfReachError, ReportFile, page_of
from airflow_provider_lofty.ui.status import status_of

_STATIC = Path(__file__).parent / "static"
_CHUNK = 2**16
_MOST_DIGITS = 9
_HEADERS = {
    # The page may hold people's data, and words of other systems: nothing of it is kept, run or framed elsewhere.
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}

router = APIRouter(
    prefix="/rows/{dag_id}/{run_id}/{task_id}/{map_index}",
    dependencies=[Depends(requires_access_dag("GET", DagAccessEntity.XCOM))],
)


def _task(dag_id: str, run_id: str, task_id: str, map_index: str) -> TaskKey:
    """Airflow's page leaves ``{MAP_INDEX}`` as it is where a task is not mapped."""
    is_mapped = map_index.isascii() and map_index.isdigit()
    if is_mapped and len(map_index) > _MOST_DIGITS:
        raise HTTPException(404, "there is no such task")
    task = TaskKey(dag_id, run_id, task_id, int(map_index) if is_mapped else NOT_MAPPED)
    if any("\0" in name for name in (dag_id, run_id, task_id)):  # PostgreSQL takes no NUL in a text
        raise HTTPException(404, "there is no such task")
    return task


Task = Annotated[TaskKey, Depends(_task)]
TryNumber = Annotated[int, Query(alias="try", ge=0, le=10**_MOST_DIGITS)]


def _report(session: SessionDep, task: Task, try_number: TryNumber = 0) -> ReportFile:
    """The report of a try that Airflow knows; by default of the last one."""
    numbers = [one.number for one in tries_of(session, task)]
    if not numbers or (try_number and try_number not in numbers):
        raise HTTPException(404, "there is no such try of this task")
    return ReportFile(task._replace(try_number=try_number or numbers[-1]))


@router.get("")
def page() -> FileResponse:
    """The page; its script asks for the rest."""
    return FileResponse(_STATIC / "rows.html", media_type="text/html")


@router.get("/standing")
def standing(session: SessionDep, task: Task, try_number: TryNumber = 0) -> dict[str, Any]:
    """Say how far a try is, or what came of it: see :func:`standing_of`."""
    found = status_of(session, task, try_number)
    if found is None:
        raise HTTPException(404, "Airflow knows no such task, or no such try of it")
    return found


@router.get("/list")
def rows(
    report: Annotated[ReportFile, Depends(_report)],
    outcome: Annotated[str, Query(max_length=30)] = FAILED,
    text: Annotated[str, Query(max_length=200)] = "",
    code: Annotated[str, Query(max_length=20)] = "",
    page: Annotated[int, Query(ge=1, le=10**_MOST_DIGITS)] = 1,
) -> dict[str, Any]:
    """Give one page of the report's rows: see :func:`page_of`."""
    try:
        return page_of(report, outcome, text, page, code)
    except OutOfReachError as error:
        raise HTTPException(404, str(error)) from None


@router.get("/report")
def download(report: Annotated[ReportFile, Depends(_report)]) -> StreamingResponse:
    """Give the whole report, as it is."""
    chunks = _chunks(report)
    try:
        first = next(chunks, b"")  # what cannot be opened shows now
    except OutOfReachError as error:
        raise HTTPException(404, str(error)) from None
    disposition = f"attachment; filename*=utf-8''{quote(report.name, safe='')}"
    headers = {"Content-Disposition": disposition}
    return StreamingResponse(_and_then(first, chunks), media_type="text/csv", headers=headers)


def _chunks(report: ReportFile) -> Iterator[bytes]:
    with report.opened() as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk


def _and_then(first: bytes, others: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from others


app = FastAPI(title="Lofty rows", openapi_url=None)
app.mount("/static", StaticFiles(directory=_STATIC), name="static")
app.include_router(router)


@app.middleware("http")
async def _guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await call_next(request)
    response.headers.update(_HEADERS)
    return response
