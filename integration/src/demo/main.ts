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
// Tail sampling looks at what it holds once a second.
const QUIET_BEHIND_COLLECTOR_MS = 3000;

// What is going on is told on stderr, so that stdout holds the result only.
const log = (line: string): void => void process.stderr.write(`${line}\n`);

async function run(options: DemoOptions, interrupted: AbortSignal): Promise<number> {
  const began = Date.now();
  const failed = new AbortController();
  const signal = AbortSignal.any([interrupted, failed.signal]);
  // What runs is then ended at once: the requests that are under way, and engines that have something to keep.
  const giveUp = (error: unknown): never => {
    failed.abort(error);
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
  }).catch(giveUp);

  const answers = await Promise.race([
    sendRequests(topology.gatewayUrl, options, log, signal),
    topology.failure,
  ]).catch(giveUp);
  const wallMs = Date.now() - began;
  const quiet = receiver.waitForQuiet({
    services: [...expectedTrace(options.implementations).services],
    traces: answers.filter(({ reply }) => reply !== undefined).length,
    quietMs: traceUrl === undefined ? QUIET_MS : QUIET_BEHIND_COLLECTOR_MS,
    timeoutMs: 20_000,
  });
  const arrived = quiet.catch(() => receiver.spans);
  const spans = await abortable(signal, Promise.race([arrived, topology.failure])).catch(giveUp);

  const verdict = summarize(answers, spans, options);
  const refused = answers.find(({ reply }) => reply === undefined);
  if (refused !== undefined) {
    log(`a request was answered with ${refused.status}: ${JSON.stringify(refused.error)}`);
  }
  process.stdout.write(
    `${printSummary(verdict, spans, answers[0]?.traceId ?? "", options.implementations)}\n`,
  );
  const shown = answers.find(({ traceId }) => traceId !== "");
  if (traceUrl !== undefined && shown !== undefined) {
    log(`\nthe trace in Jaeger: ${traceUrl(shown.traceId)}`);
  }
  if (options.json) {
    const rssMb = await topology.rssMb();
    const { hops, ...rest } = verdict;
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
    await Promise.race([once(interrupted, "abort"), topology.failure]).catch(giveUp);
  }
  return isUnbroken(verdict) ? 0 : 1;
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

/** An error, after those that it hides: what goes wrong while all is ended is not why it was ended. */
function errorsIn(error: unknown): unknown[] {
  const hides = error instanceof Error && "suppressed" in error && "error" in error;
  return hides ? [...errorsIn(error.suppressed), ...errorsIn(error.error)] : [error];
}

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  const interrupted = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.on(name, () => {
      // Whoever asks twice does not want to wait for an orderly end.
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

// Exit rather than wait: a library's idle timer must not keep a finished demo open.
process.exit(await main());
