// Sends many requests through three mixed systems, judges each trace, and writes integration/RESULTS.md.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { sendRequests } from "../demo/requests.js";
import { startEngines } from "../engines/index.js";
import { repositoryRoot } from "../engines/places.js";
import { messageOf } from "../system/spans.js";
import type { Implementations } from "../topology/roles.js";
import {
  AGENTS,
  GATEWAY,
  LLM_GATEWAY,
  ORCHESTRATOR,
  PLANNER,
  POLYGLOT,
  TOOLS,
} from "../topology/roles.js";
import { measure, type Result } from "./measure.js";
import { report } from "./report.js";

const FILE = join(repositoryRoot, "integration/RESULTS.md");

/** Each language in some of its places, beside ours and beside the incumbents'. */
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

const say = (line: string): void => void process.stderr.write(`${line}\n`);

async function run(
  { requests, concurrency }: { readonly requests: number; readonly concurrency: number },
  signal: AbortSignal,
): Promise<boolean> {
  await using engines = await startEngines({ say, signal });
  const results: Result[] = [];
  for (const [name, made] of Object.entries(SYSTEMS)) {
    say(`\n${name}`);
    const load = { concurrency, stream: false, parallel: false };
    const result = await measure({ name, made, engines, say, signal }, requests, (url, count) =>
      sendRequests(url, { requests: count, ...load }, say, signal),
    );
    say(JSON.stringify(result));
    results.push(result);
  }
  await writeFile(FILE, report(results, { requests, concurrency, engines: engines.kind }));
  say(`\nwritten: integration/RESULTS.md`);
  return results.every(({ whole, orphans, falseParents }) => {
    return whole === requests && orphans === 0 && falseParents === 0;
  });
}

const options = new Command()
  .name("npm run results --")
  .description(
    "Sends requests through three systems of mixed languages, judges every trace, and writes what came out to\n" +
      "integration/RESULTS.md. Exit code 1 when a trace is not whole.",
  )
  .option("--requests <n>", "how many requests to each system", count, 2000)
  .option("--concurrency <n>", "how many of them at a time", count, 20)
  .allowExcessArguments(false)
  .parse()
  .opts<{ requests: number; concurrency: number }>();

function count(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError("It must be 1 or more.");
  return value;
}

const interrupted = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) {
  process.on(name, () => interrupted.abort(new Error("interrupted")));
}
try {
  process.exit((await run(options, interrupted.signal)) ? 0 : 1);
} catch (error) {
  say(`results: ${messageOf(error)}`);
  process.exit(interrupted.signal.aborted ? 130 : 1);
}
