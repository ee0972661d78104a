"""
The page "Lofty deliveries" in Airflow's navigation: what was delivered, by which Dag, run and task.

Airflow says who is there and may read XComs at all (else 401 and 403), and of which Dags: others are not listed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Event
from typing import Annotated
from uuid import UUID

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.base_auth_manager import BaseAuthManager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.batch_apis import IsAuthorizedDagRequest
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from fastapi import APIRouter, Depends, Header, HTTPException, Query, Request, Response
from fastapi.responses import FileResponse
from msgspec.json import encode

from airflow_provider_lofty.ui.deliveries_list import CHOICES, Wanted, page_of
from airflow_provider_lofty.ui.deliveries_queries import LoftyTasks, Tasks, deliveries_of
from airflow_provider_lofty.ui.desk import Desk

_PAGE = Path(__file__).parent / "static" / "deliveries.html"
_MOST_SHARE = 0.05  # of the thread's time, for one page again and again
_MOST_KEPT_SECONDS = 2.0


def router_at(desk: Desk) -> APIRouter:
    """
    Make the routes of the page.

    :param desk: where its viewers wait, together with those of other pages
    """
    clerk = Clerk()
    router = APIRouter(
        prefix="/deliveries",
        dependencies=[Depends(desk.at_the_door), Depends(requires_access_dag("GET", DagAccessEntity.XCOM))],
    )

    @router.get("")
    async def page() -> FileResponse:
        """The page; its script asks for the rest."""
        return FileResponse(_PAGE, media_type="text/html")

    @router.get("/list")
    async def deliveries(
        request: Request,
        user: GetUserDep,
        wanted: Annotated[Wanted, Depends(_wanted)],
        page_id: Annotated[str, Header(alias="X-Lofty-Page")] = "",
    ) -> Response:
        """Give one page of deliveries: see :func:`page_of`."""
        viewer = ("deliveries", user.get_id(), page_id)
        content = await desk.serve(viewer, request, clerk.ask(user, wanted))
        return Response(content, media_type="application/json")

    return router


class Clerk:
    """
    Works out pages of deliveries in a thread of its own, one after the other.

    More of them at a time would only keep the web server's event loop from its turn. Whoever asks for what somebody has
    just been given gets the same; the longer a page takes, the longer it is kept.

    :param clock: monotonic seconds
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tasks = LoftyTasks(clock)
        self._thread = ThreadPoolExecutor(1, "lofty-deliveries")
        self._kept: dict[Hashable, tuple[float, bytes]] = {}

    async def ask(self, user: BaseUser, wanted: Wanted) -> bytes:
        """
        Give a page of those deliveries that a user may see, as JSON.

        Nothing is begun, nor read from a store of XComs, for somebody who has gone.
        """
        is_given_up = Event()
        try:
            work = partial(self._page, user, wanted, is_given_up.is_set)
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        finally:
            is_given_up.set()

    def _page(self, user: BaseUser, wanted: Wanted, is_given_up: Callable[[], bool]) -> bytes:
        tasks = self._tasks.find()
        dags = readable(tasks, user)
        key, began = (wanted, frozenset(dags)), self._clock()
        self._kept = {one: (until, page) for one, (until, page) in self._kept.items() if until > began}
        if key in self._kept:
            return self._kept[key][1]
        chosen = [one for one in tasks.ids if one[0] in dags and wanted.dag_id in ("", one[0])]
        found = deliveries_of(chosen, states=wanted.states, before=wanted.before, limit=wanted.most + 1)
        page = encode(page_of(found, wanted, sorted(dags), is_given_up, clock=self._clock))
        ended = self._clock()
        if not is_given_up():  # then it may lack what was not read any more
            self._kept[key] = ended + min((ended - began) / _MOST_SHARE, _MOST_KEPT_SECONDS), page
        return page


async def _wanted(
    dag: Annotated[str, Query(max_length=250)] = "",
    outcome: Annotated[str, Query(max_length=30)] = "",
    before: UUID | None = None,
) -> Wanted:
    if outcome not in CHOICES:
        raise HTTPException(422, "there is no such outcome")
    return Wanted(dag, outcome, before)


def readable(tasks: Tasks, user: BaseUser) -> set[str]:
    """
    Choose the Dags whose XComs a user may read, as Airflow's own pages decide it.

    All are asked for at once; one by one only where that is refused, for an auth manager may ask a server each time.
    """
    manager: BaseAuthManager[BaseUser] = get_auth_manager()
    requests = {dag_id: _request(dag_id, tasks.teams.get(dag_id)) for dag_id in tasks.dag_ids}
    if manager.batch_is_authorized_dag(list(requests.values()), user=user):
        return set(requests)
    return {dag_id for dag_id, request in requests.items() if manager.is_authorized_dag(**request, user=user)}


def _request(dag_id: str, team: str | None) -> IsAuthorizedDagRequest:
    details = DagDetails(id=dag_id, team_name=team)
    return {"method": "GET", "access_entity": DagAccessEntity.XCOM, "details": details}
