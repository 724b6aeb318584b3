/** The layout of Python's virtual environments, on each system. */
import path from "node:path";

/** The Python of the environment in `folder`. */
export function pythonIn(folder: string, platform: NodeJS.Platform = process.platform): string {
  return platform === "win32" ? path.win32.join(folder, "Scripts", "python.exe") : path.join(folder, "bin", "python");
}

/** The program `name` that is installed beside a Python. In a Python without environment on Windows that is a folder. */
export function besidePython(python: string, name: string, platform: NodeJS.Platform = process.platform): string[] {
  if (platform !== "win32") return [path.posix.join(path.posix.dirname(python), name)];
  const folder = path.win32.dirname(python);
  return [path.win32.join(folder, `${name}.exe`), path.win32.join(folder, "Scripts", `${name}.exe`)];
}

/** `environment` without what would change which code a Python runs, or where its pip installs. */
export function withoutPythonSettings(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const harmful =
    /^(PYTHON(HOME|PATH|STARTUP|USERBASE|EXECUTABLE)|PIP_(TARGET|PREFIX|ROOT|USER|REQUIRE_VIRTUALENV)|VIRTUAL_ENV|__PYVENV_LAUNCHER__)$/;
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !harmful.test(name)));
}
