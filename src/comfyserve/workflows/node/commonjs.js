"use strict";
// Turns the import and export statements of a module into calls of require and properties of exports.
const { tokenize, opens, closes, closing, rewritten } = require("./tokens");

function toCommonJs(source) {
  const tokens = tokenize(source);
  const edits = [];
  const after = [];
  let depth = 0;
  for (let index = 0; index < tokens.length; index += 1) {
    const token = tokens[index];
    if (opens(token)) depth += 1;
    if (closes(token)) depth -= 1;
    if (depth !== 0 || token.type !== "word" || tokens[index - 1]?.text === ".") continue;
    const next = tokens[index + 1];
    if (token.text === "import" && next && next.text !== "(" && next.text !== ".") {
      index = importStatement(source, tokens, index, edits);
    } else if (token.text === "export" && next) {
      index = exportStatement(source, tokens, index, edits, after);
    }
  }
  const exported = after.map(([name, local]) => `exports[${JSON.stringify(name)}] = ${local};`).join(" ");
  return rewritten(source, edits) + (exported ? `\n;${exported}` : "");
}

// Whether a name is used anywhere but in import statements; one that is not names a type, which does not exist now.
function isUsed(tokens, name, from, to) {
  return tokens.some((token, index) => (index < from || index > to) && token.type === "word" && token.text === name);
}

function importStatement(source, tokens, start, edits) {
  const last = endOfFrom(tokens, start);
  const specifier = tokens[last].text;
  const names = tokens.slice(start + 1, last).filter((token) => token.text !== "from" || token.type !== "word");
  const isType = names[0]?.text === "type" && names.length > 1 && names[1].text !== ",";
  const parts = isType ? [] : importParts(tokens, start, last).filter(([, local]) => isUsed(tokens, local, start, last));
  const needed = names.length === 0 || parts.length > 0;
  const text = names.length === 0 ? `require(${specifier});` : declarations(parts, specifier, start);
  const end = tokens[last + 1]?.text === ";" ? last + 1 : last;
  edits.push({ start: tokens[start].start, end: tokens[end].end, text: needed ? text : "" });
  return end;
}

// The index of the module's name: `import ... from "name"` or `import "name"`.
function endOfFrom(tokens, start) {
  for (let index = start + 1; index < tokens.length; index += 1) {
    if (tokens[index].type === "string") {
      const attributes = tokens[index + 1]?.text === "with" && tokens[index + 2]?.text === "{";
      if (attributes) throw new SyntaxError("import attributes are not supported; read the file with fs");
      return index;
    }
  }
  throw new SyntaxError("an import statement names no module");
}

// Pairs of the exported name (`*` for all of them) and the local one.
function importParts(tokens, start, last) {
  const parts = [];
  for (let index = start + 1; index < last; index += 1) {
    const token = tokens[index];
    if (token.text === "{") {
      const end = closing(tokens, index);
      parts.push(...listed(tokens.slice(index + 1, end)));
      index = end;
    } else if (token.text === "*") {
      parts.push(["*", tokens[index + 2].text]);
      index += 2;
    } else if (token.type === "word" && token.text !== "from") {
      parts.push(["default", token.text]);
    }
  }
  return parts;
}

// `a, b as c, type D` -> [a, a], [b, c].
function listed(tokens) {
  const parts = [];
  let current = [];
  for (const token of [...tokens, { text: "," }]) {
    if (token.text !== ",") {
      current.push(token.text);
      continue;
    }
    if (current.length && !(current[0] === "type" && current.length > 1 && current[1] !== "as")) {
      parts.push([current[0], current.at(-1)]);
    }
    current = [];
  }
  return parts;
}

function declarations(parts, specifier, number) {
  const all = `__imported${number}`;
  const named = parts.map(([name, local]) => {
    if (name === "*") return `const ${local} = ${all};`;
    if (name === "default") return `const ${local} = ${all} && "default" in Object(${all}) ? ${all}.default : ${all};`;
    return `const ${local} = ${all}[${JSON.stringify(name)}];`;
  });
  return `const ${all} = require(${specifier}); ${named.join(" ")}`;
}

function exportStatement(source, tokens, start, edits, after) {
  const next = tokens[start + 1];
  if (next.text === "default") return exportDefault(tokens, start, edits, after);
  if (next.text === "=") {
    edits.push({ start: tokens[start].start, end: next.end, text: "module.exports =" });
    return start + 1;
  }
  if (next.text === "{" || next.text === "*") return exportList(tokens, start, edits, after);
  edits.push({ start: tokens[start].start, end: tokens[start].end });
  after.push(...declared(tokens, start + 1).map((name) => [name, name]));
  return start;
}

function exportDefault(tokens, start, edits, after) {
  const [first, second, third] = tokens.slice(start + 2, start + 5);
  const declares = first.text === "class" || first.text === "function" || (first.text === "async" && second?.text === "function");
  const named = [second, third].find((token) => token?.type === "word" && token.text !== "function");
  if (declares && named && named.text !== "extends") {
    edits.push({ start: tokens[start].start, end: tokens[start + 1].end });
    after.push(["default", named.text]);
  } else {
    edits.push({ start: tokens[start].start, end: tokens[start + 1].end, text: "exports.default =" });
  }
  return start + 1;
}

function exportList(tokens, start, edits, after) {
  const isList = tokens[start + 1].text === "{";
  const end = isList ? closing(tokens, start + 1) : start + 1;
  const from = tokens[end + 1]?.text === "from" ? end + 1 : tokens[end + 1]?.text === "as" ? end + 3 : 0;
  const last = from ? from + 1 : end;
  const close = tokens[last + 1]?.text === ";" ? last + 1 : last;
  const parts = isList ? listed(tokens.slice(start + 2, end)) : [];
  let text = "";
  if (!from) after.push(...parts.map(([local, name]) => [name, local]));
  else if (isList) text = parts.map(([name, told]) => `exports.${told} = require(${tokens[last].text}).${name};`).join(" ");
  else if (from === end + 3) text = `exports.${tokens[end + 2].text} = require(${tokens[last].text});`;
  else text = `Object.assign(exports, require(${tokens[last].text}));`;
  edits.push({ start: tokens[start].start, end: tokens[close].end, text });
  return close;
}

// The names that a declaration after `export` makes.
function declared(tokens, index) {
  const word = tokens[index].text === "async" ? tokens[index + 1].text : tokens[index].text;
  if (word === "function" || word === "class") {
    return [tokens.slice(index + 1).find((token) => token.type === "word" && token.text !== "function").text];
  }
  if (tokens[index + 1]?.type !== "word") throw new SyntaxError("export each constant by its own name");
  return [tokens[index + 1].text];
}

module.exports = { toCommonJs };
