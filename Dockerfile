# Pagewalk in a small image: the program, the shipped traces and the configurations.
#
#     docker build -t pagewalk .
#     docker run --rm pagewalk replay traces/gzip.pwt
#     docker run --rm -v "$PWD:/data" pagewalk replay /data/my.pwt

FROM rust:1-slim-bookworm AS build
# The C compiler that zstd needs.
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY . .
RUN cargo build --release --locked && strip target/release/pagewalk

FROM debian:bookworm-slim
COPY --from=build /build/target/release/pagewalk /usr/local/bin/pagewalk
WORKDIR /pagewalk
COPY LICENSE-APACHE LICENSE-MIT README.md ./
COPY configs configs
COPY traces traces
# Nothing here needs a privilege; results of sweeps go where the user mounts a directory.
USER nobody
ENTRYPOINT ["pagewalk"]
CMD ["--help"]
