import { cp } from "node:fs/promises";
import { keep } from "../engines/local/cache.js";
import { findJava, javaFile } from "../engines/local/java.js";
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
      // Maven writes beside its sources: in a copy two builds do not meet.
      await cp(sourcesOf("java"), folder, {
        recursive: true,
        filter: (file) => !file.endsWith("/target"),
      });
      const quiet = ["--quiet", "--batch-mode", "-Dstyle.color=never"];
      const goal = { file: "mvn", arguments: [...quiet, "package", "-DskipTests"] };
      await runTool(run, "java: building", goal, { cwd: folder });
    });
  },
  // The files that java.args names lie beside it.
  command: (folder, program) => ({
    file: javaFile(),
    arguments: ["@java.args", program],
    cwd: folder,
  }),
};
