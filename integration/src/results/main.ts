// Sends many requests through three mixed systems, evaluates each trace, and writes integration/RESULTS.md.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Command } from "commander";
import { count } from "../demo/options.js";
import { sendRequests } from "../demo/requests.js";
import { startEngines } from "../engines/index.js";
import { REPOSITORY_ROOT } from "../engines/paths.js";
import { messageOf } from "../system/spans.js";
import {
  AGENTS,
  GATEWAY,
  type Implementations,
  LLM_GATEWAY,
  ORCHESTRATOR,
  PLANNER,
  POLYGLOT,
  TOOLS,
} from "../topology/roles.js";
import { measure, type Result } from "./measure.js";
import { report } from "./report.js";

const FILE = join(REPOSITORY_ROOT, "integration/RESULTS.md");

/** Systems that have each language in some of its roles, beside ours and beside the incumbents' instrumentation. */
const SYSTEMS: Readonly<Record<string, Implementations>> = {
  "every foreign one": POLYGLOT,
  "ours beside foreign": { [GATEWAY]: "python", [TOOLS]: "java", [LLM_GATEWAY]: "python" },
  "the incumbents beside foreign": {
    [GATEWAY]: "stock",
    [ORCHESTRATOR]: "go",
    [AGENTS]: "stock",
    [PLANNER]: "python",
    [TOOLS]: "stock",
  },
};

interface Options {
  readonly requests: number;
  readonly concurrency: number;
  readonly write: boolean;
}

const log = (line: string): void => void process.stderr.write(`${line}\n`);

async function run(
  { requests, concurrency, write }: Options,
  signal: AbortSignal,
): Promise<boolean> {
  await using engines = await startEngines({ log, signal });
  const results: Result[] = [];
  for (const [name, implementations] of Object.entries(SYSTEMS)) {
    log(`\n${name}`);
    const load = { concurrency, stream: false, parallel: false };
    const result = await measure(
      { name, implementations, engines, log, signal },
      requests,
      (url, count) => sendRequests(url, { requests: count, ...load }, log, signal),
    );
    log(JSON.stringify(result));
    results.push(result);
  }
  const text = report(results, { requests, concurrency, engines: engines.kind });
  process.stdout.write(text);
  // `--no-write` is for small trials.
  if (write) {
    await writeFile(FILE, text);
    log("written: integration/RESULTS.md");
  }
  return results.every(({ traces, whole, orphans, falseParents }) => {
    return traces === requests && whole === requests && orphans === 0 && falseParents === 0;
  });
}

const options = new Command()
  .name("npm run results --")
  .description(
    "Sends requests through three systems of mixed languages, judges every trace, and writes what came out to\n" +
      "stdout and to integration/RESULTS.md. Exit code 1 when a trace is not whole.",
  )
  .option("--requests <n>", "how many requests to each system", count, 2000)
  .option("--concurrency <n>", "how many of them at a time", count, 20)
  .option("--no-write", "leave integration/RESULTS.md as it is")
  .allowExcessArguments(false)
  .parse()
  .opts<Options>();

const interrupted = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) {
  process.on(name, () => interrupted.abort(new Error("interrupted")));
}
try {
  process.exit((await run(options, interrupted.signal)) ? 0 : 1);
} catch (error) {
  log(`results: ${messageOf(error)}`);
  process.exit(interrupted.signal.aborted ? 130 : 1);
}
