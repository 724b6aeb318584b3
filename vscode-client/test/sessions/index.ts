/** The sessions that `make test-editors` runs, in their order. Each has an editor of its own. */
import type { Session } from "../editors/session";
import { hostTests } from "./host_tests";
import { noModel } from "./no_model";
import { privateEnvironment } from "./private_environment";
import { tour } from "./tour";

export const SESSIONS: Readonly<Record<string, Session>> = {
  "host-newest": hostTests("newest"),
  "host-floor": hostTests("floor"),
  tour,
  "no-model": noModel,
  "private-environment": privateEnvironment,
};
