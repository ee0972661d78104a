"""
The pages behind the tab "Lofty rows", served by Airflow's own web server.

Each of them asks Airflow who is there (its session cookie or a bearer token: else 401) and whether that user may
read the Dag's XComs, of which these pages are made (else 403). Only style and script are for everybody.
"""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Query, Request, Response
from fastapi.responses import FileResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from msgspec.json import encode
from pydantic import BaseModel, ConfigDict, Field

from airflow_provider_lofty.task_key import NOT_MAPPED, TaskKey
from airflow_provider_lofty.ui.deliveries import router_at
from airflow_provider_lofty.ui.desk import Desk
from airflow_provider_lofty.ui.index import FAILED, SORTS, Filter, Index, LostIndexError
from airflow_provider_lofty.ui.indexes import Indexes
from airflow_provider_lofty.ui.reports import Excerpt, OpenedReport, OutOfReachError, ReportFile
from airflow_provider_lofty.ui.status import advised, describe, look_up, try_numbers

_STATIC = Path(__file__).parent / "static"
_MOST_DIGITS = 9
_HEADERS = {
    # The page may hold people's data, and words of other systems: nothing of it is kept, run or framed elsewhere.
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}

desk = Desk(Indexes())
router = APIRouter(
    prefix="/rows/{dag_id}/{run_id}/{task_id}/{map_index}",
    dependencies=[Depends(desk.at_the_door), Depends(requires_access_dag("GET", DagAccessEntity.XCOM))],
)


async def _task(dag_id: str, run_id: str, task_id: str, map_index: str) -> TaskKey:
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


async def _viewer(user: GetUserDep, page_id: Annotated[str, Header(alias="X-Lofty-Page")] = "") -> tuple[str, str]:
    """Tell apart who asks: each page that is open names itself."""
    return user.get_id(), page_id


Page = Annotated[int, Query(ge=1, le=10**_MOST_DIGITS)]
GROUP_KEY = "^([0-9a-f]{16})?$"
SORT = f"^({'|'.join(sorted(SORTS))})?$"
Viewer = Annotated[tuple[str, str], Depends(_viewer)]


@router.get("")
async def page() -> FileResponse:
    """The page; its script asks for the rest."""
    return FileResponse(_STATIC / "rows.html", media_type="text/html")


@router.get("/standing")
async def standing(request: Request, viewer: Viewer, task: Task, try_number: TryNumber = 0) -> Response:
    """Say how far a try is, or what came of it: see :func:`describe`."""
    return _json(await desk.serve(("standing", *viewer), request, _standing(task, try_number)))


async def _standing(task: TaskKey, try_number: int) -> bytes:
    found = await desk.ask_database(partial(look_up, task, try_number))
    if found is None:
        raise HTTPException(404, "Airflow knows no such task, or no such try of it")
    told = await desk.search(partial(describe, found))
    if told.counted_by is None:
        return encode(told.answer)
    try:
        index = await desk.index(told.counted_by)
        return encode(told.counted(await desk.read(index.tally)))
    except OutOfReachError as error:
        return encode(told.without_report(str(error)))


@router.get("/groups")
async def groups(request: Request, viewer: Viewer, task: Task, try_number: TryNumber = 0, page: Page = 1) -> Response:
    """Give one page of what went wrong, counted from the report: see :meth:`Index.groups`."""
    return _json(await desk.serve(("groups", *viewer), request, _groups(task, try_number, page)))


async def _groups(task: TaskKey, try_number: int, page: int) -> bytes:
    report = await _report(task, try_number)
    with _not_found():
        index = await desk.index(report)
        found = await desk.read(partial(index.groups, page))
    return encode({"total": found.total, "groups": [{"key": key, **advised(group)} for key, group in found.found]})


class Asked(BaseModel):
    """Which rows of which try."""

    model_config = ConfigDict(extra="forbid")  # a condition that is not known must not be ignored

    try_number: int = Field(0, alias="try", ge=0, le=10**_MOST_DIGITS)
    outcome: str = Field(FAILED, max_length=30)
    text: str = Field("", max_length=200)
    group: str = Field("", pattern=GROUP_KEY)
    sort: str = Field("", pattern=SORT)
    page: int = Field(1, ge=1, le=10**_MOST_DIGITS)


@router.get("/list")
async def rows(
    request: Request,
    viewer: Viewer,
    task: Task,
    try_number: TryNumber = 0,
    outcome: Annotated[str, Query(max_length=30)] = FAILED,
    group: Annotated[str, Query(pattern=GROUP_KEY)] = "",
    sort: Annotated[str, Query(pattern=SORT)] = "",
    page: Page = 1,
) -> Response:
    """Give one page of the report's rows: see :meth:`Index.page`."""
    if "text" in request.query_params:
        raise HTTPException(422, "send text in the body of a POST, for addresses are logged")
    wanted = Filter(outcome, group=group, sort=sort, page=page)
    return _json(await desk.serve(("list", *viewer), request, _list(task, try_number, wanted)))


@router.post("/list")
async def rows_with_text(request: Request, viewer: Viewer, task: Task, asked: Asked) -> Response:
    """Give one page of those that contain a text: people search for people, and addresses are logged."""
    wanted = Filter(asked.outcome, asked.text, asked.group, asked.sort, asked.page)
    return _json(await desk.serve(("list", *viewer), request, _list(task, asked.try_number, wanted)))


async def _list(task: TaskKey, try_number: int, wanted: Filter) -> bytes:
    report = await _report(task, try_number)
    with _not_found():
        index = await desk.index(report)
        return await desk.search(lambda is_given_up: encode(index.page(wanted, is_given_up)))


def _json(content: bytes) -> Response:
    """Answer with what was written in a thread of ours: FastAPI would take long over it, on the event loop."""
    return Response(content, media_type="application/json")


@router.get("/report")
async def download(
    request: Request,
    viewer: Viewer,
    task: Task,
    try_number: TryNumber = 0,
    rows: Annotated[Literal["all", "failed"], Query()] = "all",
) -> StreamingResponse:
    """Give the report as it is: the whole of it, or what has to be corrected and given back."""
    if rows == "all":
        await desk.come_in(request)
        report = await _report(task, try_number)
        with _not_found():
            return await _streamed(report.name, await desk.read(report.open))
    report, index, places = await desk.serve(("report", *viewer), request, _failed_places(task, try_number))
    with _not_found():
        opened = await desk.open_as_indexed(report, index)
        return await _streamed(f"{report.name.removesuffix('.csv')}__failed.csv", Excerpt(opened, places))


async def _failed_places(task: TaskKey, try_number: int) -> tuple[ReportFile, Index, array[int]]:
    report = await _report(task, try_number)
    with _not_found():
        index = await desk.index(report)
        return report, index, await desk.read(index.places_of_failed)


async def _streamed(name: str, opened: OpenedReport | Excerpt) -> StreamingResponse:
    first = await desk.read(opened.read)  # what cannot be read shows now
    headers = {"Content-Disposition": f"attachment; filename*=utf-8''{quote(name, safe='')}"}
    return StreamingResponse(_chunks(first, opened), media_type="text/csv", headers=headers)


async def _chunks(first: bytes, opened: OpenedReport | Excerpt) -> AsyncIterator[bytes]:
    chunk = first
    try:
        while chunk:
            yield chunk
            chunk = await desk.read(opened.read)
    finally:
        desk.leave(opened.close)


async def _report(task: TaskKey, try_number: int) -> ReportFile:
    """The report of a try that Airflow knows; by default of the last one."""
    numbers = await desk.ask_database(partial(try_numbers, task))
    if not numbers or (try_number and try_number not in numbers):
        raise HTTPException(404, "there is no such try of this task")
    return ReportFile(task._replace(try_number=try_number or numbers[-1]))


@contextmanager
def _not_found() -> Iterator[None]:
    try:
        yield
    except OutOfReachError as error:
        raise HTTPException(404, str(error)) from None
    except LostIndexError:
        raise HTTPException(503, "the report has to be read anew; ask again", {"Retry-After": "2"}) from None


app = FastAPI(title="Lofty rows", openapi_url=None)
app.mount("/static", StaticFiles(directory=_STATIC), name="static")
app.include_router(router)
app.include_router(router_at(desk))


@app.middleware("http")
async def _guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await call_next(request)
    response.headers.update(_HEADERS)
    return response
