# comfyserve solo beside the ComfyUI of comfyui.dockerfile. Build dist/comfyserve.pyz first: script/build-single-file.
ARG image=comfyserve/comfyui
ARG base=runtime
ARG comfy_version=0.19.3
ARG pytorch_version=2.8.0
ARG cuda_version=12.8
# hadolint ignore=DL3006
FROM ${image}:comfy${comfy_version}-torch${pytorch_version}-cuda${cuda_version}-${base}

COPY dist/comfyserve.pyz /usr/local/bin/comfyserve
# Unpacked once, here, and not at each start.
ENV SHIV_ROOT=/opt/comfyserve
RUN chmod +x /usr/local/bin/comfyserve && comfyserve --version

ENV WORKFLOW_DIR=/workflows STARTUP_CHECK_MAX_TRIES=300 COMFYSERVE_DATA_DIR=/state
VOLUME ["/state"]
EXPOSE 3000
HEALTHCHECK --start-period=10m --interval=30s CMD ["curl", "-fsS", "http://127.0.0.1:3000/health"]
CMD ["comfyserve", "solo"]
