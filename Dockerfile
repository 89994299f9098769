# voicebench in a container, without root. Two images:
#
#   docker build --target base -t voicebench .         measures servers
#   docker build --target local -t voicebench:local .  with the embedded models, and `serve`
#
#   mkdir -p results
#   docker run --rm --user "$(id -u)" -v "$PWD/results:/data/results" \
#       --add-host host.docker.internal:host-gateway voicebench run --server http://host.docker.internal:8000
#   docker run --rm -p 127.0.0.1:8765:8765 -e VOICEBENCH_TOKEN voicebench:local
#
# `--user` is the owner of the folder on this machine: the image's own user (10001) may not write there.

FROM python:3.12-slim AS build
WORKDIR /source
COPY . .
# The C library is compiled by the package ziglang, for every processor of the platform.
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.12-slim AS base
RUN useradd --create-home --uid 10001 voicebench \
    && mkdir -p /data/results /data/cache \
    && chown -R voicebench:voicebench /data
COPY --from=build /wheels /wheels
COPY constraints.txt /wheels/
RUN pip install --no-cache-dir --constraint /wheels/constraints.txt /wheels/*.whl
ENV VOICEBENCH_CACHE=/data/cache
USER 10001
WORKDIR /data
ENTRYPOINT ["voicebench"]
CMD ["--help"]

FROM base AS local
USER 0
RUN wheel=$(ls /wheels/*.whl) \
    && pip install --no-cache-dir --constraint /wheels/constraints.txt "${wheel}[local,serve,compressed]"
USER 10001
EXPOSE 8765
# An address for other machines needs a key: name its variable, and give it with `docker run -e`.
HEALTHCHECK --interval=10s --timeout=3s --start-period=120s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8765/health', timeout=2)"]
CMD ["serve", "--host", "0.0.0.0", "--token-env", "VOICEBENCH_TOKEN"]
