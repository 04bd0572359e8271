import { join } from "node:path";
import { keep } from "../engines/local/cache.js";
import { buildName, type Peer, sourcesOf } from "./peer.js";
import { runTool, versionOf } from "./run.js";

const OLDEST = [1, 26] as const;

/** Go's programs: static binaries, one for each folder in `cmd`. */
export const go: Peer = goModule("go");
/** The last OpenTelemetry for Go that takes no trace flags above 2. */
export const oldGo: Peer = goModule("go-old");

function goModule(module: string): Peer {
  return {
    language: "go",
    lacks: async () => {
      const version = await versionOf("go", "version");
      const install = `install Go ${OLDEST.join(".")} or newer`;
      if (version === undefined) return `go is not installed: ${install}`;
      const [, major = 0, minor = 0] = /go(\d+)\.(\d+)/.exec(version)?.map(Number) ?? [];
      const old = major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]);
      return old ? `${version} is too old: ${install}` : undefined;
    },
    build: async (run) => {
      const version = (await versionOf("go", "version")) ?? "";
      return keep(run, buildName(module, version, ["dist"]), (folder) =>
        runTool(
          run,
          `${module}: building`,
          {
            file: "go",
            arguments: ["build", "-trimpath", "-ldflags", "-s -w", "-o", `${folder}/`, "./..."],
          },
          { cwd: sourcesOf(module), env: { CGO_ENABLED: "0" } },
        ),
      );
    },
    command: (folder, program) => ({ file: join(folder, program), arguments: [] }),
  };
}
