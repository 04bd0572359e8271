import { cp } from "node:fs/promises";
import { keep } from "../engines/local/cache.js";
import { findJava, javaFile } from "../engines/local/java.js";
import { hasMaven } from "../engines/local/maven.js";
import { buildName, type Peer, sourcesOf } from "./peer.js";
import { runTool, versionOf } from "./run.js";

/** The programs in Java: a jar, its libraries and the OpenTelemetry agent. */
export const java: Peer = {
  language: "java",
  missingTools: async () => {
    // Maven uses the compiler beside java, which a JRE does not have.
    const compiler = javaFile().replace(/java$/, "javac");
    const [javaOrProblem, javac, maven] = await Promise.all([
      findJava(),
      versionOf(compiler, "-version"),
      hasMaven(),
    ]);
    const jdk = "install a JDK 17 or newer (Debian: openjdk-17-jdk-headless)";
    const missing: string[] = [];
    if (typeof javaOrProblem === "string") missing.push(`${javaOrProblem.split(":")[0]}: ${jdk}`);
    else if (javac === undefined) missing.push(`javac is not installed: ${jdk}`);
    if (!maven) missing.push("mvn is not installed: install Maven 3.9 or newer (Debian: maven)");
    return missing.length === 0 ? undefined : missing.join("; ");
  },
  build: async (scope) => {
    const javaOrProblem = await findJava();
    if (typeof javaOrProblem === "string") throw new Error(javaOrProblem);
    return keep(scope, buildName("java", javaOrProblem.build, ["target"]), async (folder) => {
      // Maven writes beside its sources. Each build has a copy, so that two do not disturb each other.
      await cp(sourcesOf("java"), folder, {
        recursive: true,
        filter: (file) => !file.endsWith("/target"),
      });
      const quiet = ["--quiet", "--batch-mode", "-Dstyle.color=never"];
      const goal = { file: "mvn", arguments: [...quiet, "package", "-DskipTests"] };
      await runTool(scope, "java: building", goal, { cwd: folder });
    });
  },
  // java.args names files relative to its folder.
  command: (folder, program) => ({
    file: javaFile(),
    arguments: ["@java.args", program],
    cwd: folder,
  }),
};
