// Reads {strip: {typescript: javascript}, commonjs: {module: script}} and prints what differs.
const path = require("node:path");
const folder = process.argv[2];
const { stripTypes } = require(path.join(folder, "strip.js"));
const { toCommonJs } = require(path.join(folder, "commonjs.js"));

const cases = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
const made = { strip: stripTypes, commonjs: toCommonJs };
const squeezed = (text) => text.replace(/\s+/g, "");
const wrong = [];
for (const [kind, pairs] of Object.entries(cases)) {
  for (const [given, wanted] of pairs) {
    let told;
    try {
      told = made[kind](given);
    } catch (error) {
      told = `${error.name}: ${error.message}`;
    }
    const lines = (text) => text.split("\n").length;
    if (squeezed(told) !== squeezed(wanted)) wrong.push({ given, wanted, told });
    else if (!told.startsWith("SyntaxError") && lines(given) > lines(told)) wrong.push({ given, told, lines: true });
  }
}
console.log(JSON.stringify(wrong));
