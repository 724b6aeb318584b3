/** The Python that the private environment is made with: which there are, and whether one will do. */
import { displayed, onPath, type Run } from "./programs";
import { withoutPythonSettings } from "./virtual_environment";

const OLDEST = [3, 11] as const;
const NAMES = ["python3", "python", "python3.14", "python3.13", "python3.12", "python3.11"];
const QUESTION = `
import json, sys
from importlib.util import find_spec
has_venv = find_spec("venv") is not None and find_spec("ensurepip") is not None
print(json.dumps({"version": sys.version_info[:2], "hasVenv": has_venv, "is64Bit": sys.maxsize > 2**32}))
`;

export interface Wish {
  /** The setting `environment.python`, or "". */
  readonly configured: string;
  /** The Python that the user has selected, in a folder that is trusted. */
  readonly selected: string | undefined;
  readonly environment: NodeJS.ProcessEnv;
  /** A folder with nothing in it that Python could import. */
  readonly cwd: string;
  readonly run: Run;
}

/** Find a Python; where there is none, say why each of those that were found will not do. */
export async function findBasePython(wish: Wish): Promise<{ python: string } | { problem: string }> {
  const unsuitable: string[] = [];
  for (const python of candidates(wish)) {
    const problem = await lookAt(python, wish);
    if (problem === undefined) return { python };
    unsuitable.push(`${python} ${problem}`);
  }
  if (wish.configured) return { problem: `The setting setfill.environment.python: ${unsuitable.join("; ")}.` };
  const found = unsuitable.length > 0 ? `: ${unsuitable.join("; ")}` : "";
  return {
    problem:
      `Setfill needs Python ${OLDEST.join(".")} or newer with its venv module, and found none${found}. ` +
      "Install one (on Debian or Ubuntu: sudo apt install python3-venv), or name one in setfill.environment.python.",
  };
}

function candidates({ configured, selected, environment }: Wish): string[] {
  if (configured) return [configured];
  const found = NAMES.map((name) => onPath(name, environment));
  return [...new Set([selected, ...found])].filter((each) => each !== undefined);
}

/** Return what is wrong with a Python, or undefined. */
async function lookAt(python: string, { run, cwd, environment }: Wish): Promise<string | undefined> {
  const command = { program: python, args: ["-I", "-c", QUESTION] };
  const { status, output } = await run(command, { cwd, env: withoutPythonSettings(environment) });
  const answer = status === 0 ? parsed(output) : undefined;
  if (answer === undefined) return `cannot be run (${displayed({ program: python, args: ["-I"] })})`;
  const [major = 0, minor = 0] = answer.version;
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) return `is Python ${major}.${minor}`;
  if (!answer.is64Bit) return "is a 32-bit program";
  return answer.hasVenv ? undefined : "lacks the module venv";
}

function parsed(output: string): { version: number[]; hasVenv: boolean; is64Bit: boolean } | undefined {
  try {
    return JSON.parse(output) as { version: number[]; hasVenv: boolean; is64Bit: boolean };
  } catch {
    return undefined;
  }
}
