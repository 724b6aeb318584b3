// Looks at what `vsce package` has made: small, with the wheel of Setfill, without weights, sources and modules.
import { execFileSync } from "node:child_process";
import { statSync } from "node:fs";

const FILE = "setfill.vsix";
const LARGEST_BYTES = 3_000_000;
const WANTED = [/^wheels\/setfill-[^/]+\.whl$/, /^wheels\/constraints\.txt$/, /^dist\/extension\.js$/, /^LICENSE$/];
const UNWANTED = /\.(safetensors|gguf|ts|map)$|weights|node_modules/;

const list = ["node_modules/@vscode/vsce/vsce", "ls", "--no-dependencies"];
const names = execFileSync(process.execPath, list, { encoding: "utf8" }).split("\n").filter(Boolean);
const problems = WANTED.filter((wanted) => !names.some((name) => wanted.test(name))).map((wanted) => `lacks ${wanted}`);
problems.push(...names.filter((name) => UNWANTED.test(name)).map((name) => `holds ${name}`));
const { size } = statSync(FILE);
if (size > LARGEST_BYTES) problems.push(`has ${size} bytes, and may have ${LARGEST_BYTES}`);
if (problems.length > 0) throw new Error(`${FILE} ${problems.join(", ")}`);
console.log(`${FILE}: ${(size / 1e6).toFixed(2)} MB`);
