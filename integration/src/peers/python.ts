import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { keep } from "../engines/local/cache.js";
import { type Peer, sourcesOf } from "./peer.js";
import { runTool, versionOf } from "./run.js";

const REQUIREMENTS = join(sourcesOf("python"), "requirements.txt");
const OLDEST = [3, 11] as const;

/** The programs in Python: modules that run in a virtual environment with the versions that requirements.txt pins. */
export const python: Peer = {
  language: "python",
  missingTools: async () => {
    const version = await versionOf("python3", "--version");
    const install = `install Python ${OLDEST.join(".")} or newer with venv`;
    if (version === undefined) return `python3 is not installed: ${install}`;
    const [major = 0, minor = 0] = version
      .replace(/^Python /, "")
      .split(".")
      .map(Number);
    const old = major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]);
    if (old) return `${version} is too old: ${install}`;
    const modules = await versionOf("python3", "-c", "import venv, ensurepip; print('ok')");
    return modules === undefined ? `${version} has no venv: ${install}` : undefined;
  },
  build: async (scope) => {
    const version = (await versionOf("python3", "--version")) ?? "";
    // The programs run from their sources, so only the packages are kept.
    const pinned = createHash("sha256").update(version).update(readFileSync(REQUIREMENTS));
    const name = `python-${pinned.digest("hex").slice(0, 12)}`;
    return keep(scope, name, async (folder) => {
      const cwd = sourcesOf("python");
      const venv = { file: "python3", arguments: ["-m", "venv", folder] };
      await runTool(scope, "python: making a virtual environment", venv, { cwd });
      const install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
      await runTool(
        scope,
        "python: installing what requirements.txt pins",
        {
          file: join(folder, "bin/python"),
          arguments: [...install, "--require-hashes", "-r", REQUIREMENTS],
        },
        { cwd },
      );
    });
  },
  command: (folder, program) => ({
    file: join(folder, "bin/python"),
    arguments: ["-m", program],
    env: { PYTHONPATH: join(sourcesOf("python"), "src"), PYTHONUNBUFFERED: "1" },
  }),
};
