import { mkdirSync, mkdtempSync } from "node:fs";
import { copyFile, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { type ContainerRuntimeClient, ImageName } from "testcontainers";
import {
  connectToEngine,
  disableRyukUnlessAvailable,
  NO_ENGINE,
  pullUnlessPresent,
} from "../engines/docker-engine.js";
import { cacheFolder, REPOSITORY_ROOT } from "../engines/paths.js";
import type { Scope } from "../engines/scope.js";
import { withProgress } from "../engines/waiting.js";
import { type Implementation, type Implementations, ROLES, type Role } from "../topology/roles.js";
import { build, type ImagePlan, isCurrent } from "./builder.js";
import { type ContextContent, digest, RECIPES, type Recipe } from "./recipes.js";

// The port for the health checks of a role.
const HEALTH_PORT = 9090;
const FOLDER = join(REPOSITORY_ROOT, "integration/images/roles");

/** The name of the image of a role. `stock` and `bare` use the image of `ts`, with another command. */
export function imageName({ name, foreign }: Role, implementation: Implementation): string {
  const isForeign = foreign !== undefined && implementation === foreign.language;
  return `traceferry/${name}${isForeign ? `-${implementation}` : ""}:local`;
}

/**
 * Builds the images of a system of these implementations, unless they are there and built from the same files. All input is
 * in the build context: a build needs no network.
 *
 * @throws what is missing, or the output of a build that failed
 */
export async function buildImages(implementations: Implementations, scope: Scope): Promise<void> {
  const client = await connectToEngine();
  if (client === undefined) throw new Error(NO_ENGINE);
  await disableRyukUnlessAvailable(client);
  for (const recipe of Object.values(RECIPES)) {
    const sameRecipe = ROLES.filter(
      (role) => recipeOf(role, implementations[role.name] ?? "ts") === recipe,
    );
    if (sameRecipe.length > 0)
      await buildLanguage(client, recipe, sameRecipe, implementations, scope);
  }
}

function recipeOf({ foreign }: Role, implementation: Implementation): Recipe {
  return RECIPES[
    foreign !== undefined && implementation === foreign.language ? foreign.language : "node"
  ];
}

/** Builds the image that the roles of one language share, and on it the image of each role. */
async function buildLanguage(
  client: ContainerRuntimeClient,
  recipe: Recipe,
  roles: readonly Role[],
  implementations: Implementations,
  scope: Scope,
): Promise<void> {
  const { language: folder, prepare } = recipe;
  const language = await buildFrom(client, folder, `roles-${folder}`, prepare, scope);
  const dockerfile = await readFile(join(FOLDER, "Dockerfile"), "utf8");
  const plans: ImagePlan[] = roles.map((role) => {
    const { name, entry, foreign, port } = role;
    const settings = {
      LANGUAGE_IMAGE: language.name,
      ROLE: name,
      PROGRAM: recipe.language === "node" ? entry : (foreign?.program ?? entry),
      PORT: String(port ?? 0),
      PORTS: [HEALTH_PORT, ...(port === undefined ? [] : [port])].join(" "),
    };
    return {
      name: imageName(role, implementations[name] ?? "ts"),
      madeFrom: digest(dockerfile, language.madeFrom, JSON.stringify(settings)),
      arguments: settings,
    };
  });
  await buildStale(client, plans, scope, (context) =>
    copyFile(join(FOLDER, "Dockerfile"), join(context, "Dockerfile")),
  );
}

/** Builds `traceferry/<name>:local` from a Dockerfile and the content that is prepared for it, unless it is current. */
export async function buildFrom(
  client: ContainerRuntimeClient,
  folderName: string,
  name: string,
  prepare: (scope: Scope) => Promise<ContextContent>,
  scope: Scope,
): Promise<ImagePlan> {
  const folder = join(FOLDER, folderName);
  const dockerfile = await readFile(join(folder, "Dockerfile"), "utf8");
  const healthCheck = await readFile(join(FOLDER, "healthy"));
  const bases = new Set([...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, base = ""]) => base));
  const baseIds: string[] = [];
  for (const base of bases) {
    const missing = await pullUnlessPresent(client, base, scope.log, scope.signal);
    if (missing !== undefined) throw new Error(missing);
    baseIds.push((await client.image.inspect(ImageName.fromString(base))).Id);
  }
  scope.signal.throwIfAborted();
  const { inputs, fill } = await prepare(scope);
  const plan = {
    name: `traceferry/${name}:local`,
    madeFrom: digest(dockerfile, healthCheck, ...baseIds, inputs),
    arguments: {},
  };
  await buildStale(client, [plan], scope, async (context) => {
    await withProgress(scope.log, `${plan.name}: gathering its files`, () => fill(context));
    await copyFile(join(folder, "Dockerfile"), join(context, "Dockerfile"));
    await copyFile(join(FOLDER, "healthy"), join(context, "healthy"));
  });
  return plan;
}

/** Builds the images that are missing or built from other files, with one build context. */
async function buildStale(
  client: ContainerRuntimeClient,
  plans: readonly ImagePlan[],
  scope: Scope,
  fill: (context: string) => Promise<void>,
): Promise<void> {
  const current = await Promise.all(plans.map((plan) => isCurrent(client, plan)));
  const stale = plans.filter((_, i) => !current[i]);
  if (stale.length === 0) return;
  mkdirSync(cacheFolder(), { recursive: true });
  const context = mkdtempSync(join(cacheFolder(), "context."));
  scope.reaper.addFolder(context);
  try {
    await fill(context);
    for (const plan of stale) await build(client, plan, context, scope);
  } finally {
    await rm(context, { recursive: true, force: true });
  }
}
