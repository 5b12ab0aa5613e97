# syntax=docker/dockerfile:1
# Two stages: the first downloads and checks every wheel of the lock, the second holds only what runs.
# One image runs all three programs; --build-arg EXTRA=projector leaves out the API and what it needs.
FROM python:3.13-slim AS build
ARG EXTRA=api
WORKDIR /build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
COPY requirements.runtime.lock ./
RUN python -m pip wheel --quiet --require-hashes --no-deps --requirement requirements.runtime.lock --wheel-dir wheels
COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY runtime runtime
COPY producer producer
COPY projector projector
COPY sources sources
COPY gateway gateway
COPY api api
# The build backend is no part of the lock: it is not installed.
RUN python -m pip wheel --quiet --no-deps --wheel-dir wheels .
ENV PIP_NO_INDEX=1 PIP_FIND_LINKS=/build/wheels
RUN python -m venv --without-pip /app \
    && python -m pip --python /app/bin/python install --quiet "solve-counts[$EXTRA,gateway,import]"

FROM python:3.13-slim
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin solve
COPY --from=build /app /app
ENV PATH=/app/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /tmp
USER 10001
STOPSIGNAL SIGTERM
CMD ["solve-projector", "run"]
