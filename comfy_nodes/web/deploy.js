// The Deploy panel: a tab in ComfyUI's sidebar that brings the workflow on the canvas to a comfyserve server.
// It uses ComfyUI's public extension points only.

import { app } from "/scripts/app.js";
import { Server, curlLine, deploymentName, pageOf, serverAddress } from "./comfyserve_client.js";

const TAB = "comfyserve-deploy";
const SAVED = { server: "comfyserve.deploy.server", key: "comfyserve.deploy.key" };
const DEFAULT_SERVER = "http://127.0.0.1:3011";
const ENVIRONMENTS = ["production", "staging", "development", "public-share"];

// The first of each pair of variables is that of the front end since 1.30, the second that of older ones.
const STYLE = `
.comfyserve-panel { --ink: var(--base-foreground, var(--fg-color, #ddd)); --edge: var(--border-default, var(--border-color, #4e4e4e));
  --main: var(--primary-background, var(--p-primary-color, #2f7ae5)); --faint: var(--muted-foreground, var(--descrip-text, #999));
  --field: var(--secondary-background, var(--comfy-input-bg, #222));
  height: 100%; overflow: auto; box-sizing: border-box; padding: 12px 14px 24px; font-size: 13px; line-height: 1.4;
  color: var(--ink); display: flex; flex-direction: column; gap: 14px; }
.comfyserve-panel h2 { font-size: 15px; font-weight: 600; margin: 0; }
.comfyserve-panel section { display: flex; flex-direction: column; gap: 10px; border-top: 1px solid var(--edge); padding-top: 12px; }
.comfyserve-panel label, .comfyserve-panel .comfyserve-field { display: flex; flex-direction: column; gap: 4px; }
.comfyserve-panel .comfyserve-hint { color: var(--faint); font-size: 12px; margin: 0; }
.comfyserve-panel input:not([type=radio]), .comfyserve-panel select, .comfyserve-panel textarea { width: 100%;
  box-sizing: border-box; color: var(--ink); background: var(--field); font: inherit; border: 1px solid var(--edge);
  border-radius: 6px; padding: 6px 8px; }
.comfyserve-panel input[type=radio] { accent-color: var(--main); }
.comfyserve-panel select[size] { padding: 4px; }
.comfyserve-panel option { color: var(--ink); background: var(--field); }
.comfyserve-panel select[size] option { padding: 3px 4px; border-radius: 4px; }
.comfyserve-panel select[size] option:checked { background: color-mix(in srgb, var(--main) 40%, var(--field)); }
.comfyserve-panel textarea { resize: vertical; min-height: 3.2em; }
.comfyserve-panel :focus-visible { outline: 2px solid var(--main); outline-offset: 1px; }
.comfyserve-panel button { font: inherit; cursor: pointer; border-radius: 6px; padding: 7px 12px; border: 1px solid var(--edge);
  color: var(--ink); background: var(--field); }
.comfyserve-panel button.comfyserve-main { font-weight: 600; border-color: transparent; background: var(--main);
  color: var(--base-foreground, #fff); }
.comfyserve-panel button:disabled { opacity: .55; cursor: default; }
.comfyserve-panel .comfyserve-row { display: flex; gap: 10px; align-items: center; flex-wrap: wrap; }
.comfyserve-panel .comfyserve-choice { flex-direction: row; align-items: center; gap: 6px; }
.comfyserve-panel [role=alert], .comfyserve-panel [role=status] { margin: 0; overflow-wrap: anywhere; }
.comfyserve-panel [role=alert] { color: color-mix(in srgb, var(--error-text, #f55), var(--ink) 30%); }
.comfyserve-panel [role=alert]:empty, .comfyserve-panel [role=status]:empty, .comfyserve-panel [hidden] { display: none; }
.comfyserve-panel a { color: color-mix(in srgb, var(--main), var(--ink) 35%); }
.comfyserve-panel pre { margin: 0; padding: 8px; white-space: pre-wrap; overflow-wrap: anywhere; font-size: 12px;
  background: var(--field); border-radius: 6px; user-select: text; }
`;

function element(tag, properties = {}, ...children) {
  const { testid, ...rest } = properties;
  const made = Object.assign(document.createElement(tag), rest);
  if (testid) made.dataset.testid = `comfyserve-${testid}`;
  made.append(...children);
  return made;
}

const field = (label, control, hint) =>
  element("label", {}, label, control, ...(hint ? [element("span", { className: "comfyserve-hint" }, hint)] : []));

const graphOfEditor = () => app.rootGraph ?? app.graph;

/** What the graph remembers of the server that it was deployed to, and under which id. */
const remembered = () => graphOfEditor().extra?.comfyserve ?? null;

function remember(facts) {
  const graph = graphOfEditor();
  graph.extra = { ...graph.extra, comfyserve: facts };
}

/** The name of the open tab, without its ending. */
function nameOfTab() {
  const path = app.extensionManager?.workflow?.activeWorkflow?.filename ?? "";
  return path.replace(/\.json$/i, "");
}

function showNode(id) {
  const graph = graphOfEditor();
  const node = graph.getNodeById(id) ?? graph.getNodeById(Number(String(id).split(":")[0]));
  if (!node) return null;
  app.canvas.deselectAll?.();
  app.canvas.selectNode?.(node, false);
  app.canvas.centerOnNode?.(node);
  return node;
}

class Panel {
  constructor(root) {
    this.workflows = [];
    this.connection = 0;
    this.#build();
    root.replaceChildren(element("style", {}, STYLE), this.view);
    this.#showMode();
    if (this.key.value) this.connect();
  }

  #build() {
    this.server = element("input", { testid: "server", type: "url", spellcheck: false, autocomplete: "off" });
    this.key = element("input", { testid: "key", type: "password", autocomplete: "off" });
    this.server.value = localStorage.getItem(SAVED.server) ?? DEFAULT_SERVER;
    this.key.value = localStorage.getItem(SAVED.key) ?? "";
    this.test = element("button", { testid: "test", type: "button", onclick: () => this.connect() }, "Test connection");
    this.status = element("p", { testid: "status", role: "status", className: "comfyserve-hint" });
    this.refusal = element("p", { testid: "connection-error", role: "alert" });
    this.isNew = element("input", { testid: "mode-new", type: "radio", name: "comfyserve-mode", checked: true });
    this.isVersion = element("input", { testid: "mode-version", type: "radio", name: "comfyserve-mode" });
    this.name = element("input", { testid: "name", maxLength: 200, value: nameOfTab() });
    this.search = element("input", { testid: "search", type: "search", placeholder: "Search" });
    this.workflow = element("select", { testid: "workflow", size: 5 });
    this.comment = element("textarea", { testid: "comment", rows: 2 });
    this.machine = element("select", { testid: "machine" }, element("option", { value: "" }, "The server's own"));
    this.environment = element("select", { testid: "environment" });
    this.environment.append(...ENVIRONMENTS.map((one) => element("option", { value: one }, one)));
    this.deployment = element("input", { testid: "deployment", maxLength: 200 });
    this.deploy = element("button", { testid: "deploy", type: "submit", className: "comfyserve-main" }, "Deploy");
    this.error = element("p", { testid: "error", role: "alert" });
    this.result = element("div", { testid: "result", role: "status", className: "comfyserve-field" });
    this.view = this.#layout();
    for (const one of [this.isNew, this.isVersion, this.environment]) one.addEventListener("change", () => this.#showMode());
    for (const one of [this.name, this.workflow]) one.addEventListener("input", () => this.#showMode());
    for (const one of [this.server, this.key]) one.addEventListener("change", () => this.connect());
    this.search.addEventListener("input", () => this.#listWorkflows());
  }

  #layout() {
    this.forNew = element("div", { className: "comfyserve-field" }, field("Name", this.name));
    this.forVersion = element(
      "div",
      { className: "comfyserve-field" },
      field("Of the workflow", this.search),
      this.workflow,
      field("Comment", this.comment),
    );
    this.workflow.setAttribute("aria-label", "Workflow");
    const modes = element(
      "div",
      { className: "comfyserve-row" },
      element("label", { className: "comfyserve-choice" }, this.isNew, "New workflow"),
      element("label", { className: "comfyserve-choice" }, this.isVersion, "New version"),
    );
    const form = element("form", { className: "comfyserve-panel", testid: "panel" });
    form.append(
      element("h2", {}, "Deploy to comfyserve"),
      field("Server", this.server),
      field("API key", this.key, "Server and key are kept in this browser, where the scripts of this ComfyUI can read them."),
      element("div", { className: "comfyserve-row" }, this.test, this.status),
      this.refusal,
      element("section", {}, modes, this.forNew, this.forVersion),
      element(
        "section",
        {},
        field("Machine", this.machine),
        field("Environment", this.environment),
        field("Deployment", this.deployment, "The name that callers use."),
        this.deploy,
        this.error,
        this.result,
      ),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.send();
    });
    // Keys that are typed here are no shortcuts of the canvas.
    form.addEventListener("keydown", (event) => event.stopPropagation());
    return form;
  }

  /** Save address and key, and ask the server who we are and what it has. */
  async connect() {
    const connection = (this.connection += 1);
    localStorage.setItem(SAVED.server, this.server.value.trim());
    localStorage.setItem(SAVED.key, this.key.value.trim());
    this.refusal.textContent = "";
    this.status.textContent = "Connecting...";
    try {
      const server = new Server(this.server.value, this.key.value);
      const [me, machines, workflows] = await Promise.all([server.me(), server.machines(), server.workflows()]);
      if (connection !== this.connection) return;
      this.workflows = workflows;
      this.machine.replaceChildren(
        element("option", { value: "" }, "The server's own"),
        ...machines.map((one) => element("option", { value: one.id }, `${one.name} (${one.status})`)),
      );
      this.status.textContent = `Connected to ${me.workspace.name}, comfyserve ${me.version}.`;
      this.#offerVersion();
      this.#listWorkflows();
    } catch (error) {
      if (connection !== this.connection) return;
      this.status.textContent = "";
      this.refusal.textContent = error.message;
    }
  }

  /** Another workflow came to the canvas: what was chosen for the one before does not hold for it. */
  changeWorkflow() {
    this.isNew.checked = true;
    this.chosen = "";
    this.workflow.value = "";
    this.name.value = nameOfTab();
    this.deployment.value = "";
    this.result.replaceChildren();
    this.#fail("");
    this.#offerVersion();
    this.#listWorkflows();
  }

  /** A graph that was deployed to this server before is most likely meant as its next version. */
  #offerVersion() {
    const known = remembered();
    const found = this.workflows.find((one) => one.id === known?.workflow_id);
    if (!found || known.server !== serverAddress(this.server.value)) return;
    this.isVersion.checked = true;
    this.chosen = found.id;
  }

  #listWorkflows() {
    const wanted = this.search.value.trim().toLowerCase();
    const chosen = this.workflow.value || this.chosen;
    const shown = this.workflows.filter((one) => one.name.toLowerCase().includes(wanted));
    this.workflow.replaceChildren(
      ...shown.map((one) =>
        element("option", { value: one.id, selected: one.id === chosen }, `${one.name} (version ${one.latest_version})`),
      ),
    );
    this.#showMode();
  }

  #workflowName() {
    if (this.isNew.checked) return this.name.value.trim();
    return this.workflows.find((one) => one.id === this.workflow.value)?.name ?? "";
  }

  #showMode() {
    this.forNew.hidden = !this.isNew.checked;
    this.forVersion.hidden = this.isNew.checked;
    this.deployment.placeholder = deploymentName(this.#workflowName(), this.environment.value);
  }

  async send() {
    this.#fail("");
    this.result.replaceChildren();
    const name = this.#workflowName();
    if (!name) {
      this.#fail(this.isNew.checked ? "Give the workflow a name." : "Choose the workflow that gets a new version.");
      return;
    }
    this.deploy.disabled = true;
    this.deploy.textContent = "Deploying...";
    try {
      await this.#deploy(name);
    } catch (error) {
      this.#fail(error.message, error.place?.node_id);
    } finally {
      this.deploy.disabled = false;
      this.deploy.textContent = "Deploy";
    }
  }

  async #deploy(name) {
    const server = new Server(this.server.value, this.key.value);
    const { workflow, output } = await app.graphToPrompt();
    if (!Object.keys(output).length) throw new Error("The canvas has no node that runs.");
    const workflowId = this.isNew.checked ? null : this.workflow.value;
    const environment = this.environment.value;
    const target = { environment, name: this.deployment.value.trim() || deploymentName(name, environment) };
    const found = await server.deployed({ workflowId, ...target });
    const kept = await server.keep({ graph: output, editor: workflow, workflowId, name, comment: this.comment.value.trim() });
    remember({ server: server.address, workflow_id: kept.workflow_id, version: kept.version });
    this.#becomeVersion(kept);
    const pins = { workflowId: kept.workflow_id, version: kept.version, machineId: this.machine.value };
    const deployment = await server.deploy(found, { ...pins, ...target });
    this.#succeed(server, kept, deployment);
  }

  /** What is kept once is not made again: the next click adds a version, also when the deployment failed. */
  #becomeVersion(kept) {
    const known = this.workflows.find((one) => one.id === kept.workflow_id);
    if (known) known.latest_version = kept.version;
    else this.workflows.unshift({ id: kept.workflow_id, name: kept.name, latest_version: kept.version });
    this.search.value = "";
    this.comment.value = "";
    this.isVersion.checked = true;
    this.workflow.value = "";
    this.chosen = kept.workflow_id;
    this.#listWorkflows();
  }

  #succeed(server, kept, deployment) {
    const link = element("a", { testid: "link", href: pageOf(server.address, deployment), target: "_blank", rel: "noopener" });
    link.textContent = "Open its page";
    const line = curlLine(server.address, deployment);
    const copy = element("button", { testid: "copy", type: "button" }, "Copy");
    copy.onclick = () => navigator.clipboard?.writeText(line).then(() => (copy.textContent = "Copied"));
    this.result.replaceChildren(
      element("span", {}, `${deployment.name} (${deployment.environment}) runs version ${kept.version}.`),
      link,
      element("pre", { testid: "curl" }, line),
      element("div", { className: "comfyserve-row" }, copy),
    );
    this.result.scrollIntoView?.({ block: "nearest" });
  }

  #fail(message, nodeId) {
    const node = message && nodeId !== undefined ? showNode(nodeId) : null;
    this.error.textContent = node ? `${message} (node ${nodeId}, ${node.title})` : message;
    if (message) this.error.scrollIntoView({ block: "nearest" });
  }
}

/** The panel while it is open. */
let panel = null;

app.registerExtension({
  name: "comfyserve.deploy",
  commands: [
    {
      id: "comfyserve.deploy.open",
      label: "Deploy to comfyserve",
      icon: "pi pi-cloud-upload",
      function: () => app.extensionManager.command.execute(`Workspace.ToggleSidebarTab.${TAB}`),
    },
  ],
  menuCommands: [{ path: ["Workflow"], commands: ["comfyserve.deploy.open"] }],
  setup() {
    app.extensionManager.registerSidebarTab({
      id: TAB,
      icon: "pi pi-cloud-upload",
      title: "Deploy",
      tooltip: "Deploy to comfyserve",
      type: "custom",
      render: (root) => void (panel = new Panel(root)),
      destroy: () => void (panel = null),
    });
  },
  afterConfigureGraph() {
    // The tab has its name only when the graph is there.
    setTimeout(() => panel?.changeWorkflow());
  },
});
