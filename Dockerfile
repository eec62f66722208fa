# The image: one binary, which has the time zones in it, and what glibc and TLS need. No shell, no package manager, no root.
#
#   docker build --tag llm_prober --build-arg VERSION=1.2.3 --build-arg REVISION="$(git rev-parse HEAD)" \
#     --build-arg BUILD_DATE="$(git log -1 --format=%cI)" .
#   docker run --rm --publish 9779:9779 llm_prober demo
#
# `tools/image.sh` carries out this file without Docker and without a registry, and tests what comes of it.
# The same commit, Go and Debian release make the same binary: the build stage has exact versions, and nothing of the
# binary depends on the time, the user or the place. Mirrors are named by --build-arg BUILD_IMAGE=...
ARG BUILD_IMAGE=golang:1.26.8-bookworm

FROM ${BUILD_IMAGE} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG VERSION=0.0.0-dev
ARG REVISION=unknown
ARG BRANCH=unknown
ARG BUILD_DATE=unknown
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/go/build \
    GOCACHE=/go/build make build BUILD_USER=docker && install -D -m 0755 bin/llm_prober /image/usr/bin/llm_prober

# glibc whole, not only what the binary names: NVIDIA's library, which the container runtime puts in, names more of it.
# Each package leaves its entry where scanners of images look for it.
RUN set -eu; \
    mkdir -p /image/usr/lib /image/usr/lib64 /image/etc/ssl/certs /image/etc/llm_prober /image/var/lib/dpkg/status.d /state; \
    ln -s usr/lib /image/lib; ln -s usr/lib64 /image/lib64; \
    dpkg --listfiles libc6 | \
      grep -E '/(ld-linux[^/]*|lib(c|m|dl|rt|pthread|resolv|util|nss_dns|nss_files))\.so\.[0-9]+$' | \
      xargs cp --no-dereference --parents --target-directory=/image; \
    cp --parents /etc/ssl/certs/ca-certificates.crt /usr/share/doc/libc6/copyright /usr/share/doc/ca-certificates/copyright /image; \
    for package in libc6 ca-certificates; do dpkg-query --status "$package" >"/image/var/lib/dpkg/status.d/$package"; done; \
    install -D -m 0644 LICENSE /image/usr/share/doc/llm_prober/LICENSE; \
    printf '%s\n' 'root:x:0:0::/nonexistent:/nonexistent' 'nonroot:x:65532:65532::/var/lib/llm_prober:/nonexistent' >/image/etc/passwd; \
    printf '%s\n' 'root:x:0:' 'nonroot:x:65532:' >/image/etc/group; \
    echo 'hosts: files dns' >/image/etc/nsswitch.conf; \
    install -d -m 1777 /image/tmp; \
    install -d -m 0750 /state/llm_prober; \
    find /image /state -depth -exec touch --no-dereference --date=@0 {} +

FROM scratch
ARG VERSION=0.0.0-dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="llm_prober" \
      org.opencontainers.image.description="Probes LLM inference endpoints and exposes what it timed to Prometheus." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/llmprober/llm_prober" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /image/ /
COPY --from=build --chown=65532:65532 /state/ /var/lib/
# Where GPUs are asked for, the container runtime adds NVIDIA's library.
ENV NVIDIA_DRIVER_CAPABILITIES=utility
USER 65532:65532
WORKDIR /var/lib/llm_prober
VOLUME ["/var/lib/llm_prober"]
EXPOSE 9779
HEALTHCHECK --interval=30s --timeout=6s --start-period=10s CMD ["/usr/bin/llm_prober", "healthcheck"]
ENTRYPOINT ["/usr/bin/llm_prober"]
CMD ["run", "--config.file=/etc/llm_prober/llm_prober.yml", "--storage.path=/var/lib/llm_prober"]
