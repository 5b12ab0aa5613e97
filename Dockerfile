# syntax=docker/dockerfile:1
# Two stages: the first fetches and checks every wheel of the lock, the second holds only what runs.
FROM python:3.13-slim AS build
WORKDIR /build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
COPY requirements.lock ./
RUN python -m pip wheel --quiet --require-hashes --no-deps --requirement requirements.lock --wheel-dir wheels
COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY runtime runtime
COPY producer producer
COPY projector projector
COPY api api
# From here on nothing is fetched. The lock holds developers' tools too; of its wheels (one version of each, so this
# is what the lock says) only those that the three programs import are installed.
ENV PIP_NO_INDEX=1 PIP_FIND_LINKS=/build/wheels
RUN python -m pip wheel --quiet --no-deps --wheel-dir wheels . \
    && python -m venv --without-pip /app \
    && python -m pip --python /app/bin/python install --quiet 'solve-counts[projector,api]'

FROM python:3.13-slim
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin solve
COPY --from=build /app /app
ENV PATH=/app/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /tmp
USER 10001
STOPSIGNAL SIGTERM
CMD ["solve-projector", "run"]
