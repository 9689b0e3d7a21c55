"use strict";
// What is told of a workflow: its texts, the rows of its table, its JSON Schema.

function describe(workflow) {
  const shape = workflow.RequestSchema.shape || {};
  return {
    summary: text(workflow.summary),
    description: text(workflow.description),
    rows: Object.entries(shape).map(([name, field]) => row(name, field)),
    schema: workflow.RequestSchema.jsonSchema(),
  };
}

function row(name, field) {
  return { name, type: field.words(), description: field.saidAbove() || "", default: defaultWords(field) };
}

function defaultWords(field) {
  const ask = field.defaultOf();
  if (!ask) return field.isOptional() ? "-" : "**Required**";
  const first = JSON.stringify(ask());
  if (first === undefined) return "-";
  return first === JSON.stringify(ask()) ? first : "random";
}

function text(value) {
  return typeof value === "string" ? value : "";
}

module.exports = { describe };
