"""The environment variables by which operators name their object stores and the credentials for them."""

from collections.abc import Mapping

from comfyserve.core.buckets import BucketKind

S3_VARIABLES: Mapping[str, str] = {
    "AWS_ACCESS_KEY_ID": "access_key_id",
    "AWS_SECRET_ACCESS_KEY": "secret_access_key",
    "AWS_SESSION_TOKEN": "session_token",
    "AWS_DEFAULT_REGION": "region",
    "AWS_REGION": "region",
    "AWS_ENDPOINT_URL": "endpoint",
    "AWS_ENDPOINT_URL_S3": "endpoint",
}
AZURE_VARIABLES: Mapping[str, str] = {
    "AZURE_STORAGE_ACCOUNT": "account_name",
    "AZURE_STORAGE_ACCOUNT_NAME": "account_name",
    "AZURE_STORAGE_KEY": "account_key",
    "AZURE_STORAGE_ACCOUNT_KEY": "account_key",
    "AZURE_STORAGE_SAS_KEY": "sas_key",
    "AZURE_STORAGE_SAS_TOKEN": "sas_key",
    "AZURE_STORAGE_ENDPOINT": "endpoint",
}
GCS_VARIABLES: Mapping[str, str] = {
    "GOOGLE_APPLICATION_CREDENTIALS": "application_credentials",
    "GOOGLE_SERVICE_ACCOUNT_PATH": "service_account",
    "GOOGLE_SERVICE_ACCOUNT": "service_account",
    "GOOGLE_SERVICE_ACCOUNT_KEY": "service_account_key",
    "GOOGLE_BASE_URL": "base_url",
}
"""Variable -> option of obstore; of two for one option the later wins. What is not here (web identity, container and
machine roles, Azure's managed identity, ...) obstore reads from the environment itself."""

VARIABLES: Mapping[BucketKind, Mapping[str, str]] = {
    "s3": S3_VARIABLES,
    "azure": AZURE_VARIABLES,
    "gcs": GCS_VARIABLES,
}

AZURE_CONNECTION = "AZURE_STORAGE_CONNECTION_STRING"
CONNECTION_PARTS: Mapping[str, str] = {
    "AccountName": "account_name",
    "AccountKey": "account_key",
    "SharedAccessSignature": "sas_key",
    "BlobEndpoint": "endpoint",
}
EMULATED: Mapping[str, str] = {
    "AccountName": "devstoreaccount1",
    "AccountKey": "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
    "BlobEndpoint": "http://127.0.0.1:10000/devstoreaccount1",
}
"""What `UseDevelopmentStorage=true` stands for; the emulator's key is public."""


def own_options(kind: BucketKind, environment: Mapping[str, str]) -> dict[str, str]:
    """The options of obstore that the environment names for a kind of store. A connection string of Azure wins over
    the single variables."""
    found = {option: environment[name] for name, option in VARIABLES[kind].items() if environment.get(name)}
    return found | _connection(environment.get(AZURE_CONNECTION, "")) if kind == "azure" else found


def is_configured(kind: BucketKind, environment: Mapping[str, str]) -> bool:
    """Whether the environment says where buckets of a kind are, or who opens them."""
    return bool(own_options(kind, environment))


def _connection(text: str) -> dict[str, str]:
    """The options in an Azure connection string: `Name=value` with semicolons between."""
    pairs = (part.strip().partition("=") for part in text.split(";"))
    said = {name: value for name, _, value in pairs if value}
    if said.get("UseDevelopmentStorage", "").lower() == "true":
        said = {**EMULATED, **said}
    found = {CONNECTION_PARTS[name]: value for name, value in said.items() if name in CONNECTION_PARTS}
    if "account_name" in found and "endpoint" not in found and "EndpointSuffix" in said:
        protocol = said.get("DefaultEndpointsProtocol", "https")
        found["endpoint"] = f"{protocol}://{found['account_name']}.blob.{said['EndpointSuffix']}"
    if "endpoint" in found and "account_name" not in found:
        found["account_name"] = _account_of(found["endpoint"])
    return found


def _account_of(endpoint: str) -> str:
    """The account of a service's address: the first part of its host, or the path of an emulator's."""
    host, _, path = endpoint.partition("://")[2].partition("/")
    return path.strip("/") or host.partition(".")[0]
