// Bundles the extension into dist/ (--production: minified), and with --tests the tests into out/.
import { context } from "esbuild";
import { copyFileSync, readdirSync, rmSync } from "node:fs";

const asked = new Set(process.argv.slice(2));
const common = {
  bundle: true,
  platform: "node",
  format: "cjs",
  target: "node20", // what VS Code 1.93 runs on
  sourcemap: !asked.has("--production"),
  logLevel: "warning",
};
const builds = [
  {
    ...common,
    entryPoints: ["src/extension.ts"],
    outfile: "dist/extension.js",
    external: ["vscode"],
    minify: asked.has("--production"),
  },
];
if (asked.has("--tests")) {
  for (const kind of ["unit", "host", "editors"]) rmSync(`out/${kind}`, { recursive: true, force: true });
  builds.push({ ...common, entryPoints: testFiles("test/unit"), outdir: "out/unit" });
  builds.push({
    ...common,
    entryPoints: ["test/host/index.ts", ...testFiles("test/host")],
    outdir: "out/host",
    external: ["vscode", "mocha"],
  });
  builds.push({
    ...common,
    entryPoints: ["test/editors/run.ts"],
    outdir: "out/editors",
    external: ["playwright-core"],
  });
}
for (const each of builds) {
  const build = await context(each);
  if (asked.has("--watch")) await build.watch();
  else {
    await build.rebuild();
    await build.dispose();
  }
}
if (asked.has("--tests")) copyFileSync("test/host/package.json", "out/host/package.json");

function testFiles(folder) {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".test.ts"))
    .map((name) => `${folder}/${name}`);
}
