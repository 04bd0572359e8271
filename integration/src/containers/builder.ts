import { readdir } from "node:fs/promises";
import { type ContainerRuntimeClient, GenericContainer } from "testcontainers";
import { reasonOf } from "../engines/docker-engine.js";
import type { Scope } from "../engines/scope.js";
import { abortable, withProgress } from "../engines/waiting.js";

// On each image that is built here: what it was made from.
const LABEL = "org.traceferry.made-from";
const SHOWN_LINES = 25;

/** What an image is called, and from what it is made. */
export interface ImagePlan {
  readonly name: string;
  /** Changes with everything that goes into the image. */
  readonly madeFrom: string;
  readonly arguments: Readonly<Record<string, string>>;
}

export async function isCurrent(client: ContainerRuntimeClient, plan: ImagePlan): Promise<boolean> {
  return (await find(client, plan))?.Labels?.[LABEL] === plan.madeFrom;
}

async function find({ container }: ContainerRuntimeClient, { name }: ImagePlan) {
  const [found] = await container.dockerode.listImages({ filters: { reference: [name] } });
  return found;
}

/** Builds the image from a folder with its Dockerfile. @throws what the build said */
export async function build(
  client: ContainerRuntimeClient,
  plan: ImagePlan,
  context: string,
  scope: Scope,
): Promise<void> {
  scope.signal.throwIfAborted();
  const before = await find(client, plan);
  const buildArgs = { ...plan.arguments, MADE_FROM: plan.madeFrom };
  const built = GenericContainer.fromDockerfile(context)
    .withBuildArgs(buildArgs)
    .build(plan.name, { deleteOnExit: false })
    // Of a build that failed it only notices when there is no image at all, not even one of before.
    .catch(() => undefined);
  await withProgress(scope.log, `${plan.name}: building`, () => abortable(scope.signal, built));
  if (!(await isCurrent(client, plan))) {
    const output = await buildOutput(client, context, buildArgs);
    throw new Error(`${plan.name} could not be built. ${output}`);
  }
  if (before !== undefined) await removePrevious(client, before.Id);
}

/** What was built again has lost its name. Removing it, rather than all that has none, keeps the builder's cache. */
async function removePrevious({ container }: ContainerRuntimeClient, id: string): Promise<void> {
  try {
    await container.dockerode.getImage(id).remove();
  } catch (error) {
    // A container, or another image, may still stand on it.
    if (!/no such image|conflict|in use|dependent/i.test(reasonOf(error))) throw error;
  }
}

/** Testcontainers does not tell why a build failed. The engine, asked for the same once more, does. */
async function buildOutput(
  { container: { dockerode } }: ContainerRuntimeClient,
  context: string,
  buildargs: Readonly<Record<string, string>>,
): Promise<string> {
  const src = await readdir(context);
  const stream = await dockerode.buildImage(
    { context, src },
    { buildargs: { ...buildargs }, forcerm: true },
  );
  const output: string[] = [];
  const note = (text: unknown): void => {
    if (typeof text === "string" && text.trim() !== "") output.push(text.trimEnd());
  };
  await new Promise<void>((resolve) => {
    dockerode.modem.followProgress(
      stream,
      (error) => {
        note(error?.message);
        resolve();
      },
      (event: { readonly stream?: unknown; readonly error?: unknown }) => {
        note(event.stream);
        note(event.error);
      },
    );
  });
  const lines = output.join("\n").split("\n").slice(-SHOWN_LINES);
  return `The engine said:\n  ${lines.join("\n  ")}`;
}
