import { once } from "node:events";
import { abortable } from "../engines/waiting.js";
import { messageOf } from "../system/spans.js";
import { expectedTrace, startTopology } from "../topology/index.js";
import { startEnvironment } from "./environment.js";
import { type DemoOptions, readOptions } from "./options.js";
import { printSummary } from "./print.js";
import { sendRequests } from "./requests.js";
import { isUnbroken, summarize } from "./summary.js";

const INTERRUPTED = 130;
const QUIET_MS = 500;
// The tail sampling of the collector decides once a second.
const QUIET_BEHIND_COLLECTOR_MS = 3000;

// Progress goes to stderr, so that stdout has the result only.
const log = (line: string): void => void process.stderr.write(`${line}\n`);

async function run(options: DemoOptions, interrupted: AbortSignal): Promise<number> {
  const began = Date.now();
  const failure = new AbortController();
  const signal = AbortSignal.any([interrupted, failure.signal]);
  // Aborts the requests under way, and makes the engines end at once instead of keeping something for the next start.
  const abortAndThrow = (error: unknown): never => {
    failure.abort(error);
    throw error;
  };
  await using environment = await startEnvironment(options, { log, signal });
  const { engines, hosts, receiver, traceUrl } = environment;
  await using topology = await startTopology({
    engines,
    hosts,
    otlpUrl: environment.otlpUrl,
    log,
    signal,
    implementations: options.implementations,
    ...(options.break && { roleEnv: { [options.break]: { OTEL_PROPAGATORS: "none" } } }),
  }).catch(abortAndThrow);

  const answers = await Promise.race([
    sendRequests(topology.gatewayUrl, options, log, signal),
    topology.failure,
  ]).catch(abortAndThrow);
  const wallMs = Date.now() - began;
  const quiet = receiver.waitForQuiet({
    services: [...expectedTrace(options.implementations).services],
    traces: answers.filter(({ reply }) => reply !== undefined).length,
    quietMs: traceUrl === undefined ? QUIET_MS : QUIET_BEHIND_COLLECTOR_MS,
    timeoutMs: 20_000,
  });
  const arrived = quiet.catch(() => receiver.spans);
  const spans = await abortable(signal, Promise.race([arrived, topology.failure])).catch(
    abortAndThrow,
  );

  const summary = summarize(answers, spans, options);
  const refused = answers.find(({ reply }) => reply === undefined);
  if (refused !== undefined) {
    log(`a request was answered with ${refused.status}: ${JSON.stringify(refused.error)}`);
  }
  process.stdout.write(
    `${printSummary(summary, spans, answers[0]?.traceId ?? "", options.implementations)}\n`,
  );
  const shown = answers.find(({ traceId }) => traceId !== "");
  if (traceUrl !== undefined && shown !== undefined) {
    log(`\nthe trace in Jaeger: ${traceUrl(shown.traceId)}`);
  }
  if (options.json) {
    const rssMb = await topology.rssMb();
    const { hops, ...rest } = summary;
    const line = {
      ...rest,
      hops: hops.map(({ why: _, ...hop }) => hop),
      rssMb,
      wallMs,
      engines: engines.kind,
    };
    process.stdout.write(`${JSON.stringify(line)}\n`);
  }
  if (options.keep) {
    log(manualInstructions(topology.gatewayUrl, receiver.httpUrl));
    await Promise.race([once(interrupted, "abort"), topology.failure]).catch(abortAndThrow);
  }
  return isUnbroken(summary) ? 0 : 1;
}

function manualInstructions(gatewayUrl: string, otlpUrl: string): string {
  const body = JSON.stringify({ message: "Hello", session_id: "me" });
  return [
    "",
    `gateway        ${gatewayUrl}`,
    `OTLP receiver  ${otlpUrl}`,
    "",
    `curl -i ${gatewayUrl}/api/v1/chat -H 'content-type: application/json' -d '${body}'`,
    `curl -N ${gatewayUrl}/api/v1/chat/stream -H 'content-type: application/json' -d '${body}'`,
    "",
    "Ctrl-C stops everything.",
  ].join("\n");
}

/** The errors in a SuppressedError, the first cause first: an error during disposal must not hide it. */
function errorsIn(error: unknown): unknown[] {
  const hides = error instanceof Error && "suppressed" in error && "error" in error;
  return hides ? [...errorsIn(error.suppressed), ...errorsIn(error.error)] : [error];
}

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  const interrupted = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.on(name, () => {
      // A second signal does not wait for the orderly end.
      if (interrupted.signal.aborted) process.exit(INTERRUPTED);
      interrupted.abort(new Error("interrupted"));
    });
  }
  try {
    return await run(options, interrupted.signal);
  } catch (error) {
    if (interrupted.signal.aborted) return INTERRUPTED;
    for (const fault of errorsIn(error)) log(`demo: ${messageOf(fault)}`);
    return 1;
  }
}

// An exit, because an idle timer of a library must not keep the process alive.
process.exit(await main());
