/**
 * Runs the VS Code server of a code-server package, without code-server's own front, whose options differ from release
 * to release: `node serve.mjs PACKAGE PORT OPTIONS`, or with "install" for PORT to install extensions and leave.
 * OPTIONS are those of VS Code's server, as JSON. Knows how both editions are loaded.
 */
import { createServer } from "node:http";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [folder, port, options] = process.argv.slice(2);
process.env.CODE_SERVER_PARENT_PID = String(process.pid); // says that it is loaded as a module, and is not to start itself
const loaded = await import(pathToFileURL(path.join(folder, "lib", "vscode", "out", "server-main.js")).href);
const server = await (loaded.loadCodeWithNls ?? loaded.default.loadCodeWithNls)();
const given = { _: [], "accept-server-license-terms": true, "without-connection-token": true, ...JSON.parse(options) };

if (port === "install") {
  await server.spawnCli(given);
} else {
  const code = await server.createServer(null, { ...given, compatibility: "1.64" });
  createServer((request, response) => code.handleRequest(request, response))
    .on("upgrade", (request, socket) => code.handleUpgrade(request, socket))
    .listen(Number(port), "127.0.0.1");
}
