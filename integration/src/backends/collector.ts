import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { REPOSITORY_ROOT } from "../engines/paths.js";
import { type Backend, type Program, type StartOptions, startProgram } from "./program.js";

/** The addresses that a Collector exports to, and the traces that it keeps. */
export interface CollectorSettings {
  /** Addresses that take OTLP over HTTP. */
  readonly exportTo: readonly string[];
  /** The percentage of ordinary traces that are kept. Default: 10. */
  readonly keepPercent?: number;
  /** The percentage of health checks that are kept. Default: 1. */
  readonly healthKeepPercent?: number;
  /** Traces that take longer are kept. Default: 1000. */
  readonly slowMs?: number;
  /** The time from the first span of a trace to the decision about it, when its root does not arrive. Default: 30,000. */
  readonly decisionWaitMs?: number;
  /** The time from the root span to the decision. Default: 5000. */
  readonly rootWaitMs?: number;
}

/** Options of `startCollector`. */
export interface CollectorOptions extends CollectorSettings, StartOptions {}

/** The Collector's configuration for deployments, which tests use too. The exporters are in a second file. */
export const COLLECTOR_CONFIG = join(
  REPOSITORY_ROOT,
  "integration/deploy/collector/collector.yaml",
);

/** Starts an OpenTelemetry Collector that exports to `exportTo`. It samples and masks as in a deployment. */
export async function startCollector(options: CollectorOptions): Promise<Backend> {
  const running = await startProgram(programOf(options), options);
  return {
    otlpUrl: `http://127.0.0.1:${running.ports.OTLP_HTTP_PORT}`,
    logs: running.logs,
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}

function programOf(
  options: CollectorOptions,
): Program<"OTLP_GRPC_PORT" | "OTLP_HTTP_PORT" | "HEALTH_PORT"> {
  return {
    name: "collector",
    ports: ["OTLP_GRPC_PORT", "OTLP_HTTP_PORT", "HEALTH_PORT"],
    env: () => collectorEnv(options),
    configs: async (scratch) => {
      const file = join(scratch, "export.yaml");
      await writeFile(file, exportTo(options.exportTo));
      return [COLLECTOR_CONFIG, file];
    },
    readinessRequests: (ports) => [
      new Request(`http://127.0.0.1:${ports.HEALTH_PORT}/`),
      new Request(`http://127.0.0.1:${ports.OTLP_HTTP_PORT}/v1/traces`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: "{}",
      }),
    ],
  };
}

/** The settings as environment variables of the configuration. */
export function collectorEnv(settings: CollectorSettings): Readonly<Record<string, string>> {
  const { keepPercent = 10, healthKeepPercent = 1, slowMs = 1000 } = settings;
  const { decisionWaitMs = 30_000, rootWaitMs = 5000 } = settings;
  return {
    KEEP_PERCENT: String(keepPercent),
    HEALTH_KEEP_PERCENT: String(healthKeepPercent),
    SLOW_MS: String(slowMs),
    DECISION_WAIT: `${decisionWaitMs}ms`,
    ROOT_WAIT: `${rootWaitMs}ms`,
  };
}

/** The second configuration file, as export-to-jaeger.yaml is one. It is JSON, which is valid YAML. */
export function exportTo(urls: readonly string[]): string {
  const exporters = urls.map((endpoint, i) => [`otlp_http/${i + 1}`, { endpoint }] as const);
  return JSON.stringify({
    exporters: Object.fromEntries(exporters),
    service: { pipelines: { traces: { exporters: exporters.map(([name]) => name) } } },
  });
}
