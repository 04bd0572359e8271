import { chmod, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { unzipSync } from "fflate";
import { pingRedis } from "../ping.js";
import type { Scope } from "../scope.js";
import { cached, isCached, keep } from "./cache.js";
import { Child } from "./child.js";
import { maven } from "./maven.js";
import { freePort, onFreePorts, PORT_IN_USE } from "./ports.js";

/** A Redis server that can be started, installed or still to be fetched. */
export interface RedisSource {
  /** Its name and version for people, such as "redis-server 7.0.15". */
  readonly description: string;
  /** The file that Maven has to fetch first, for people. Undefined when there is none. */
  readonly missing: string | undefined;
  /** Returns the executable, fetched first when it has to be. */
  file(scope: Scope): Promise<string>;
}

// The last version whose jar has executables for every platform below. The Linux one reports version 6.2.11.
const JAR = "com.github.codemonstur:embedded-redis:1.4.4";
const FOLDER = "redis-embedded-1.4.4";
const BUNDLED: Record<string, RegExp> = {
  "linux-x64": /^redis-server-.*-linux-amd64$/,
  "linux-arm64": /^redis-server-.*-linux-arm64$/,
  "darwin-x64": /^redis-server-.*-darwin-amd64$/,
  "darwin-arm64": /^redis-server-.*-darwin-arm64$/,
};

/**
 * Finds a server on PATH that BullMQ accepts (6.2 or newer), or else the one in a Maven jar. Returns the problem, with
 * the remedy, when there is neither.
 */
export async function findRedis(): Promise<RedisSource | string> {
  const tooOld: string[] = [];
  for (const name of ["redis-server", "valkey-server"]) {
    const version = await versionOf(name);
    if (version === undefined) continue;
    const description = `${name} ${version}`;
    if (isNewEnough(version)) {
      return { description, missing: undefined, file: async () => name };
    }
    tooOld.push(description);
  }
  const found =
    tooOld.length > 0 ? `${tooOld.join(" and ")} is too old` : "redis-server is not installed";
  const platform = `${process.platform}-${process.arch}`;
  const entry = BUNDLED[platform];
  if (entry !== undefined) {
    return {
      description: `the redis-server in ${JAR}`,
      missing: isCached(FOLDER) ? undefined : `a redis-server (${found})`,
      file: (scope) => fetchBundled(scope, entry),
    };
  }
  return `${found}: install redis-server or valkey-server 6.2 or newer (none is bundled for ${platform})`;
}

/** Starts a Redis without persistence on a free port of 127.0.0.1. Returns its address once it answers. */
export function startRedis(scope: Scope, file: string, scratch: string): Promise<string> {
  return onFreePorts(scope, "Redis", freePort, async (port) => {
    const child = new Child(scope, {
      name: "redis",
      file,
      fatalLine: PORT_IN_USE,
      arguments: [
        ...["--port", String(port), "--bind", "127.0.0.1", "--dir", scratch],
        ...["--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"],
      ],
    });
    const url = `redis://127.0.0.1:${port}`;
    // Its own ready line comes first: another Redis that took the port meanwhile would answer a PING as well.
    await child.until(child.prints(/Ready to accept connections/));
    await child.until(pingRedis(url));
    return url;
  });
}

async function fetchBundled(scope: Scope, entry: RegExp): Promise<string> {
  await keep(scope, FOLDER, async (part) => {
    await maven(scope, "Redis", [
      "dependency:copy",
      `-Dartifact=${JAR}`,
      `-DoutputDirectory=${part}`,
    ]);
    const name = (await readdir(part)).find((file) => file.endsWith(".jar"));
    if (name === undefined) throw new Error(`Maven copied no jar of ${JAR}`);
    const archive = join(part, name);
    const files = Object.entries(
      unzipSync(await readFile(archive), { filter: (file) => entry.test(file.name) }),
    );
    const executable = files[0]?.[1];
    if (executable === undefined) throw new Error(`${JAR} has no file like ${entry}`);
    const file = join(part, "redis-server");
    await writeFile(file, executable);
    await chmod(file, 0o755);
    await rm(archive);
    const result = await execa(file, ["--version"], { all: true, reject: false });
    if (result.failed) {
      const output = result.all || result.originalMessage;
      throw new Error(`the redis-server in ${JAR} does not run here, install one (${output})`);
    }
  });
  return join(cached(FOLDER), "redis-server");
}

async function versionOf(name: string): Promise<string | undefined> {
  const result = await execa(name, ["--version"], { reject: false, timeout: 10_000 });
  return result.failed ? undefined : /v=(\d+\.\d+\.\d+)/.exec(result.stdout)?.[1];
}

function isNewEnough(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > 6 || (major === 6 && minor >= 2);
}
