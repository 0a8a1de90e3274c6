# The service on a CPU, as a user without rights, on a file system that is only read:
#   docker build -t vidar-det .              or, for a cluster: --build-arg EXTRAS=[ray]
#   docker compose up                        see docker-compose.yml
FROM python:3.11-slim AS build
ARG EXTRAS=""
RUN python -m venv /opt/vidar
ENV PATH=/opt/vidar/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /source
COPY constraints.txt .
# the CPU build of PyTorch alone: the usual one brings gigabytes of CUDA
RUN pip install --index-url https://download.pytorch.org/whl/cpu "$(grep '^torch==' constraints.txt)"
COPY . .
RUN pip install -c constraints.txt ".${EXTRAS}"

FROM python:3.11-slim
# what OpenCV's wheel links to
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin vidar \
    && install -d -o vidar /data /cache
COPY --from=build /opt/vidar /opt/vidar
ENV PATH=/opt/vidar/bin:$PATH \
    HOME=/tmp \
    PYTHONUNBUFFERED=1 \
    VIDAR_HOST=0.0.0.0 \
    VIDAR_PORT=8000 \
    VIDAR_DATA_DIR=/data \
    VIDAR_CACHE_DIR=/cache
USER vidar
VOLUME ["/data", "/cache"]
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/v2/health/ready', timeout=4)"]
STOPSIGNAL SIGTERM
CMD ["vidar-det", "serve"]
