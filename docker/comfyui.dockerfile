# A ComfyUI with its Python packages, comfy-cli and uv: the base of api.dockerfile.
ARG base=runtime
ARG pytorch_version=2.8.0
ARG cuda_version=12.8
FROM pytorch/pytorch:${pytorch_version}-cuda${cuda_version}-cudnn9-${base}

SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
ENV DEBIAN_FRONTEND=noninteractive PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1 UV_SYSTEM_PYTHON=1

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl git unzip \
    && rm -rf /var/lib/apt/lists/*

ARG uv_version=0.9.10
ARG comfy_cli_version=1.5.1
RUN pip install "uv==${uv_version}" \
    && uv pip install "comfy-cli==${comfy_cli_version}" "huggingface_hub[cli]"

ARG comfy_version=0.19.3
ARG comfy_source=https://github.com/comfyanonymous/ComfyUI.git
ARG manager_source=https://github.com/Comfy-Org/ComfyUI-Manager.git
ENV COMFY_HOME=/opt/ComfyUI
WORKDIR ${COMFY_HOME}
RUN git clone --depth 1 --branch "v${comfy_version}" "${comfy_source}" . \
    && uv pip install -r requirements.txt \
    && git clone --depth 1 "${manager_source}" custom_nodes/ComfyUI-Manager \
    && uv pip install -r custom_nodes/ComfyUI-Manager/requirements.txt \
    && comfy --skip-prompt tracking disable \
    && comfy --skip-prompt set-default "${COMFY_HOME}"

ENV MODEL_DIR=${COMFY_HOME}/models INPUT_DIR=${COMFY_HOME}/input OUTPUT_DIR=${COMFY_HOME}/output
EXPOSE 8188
CMD ["python", "main.py", "--listen", "0.0.0.0"]
