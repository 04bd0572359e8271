import type { TestProject } from "vitest/node";
import { type EngineKind, startEngines } from "../engines/index.js";

import { messageOf } from "../system/spans.js";

/** What the suite's tests are told of the engines, or why there are none. */
export type SuiteEngines =
  | { readonly kind: EngineKind; readonly kafkaBrokers: string[]; readonly redisUrl: string }
  | { readonly missing: string };

declare module "vitest" {
  interface ProvidedContext {
    engines: SuiteEngines;
  }
}

/** Starts the engines once for all files of the suite, and ends them when the last is done. */
export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const log = (line: string): void => void process.stderr.write(`${line}\n`);
  try {
    const engines = await startEngines({ log });
    const { kind, kafkaBrokers, redisUrl } = engines;
    project.provide("engines", { kind, kafkaBrokers, redisUrl });
    engines.failure.catch(async (error: unknown) => {
      // No test can pass any more, and each would wait for its own time limit.
      log(`the suite ends: ${messageOf(error)}`);
      process.exitCode = 1;
      await engines[Symbol.asyncDispose]();
      process.exit(1);
    });
    return async () => {
      await engines[Symbol.asyncDispose]();
    };
  } catch (error) {
    // Absent engines are for the tests to report, each by its name: see engines.test-support.ts.
    const missing = error instanceof Error ? error.message : String(error);
    log(missing);
    project.provide("engines", { missing });
    return async () => undefined;
  }
}
