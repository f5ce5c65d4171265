# The server, and nothing that it was built with.
#
#   docker build --tag heliograph .
#
# One image for every role: `serve`, `serve --role api`, `serve --role worker`, `migrate`, `doctor`.

ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build

WORKDIR /source
COPY pyproject.toml README.md LICENSE requirements-dev.lock ./
# The versions that the tests ran with, of what the server needs.
RUN sed -e 's/ *\\$//' -e '/--hash/d' requirements-dev.lock > versions.txt
COPY src ./src
# The demonstration has its back end from there.
COPY examples ./examples
RUN python -m venv /opt/heliograph \
 && /opt/heliograph/bin/pip install --no-cache-dir --constraint versions.txt . \
 && /opt/heliograph/bin/pip uninstall --yes pip

FROM python:${PYTHON}-slim

RUN groupadd --system --gid 10001 heliograph \
 && useradd --system --uid 10001 --gid 10001 --no-create-home \
      --home-dir /var/lib/heliograph --shell /usr/sbin/nologin heliograph \
 && install --directory --owner=10001 --group=10001 --mode=0700 /var/lib/heliograph

COPY --from=build /opt/heliograph /opt/heliograph

ENV PATH=/opt/heliograph/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    HELIOGRAPH_DATA_DIR=/var/lib/heliograph \
    HELIOGRAPH_LISTEN=0.0.0.0:8040 \
    HELIOGRAPH_LOG_FORMAT=json

USER 10001:10001
WORKDIR /var/lib/heliograph
VOLUME /var/lib/heliograph
EXPOSE 8040
STOPSIGNAL SIGTERM

# Alive, not ready: a database that is away is no reason to restart this.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "-c", "import urllib.request as http; http.urlopen('http://127.0.0.1:8040/healthz', timeout=4)"]

ENTRYPOINT ["heliograph"]
CMD ["serve"]
