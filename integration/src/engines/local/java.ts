import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";

export interface Java {
  readonly file: string;
  /** As it calls itself: "17.0.15". */
  readonly version: string;
  /** Different for every build of a Java: what one build stored, another cannot use. */
  readonly build: string;
}

const OLDEST = 17;

/** The Java in JAVA_HOME, else on PATH; or what is wrong with it. Kafka 4 needs 17. */
export async function findJava(): Promise<Java | string> {
  const file = javaFile();
  const result = await execa(file, ["-version"], { all: true, reject: false, timeout: 20_000 });
  const install = `install a JRE ${OLDEST} or newer (Debian: openjdk-${OLDEST}-jre-headless)`;
  if (result.code === "ENOENT") return `java is not installed: ${install}`;
  const version = /version "([^"]+)"/.exec(result.all)?.[1];
  if (result.failed || version === undefined) return `${file} does not run: ${install}`;
  if (Number.parseInt(version, 10) < OLDEST) return `java is ${version}, too old: ${install}`;
  return {
    file,
    version,
    build: createHash("sha256").update(result.all).digest("hex").slice(0, 12),
  };
}

/** The java in JAVA_HOME, else the one on PATH, whether it works or not. */
export function javaFile(): string {
  const home = process.env.JAVA_HOME;
  const inHome = home ? join(home, "bin", "java") : "";
  return inHome && existsSync(inHome) ? inHome : "java";
}
