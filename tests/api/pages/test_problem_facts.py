"""The panel's page of problems: shown with how many people they touch, withdrawn and restored by plain forms."""

import re

from tests.api.reading import HOSTILE, browser, fill, seen, sent
from tests.api.served import serving
from tests.events import solved, withdrawn
from tests.world import World

PATH = "/admin/problems"


async def test_a_problem_is_shown_withdrawn_and_restored(world: World) -> None:
    await fill(world)
    await world.publish([solved("more", "b", "p1", 5)])
    await world.run_once()
    async with serving(world) as api, browser(api) as client:
        shown = seen(await client.get(PATH, params={"id": "p1"}))
        assert "People who solved it 2 State counts Restored Never" in shown.text
        assert "Nobody has solved a problem of this id" in seen(await client.get(PATH, params={"id": "x"})).text
        for deed, state in (("withdraw", "withdrawn"), ("restore", "counts")):
            decided = await sent(client, f"{PATH}?id=p1", f"{PATH}/{deed}", problem_id="p1", reason="a <test>")
            location = decided.headers["location"]
            assert re.fullmatch(rf"{PATH}\?id=p1&deed={deed}&partition=\d&offset=\d+", location)
            waiting = await client.get(location)
            assert "once the projector has applied it" in seen(waiting).text
            assert ('data-poll="2000"' in waiting.text) is ('http-equiv="refresh"' in waiting.text) is True
            await world.run_once()
            applied = await client.get(location)
            assert f"and applied. People who solved it 2 State {state} " in seen(applied).text
            assert ": a <test>" in seen(applied).text
            assert "data-poll" not in applied.text
            assert (await api.get("/api/users/b"))["problems_solved"] == (deed == "restore")


async def test_ids_and_reasons_of_problems_are_only_ever_text(world: World) -> None:
    await fill(world)
    await world.publish([withdrawn(HOSTILE, 1, HOSTILE)])
    await world.run_once()
    async with serving(world) as api, browser(api) as client:
        shown = await client.get(PATH, params={"id": HOSTILE})
        assert seen(shown).text.count(HOSTILE) == 2
        assert seen(shown).fields["problem_id"] == HOSTILE
        refused = await sent(client, f"{PATH}?id=p1", f"{PATH}/restore", problem_id=HOSTILE, reason=" ")
        assert "Enter a reason, so that others can see why" in seen(refused, 422).text
        for deed in ("withdraw", "restore"):
            forged = await client.post(f"{PATH}/{deed}", data={"problem_id": "p1", "reason": "x"})
            assert "CSRF token" in seen(forged, 403).text
            again = await client.get(f"{PATH}/{deed}")
            assert (again.status_code, again.headers["location"]) == (303, PATH)


async def test_while_people_are_counted_anew_the_page_says_so_and_estimates(world: World) -> None:
    await fill(world)
    await world.value("INSERT INTO problem_recounts (problem_id) VALUES ('p1') RETURNING problem_id")
    async with serving(world) as api, browser(api) as client:
        shown = await client.get(PATH, params={"id": "p1"})
        assert "(an estimate) State counts people are being counted anew" in seen(shown).text
        assert 'data-poll="2000"' in shown.text
