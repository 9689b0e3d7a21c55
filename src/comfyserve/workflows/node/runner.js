"use strict";
// Lines of JSON between the program and a thread that runs the workflow files. The end of our input ends the process,
// whatever a file is doing in the thread; what a file prints goes to standard error.
const path = require("node:path");
const readline = require("node:readline");
const { Worker } = require("node:worker_threads");

const worker = new Worker(path.join(__dirname, "thread.js"), {
  resourceLimits: { maxOldGenerationSizeMb: Number(process.argv[2]) || 512 },
  stdout: true,
  stderr: true,
});
worker.stdout.pipe(process.stderr);
worker.stderr.pipe(process.stderr);
worker.on("message", (line) => process.stdout.write(line + "\n"));
worker.on("error", (error) => {
  process.stderr.write(`${error.code || error.name}: ${error.message}\n`, () => process.exit(70));
});
worker.on("exit", () => process.exit(71));

const lines = readline.createInterface({ input: process.stdin, crlfDelay: Infinity });
lines.on("line", (line) => worker.postMessage(line));
lines.on("close", () => process.exit(0));
