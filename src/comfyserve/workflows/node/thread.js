"use strict";
// Loads workflow files and calls them. Questions: {id, op, ...}; answers: {id, begun} and then {id, ok} or {id, error}.
const { parentPort } = require("node:worker_threads");
const { load, forget, configure } = require("./files");
const { describe } = require("./describe");

const operations = {
  configure({ config }) {
    configure(config);
    return {};
  },
  describe({ file }) {
    const workflow = load(file);
    return describe(workflow);
  },
  read({ file, input }) {
    const read = load(file).RequestSchema.safeParse(input);
    if (read.success) return { parsed: read.data };
    return { issues: read.error.issues.map(({ path, message }) => ({ path, message })) };
  },
  async graph({ file, input }) {
    return { graph: await load(file).generateWorkflow(input) };
  },
  forget({ file }) {
    forget(file);
    return {};
  },
};

// The text of what was thrown, and the line of the file that it comes from.
function reason(error, file) {
  if (error === null || typeof error !== "object") return { error: String(error) };
  const place = String(error.stack || "").split(`${file}:`)[1];
  const line = error.line || (place && parseInt(place, 10)) || null;
  return { error: String(error.message || error.name || error), name: String(error.name || "Error"), line };
}

async function answer(text) {
  const question = JSON.parse(text);
  parentPort.postMessage(JSON.stringify({ id: question.id, begun: true }));
  let told;
  try {
    told = { ok: await operations[question.op](question) };
  } catch (error) {
    told = reason(error, question.file);
  }
  try {
    parentPort.postMessage(JSON.stringify({ id: question.id, ...told }));
  } catch (error) {
    parentPort.postMessage(JSON.stringify({ id: question.id, ...reason(error, question.file) }));
  }
}

process.on("unhandledRejection", (error) => console.error("unhandled rejection in a workflow file:", error));
parentPort.on("message", answer);
