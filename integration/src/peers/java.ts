import { cp } from "node:fs/promises";
import { keep } from "../engines/local/cache.js";
import { findJava, javaFile } from "../engines/local/java.js";
import { hasMaven } from "../engines/local/maven.js";
import { buildName, type Peer, sourcesOf } from "./peer.js";
import { runTool, versionOf } from "./run.js";

/** Java's programs: a jar, its libraries and the OpenTelemetry agent. */
export const java: Peer = {
  language: "java",
  missingTools: async () => {
    // Maven compiles with what lies beside java; a runtime alone has no compiler.
    const compiler = javaFile().replace(/java$/, "javac");
    const [found, javac, maven] = await Promise.all([
      findJava(),
      versionOf(compiler, "-version"),
      hasMaven(),
    ]);
    const jdk = "install a JDK 17 or newer (Debian: openjdk-17-jdk-headless)";
    const missing: string[] = [];
    if (typeof found === "string") missing.push(`${found.split(":")[0]}: ${jdk}`);
    else if (javac === undefined) missing.push(`javac is not installed: ${jdk}`);
    if (!maven) missing.push("mvn is not installed: install Maven 3.9 or newer (Debian: maven)");
    return missing.length === 0 ? undefined : missing.join("; ");
  },
  build: async (scope) => {
    const found = await findJava();
    if (typeof found === "string") throw new Error(found);
    return keep(scope, buildName("java", found.build, ["target"]), async (folder) => {
      // Maven writes beside its sources: in a copy two builds do not meet.
      await cp(sourcesOf("java"), folder, {
        recursive: true,
        filter: (file) => !file.endsWith("/target"),
      });
      const quiet = ["--quiet", "--batch-mode", "-Dstyle.color=never"];
      const goal = { file: "mvn", arguments: [...quiet, "package", "-DskipTests"] };
      await runTool(scope, "java: building", goal, { cwd: folder });
    });
  },
  // The files that java.args names lie beside it.
  command: (folder, program) => ({
    file: javaFile(),
    arguments: ["@java.args", program],
    cwd: folder,
  }),
};
