/**
 * Stands in for the log writer of VS Code, @vscode/spdlog, which would have to be compiled: writes each message to its
 * file at once, and rotates nothing.
 */
const { appendFileSync, mkdirSync } = require("node:fs");
const path = require("node:path");

const LEVELS = ["trace", "debug", "info", "warn", "error", "critical"];
let commonLevel = 2;

class Logger {
  constructor(_type, _name, file) {
    this.file = file;
    this.level = commonLevel;
    this.isPlain = false; // plain: as it is, for output channels that are no logs
    mkdirSync(path.dirname(file), { recursive: true });
    LEVELS.forEach((name, level) => {
      this[name] = (message) => {
        if (level < this.level) return;
        appendFileSync(this.file, this.isPlain ? message : `${new Date().toISOString()} [${name}] ${message}\n`);
      };
    });
  }
  getLevel() {
    return this.level;
  }
  setLevel(level) {
    this.level = level;
  }
  clearFormatters() {
    this.isPlain = true;
  }
  setPattern() {}
  flush() {}
  drop() {}
}

const create = async (name, file) => new Logger("rotating", name, file);
// One by one: only so are they seen by `import`.
exports.version = 0;
exports.setLevel = (level) => {
  commonLevel = level;
};
exports.setFlushOn = () => {};
exports.Logger = Logger;
exports.createRotatingLogger = create;
exports.createAsyncRotatingLogger = create;
