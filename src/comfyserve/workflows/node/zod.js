"use strict";
// The part of zod's interface (version 3) that workflow files use, written anew: schemas that read a value, say what is
// wrong with it, and describe themselves. `_def` has zod's field names, for files that look into it.
const { kindOf, quoted, sentences } = require("./sentences");

const INVALID = Symbol("invalid");

class ZodError extends Error {
  constructor(issues) {
    super(JSON.stringify(issues, null, 2));
    this.name = "ZodError";
    this.issues = issues;
  }
  get errors() {
    return this.issues;
  }
  flatten() {
    const told = { formErrors: [], fieldErrors: {} };
    for (const { path, message } of this.issues) {
      if (path.length) (told.fieldErrors[path[0]] ||= []).push(message);
      else told.formErrors.push(message);
    }
    return told;
  }
}

// What goes wrong while one value is read, with the path to it.
class Reading {
  constructor(issues = [], path = []) {
    this.issues = issues;
    this.path = path;
  }
  below(key) {
    return new Reading(this.issues, [...this.path, key]);
  }
  wrong(code, message, more) {
    const { path = [], ...facts } = more || {};
    this.issues.push({ code, message, path: [...this.path, ...path], ...facts });
    return INVALID;
  }
  expected(kind, value, said) {
    if (value === undefined) return this.wrong("invalid_type", said?.required || "Required");
    return this.wrong("invalid_type", said?.invalid || `Expected ${kind}, received ${kindOf(value)}`);
  }
}

function messages(given) {
  if (typeof given === "string") return { invalid: given, required: given, message: given };
  const { message, invalid_type_error: invalid = message, required_error: required = message } = given || {};
  return { message, invalid, required };
}

class ZodType {
  constructor(def) {
    this._def = def;
  }
  get description() {
    return this._def.description;
  }
  // The same schema with some of its definition changed.
  with(changes) {
    return new this.constructor({ ...this._def, ...changes });
  }
  describe(description) {
    return this.with({ description });
  }
  read() {
    throw new Error("a schema of no kind cannot read");
  }
  _read(value, reading) {
    return this.read(value, reading);
  }
  safeParse(value) {
    const reading = new Reading();
    const data = this._read(value, reading);
    if (reading.issues.length || data === INVALID) return { success: false, error: new ZodError(reading.issues) };
    return { success: true, data };
  }
  parse(value) {
    const read = this.safeParse(value);
    if (!read.success) throw read.error;
    return read.data;
  }
  async parseAsync(value) {
    return this.parse(value);
  }
  async safeParseAsync(value) {
    return this.safeParse(value);
  }
  optional() {
    return new ZodOptional({ typeName: "ZodOptional", innerType: this });
  }
  nullable() {
    return new ZodNullable({ typeName: "ZodNullable", innerType: this });
  }
  nullish() {
    return this.nullable().optional();
  }
  default(value) {
    const defaultValue = typeof value === "function" ? value : () => value;
    return new ZodDefault({ typeName: "ZodDefault", innerType: this, defaultValue });
  }
  catch(value) {
    return new ZodCatch({ typeName: "ZodCatch", innerType: this, catchValue: value });
  }
  array() {
    return new ZodArray({ typeName: "ZodArray", type: this });
  }
  or(other) {
    return new ZodUnion({ typeName: "ZodUnion", options: [this, other] });
  }
  and(other) {
    return new ZodIntersection({ typeName: "ZodIntersection", left: this, right: other });
  }
  refine(check, said) {
    const effect = (value, reading) => {
      if (check(value)) return value;
      const given = typeof said === "function" ? said(value) : said;
      const { message } = messages(given);
      reading.wrong("custom", message || "Invalid input", { path: given?.path });
      return value;
    };
    return this.effects(effect, "refinement");
  }
  superRefine(check) {
    const effect = (value, reading) => {
      const addIssue = ({ code = "custom", message = "Invalid input", ...more }) => reading.wrong(code, message, more);
      check(value, { addIssue, path: reading.path });
      return value;
    };
    return this.effects(effect, "refinement");
  }
  transform(change) {
    const effect = (value, reading) => {
      const addIssue = ({ code = "custom", message = "Invalid input", ...more }) => reading.wrong(code, message, more);
      return change(value, { addIssue, path: reading.path });
    };
    return this.effects(effect, "transform");
  }
  effects(effect, type) {
    return new ZodEffects({ typeName: "ZodEffects", schema: this, effect: { type, run: effect } });
  }
  pipe(out) {
    return new ZodPipeline({ typeName: "ZodPipeline", in: this, out });
  }
  brand() {
    return this;
  }
  readonly() {
    return this;
  }
  isOptional() {
    return this.safeParse(undefined).success;
  }
  isNullable() {
    return this.safeParse(null).success;
  }
  // The schema inside this one, if it wraps one.
  inside() {
    return this._def.innerType || this._def.schema || this._def.in;
  }
  // The nearest description, from the outside in.
  saidAbove() {
    return this.description || this.inside()?.saidAbove();
  }
  defaultOf() {
    return this.inside()?.defaultOf();
  }
  // The type in words, for the table of inputs.
  words() {
    return this._def.typeName.replace("Zod", "").toLowerCase();
  }
  jsonType() {
    return {};
  }
  jsonSchema() {
    return { ...this.jsonType(), ...(this.description ? { description: this.description } : {}) };
  }
}

// A schema around another one, which it describes itself by.
class Wrapper extends ZodType {
  words() {
    return this.inside().words();
  }
  jsonType() {
    return this.inside().jsonSchema();
  }
  unwrap() {
    return this.inside();
  }
}

class ZodOptional extends Wrapper {
  read(value, reading) {
    return value === undefined ? undefined : this._def.innerType._read(value, reading);
  }
}

class ZodNullable extends Wrapper {
  read(value, reading) {
    return value === null ? null : this._def.innerType._read(value, reading);
  }
  jsonType() {
    return { anyOf: [this.inside().jsonSchema(), { type: "null" }] };
  }
}

class ZodDefault extends Wrapper {
  read(value, reading) {
    return this._def.innerType._read(value === undefined ? this._def.defaultValue() : value, reading);
  }
  removeDefault() {
    return this._def.innerType;
  }
  defaultOf() {
    return this._def.defaultValue;
  }
  jsonType() {
    const first = this._def.defaultValue();
    const same = first !== undefined && JSON.stringify(first) === JSON.stringify(this._def.defaultValue());
    return { ...this.inside().jsonSchema(), ...(same ? { default: first } : {}) };
  }
}

class ZodCatch extends Wrapper {
  read(value, reading) {
    const read = this._def.innerType.safeParse(value);
    const { catchValue } = this._def;
    return read.success ? read.data : typeof catchValue === "function" ? catchValue({ input: value }) : catchValue;
  }
}

class ZodEffects extends Wrapper {
  read(value, reading) {
    const { schema, effect } = this._def;
    if (effect.type === "preprocess") return schema._read(effect.run(value, reading), reading);
    const before = reading.issues.length;
    const read = schema._read(value, reading);
    if (read === INVALID || (effect.type === "transform" && reading.issues.length > before)) return INVALID;
    return effect.run(read, reading);
  }
  innerType() {
    return this._def.schema;
  }
}

class ZodPipeline extends Wrapper {
  read(value, reading) {
    const read = this._def.in._read(value, reading);
    return read === INVALID ? INVALID : this._def.out._read(read, reading);
  }
}

// A schema with a list of checks, each of which may change the value.
class Checked extends ZodType {
  checked(check) {
    return this.with({ checks: [...(this._def.checks || []), check] });
  }
  _read(value, reading) {
    const read = this.read(value, reading);
    if (read === INVALID) return INVALID;
    return (this._def.checks || []).reduce((current, check) => {
      const wrong = check.test && !check.test(current);
      if (wrong) reading.wrong(check.code, check.message);
      return check.change ? check.change(current) : current;
    }, read);
  }
  // A bound: `fits` tells whether a value keeps it.
  bound(kind, limit, said, fits, fact) {
    const message = messages(said).message || sentences[kind](limit, this._def.typeName);
    const code = kind.startsWith("max") || kind === "below" ? "too_big" : "too_small";
    return this.checked({ kind, value: limit, code, message, test: fits, fact });
  }
  jsonType() {
    const facts = (this._def.checks || []).map((check) => check.fact).filter(Boolean);
    return Object.assign({ type: this.plainType() }, ...facts);
  }
}

class ZodArray extends Checked {
  read(value, reading) {
    if (!Array.isArray(value)) return reading.expected("array", value, this._def.said);
    return value.map((one, index) => this._def.type._read(one, reading.below(index)));
  }
  get element() {
    return this._def.type;
  }
  min(limit, said) {
    return this.bound("min", limit, said, (list) => list.length >= limit, { minItems: limit });
  }
  max(limit, said) {
    return this.bound("max", limit, said, (list) => list.length <= limit, { maxItems: limit });
  }
  length(limit, said) {
    const fact = { minItems: limit, maxItems: limit };
    return this.bound("exactly", limit, said, (list) => list.length === limit, fact);
  }
  nonempty(said) {
    return this.min(1, said);
  }
  plainType() {
    return "array";
  }
  jsonType() {
    return { ...super.jsonType(), items: this._def.type.jsonSchema() };
  }
  words() {
    return `${this._def.type.words()}[]`;
  }
}

class ZodUnion extends ZodType {
  read(value, reading) {
    const tried = this._def.options.map((option) => option.safeParse(value));
    const fits = tried.find((read) => read.success);
    if (fits) return fits.data;
    return reading.wrong("invalid_union", this._def.said?.message || "Invalid input", {
      unionErrors: tried.map((read) => read.error),
    });
  }
  get options() {
    return this._def.options;
  }
  words() {
    return this._def.options.map((option) => option.words()).join(", ");
  }
  jsonType() {
    return { anyOf: this._def.options.map((option) => option.jsonSchema()) };
  }
}

class ZodDiscriminatedUnion extends ZodUnion {
  read(value, reading) {
    if (kindOf(value) !== "object") return reading.expected("object", value);
    const { discriminator, options } = this._def;
    const fits = options.find((option) => option.shape[discriminator].safeParse(value[discriminator]).success);
    if (fits) return fits._read(value, reading);
    const known = options.map((option) => option.shape[discriminator]._def.value);
    const message = `Invalid discriminator value. Expected ${quoted(known)}`;
    return reading.wrong("invalid_union_discriminator", message, { path: [discriminator] });
  }
  words() {
    return "discriminatedunion";
  }
}

class ZodIntersection extends ZodType {
  read(value, reading) {
    const left = this._def.left._read(value, reading);
    const right = this._def.right._read(value, reading);
    if (left === INVALID || right === INVALID) return INVALID;
    return kindOf(left) === "object" ? { ...left, ...right } : right;
  }
  jsonType() {
    return { allOf: [this._def.left.jsonSchema(), this._def.right.jsonSchema()] };
  }
}

module.exports = { INVALID, Checked, Wrapper, ZodType, ZodError, ZodArray, ZodUnion, ZodOptional, messages };
Object.assign(module.exports, { ZodDiscriminatedUnion, ZodIntersection, ZodNullable, ZodDefault, ZodEffects });
const z = require("./kinds");
module.exports.z = Object.assign(z, { ZodError, ZodType, ZodSchema: ZodType, ZodFirstPartyTypeKind: {} });
