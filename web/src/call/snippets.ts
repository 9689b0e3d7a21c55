/** The call that the form would make, written for three readers. The key always stays a name. */
import type { Deployment } from "../api";
import type { Values } from "../form/values";

export interface Snippet {
  id: string;
  name: string;
  needs: string;
  code: string;
}

export function snippets(deployment: Deployment, inputs: Values, origin: string): Snippet[] {
  return [
    { id: "curl", name: "curl", needs: "The native API, with nothing but a shell.", code: curl(deployment, inputs, origin) },
    { id: "python", name: "Python", needs: "pip install comfydeploy", code: python(deployment, inputs, origin) },
    { id: "typescript", name: "TypeScript", needs: "npm install comfydeploy@2.0.0-beta.69 zod@3", code: typescript(deployment, inputs, origin) },
  ];
}

function curl(deployment: Deployment, inputs: Values, origin: string): string {
  const body = JSON.stringify({ deployment: deployment.name, inputs }, null, 2).replaceAll("'", "'\\''").replaceAll("\n", "\n  ");
  const auth = '-H "Authorization: Bearer $COMFYSERVE_KEY"';
  return `run=$(curl -sS ${origin}/v1/runs \\
  ${auth} \\
  -H "Content-Type: application/json" \\
  -d '${body}' | grep -oE '"id": ?"[^"]+"' | head -n 1 | cut -d '"' -f 4)

# Wait until it has ended, then read the result.
curl -sSN -o /dev/null ${origin}/v1/runs/$run/events -H "Accept: text/event-stream" \\
  ${auth}
curl -sS ${origin}/v1/runs/$run \\
  ${auth}
`;
}

function python(deployment: Deployment, inputs: Values, origin: string): string {
  return `import os
import time

from comfydeploy import ComfyDeploy

sdk = ComfyDeploy(bearer=os.environ["COMFYSERVE_KEY"], server_url="${origin}/api")

queued = sdk.run.deployment.queue(
    request={
        "deployment_id": "${deployment.id}",
        "inputs": ${pythonLiteral(inputs, 8)},
    }
)
run_id = queued.create_run_response.run_id

while True:
    run = sdk.run.get(run_id=run_id).workflow_run_model
    if run.status in ("success", "failed", "timeout", "cancelled"):
        break
    time.sleep(1)

print(run.status, run.outputs)
`;
}

function typescript(deployment: Deployment, inputs: Values, origin: string): string {
  const literal = JSON.stringify(inputs, null, 2).replaceAll("\n", "\n  ");
  return `import { ComfyDeploy } from "comfydeploy";

const sdk = new ComfyDeploy({
  bearer: process.env.COMFYSERVE_KEY,
  serverURL: "${origin}/api",
});

const { runId } = await sdk.run.deployment.queue({
  deploymentId: "${deployment.id}",
  inputs: ${literal},
});

const ended = ["success", "failed", "timeout", "cancelled"];
let run = await sdk.run.get({ runId });
while (!ended.includes(run.status)) {
  await new Promise((resolve) => setTimeout(resolve, 1000));
  run = await sdk.run.get({ runId });
}

console.log(run.status, run.outputs);
`;
}

const INDENT = 4;

function pythonLiteral(value: unknown, indent: number): string {
  const inner = " ".repeat(indent + INDENT);
  const outer = " ".repeat(indent);
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value !== "object") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map((item) => pythonLiteral(item, indent)).join(", ")}]`;
  const lines = Object.entries(value).map(
    ([name, item]) => `${inner}${JSON.stringify(name)}: ${pythonLiteral(item, indent + INDENT)},\n`,
  );
  return lines.length > 0 ? `{\n${lines.join("")}${outer}}` : "{}";
}
