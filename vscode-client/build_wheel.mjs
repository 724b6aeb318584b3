// Puts the wheel of Setfill that the extension brings into wheels/, with the versions of all else that it was tested with.
// Wants a Python with pip: $PYTHON, that of the repository's .venv, or python3.
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";

const own = process.platform === "win32" ? "../.venv/Scripts/python.exe" : "../.venv/bin/python";
const python = process.env.PYTHON ?? (existsSync(own) ? own : "python3");

rmSync("../build", { recursive: true, force: true }); // modules that are gone since the last build are left in there
rmSync("wheels", { recursive: true, force: true });
mkdirSync("wheels");
const pip = ["-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps", "--wheel-dir", "wheels"];
execFileSync(python, [...pip, ".."], { stdio: "inherit" });
copyFileSync("../constraints.txt", "wheels/constraints.txt");

const wheels = readdirSync("wheels").filter((name) => /^setfill-.*-py3-none-any\.whl$/.test(name));
if (wheels.length !== 1)
  throw new Error(`expected one wheel of Setfill in wheels/, found ${wheels.join(", ") || "none"}`);
