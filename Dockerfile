# The whole tool, without a compiler, a shell user's home or root.
#   docker build -t provisioner .
#   docker run --rm -v "$PWD/manifests:/manifests:ro" -e AZURE_CLIENT_ID … provisioner plan -f /manifests
# Without a command it watches /manifests: apply and reap in a loop, with health and metrics on port 8080.
FROM python:3.12-slim AS build

WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY provisioner ./provisioner
RUN python -m venv /opt/provisioner \
    && /opt/provisioner/bin/pip install --no-cache-dir --disable-pip-version-check \
        -c constraints.txt '.[kubernetes]' \
    && /opt/provisioner/bin/python -m compileall -q /opt/provisioner/lib

FROM python:3.12-slim

RUN useradd --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin provisioner \
    && install --directory --owner=provisioner --group=provisioner --mode=0700 /data
COPY --from=build /opt/provisioner /opt/provisioner
ENV PATH=/opt/provisioner/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOME=/data

# Outputs are written below the working directory: mount a volume there to keep them.
WORKDIR /data
USER 10001:10001
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-I", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=4)"]
ENTRYPOINT ["provision"]
CMD ["watch", "-f", "/manifests", "--every", "15m", "--listen", "0.0.0.0:8080"]
