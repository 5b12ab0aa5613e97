"""A Django judge: a model, and views that publish in each of the ways that somebody tries."""

import asyncio
from typing import Any

import django
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["*"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="tests",
    USE_TZ=True,
)
django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.utils import timezone  # noqa: E402

from solve_producer import ProducerError, SolveProducer, SyncSolveProducer  # noqa: E402
from solve_schemas import UserRegistered  # noqa: E402

producer = SyncSolveProducer()
async_producer = SolveProducer()


def register_everybody(_request: HttpRequest) -> HttpResponse:
    """The ORM, iterated while it is published."""
    users = (
        UserRegistered(user_id=user.pk, username=user.username, registered_at=user.date_joined)
        for user in User.objects.order_by("pk").iterator()
    )
    return HttpResponse(str(producer.publish(users)))


def accepted(_request: HttpRequest, user_id: int) -> HttpResponse:
    """A view as most are."""
    user = User.objects.get(pk=user_id)
    producer.submission_solved(submission_id=user.pk, user_id=user.pk, problem_id=1, judged_at=timezone.now())
    return HttpResponse("published")


def asyncio_run_of_a_shared_one(_request: HttpRequest) -> HttpResponse:
    """What does not work, and says what does."""
    try:
        asyncio.run(async_producer.user_registered(user_id=1, username="n", registered_at=timezone.now()))
    except ProducerError as error:
        return HttpResponse(f"{type(error).__name__}: {error}", status=500)
    return HttpResponse("published")


def asyncio_run_of_its_own(_request: HttpRequest) -> HttpResponse:
    """Slow, and right."""

    async def publish() -> None:
        async with SolveProducer() as own:
            await own.user_registered(user_id=99, username="n", registered_at=timezone.now())

    asyncio.run(publish())
    return HttpResponse("published")


async def async_view(_request: HttpRequest) -> HttpResponse:
    """An async view, whose producer is started with the first request of its loop."""
    await async_producer.start()
    await async_producer.user_registered(user_id=100, username="n", registered_at=timezone.now())
    await async_producer.stop()
    return HttpResponse("published")


urlpatterns: list[Any] = [
    path("register/", register_everybody),
    path("accepted/<int:user_id>/", accepted),
    path("shared/", asyncio_run_of_a_shared_one),
    path("own/", asyncio_run_of_its_own),
    path("async/", async_view),
]


def main() -> None:
    """Calls each view as a browser would, and prints the answers."""
    from django.core.management import call_command
    from django.test import AsyncClient, Client

    call_command("migrate", verbosity=0)
    for number in (1, 2):
        User.objects.create_user(f"user{number}")
    for url in ("/register/", "/accepted/1/", "/accepted/2/", "/shared/", "/own/"):
        print(Client().get(url).content.decode())
    print(asyncio.run(AsyncClient().get("/async/")).content.decode())


if __name__ == "__main__":
    main()
