// What the Deploy panel says to a comfyserve server: its native API, from the browser, with a key in a header.

const TIMEOUT_MS = 60_000;
const PAGE = 200;
const MAX_PAGES = 10;
const SHOWN_INPUTS = 12;
const SAYABLE = new Set(["text", "number", "integer", "boolean", "choice", "seed", "color"]);

/** What the server refused, or that it could not be reached; `place` names the node and the input at fault. */
export class ServerError extends Error {
  constructor(message, { code = "", status = 0, place = {} } = {}) {
    super(message);
    this.code = code;
    this.status = status;
    this.place = place;
  }
}

/** The address that a person typed, as scheme, host and port, and a path if the server lives below one. */
export function serverAddress(text) {
  const typed = text.trim();
  try {
    const url = new URL(/^https?:\/\//i.test(typed) ? typed : `http://${typed}`);
    return url.origin + url.pathname.replace(/\/+$/, "");
  } catch {
    throw new ServerError("The server's address is not valid; write it like http://127.0.0.1:3011.");
  }
}

/** A line for a shell that runs the deployment with its defaults. */
export function curlLine(address, deployment) {
  const known = deployment.inputs.filter((one) => SAYABLE.has(one.kind) && one.default !== null).slice(0, SHOWN_INPUTS);
  const body = { deployment: deployment.name, inputs: Object.fromEntries(known.map((one) => [one.id, one.default])) };
  const quoted = JSON.stringify(body).replaceAll("'", "'\\''");
  return (
    `curl -sS ${address}/v1/runs -H "Authorization: Bearer $COMFYSERVE_KEY" ` +
    `-H 'Content-Type: application/json' -d '${quoted}'`
  );
}

/** The page on which anybody who may sign in fills in the inputs and runs the deployment. */
export const pageOf = (address, deployment) => `${address}/apps/${encodeURIComponent(deployment.name)}`;

/** The name that a workflow's deployment gets in an environment, unless somebody chose another. */
export const deploymentName = (workflow, environment) =>
  environment === "production" ? workflow : `${workflow}-${environment}`;

export class Server {
  constructor(address, key) {
    this.address = serverAddress(address);
    this.key = key.trim();
  }

  /** Who the key belongs to: `{workspace, key, version, public_url}`. */
  me() {
    return this.#call("GET", "/v1/me");
  }

  machines() {
    return this.#all("/v1/machines");
  }

  workflows() {
    return this.#all("/v1/workflows");
  }

  /** The workflow of that id, or null when the server has none. */
  async workflow(id) {
    try {
      return await this.#call("GET", `/v1/workflows/${encodeURIComponent(id)}`);
    } catch (error) {
      if (error.status === 404) return null;
      throw error;
    }
  }

  /** Keep a graph as a new workflow or, with `workflowId`, as its next version: `{workflow_id, name, version}`. */
  async keep({ graph, editor, workflowId, name, comment }) {
    if (workflowId) {
      const path = `/v1/workflows/${encodeURIComponent(workflowId)}/versions`;
      const made = await this.#call("POST", path, { graph, editor, comment });
      return { workflow_id: workflowId, name, version: made.version };
    }
    const made = await this.#call("POST", "/v1/workflows", { name, graph, editor });
    return { workflow_id: made.id, name: made.name, version: made.latest_version };
  }

  /**
   * The deployment of that name that a new version would move, or null when one has to be made. Raises ServerError when
   * another workflow, or another environment, has the name: better told before anything is kept.
   */
  async deployed({ workflowId, environment, name }) {
    const found = (await this.#all("/v1/deployments")).find((one) => one.name === name);
    if (!found) return null;
    if (found.workflow_id === workflowId && found.environment === environment) return found;
    const owner = found.workflow_id === workflowId ? `in ${found.environment}` : "of another workflow";
    throw new ServerError(`There is a deployment ${name} ${owner} already. Choose another name.`);
  }

  /** Move a deployment to a version, or make one for it. */
  async deploy(found, { workflowId, version, machineId, environment, name }) {
    const pins = { version, ...(machineId ? { machine_id: machineId } : {}) };
    if (found) return this.#call("PATCH", `/v1/deployments/${encodeURIComponent(found.id)}`, pins);
    return this.#call("POST", "/v1/deployments", { name, workflow_id: workflowId, environment, ...pins });
  }

  async #all(path) {
    const items = [];
    let cursor = null;
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const query = new URLSearchParams({ limit: String(PAGE), ...(cursor ? { cursor } : {}) });
      const answer = await this.#call("GET", `${path}?${query}`);
      items.push(...answer.items);
      cursor = answer.next_cursor;
      if (!cursor) break;
    }
    return items;
  }

  async #call(method, path, body) {
    let answer;
    try {
      answer = await fetch(this.address + path, {
        method,
        // The key travels in a header; cookies of another site never count.
        credentials: "omit",
        headers: {
          Authorization: `Bearer ${this.key}`,
          ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        },
        body: body === undefined ? undefined : JSON.stringify(body),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
    } catch (error) {
      throw new ServerError(
        error.name === "TimeoutError"
          ? `${this.address} did not answer within ${TIMEOUT_MS / 1000} s.`
          : `${this.address} cannot be reached. Is it running, and does its setting COMFYSERVE_CORS_ORIGINS allow this page?`,
      );
    }
    const told = await answer.json().catch(() => null);
    if (answer.ok && told !== null) return told;
    const error = told?.error ?? {};
    throw new ServerError(error.message ?? `${this.address} answers with status ${answer.status}, and not as comfyserve does.`, {
      code: error.code,
      status: answer.status,
      place: error.place,
    });
  }
}
