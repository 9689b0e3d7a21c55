"use strict";
// The schemas of single values and of objects, and the functions that make them: what stands behind `z.`.
const { kindOf, quoted } = require("./sentences");
const { INVALID, Checked, Wrapper, ZodType, ZodArray, ZodUnion, messages } = require("./zod");
const { ZodDiscriminatedUnion, ZodIntersection, ZodEffects, ZodOptional } = require("./zod");

const PATTERNS = {
  email: /^[^\s@"(),:;<>[\\\]]+@[A-Za-z0-9](?:[A-Za-z0-9-]*\.)+[A-Za-z]{2,}$/,
  uuid: /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i,
  datetime: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/,
  base64: /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/,
  ip: /^(\d{1,3}\.){3}\d{1,3}$|^[0-9a-f:]*:[0-9a-f:.]*$/i,
};

class ZodString extends Checked {
  read(value, reading) {
    const given = this._def.coerce ? String(value) : value;
    return typeof given === "string" ? given : reading.expected("string", given, this._def.said);
  }
  plainType() {
    return "string";
  }
  format(name, said, test, fact) {
    const message = messages(said).message || (name === "regex" ? "Invalid" : `Invalid ${name}`);
    return this.checked({ kind: name, code: "invalid_string", message, test, fact });
  }
  min(limit, said) {
    return this.bound("min", limit, said, (text) => text.length >= limit, { minLength: limit });
  }
  max(limit, said) {
    return this.bound("max", limit, said, (text) => text.length <= limit, { maxLength: limit });
  }
  length(limit, said) {
    const fact = { minLength: limit, maxLength: limit };
    return this.bound("exactly", limit, said, (text) => text.length === limit, fact);
  }
  nonempty(said) {
    return this.min(1, said);
  }
  url(said) {
    return this.format("url", said, (text) => URL.canParse(text), { format: "uri" });
  }
  regex(pattern, said) {
    const test = (text) => text.search(pattern) !== -1;
    return this.format("regex", said, test, { pattern: pattern.source });
  }
  startsWith(part, said) {
    const message = messages(said).message || `Invalid input: must start with "${part}"`;
    return this.format("startsWith", message, (text) => text.startsWith(part));
  }
  endsWith(part, said) {
    const message = messages(said).message || `Invalid input: must end with "${part}"`;
    return this.format("endsWith", message, (text) => text.endsWith(part));
  }
  includes(part, said) {
    const message = messages(said).message || `Invalid input: must include "${part}"`;
    return this.format("includes", message, (text) => text.includes(part));
  }
  trim() {
    return this.checked({ kind: "trim", change: (text) => text.trim() });
  }
  toLowerCase() {
    return this.checked({ kind: "toLowerCase", change: (text) => text.toLowerCase() });
  }
  toUpperCase() {
    return this.checked({ kind: "toUpperCase", change: (text) => text.toUpperCase() });
  }
}
for (const [name, pattern] of Object.entries(PATTERNS)) {
  ZodString.prototype[name] = function named(said) {
    return this.format(name, said, (text) => pattern.test(text), { format: name === "datetime" ? "date-time" : name });
  };
}

class ZodNumber extends Checked {
  read(value, reading) {
    const given = this._def.coerce ? Number(value) : value;
    const fits = typeof given === "number" && !Number.isNaN(given);
    return fits ? given : reading.expected("number", given, this._def.said);
  }
  plainType() {
    return (this._def.checks || []).some((check) => check.kind === "int") ? "integer" : "number";
  }
  words() {
    return "number";
  }
  min(limit, said) {
    return this.bound("min", limit, said, (number) => number >= limit, { minimum: limit });
  }
  max(limit, said) {
    return this.bound("max", limit, said, (number) => number <= limit, { maximum: limit });
  }
  gt(limit, said) {
    return this.bound("above", limit, said, (number) => number > limit, { exclusiveMinimum: limit });
  }
  lt(limit, said) {
    return this.bound("below", limit, said, (number) => number < limit, { exclusiveMaximum: limit });
  }
  gte(limit, said) {
    return this.min(limit, said);
  }
  lte(limit, said) {
    return this.max(limit, said);
  }
  positive(said) {
    return this.gt(0, said);
  }
  nonnegative(said) {
    return this.min(0, said);
  }
  negative(said) {
    return this.lt(0, said);
  }
  nonpositive(said) {
    return this.max(0, said);
  }
  int(said) {
    const message = messages(said).message || "Expected integer, received float";
    return this.checked({ kind: "int", code: "invalid_type", message, test: Number.isInteger });
  }
  safe(said) {
    return this.min(Number.MIN_SAFE_INTEGER, said).max(Number.MAX_SAFE_INTEGER, said);
  }
  finite(said) {
    const message = messages(said).message || "Number must be finite";
    return this.checked({ kind: "finite", code: "not_finite", message, test: Number.isFinite });
  }
  multipleOf(step, said) {
    const message = messages(said).message || `Number must be a multiple of ${step}`;
    const test = (number) => Math.abs(number / step - Math.round(number / step)) < 1e-9;
    return this.checked({ kind: "multipleOf", code: "not_multiple_of", message, test, fact: { multipleOf: step } });
  }
  step(step, said) {
    return this.multipleOf(step, said);
  }
}

class ZodBoolean extends ZodType {
  read(value, reading) {
    const given = this._def.coerce ? Boolean(value) : value;
    return typeof given === "boolean" ? given : reading.expected("boolean", given, this._def.said);
  }
  jsonType() {
    return { type: "boolean" };
  }
}

// A list of allowed texts; `values` null accepts every text (names of an engine that nobody has asked yet).
class ZodEnum extends ZodType {
  read(value, reading) {
    const { values, said } = this._def;
    if (typeof value !== "string") return reading.expected(values ? quoted(values) : "string", value, said);
    if (!values || values.includes(value)) return value;
    const message = said?.message || `Invalid enum value. Expected ${quoted(values)}, received '${value}'`;
    return reading.wrong("invalid_enum_value", message);
  }
  get options() {
    return this._def.values || [];
  }
  get enum() {
    return Object.fromEntries(this.options.map((value) => [value, value]));
  }
  get Values() {
    return this.enum;
  }
  extract(values) {
    return this.with({ values });
  }
  exclude(values) {
    return this.with({ values: this.options.filter((value) => !values.includes(value)) });
  }
  words() {
    return this._def.values ? `enum (${this._def.values.map((value) => `\`${value}\``).join(", ")})` : "string";
  }
  jsonType() {
    return { type: "string", ...(this._def.values?.length ? { enum: [...this._def.values] } : {}) };
  }
}

class ZodNativeEnum extends ZodType {
  read(value, reading) {
    const known = this.known();
    if (known.includes(value)) return value;
    if (value === undefined) return reading.expected("string", value);
    return reading.wrong("invalid_enum_value", `Invalid enum value. Expected ${quoted(known)}, received '${value}'`);
  }
  known() {
    const { values } = this._def;
    return Object.keys(values)
      .filter((key) => typeof values[values[key]] !== "number")
      .map((key) => values[key]);
  }
  jsonType() {
    return { enum: this.known() };
  }
}

class ZodLiteral extends ZodType {
  read(value, reading) {
    const { value: wanted, said } = this._def;
    if (value === wanted) return value;
    return reading.wrong("invalid_literal", said?.message || `Invalid literal value, expected ${JSON.stringify(wanted)}`);
  }
  get value() {
    return this._def.value;
  }
  words() {
    return `literal (${JSON.stringify(this._def.value)})`;
  }
  jsonType() {
    return { const: this._def.value };
  }
}

// Accepts what a test accepts: any, unknown, null, undefined, never, functions, instances, dates.
class Tested extends ZodType {
  read(value, reading) {
    return this._def.test(value) ? value : reading.expected(this._def.expected, value, this._def.said);
  }
  jsonType() {
    return this._def.json || {};
  }
}

class ZodTuple extends ZodType {
  read(value, reading) {
    if (!Array.isArray(value)) return reading.expected("array", value);
    const { items } = this._def;
    if (value.length < items.length) return reading.wrong("too_small", `Array must contain at least ${items.length} element(s)`);
    if (value.length > items.length) return reading.wrong("too_big", `Array must contain at most ${items.length} element(s)`);
    return items.map((item, index) => item._read(value[index], reading.below(index)));
  }
  jsonType() {
    const { items } = this._def;
    return { type: "array", prefixItems: items.map((item) => item.jsonSchema()), minItems: items.length };
  }
}

class ZodRecord extends ZodType {
  read(value, reading) {
    if (kindOf(value) !== "object") return reading.expected("object", value);
    const told = {};
    for (const [key, one] of Object.entries(value)) {
      const name = this._def.keyType._read(key, reading.below(key));
      told[name] = this._def.valueType._read(one, reading.below(key));
    }
    return told;
  }
  jsonType() {
    return { type: "object", additionalProperties: this._def.valueType.jsonSchema() };
  }
}

class ZodLazy extends Wrapper {
  inside() {
    return this._def.getter();
  }
  read(value, reading) {
    return this.inside()._read(value, reading);
  }
  words() {
    return "lazy";
  }
  saidAbove() {
    return this.description;
  }
  jsonType() {
    return {};
  }
}

class ZodObject extends ZodType {
  read(value, reading) {
    if (kindOf(value) !== "object") return reading.expected("object", value, this._def.said);
    const { shape, unknownKeys, catchall } = this._def;
    const told = {};
    for (const [key, field] of Object.entries(shape)) {
      const read = field._read(value[key], reading.below(key));
      if (read !== undefined || key in value) told[key] = read;
    }
    const strangers = Object.keys(value).filter((key) => !Object.hasOwn(shape, key));
    if (unknownKeys === "strict" && strangers.length) {
      return reading.wrong("unrecognized_keys", `Unrecognized key(s) in object: ${strangers.map((key) => `'${key}'`).join(", ")}`);
    }
    for (const key of catchall || unknownKeys === "passthrough" ? strangers : []) {
      told[key] = catchall ? catchall._read(value[key], reading.below(key)) : value[key];
    }
    return told;
  }
  get shape() {
    return this._def.shape;
  }
  keyof() {
    return new ZodEnum({ typeName: "ZodEnum", values: Object.keys(this.shape) });
  }
  extend(more) {
    return this.with({ shape: { ...this.shape, ...more } });
  }
  augment(more) {
    return this.extend(more);
  }
  setKey(key, field) {
    return this.extend({ [key]: field });
  }
  merge(other) {
    return this.with({ shape: { ...this.shape, ...other.shape }, unknownKeys: other._def.unknownKeys });
  }
  chosen(keep) {
    return this.with({ shape: Object.fromEntries(Object.entries(this.shape).filter(([key]) => keep(key))) });
  }
  pick(keys) {
    return this.chosen((key) => keys[key]);
  }
  omit(keys) {
    return this.chosen((key) => !keys[key]);
  }
  changed(keys, change) {
    const fields = Object.entries(this.shape).map(([key, field]) => [key, keys && !keys[key] ? field : change(field)]);
    return this.with({ shape: Object.fromEntries(fields) });
  }
  partial(keys) {
    return this.changed(keys, (field) => field.optional());
  }
  deepPartial() {
    return this.partial();
  }
  required(keys) {
    return this.changed(keys, (field) => (field instanceof ZodOptional ? field.unwrap() : field));
  }
  strict() {
    return this.with({ unknownKeys: "strict" });
  }
  strip() {
    return this.with({ unknownKeys: "strip", catchall: undefined });
  }
  passthrough() {
    return this.with({ unknownKeys: "passthrough" });
  }
  nonstrict() {
    return this.passthrough();
  }
  catchall(schema) {
    return this.with({ catchall: schema });
  }
  jsonType() {
    const fields = Object.entries(this.shape);
    const properties = Object.fromEntries(fields.map(([key, field]) => [key, field.jsonSchema()]));
    const required = fields.filter(([, field]) => !field.isOptional()).map(([key]) => key);
    return { type: "object", properties, ...(required.length ? { required } : {}) };
  }
}

const make = (Kind, typeName) => (given) => new Kind({ typeName, said: messages(given), coerce: given?.coerce });
const tested = (typeName, expected, test, json) => (given) =>
  new Tested({ typeName, expected, test, json, said: messages(given) });
const anything = () => true;

const z = {
  string: make(ZodString, "ZodString"),
  number: make(ZodNumber, "ZodNumber"),
  boolean: make(ZodBoolean, "ZodBoolean"),
  any: tested("ZodAny", "any", anything),
  unknown: tested("ZodUnknown", "unknown", anything),
  null: tested("ZodNull", "null", (value) => value === null, { type: "null" }),
  undefined: tested("ZodUndefined", "undefined", (value) => value === undefined),
  void: tested("ZodVoid", "void", (value) => value === undefined),
  never: tested("ZodNever", "never", () => false, { not: {} }),
  date: tested("ZodDate", "date", (value) => value instanceof Date && !Number.isNaN(value.getTime())),
  bigint: tested("ZodBigInt", "bigint", (value) => typeof value === "bigint"),
  function: tested("ZodFunction", "function", (value) => typeof value === "function"),
  instanceof: (Kind, said) => z.custom((value) => value instanceof Kind, said || `Input not instance of ${Kind.name}`),
  custom: (test, said) => (test ? z.any().refine(test, said) : z.any()),
  literal: (value, said) => new ZodLiteral({ typeName: "ZodLiteral", value, said: messages(said) }),
  enum: (values, said) => new ZodEnum({ typeName: "ZodEnum", values: [...values], said: messages(said) }),
  nativeEnum: (values) => new ZodNativeEnum({ typeName: "ZodNativeEnum", values }),
  array: (type, said) => new ZodArray({ typeName: "ZodArray", type, said: messages(said) }),
  tuple: (items) => new ZodTuple({ typeName: "ZodTuple", items }),
  object: (shape, said) =>
    new ZodObject({ typeName: "ZodObject", shape, unknownKeys: "strip", said: messages(said) }),
  strictObject: (shape) => z.object(shape).strict(),
  union: (options, said) => new ZodUnion({ typeName: "ZodUnion", options, said: messages(said) }),
  discriminatedUnion: (discriminator, options) =>
    new ZodDiscriminatedUnion({ typeName: "ZodDiscriminatedUnion", discriminator, options: [...options] }),
  intersection: (left, right) => new ZodIntersection({ typeName: "ZodIntersection", left, right }),
  record: (first, second) =>
    new ZodRecord({ typeName: "ZodRecord", keyType: second ? first : z.string(), valueType: second || first }),
  optional: (schema) => schema.optional(),
  nullable: (schema) => schema.nullable(),
  lazy: (getter) => new ZodLazy({ typeName: "ZodLazy", getter }),
  preprocess: (change, schema) =>
    new ZodEffects({ typeName: "ZodEffects", schema, effect: { type: "preprocess", run: (value) => change(value) } }),
  coerce: {
    string: (given) => z.string({ ...given, coerce: true }),
    number: (given) => z.number({ ...given, coerce: true }),
    boolean: (given) => z.boolean({ ...given, coerce: true }),
  },
  // Ours: a list of names that the engine has, or null where it is not known.
  namesOf: (values) => new ZodEnum({ typeName: "ZodEnum", values: values ? [...values] : null }),
  NEVER: INVALID,
};

module.exports = Object.assign(z, { ZodString, ZodNumber, ZodBoolean, ZodEnum, ZodLiteral, ZodObject, ZodRecord });
Object.assign(z, { ZodArray, ZodUnion, ZodOptional });
