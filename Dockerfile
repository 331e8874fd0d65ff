# The image of nst, for docs/scaling.md: `docker build --tag nst .`, then `docker run nst work`.
# Whether it computes on CPUs or on CUDA follows from the wheel of torch that requirements.lock names: on x86-64 Linux the
# one with CUDA, which brings its libraries along, so that the image needs none; a node needs NVIDIA's driver alone.
FROM python:3.11-slim

# nvidia-smi, by which nst finds its GPUs, is a "utility".
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility

# As `make install`: only files whose hash is in the lock, and nothing is resolved. They change less often than nst.
WORKDIR /build
COPY requirements.lock ./
RUN pip install --no-cache-dir --require-hashes --no-deps --requirement requirements.lock

COPY pyproject.toml README.md LICENSE NOTICE deploy.yaml ./
COPY manifests manifests
COPY nst nst
COPY tasks tasks
COPY flows flows
RUN pip install --no-cache-dir --no-deps --no-build-isolation . && pip check

RUN useradd --create-home --uid 1000 nst
USER 1000
WORKDIR /home/nst
ENTRYPOINT ["nst"]
