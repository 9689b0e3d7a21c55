"use strict";
// Splits JavaScript or TypeScript into tokens {type, text, start, end, line} (`line`: a line break stands before it).
// Types: word, number, string, regex, punctuator; a template with values in it is an open bracket "`...${", middles
// "}...${" and a close bracket "}...`", so that what stands between is ordinary code.

const PUNCTUATORS = [
  ">>>=", "...", "===", "!==", "**=", "<<=", ">>=", "&&=", "||=", "??=", "=>", "==", "!=", "<=", ">=", "&&", "||",
  "??", "?.", "++", "--", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<", "**",
]; // prettier-ignore
// ">>" is left as two tokens: it closes two lists of type arguments more often than it shifts.

const BEFORE_REGEX = new Set([
  "return", "typeof", "case", "in", "of", "delete", "void", "throw", "new", "do", "else", "instanceof", "yield",
  "await", "export", "default",
]); // prettier-ignore
const WORD = /[\p{ID_Start}$_#@][\p{ID_Continue}$\u200c\u200d]*/uy;
const NUMBER = /0[xXbBoO][\da-fA-F_]+n?|(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?n?/y;
const SPACE = /(?:\s|\/\/[^\n\r]*|\/\*[^]*?\*\/)+/y;
const QUOTED = /"(?:[^"\\\n]|\\[^])*"|'(?:[^'\\\n]|\\[^])*'/y;
const REGEX = /\/(?:[^/\\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y;
const TEMPLATE = /(?:[^`\\$]|\\[^]|\$(?!\{))*(`|\$\{)/y;

function tokenize(source) {
  const tokens = [];
  const braces = [];
  let at = source.startsWith("#!") ? source.indexOf("\n") : 0;
  let line = false;

  function match(pattern) {
    pattern.lastIndex = at;
    const found = pattern.exec(source);
    return found && found[0];
  }

  function add(type, text) {
    tokens.push({ type, text, start: at, end: at + text.length, line });
    at += text.length;
    line = false;
  }

  function template(opening) {
    TEMPLATE.lastIndex = at + 1;
    const found = TEMPLATE.exec(source);
    if (!found) throw new SyntaxError("a template text does not end");
    const text = source[at] + found[0];
    const ends = found[1] === "`";
    if (!ends && opening) braces.push("template");
    if (ends && !opening) braces.pop();
    add(opening ? (ends ? "string" : "open") : ends ? "close" : "middle", text);
  }

  while (at < source.length) {
    const space = match(SPACE);
    if (space) {
      line = line || /[\n\r]/.test(space);
      at += space.length;
      continue;
    }
    const character = source[at];
    let text;
    if (character === "`") template(true);
    else if (character === "}" && braces.at(-1) === "template") template(false);
    else if ((text = match(WORD))) add("word", text);
    else if ((text = match(NUMBER))) add("number", text);
    else if ((text = match(QUOTED))) add("string", text);
    else if (character === "/" && !endsValue(tokens.at(-1)) && (text = match(REGEX))) add("regex", text);
    else {
      if (character === "{") braces.push("block");
      if (character === "}") braces.pop();
      add("punctuator", PUNCTUATORS.find((one) => source.startsWith(one, at)) || character);
    }
  }
  return tokens;
}

// Whether a value may end with this token, so that an operator follows it.
function endsValue(token) {
  if (!token) return false;
  if (token.type === "word") return !BEFORE_REGEX.has(token.text);
  return ["number", "string", "regex", "close"].includes(token.type) || [")", "]", "}"].includes(token.text);
}

const OPEN = new Set(["(", "[", "{"]);
const CLOSE = new Set([")", "]", "}"]);
const opens = (token) => token.type === "open" || (token.type === "punctuator" && OPEN.has(token.text));
const closes = (token) => token.type === "close" || (token.type === "punctuator" && CLOSE.has(token.text));

// The index of the bracket that closes the one at `index`.
function closing(tokens, index) {
  let depth = 0;
  for (let next = index; next < tokens.length; next += 1) {
    if (opens(tokens[next])) depth += 1;
    if (closes(tokens[next]) && (depth -= 1) === 0) return next;
  }
  throw new SyntaxError(`a bracket ${tokens[index].text} does not close`);
}

// The source with some ranges as spaces (line breaks stay, so that lines keep their numbers) and others replaced.
function rewritten(source, edits) {
  const parts = [];
  let at = 0;
  for (const { start, end, text } of [...edits].sort((one, other) => one.start - other.start)) {
    if (start < at) continue;
    const removed = source.slice(start, end);
    parts.push(source.slice(at, start), text ? text + removed.replace(/[^\n]/g, "") : removed.replace(/[^\n]/g, " "));
    at = end;
  }
  return parts.join("") + source.slice(at);
}

module.exports = { tokenize, endsValue, opens, closes, closing, rewritten };
