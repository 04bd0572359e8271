import { readdir } from "node:fs/promises";
import { type ContainerRuntimeClient, GenericContainer } from "testcontainers";
import { reasonOf } from "../engines/docker-engine.js";
import type { Scope } from "../engines/scope.js";
import { abortable, withProgress } from "../engines/waiting.js";

// The label with the digest of the files that an image was built from.
const LABEL = "org.traceferry.made-from";
const SHOWN_LINES = 25;

/** An image to build: its name, the digest of its files, its build arguments. */
export interface ImagePlan {
  readonly name: string;
  /** The digest of everything that goes into the image. */
  readonly madeFrom: string;
  readonly arguments: Readonly<Record<string, string>>;
}

/** True when the image is there and built from the same files. */
export async function isCurrent(client: ContainerRuntimeClient, plan: ImagePlan): Promise<boolean> {
  return (await find(client, plan))?.Labels?.[LABEL] === plan.madeFrom;
}

async function find({ container }: ContainerRuntimeClient, { name }: ImagePlan) {
  const [found] = await container.dockerode.listImages({ filters: { reference: [name] } });
  return found;
}

/** Builds the image from a folder with its Dockerfile. @throws with the output of the build */
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
    // testcontainers reports a failure only when there is no image at all, not even an older one.
    .catch(() => undefined);
  await withProgress(scope.log, `${plan.name}: building`, () => abortable(scope.signal, built));
  if (!(await isCurrent(client, plan))) {
    const output = await buildOutput(client, context, buildArgs);
    throw new Error(`${plan.name} could not be built. ${output}`);
  }
  if (before !== undefined) await removePrevious(client, before.Id);
}

/** Removes the image that lost its name to the new one. Other images without a name are the cache of the builder. */
async function removePrevious({ container }: ContainerRuntimeClient, id: string): Promise<void> {
  try {
    await container.dockerode.getImage(id).remove();
  } catch (error) {
    // A container or another image may still use it.
    if (!/no such image|conflict|in use|dependent/i.test(reasonOf(error))) throw error;
  }
}

/** Builds once more for the output, because testcontainers does not give the reason of a failure. */
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
  const append = (text: unknown): void => {
    if (typeof text === "string" && text.trim() !== "") output.push(text.trimEnd());
  };
  await new Promise<void>((resolve) => {
    dockerode.modem.followProgress(
      stream,
      (error) => {
        append(error?.message);
        resolve();
      },
      (event: { readonly stream?: unknown; readonly error?: unknown }) => {
        append(event.stream);
        append(event.error);
      },
    );
  });
  const lines = output.join("\n").split("\n").slice(-SHOWN_LINES);
  return `The engine said:\n  ${lines.join("\n  ")}`;
}
