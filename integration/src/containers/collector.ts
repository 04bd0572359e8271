import { copyFile, mkdir, readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { ContainerRuntimeClient } from "testcontainers";
import { binary } from "../backends/binaries.js";
import {
  COLLECTOR_CONFIG,
  type CollectorSettings,
  collectorEnv,
  exportTo,
} from "../backends/collector.js";
import type { Scope } from "../engines/scope.js";
import { buildFrom } from "./images.js";
import { type ContextContent, digest } from "./recipes.js";
import { type ContainerSettings, RoleContainer } from "./role.js";

// Its name on the network.
const NAME = "collector";
const OTLP_PORT = 4318;

/** Builds the Collector and its image when they are missing, and begins to start it. @throws what is missing */
export async function createCollector(
  client: ContainerRuntimeClient,
  collectorSettings: CollectorSettings,
  settings: ContainerSettings,
  scope: Scope,
): Promise<RoleContainer> {
  const { name: image } = await buildFrom(client, NAME, NAME, prepare, scope);
  scope.signal.throwIfAborted();
  return new RoleContainer({
    ...settings,
    name: NAME,
    image,
    readyLine: /Everything is ready/,
    command: undefined,
    env: {
      ...collectorEnv(collectorSettings),
      EXPORT_CONFIG: exportTo(collectorSettings.exportTo),
    },
    port: OTLP_PORT,
    isPublished: false,
  });
}

async function prepare(scope: Scope): Promise<ContextContent> {
  const file = await binary(scope, NAME);
  const config = await readFile(COLLECTOR_CONFIG);
  return {
    // The name of the folder changes with the recipe of the binary.
    inputs: digest(basename(dirname(file)), config),
    fill: async (context) => {
      const app = join(context, "app");
      await mkdir(app);
      await copyFile(file, join(app, NAME));
      await copyFile(COLLECTOR_CONFIG, join(app, basename(COLLECTOR_CONFIG)));
    },
  };
}
