"use strict";
// Takes the types out of TypeScript as workflow files are written: declarations of types, annotations, casts, type
// arguments, modifiers. What has an effect at run time (enum, namespace, parameter properties, decorators) is refused
// with a sentence; Node 22.13 and newer does those itself.
const { tokenize, endsValue, closing, opens, rewritten } = require("./tokens");
const { afterType, afterArguments, afterParameters, tried, isStart } = require("./types");

const CONTROL = new Set(["if", "for", "while", "switch", "with", "return", "typeof", "await", "new", "super", "in", "of"]);
const MODIFIERS = new Set(["public", "private", "protected", "readonly", "override", "declare", "abstract"]);
const BEFORE_METHOD = new Set(["{", "}", ";", ",", "async", "get", "set", "static", "*", ...MODIFIERS]);
const NEEDS_NODE = "needs Node 22.13 or newer; write it without, or install a newer Node";

function stripTypes(source) {
  return new Stripper(source).stripped();
}

class Stripper {
  constructor(source) {
    this.source = source;
    this.tokens = tokenize(source);
    this.edits = [];
    this.gone = new Set();
    this.brackets = [{ kind: "other", waiting: 0 }];
  }

  stripped() {
    for (let index = 0; index < this.tokens.length; index += 1) index = this.visit(index);
    return rewritten(this.source, this.edits);
  }

  // Looks at one token; gives the index of the last one that is done with.
  visit(index) {
    if (this.gone.has(index)) return index;
    const token = this.tokens[index];
    this.follow(token, index);
    if (token.type === "word" && !this.isProperty(index)) return this.visitWord(index);
    if (token.text === "(") this.visitParenthesis(index);
    if (token.text === "<") return this.visitAngle(index);
    if (token.text === "!") this.visitBang(index);
    return index;
  }

  // Keeps account of open brackets and of `?` that wait for their `:`.
  follow(token, index) {
    const top = this.brackets.at(-1);
    if (opens(token)) this.brackets.push({ kind: this.bracketKind(index), waiting: 0 });
    else if (token.type === "close" || [")", "]", "}"].includes(token.text)) this.brackets.pop();
    else if (token.text === "?" && top) top.waiting += 1;
    else if (token.text === ":" && top?.waiting) top.waiting -= 1;
  }

  bracketKind(index) {
    return this.tokens[index].text === "{" && this.classBody === index ? "class" : "other";
  }

  text(index) {
    return this.tokens[index]?.text;
  }

  // Removes the tokens from `from` up to, not including, `to`.
  remove(from, to, text = "") {
    if (to > from) this.edits.push({ start: this.tokens[from].start, end: this.tokens[to - 1].end, text });
    for (let index = from; index < to; index += 1) this.gone.add(index);
    return to - 1;
  }

  isProperty(index) {
    const before = this.text(index - 1);
    return before === "." || before === "?.";
  }

  visitWord(index) {
    const { text } = this.tokens[index];
    const next = this.tokens[index + 1];
    const begins = !endsValue(this.tokens[index - 1]) || this.tokens[index].line || [")", "}"].includes(this.text(index - 1));
    if (begins && next) {
      const end = this.declaration(index, text, next);
      if (end !== null) return end;
    }
    if (["let", "const", "var"].includes(text)) this.variable(index + 1);
    if (text === "function") this.signature(index + 1);
    if (text === "class") this.classHead(index);
    if (text === "catch" && next?.text === "(") this.parameters(index + 1);
    if (text === "as" || text === "satisfies") return this.cast(index);
    if (this.brackets.at(-1)?.kind === "class") return this.member(index);
    if (this.isMethod(index)) this.signature(index);
    return index;
  }

  // Statements that exist for types alone.
  declaration(index, text, next) {
    const start = this.text(index - 1) === "export" ? index - 1 : index;
    if (next.type === "word" && !next.line) {
      if (text === "interface") return this.remove(start, closing(this.tokens, this.find(index, "{")) + 1);
      if (text === "type" && ["=", "<"].includes(this.text(index + 2))) return this.typeAlias(start, index);
      if (text === "declare") return this.remove(start, this.endOfDeclare(index));
      if (text === "enum" || text === "namespace" || (text === "const" && next.text === "enum")) {
        throw new SyntaxError(`${text} ${next.text} ${NEEDS_NODE}`);
      }
      if (text === "abstract" && next.text === "class") this.remove(index, index + 1);
    }
    if (text === "import" && next.text === "type" && this.text(index + 2) !== "," && this.text(index + 2) !== "from") {
      return this.remove(start, this.endOfStatement(index));
    }
    if (text === "export" && next.text === "type" && ["{", "*"].includes(this.text(index + 2))) {
      return this.remove(index, this.endOfStatement(index));
    }
    if (text === "import" || (text === "export" && ["{", "*"].includes(next.text))) return this.list(index);
    return null;
  }

  // `import {...} from "x"`: nothing in it is code.
  list(index) {
    if (["(", "."].includes(this.text(index + 1))) return null;
    let at = index + 1;
    while (this.tokens[at] && this.tokens[at].type !== "string" && this.text(at) !== ";" && this.text(at) !== "}") at += 1;
    if (this.text(at) === "}" && this.text(at + 1) === "from") at += 2;
    return Math.min(at, this.tokens.length - 1);
  }

  typeAlias(start, index) {
    let at = index + 2;
    if (this.text(at) === "<") at = afterParameters(this.tokens, at);
    at = afterType(this.tokens, at + 1);
    return this.remove(start, this.text(at) === ";" ? at + 1 : at);
  }

  endOfDeclare(index) {
    const block = ["global", "module", "namespace", "class", "enum"].includes(this.text(index + 1));
    if (block) return closing(this.tokens, this.find(index, "{")) + 1;
    return this.endOfStatement(index);
  }

  endOfStatement(index) {
    let at = index + 1;
    while (this.tokens[at] && this.text(at) !== ";" && !this.tokens[at].line) {
      at = (opens(this.tokens[at]) ? closing(this.tokens, at) : at) + 1;
    }
    return this.text(at) === ";" ? at + 1 : at;
  }

  find(index, text) {
    let at = index;
    while (this.tokens[at] && this.text(at) !== text) at += 1;
    return at;
  }

  // `let x: T = 1, y!: U`: the annotation of each name.
  variable(index) {
    let at = opens(this.tokens[index]) ? closing(this.tokens, index) + 1 : index + 1;
    at = this.annotation(at);
    if (this.text(at) !== "=") return this.text(at) === "," ? this.variable(at + 1) : undefined;
    at += 1;
    while (this.tokens[at] && ![",", ";", ")", "}", "]"].includes(this.text(at)) && !this.beginsStatement(at)) {
      at = (opens(this.tokens[at]) ? closing(this.tokens, at) : at) + 1;
    }
    if (this.text(at) === "," && this.tokens[at + 1]) this.variable(at + 1);
    return undefined;
  }

  beginsStatement(index) {
    const token = this.tokens[index];
    return token.line && token.type === "word" && endsValue(this.tokens[index - 1]);
  }

  // Removes `?`, `!` and `: T` at an index; gives the index after them.
  annotation(index) {
    let at = index;
    if (["?", "!"].includes(this.text(at)) && [":", ",", ")", "=", ";"].includes(this.text(at + 1))) {
      this.remove(at, at + 1);
      at += 1;
    }
    if (this.text(at) !== ":") return at;
    const end = afterType(this.tokens, at + 1);
    this.remove(at, end);
    return end;
  }

  // `name<T>(parameters): R`, from the name or from what stands after `function`.
  signature(index) {
    let at = index;
    while (this.tokens[at]?.type === "word" || this.text(at) === "*") at += 1;
    if (this.text(at) === "<") {
      const end = afterParameters(this.tokens, at);
      this.remove(at, end);
      at = end;
    }
    if (this.text(at) !== "(") return;
    this.parameters(at);
    const close = closing(this.tokens, at);
    const end = this.annotation(close + 1);
    const isOverload = this.tokens[index - 1]?.text === "function" && this.text(end) !== "{";
    if (isOverload) this.remove(index - 1, this.text(end) === ";" ? end + 1 : end);
  }

  // The annotations of a list of parameters; default values are visited as code later.
  parameters(open) {
    const close = closing(this.tokens, open);
    let at = open + 1;
    while (at < close) {
      if (MODIFIERS.has(this.text(at)) && this.tokens[at + 1]?.type === "word") {
        throw new SyntaxError(`a constructor's parameter with ${this.text(at)} ${NEEDS_NODE}`);
      }
      if (this.text(at) === "...") at += 1;
      const first = at;
      at = opens(this.tokens[at]) ? closing(this.tokens, at) + 1 : at + 1;
      at = this.annotation(at);
      if (this.text(first) === "this") this.remove(first, this.text(at) === "," ? at + 1 : at);
      while (at < close && this.text(at) !== ",") at = (opens(this.tokens[at]) ? closing(this.tokens, at) : at) + 1;
      at += 1;
    }
  }

  // `(a: T): R => ...`
  visitParenthesis(index) {
    if (this.tokens[index - 1] && this.isCallee(index - 1)) return;
    const close = closing(this.tokens, index);
    let arrow = close + 1;
    if (this.text(arrow) === ":" && !this.brackets.at(-2)?.waiting) arrow = tried(afterType, this.tokens, arrow + 1);
    if (arrow === null || this.text(arrow) !== "=>") return;
    // No line may break before an arrow, so that it takes the place of the type.
    if (arrow > close + 1) this.remove(close + 1, arrow + 1, "=>");
    this.parameters(index);
  }

  isCallee(index) {
    return endsValue(this.tokens[index]) && !CONTROL.has(this.text(index)) && this.text(index) !== "async";
  }

  // `f<T>(...)`, `new Map<K, V>()`, `<T>(x: T) => ...`, `<any>x`
  visitAngle(index) {
    const before = this.tokens[index - 1];
    if (!before || !endsValue(before)) {
      const generic = tried(afterParameters, this.tokens, index);
      if (generic !== null && this.text(generic) === "(") return this.remove(index, generic);
      const cast = tried(afterArguments, this.tokens, index);
      return cast !== null && this.tokens[cast] ? this.remove(index, cast) : index;
    }
    const end = tried(afterArguments, this.tokens, index);
    const follows = end === null ? undefined : this.tokens[end];
    const isCall = follows && (["(", ";", ")", ",", "]"].includes(follows.text) || follows.text.startsWith("`"));
    return before.type === "word" && isCall ? this.remove(index, end) : index;
  }

  // `value!.name`
  visitBang(index) {
    const { line } = this.tokens[index];
    const next = this.text(index + 1);
    const isAssertion = !line && endsValue(this.tokens[index - 1]) && !CONTROL.has(this.text(index - 1));
    if (isAssertion && next !== "=") this.remove(index, index + 1);
  }

  // `value as T`, `value as const`, `value satisfies T`
  cast(index) {
    const applies = endsValue(this.tokens[index - 1]) && !this.tokens[index].line && isStart(this.tokens[index + 1]);
    if (!applies) return index;
    const end = this.text(index + 1) === "const" ? index + 2 : tried(afterType, this.tokens, index + 1);
    return end === null ? index : this.remove(index, end);
  }

  // `name(parameters): R {` in an object.
  isMethod(index) {
    const token = this.tokens[index];
    if (CONTROL.has(token.text) || ["catch", "function"].includes(token.text)) return false;
    if (!["(", "<"].includes(this.text(index + 1)) || !BEFORE_METHOD.has(this.text(index - 1))) return false;
    const open = this.text(index + 1) === "<" ? tried(afterParameters, this.tokens, index + 1) : index + 1;
    if (open === null || this.text(open) !== "(") return false;
    const end = closing(this.tokens, open) + 1;
    if (this.text(end) === "{") return true;
    const body = this.text(end) === ":" ? tried(afterType, this.tokens, end + 1) : null;
    return body !== null && this.text(body) === "{";
  }

  classHead(index) {
    let at = index + 1;
    while (this.tokens[at] && this.text(at) !== "{") {
      if (this.text(at) === "<") {
        const end = tried(afterParameters, this.tokens, at) ?? afterArguments(this.tokens, at);
        this.remove(at, end);
        at = end;
      } else if (this.text(at) === "implements") {
        const from = at;
        at = this.find(at, "{");
        this.remove(from, at);
      } else at += 1;
    }
    this.classBody = at;
  }

  // One word of a class body: a modifier, a method, a field.
  member(index) {
    const { text } = this.tokens[index];
    const next = this.text(index + 1);
    if (MODIFIERS.has(text) && !["=", "(", ";", ":", "?", "!"].includes(next)) return this.remove(index, index + 1);
    if (next === "(" || next === "<") {
      this.signature(index);
      return index;
    }
    if (["?", "!", ":"].includes(next)) {
      const end = this.annotation(index + 1);
      return end - 1;
    }
    return index;
  }
}

module.exports = { stripTypes };
