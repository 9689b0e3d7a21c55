/** The native API (/v1) as this page speaks it: its shapes, and one function per call. */

export type InputKind =
  | "text" | "number" | "integer" | "boolean" | "choice" | "seed"
  | "image" | "images" | "video" | "audio" | "file" | "model" | "color";

export interface Input {
  id: string;
  kind: InputKind;
  label: string;
  description: string;
  default: unknown;
  minimum?: number | null;
  maximum?: number | null;
  step?: number | null;
  choices?: unknown[] | null;
  multiline?: boolean;
  group?: { id: string; title: string } | null;
}

export interface Deployment {
  id: string;
  name: string;
  environment: string;
  version: number;
  inputs: Input[];
  created_at: string;
  updated_at: string;
  simulated: boolean;
}

export type RunStatus =
  | "queued" | "starting" | "running" | "collecting"
  | "success" | "failed" | "cancelled" | "timeout";

export interface Place {
  node_id?: string | null;
  field?: string | null;
}

export interface Problem {
  code: string;
  message: string;
  place?: Place | null;
  details?: Record<string, unknown> | null;
}

export interface Output {
  node_id: string;
  class_type: string;
  key: string;
  index: number;
  kind: "image" | "video" | "audio" | "text" | "3d" | "file";
  filename?: string;
  mime?: string;
  size?: number;
  /** Missing when the file lies in the target of its run, and not with us. */
  asset_id?: string;
  url?: string;
  target_url?: string;
  value?: unknown;
}

/** The caller's own place for the outputs, without what opens it. */
export interface Target {
  type: string;
  bucket?: string;
  prefix?: string;
  container?: string;
  blob_prefix?: string;
  repo?: string;
  directory?: string;
  url_prefix?: string;
}

export interface Run {
  id: string;
  status: RunStatus;
  deployment_id: string | null;
  deployment_name: string | null;
  inputs: Record<string, unknown>;
  attempts: number;
  max_attempts: number;
  queue_position: number | null;
  created_at: string;
  started_at: string | null;
  ended_at: string | null;
  error: Problem | null;
  outputs: Output[];
  warnings: { code: string; message: string }[];
  convert_output?: { format: string; options: Record<string, unknown> };
  target?: Target;
  simulated: boolean;
  seconds: { queued: number | null; running: number | null; total: number | null };
}

export interface RunEvent {
  seq: number;
  kind: string;
  at: string;
  attempt_id: string | null;
  status: RunStatus;
  data: Record<string, unknown>;
}

export interface Progress {
  node_id: string | null;
  value: number;
  maximum: number;
  fraction: number;
}

export interface Preview {
  mime: string;
  image: string;
}

/** A file on its way to the run, in bytes. */
export interface Download {
  label: string;
  name: string;
  received: number;
  total: number | null;
}

export interface Asset {
  id: string;
  filename: string;
  mime: string;
  size: number;
  url: string;
}

export interface Me {
  workspace: { id: string; name: string };
  key: { id: string; name: string; kind: string };
  version: string;
  public_url: string;
}

interface Page<Item> {
  items: Item[];
  next_cursor: string | null;
}

/** What the server answered when it refused: its sentence, and the place the sentence is about. */
export class ApiError extends Error {
  constructor(readonly status: number, readonly problem: Problem, readonly requestId?: string) {
    super(problem.message);
  }
}

/** The server could not be reached at all. */
export class Unreachable extends Error {
  constructor() {
    super("The server does not answer. Check that comfyserve is running, then try again.");
  }
}

async function call<Answer>(method: string, path: string, init: RequestInit = {}): Promise<Answer> {
  let response: Response;
  try {
    response = await fetch(path, { method, credentials: "same-origin", ...init });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new Unreachable();
  }
  if (!response.ok) throw await refusal(response);
  return (response.status === 204 ? undefined : await response.json()) as Answer;
}

async function refusal(response: Response): Promise<ApiError> {
  const requestId = response.headers.get("X-Request-Id") ?? undefined;
  const body: unknown = await response.json().catch(() => null);
  const problem = (body as { error?: Problem } | null)?.error;
  const message = `The server answered ${response.status} without a reason.`;
  return new ApiError(response.status, problem ?? { code: "unknown", message }, requestId);
}

function json(body: unknown, headers: Record<string, string> = {}): RequestInit {
  return { body: JSON.stringify(body), headers: { "Content-Type": "application/json", ...headers } };
}

const part = encodeURIComponent;

export const api = {
  me: () => call<Me>("GET", "/v1/me"),
  signIn: (proof: { token: string } | { key: string }) => call<Me>("POST", "/v1/session", json(proof)),
  signOut: () => call<void>("DELETE", "/v1/session"),

  deployments: () => call<Page<Deployment>>("GET", "/v1/deployments?limit=200"),
  deployment: (nameOrId: string) => call<Deployment>("GET", `/v1/deployments/${part(nameOrId)}`),

  runs: (limit: number, deployment?: string) =>
    call<Page<Run>>("GET", `/v1/runs?limit=${limit}${deployment ? `&deployment=${part(deployment)}` : ""}`),
  run: (id: string) => call<Run>("GET", `/v1/runs/${part(id)}`),
  submit: (deployment: string, inputs: Record<string, unknown>, idempotencyKey: string) =>
    call<Run>("POST", "/v1/runs", json({ deployment, inputs }, { "Idempotency-Key": idempotencyKey })),
  cancel: (id: string) => call<Run>("POST", `/v1/runs/${part(id)}/cancel`),
  eventsUrl: (id: string) => `/v1/runs/${part(id)}/events`,

  asset: (id: string) => call<Asset>("GET", `/v1/assets/${part(id)}`),
  upload: (file: File, signal?: AbortSignal) => {
    const body = new FormData();
    body.append("file", file, file.name || "pasted");
    return call<Asset>("POST", "/v1/assets", { body, signal });
  },
};

export const ENDED: ReadonlySet<RunStatus> = new Set(["success", "failed", "cancelled", "timeout"]);

export const hasEnded = (run: Run): boolean => ENDED.has(run.status);
