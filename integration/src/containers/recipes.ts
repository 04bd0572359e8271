import { createHash } from "node:crypto";
import { cp, mkdir, readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { keep } from "../engines/local/cache.js";
import type { Scope } from "../engines/scope.js";
import { PEERS } from "../peers/index.js";
import { type Language, sourcesOf } from "../peers/peer.js";
import { runTool } from "../peers/run.js";
import { ROLES } from "../topology/roles.js";
import { copyNodeFiles, nodeInputs } from "./node-files.js";

/** The folder of the role's files in an image. */
export const APP = "/app";

/** The content of a build context. */
export interface ContextContent {
  /** The digest of its files. */
  readonly inputs: string;
  /** Copies the files into the folder. */
  fill(context: string): Promise<void>;
}

/** The recipe of the images of one language. The Dockerfile is in images/roles. */
export interface Recipe {
  readonly language: "node" | Language;
  /** Builds or fetches the content of the images into the cache, without Docker. */
  prepare(scope: Scope): Promise<ContextContent>;
}

const node: Recipe = {
  language: "node",
  prepare: async () => ({
    inputs: await nodeInputs(),
    fill: (context) => copyNodeFiles(join(context, "app")),
  }),
};

const go: Recipe = {
  language: "go",
  prepare: async (scope) => {
    const folder = await buildPeer("go", scope);
    return {
      inputs: basename(folder),
      fill: (context) => copyInto(join(context, "app"), folder, programsIn("go")),
    };
  },
};

const java: Recipe = {
  language: "java",
  prepare: async (scope) => {
    const folder = await buildPeer("java", scope);
    const jars = ["opentelemetry-javaagent.jar", "jeeves.jar", "lib"].map((jar) => `target/${jar}`);
    return {
      inputs: basename(folder),
      fill: (context) =>
        copyInto(join(context, "app"), folder, ["java.args", "agent.properties", ...jars]),
    };
  },
};

// The version of Python in the image.
const PYTHON = "3.11";
const WHEEL_ARCHITECTURES: Readonly<Record<string, string>> = { x64: "x86_64", arm64: "aarch64" };

const python: Recipe = {
  language: "python",
  prepare: async (scope) => {
    const missing = await PEERS.python.missingTools();
    if (missing !== undefined) throw new Error(`the python images cannot be built: ${missing}`);
    const sources = sourcesOf("python");
    const pinned = await readFile(join(sources, "requirements.txt"));
    const wheels = await keep(scope, `wheels-${digest(pinned)}`, (folder) =>
      fetchWheels(scope, sources, folder),
    );
    const entries = await readdir(join(sources, "src"), { recursive: true, withFileTypes: true });
    const files = entries
      .filter((entry) => entry.isFile() && !entry.parentPath.includes("__pycache__"))
      .map((entry) => join(entry.parentPath, entry.name))
      .sort();
    const hash = createHash("sha256").update(pinned);
    for (const file of files) {
      hash.update(file.slice(sources.length)).update(await readFile(file));
    }
    return {
      inputs: hash.digest("hex"),
      fill: async (context) => {
        await copyInto(context, sources, ["requirements.txt"]);
        await cp(wheels, join(context, "wheels"), { recursive: true });
        await copyInto(join(context, "app"), sources, ["src"]);
      },
    };
  },
};

/** Fetches the wheels that requirements.txt pins, for the Python of the image and the processor of this machine. */
async function fetchWheels(scope: Scope, sources: string, folder: string): Promise<void> {
  const architecture = WHEEL_ARCHITECTURES[process.arch];
  if (architecture === undefined) throw new Error(`no Python images for ${process.arch}`);
  // Debian's Python has pip in virtual environments only.
  const pip = await keep(scope, `pip-${PYTHON}`, (environment) =>
    runTool(
      scope,
      "python: making a virtual environment",
      { file: "python3", arguments: ["-m", "venv", environment] },
      { cwd: sources },
    ),
  );
  const platforms = ["manylinux2014", "manylinux_2_17", "manylinux_2_28"];
  await runTool(
    scope,
    "python: fetching what requirements.txt pins, as wheels",
    {
      file: join(pip, "bin/python"),
      arguments: [
        ...["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--require-hashes"],
        ...["--only-binary=:all:", "--python-version", PYTHON, "--implementation", "cp"],
        ...["cp311", "abi3", "none"].flatMap((abi) => ["--abi", abi]),
        ...platforms.flatMap((platform) => ["--platform", `${platform}_${architecture}`]),
        ...["--requirement", "requirements.txt", "--dest", folder],
      ],
    },
    { cwd: sources },
  );
}

async function buildPeer(language: Language, scope: Scope): Promise<string> {
  const missing = await PEERS[language].missingTools();
  if (missing !== undefined) throw new Error(`the ${language} images cannot be built: ${missing}`);
  return PEERS[language].build(scope);
}

function programsIn(language: Language): readonly string[] {
  return ROLES.flatMap(({ foreign }) => (foreign?.language === language ? [foreign.program] : []));
}

async function copyInto(target: string, from: string, names: readonly string[]): Promise<void> {
  await mkdir(target, { recursive: true });
  for (const name of names) {
    await cp(join(from, name), join(target, name), {
      recursive: true,
      filter: (file) => !file.includes("__pycache__"),
    });
  }
}

/** A short digest of the parts. */
export function digest(...parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part).update("\0");
  return hash.digest("hex").slice(0, 12);
}

/** The recipe of each language. */
export const RECIPES: Readonly<Record<Recipe["language"], Recipe>> = { node, go, python, java };
