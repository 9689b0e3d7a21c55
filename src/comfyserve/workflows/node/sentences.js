"use strict";
// The wording of errors that callers of this API know, and the words of JSON for values.

function kindOf(value) {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (value instanceof Date) return "date";
  if (typeof value === "number" && Number.isNaN(value)) return "nan";
  return typeof value;
}

function quoted(values) {
  return values.map((value) => (typeof value === "string" ? `'${value}'` : String(value))).join(" | ");
}

const things = { ZodString: ["String", "character(s)"], ZodArray: ["Array", "element(s)"] };

function bound(words, limit, typeName) {
  const [what, unit] = things[typeName];
  return `${what} must contain ${words} ${limit} ${unit}`;
}

const sentences = {
  min(limit, typeName) {
    return typeName in things ? bound("at least", limit, typeName) : `Number must be greater than or equal to ${limit}`;
  },
  max(limit, typeName) {
    return typeName in things ? bound("at most", limit, typeName) : `Number must be less than or equal to ${limit}`;
  },
  exactly: (limit, typeName) => bound("exactly", limit, typeName),
  above: (limit) => `Number must be greater than ${limit}`,
  below: (limit) => `Number must be less than ${limit}`,
};

module.exports = { kindOf, quoted, sentences };
