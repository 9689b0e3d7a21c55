// Runs azurite's blob service on a free port and ends when stdin does (so it never outlives a test).
process.stdin.on("end", () => process.exit(0)).resume();
require("azurite/dist/src/blob/main.js");
