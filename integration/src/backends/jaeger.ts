import { join } from "node:path";
import { REPOSITORY_ROOT } from "../engines/paths.js";
import { JaegerApi } from "./jaeger-api.js";
import { type Backend, type Program, type StartOptions, startProgram } from "./program.js";

/** A Jaeger that runs. */
export interface Jaeger extends Backend {
  /** The address of its UI. */
  readonly url: string;
  /** A client of its HTTP API. */
  readonly api: JaegerApi;
  /** The address of the page of one trace. */
  traceUrl(traceId: string): string;
}

// The configuration for deployments, which tests use too.
const JAEGER_CONFIG = join(REPOSITORY_ROOT, "integration/deploy/jaeger/jaeger.yaml");

/**
 * Starts a Jaeger without lasting storage. When the environment has JAEGER_URL (the UI of one that runs) and
 * JAEGER_OTLP_URL (its address for OTLP over HTTP), that one is used instead, and is not stopped.
 */
export async function startJaeger(
  options: StartOptions,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<Jaeger> {
  const configured = configuredJaeger(env);
  if (configured !== undefined) return useConfigured(configured, options);
  const running = await startProgram(program, options);
  const url = `http://127.0.0.1:${running.ports.UI_PORT}`;
  options.log(`jaeger: ${url}`);
  return {
    ...endpointsOf(url, `http://127.0.0.1:${running.ports.OTLP_HTTP_PORT}`),
    logs: running.logs,
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}

const program: Program<
  "UI_PORT" | "GRPC_PORT" | "OTLP_GRPC_PORT" | "OTLP_HTTP_PORT" | "HEALTH_PORT"
> = {
  name: "jaeger",
  ports: ["UI_PORT", "GRPC_PORT", "OTLP_GRPC_PORT", "OTLP_HTTP_PORT", "HEALTH_PORT"],
  env: (scratch) => ({ STORAGE: join(scratch, "storage") }),
  configs: async () => [JAEGER_CONFIG],
  readinessRequests: (ports) => [
    new Request(`http://127.0.0.1:${ports.HEALTH_PORT}/status`),
    new Request(`http://127.0.0.1:${ports.UI_PORT}/api/services`),
  ],
};

interface RunningJaeger {
  readonly url: string;
  readonly otlpUrl: string;
}

function configuredJaeger(
  env: Readonly<Record<string, string | undefined>>,
): RunningJaeger | undefined {
  const { JAEGER_URL: url = "", JAEGER_OTLP_URL: otlpUrl = "" } = env;
  if (url === "" && otlpUrl === "") return undefined;
  if (url === "" || otlpUrl === "") {
    throw new TypeError(
      `JAEGER_URL and JAEGER_OTLP_URL go together; ${url === "" ? "JAEGER_URL" : "JAEGER_OTLP_URL"} is not set`,
    );
  }
  for (const [name, value] of [
    ["JAEGER_URL", url],
    ["JAEGER_OTLP_URL", otlpUrl],
  ]) {
    if (!/^https?:\/\//.test(value ?? "") || !URL.canParse(value ?? "")) {
      throw new TypeError(`${name} is ${JSON.stringify(value)}; it has to be an http address`);
    }
  }
  return { url: url.replace(/\/+$/, ""), otlpUrl: otlpUrl.replace(/\/+$/, "") };
}

async function useConfigured(
  { url, otlpUrl }: RunningJaeger,
  { log, signal }: StartOptions,
): Promise<Jaeger> {
  signal?.throwIfAborted();
  const jaeger = endpointsOf(url, otlpUrl);
  try {
    await jaeger.api.services();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`Jaeger at ${url} (JAEGER_URL) does not answer: ${why}`, { cause: error });
  }
  signal?.throwIfAborted();
  log(`jaeger: the one at ${url} (JAEGER_URL is set)`);
  return { ...jaeger, logs: () => "", [Symbol.asyncDispose]: async () => undefined };
}

function endpointsOf(url: string, otlpUrl: string) {
  return {
    url,
    otlpUrl,
    api: new JaegerApi(url),
    traceUrl: (traceId: string) => `${url}/trace/${traceId}`,
  };
}
