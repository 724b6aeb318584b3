/** The Setfill that is installed in the repository, as editors are to find it. */
import path from "node:path";

/** The folder of the program `setfill`. */
export const INSTALLED = path.resolve(process.env["SETFILL_VENV"] ?? "../.venv", "bin");
