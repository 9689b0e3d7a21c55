"use strict";
// Evaluates workflow files: TypeScript loses its types, imports become calls of require, and `zod`, `config` and
// `types` are ours. Nothing is written.
const fs = require("node:fs");
const nodeModule = require("node:module");
const path = require("node:path");
const { z, ZodType } = require("./zod");
const { toCommonJs } = require("./commonjs");
const { stripTypes } = require("./strip");

const ENDINGS = ["", ".ts", ".js", ".mjs", ".cjs", ".json", "/index.ts", "/index.js"];
const OWN = { zod: zodModule, "zod/v3": zodModule, config: configModule, types: typesModule };

let config = {};
const loaded = new Map();

function configure(given) {
  config = given;
  loaded.clear();
}

function forget(file) {
  loaded.delete(file);
}

// The workflow of a file. Throws what the file throws, or a sentence about what it lacks.
function load(file) {
  const workflow = evaluated(file).found;
  if (!workflow) {
    throw new Error(
      "it exports no workflow: its default export needs RequestSchema (a zod object) and generateWorkflow (a function)"
    );
  }
  if (!(workflow.RequestSchema instanceof ZodType)) throw new Error("RequestSchema is no zod schema");
  return workflow;
}

function evaluated(file) {
  const known = loaded.get(file);
  if (known) return known;
  const source = commonJs(fs.readFileSync(file, "utf8"), file);
  const module = { exports: {}, filename: file, found: null };
  loaded.set(file, module);
  try {
    const last = run(source, file, module);
    module.found = [last, module.exports.default, module.exports].find(isWorkflow) || null;
  } catch (error) {
    loaded.delete(file);
    throw error;
  }
  return module;
}

function commonJs(text, file) {
  return toCommonJs(file.endsWith(".ts") ? withoutTypes(text) : text);
}

// Node's own remover where there is one (22.13 and newer), else ours.
function withoutTypes(text) {
  if (typeof nodeModule.stripTypeScriptTypes === "function") {
    try {
      return nodeModule.stripTypeScriptTypes(text, { mode: "transform" });
    } catch (error) {
      if (error.code !== "ERR_INVALID_ARG_VALUE") throw error;
      return nodeModule.stripTypeScriptTypes(text);
    }
  }
  return stripTypes(text);
}

// The value of the last expression counts, as with files that the original evaluated.
function run(source, file, module) {
  const require = requireOf(file);
  return evaluate.call(module.exports, `${source}\n//# sourceURL=${file}`, module.exports, require, module, file);
}

function evaluate(source, exports, require, module, __filename) {
  const __dirname = path.dirname(__filename);
  return eval(source);
}

function requireOf(file) {
  const native = nodeModule.createRequire(file);
  return (name) => {
    const own = OWN[name] || (/^\.\.?\//.test(name) && OWN[path.basename(name).replace(/\.(ts|js)$/, "")]);
    const near = /^\.\.?\//.test(name) ? neighbour(file, name) : null;
    if (near && !(own && name.startsWith("../"))) return near.endsWith(".json") ? native(near) : evaluated(near).exports;
    if (own) return own();
    return native(name);
  };
}

function neighbour(file, name) {
  const wanted = path.resolve(path.dirname(file), name);
  for (const ending of ENDINGS) {
    const candidate = wanted + ending;
    if (fs.existsSync(candidate) && fs.statSync(candidate).isFile()) return candidate;
  }
  return null;
}

function isWorkflow(value) {
  return value !== null && typeof value === "object" && "RequestSchema" in value && "generateWorkflow" in value;
}

function zodModule() {
  return { z, default: z, __esModule: true, ...z };
}

function typesModule() {
  const ComfyNodeSchema = z.object({ inputs: z.any(), class_type: z.string(), _meta: z.any().optional() });
  const WorkflowSchema = z.object({ RequestSchema: z.object({}), generateWorkflow: z.function() });
  return { ComfyNodeSchema, WorkflowSchema, isWorkflow, __esModule: true };
}

// `config` as workflow files of the original know it. A list that is not known (null) accepts every name.
function configModule() {
  const models = {};
  for (const [type, { dir, all }] of Object.entries(config.models || {})) {
    models[type] = { dir, all, enum: z.namesOf(all) };
  }
  const value = {
    ...config.settings,
    samplers: z.namesOf(config.samplers),
    schedulers: z.namesOf(config.schedulers),
    models: new Proxy(models, { get: (known, type) => (type in known ? known[type] : unknownModels(type)) }),
    warmupCkpt: config.warmupCkpt || undefined,
  };
  return { default: value, config: value, __esModule: true };
}

function unknownModels(type) {
  if (typeof type !== "string" || type === "then" || type === "toJSON") return undefined;
  const all = config.models ? [] : new Names();
  return { dir: undefined, all, enum: z.namesOf(config.models ? all : null) };
}

// A list of names that nobody knows yet: it is empty and includes everything.
class Names extends Array {
  includes() {
    return true;
  }
}

module.exports = { load, forget, configure, commonJs };
