import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";

/** A Java runtime that works. */
export interface Java {
  readonly file: string;
  /** Its version, such as "17.0.15". */
  readonly version: string;
  /** A digest of the build: a class archive that one build wrote, another cannot read. */
  readonly build: string;
}

const OLDEST = 17;

/** Finds a Java 17 or newer in JAVA_HOME, or else on PATH. Returns the problem, with the remedy, when there is none. */
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

/** The path of java in JAVA_HOME, or else its name, to be found on PATH. It is not tried. */
export function javaFile(): string {
  const home = process.env.JAVA_HOME;
  const inHome = home ? join(home, "bin", "java") : "";
  return inHome && existsSync(inHome) ? inHome : "java";
}
