import { cp } from "node:fs/promises";
import { join } from "node:path";
import { keep } from "../engines/local/cache.js";
import { findJava } from "../engines/local/java.js";
import { hasMaven } from "../engines/local/maven.js";
import { buildName, type Peer, sourcesOf } from "./peer.js";
import { runTool } from "./run.js";

/** Java's programs: a jar, its libraries and the OpenTelemetry agent. */
export const java: Peer = {
  language: "java",
  lacks: async () => {
    const found = await findJava();
    if (typeof found === "string") return found;
    return (await hasMaven()) ? undefined : "mvn is not installed: it builds the Java peer";
  },
  build: async (run) => {
    const found = await findJava();
    if (typeof found === "string") throw new Error(found);
    return keep(run, buildName("java", found.build, ["target"]), async (folder) => {
      const cwd = join(folder, "build");
      await cp(sourcesOf("java"), cwd, {
        recursive: true,
        filter: (file) => !file.endsWith("/target"),
      });
      const quiet = ["--quiet", "--batch-mode", "-Dstyle.color=never"];
      const goal = { file: "mvn", arguments: [...quiet, "package", "-DskipTests"] };
      await runTool(run, "java: building", goal, { cwd });
    });
  },
  command: (folder, program) => {
    throw new Error(`not known yet: ${folder} ${program}`);
  },
};
