/** The sessions that `make test-editors` runs, in their order. Each has an editor of its own. */
import type { Session } from "../editors/session";
import { hostTests } from "./host_tests";
import { noModel } from "./no_model";
import { privateEnvironment } from "./private_environment";
import { tour } from "./tour";

/** What the oldest VS Code may do in another way; of the server alone it says nothing new. */
const OF_EDITOR = "ghost text|infilling|the installed extension|when the server dies|a setting of VS Code's|no file";

export const SESSIONS: Readonly<Record<string, Session>> = {
  "host-newest": hostTests("newest"),
  "host-floor": hostTests("floor", OF_EDITOR),
  tour,
  "no-model": noModel,
  "private-environment": privateEnvironment,
};
