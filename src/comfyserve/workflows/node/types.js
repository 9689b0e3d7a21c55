"use strict";
// Where a TypeScript type ends: each function takes the index of its first token and gives the index after its last.
const { closing } = require("./tokens");

const PREFIXES = new Set(["keyof", "unique", "readonly", "infer"]);

class NoType extends SyntaxError {}

function afterType(tokens, index) {
  let at = index;
  if (["|", "&"].includes(tokens[at]?.text)) at += 1;
  at = afterOperand(tokens, at);
  while (["|", "&"].includes(tokens[at]?.text)) at = afterOperand(tokens, at + 1);
  if (tokens[at]?.text !== "extends" || tokens[at].line) return at;
  at = expect(tokens, afterType(tokens, at + 1), "?");
  at = expect(tokens, afterType(tokens, at), ":");
  return afterType(tokens, at);
}

function afterOperand(tokens, index) {
  const token = tokens[index];
  const next = tokens[index + 1];
  if (token?.type === "word" && PREFIXES.has(token.text) && isStart(next)) return afterOperand(tokens, index + 1);
  let at = afterPrimary(tokens, index);
  while (tokens[at]?.text === "[" && !tokens[at].line) at = closing(tokens, at) + 1;
  return at;
}

function afterPrimary(tokens, index) {
  const token = tokens[index];
  if (!token) throw new NoType("a type is missing at the end");
  if (token.text === "<") return afterPrimary(tokens, afterParameters(tokens, index));
  if (token.text === "(") {
    const at = closing(tokens, index) + 1;
    return tokens[at]?.text === "=>" ? afterType(tokens, at + 1) : at;
  }
  if (token.text === "{" || token.text === "[") return closing(tokens, index) + 1;
  if (token.type === "open") return closing(tokens, index) + 1;
  if (token.text === "-") return index + 2;
  if (token.type === "string" || token.type === "number") return index + 1;
  if (token.type !== "word") throw new NoType(`${token.text} begins no type`);
  if ((token.text === "new" || token.text === "abstract") && ["(", "<", "new"].includes(tokens[index + 1]?.text)) {
    return afterPrimary(tokens, index + 1);
  }
  return afterName(tokens, index);
}

function afterName(tokens, index) {
  const { text } = tokens[index];
  let at = index + 1;
  if (text === "typeof" || (text === "asserts" && tokens[at]?.type === "word" && !tokens[at].line)) at += 1;
  if (tokens[at - 1].text === "import" && tokens[at]?.text === "(") at = closing(tokens, at) + 1;
  while (tokens[at]?.text === "." && tokens[at + 1]?.type === "word") at += 2;
  if (tokens[at]?.text === "<" && !tokens[at].line) at = afterArguments(tokens, at);
  if (tokens[at]?.text === "is" && !tokens[at].line) return afterType(tokens, at + 1);
  return at;
}

// After `<A, B>`, the arguments of a generic type or call.
function afterArguments(tokens, index) {
  let at = index + 1;
  while (tokens[at]?.text !== ">") {
    at = afterType(tokens, at);
    if (tokens[at]?.text === ",") at += 1;
    else if (tokens[at]?.text !== ">") throw new NoType("a list of types does not end");
  }
  return at + 1;
}

// After `<T extends A = B, const U>`, the parameters of a generic declaration.
function afterParameters(tokens, index) {
  let at = index + 1;
  while (tokens[at]?.text !== ">") {
    while (["const", "in", "out"].includes(tokens[at]?.text) && tokens[at + 1]?.type === "word") at += 1;
    if (tokens[at]?.type !== "word") throw new NoType("a type parameter has no name");
    at += 1;
    if (tokens[at]?.text === "extends") at = afterType(tokens, at + 1);
    if (tokens[at]?.text === "=") at = afterType(tokens, at + 1);
    if (tokens[at]?.text === ",") at += 1;
    else if (tokens[at]?.text !== ">") throw new NoType("a list of type parameters does not end");
  }
  return at + 1;
}

function isStart(token) {
  if (!token || token.line) return false;
  return ["word", "string", "number", "open"].includes(token.type) || ["(", "[", "{", "<"].includes(token.text);
}

function expect(tokens, index, text) {
  if (tokens[index]?.text !== text) throw new NoType(`${text} is missing in a type`);
  return index + 1;
}

// What `skip` gives, or null where no type stands.
function tried(skip, tokens, index) {
  try {
    return skip(tokens, index);
  } catch (error) {
    if (error instanceof NoType) return null;
    throw error;
  }
}

module.exports = { afterType, afterArguments, afterParameters, tried, isStart };
