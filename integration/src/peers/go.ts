import { join } from "node:path";
import { keep } from "../engines/local/cache.js";
import { buildName, type Peer, sourcesOf } from "./peer.js";
import { runTool, versionOf } from "./run.js";

const OLDEST = [1, 26] as const;

/** The programs in Go: static binaries, one for each folder in `cmd`. */
export const go: Peer = goPeer("go", "-s -w", ["./..."]);

/** The program `headers` with the last version of OpenTelemetry for Go that rejects trace flags above 2. */
export const oldGo: Peer = goPeer("old go", "-s -w -X main.name=go-old", [
  "-modfile=old.mod",
  "./cmd/headers",
]);

function goPeer(what: string, ldflags: string, wanted: readonly string[]): Peer {
  return {
    language: "go",
    missingTools: async () => {
      const version = await versionOf("go", "version");
      const install = `install Go ${OLDEST.join(".")} or newer`;
      if (version === undefined) return `go is not installed: ${install}`;
      const [, major = 0, minor = 0] = /go(\d+)\.(\d+)/.exec(version)?.map(Number) ?? [];
      const old = major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]);
      return old ? `${version} is too old: ${install}` : undefined;
    },
    build: async (scope) => {
      const version = (await versionOf("go", "version")) ?? "";
      const name = buildName("go", [version, what].join(), ["dist"]);
      return keep(scope, name, (folder) => {
        const flags = ["-trimpath", "-ldflags", ldflags, "-o", `${folder}/`];
        return runTool(
          scope,
          `${what}: building`,
          { file: "go", arguments: ["build", ...flags, ...wanted] },
          { cwd: sourcesOf("go"), env: { CGO_ENABLED: "0" } },
        );
      });
    },
    command: (folder, program) => ({ file: join(folder, program), arguments: [] }),
  };
}
